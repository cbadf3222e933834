"""The factor-skew quoter, from R to the kernels' quotes: what it must equal, and what it must not do."""

import math

import numpy as np
import pytest
from bench.utility import factor_skew_distances, risk_price
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.decide.baselines import gueant
from flatbook.decide.baselines.glft import Glft
from flatbook.decide.baselines.gueant import Assets
from flatbook.decide.baselines.intensity import ExponentialIntensity
from flatbook.kernels.chain import FACTORS
from flatbook.kernels.charges import FOLDED, charge_rows, fold_curvature, fold_gradient
from flatbook.kernels.factors import PRIMITIVES, load_factors, map_factors
from flatbook.market.covariance import CovarianceModel
from flatbook.valuation.risk_price import Liquidity, quadratic_risk_price

Floats = NDArray[np.float64]

ROWS = 40
INDEX = 80_000.0
TENOR_YEARS = np.array([3.0, 20.0, 100.0]) / 365
LEVELS = [2, 5, 8]
"""The factors of vol level, one a tenor."""

seeds = st.integers(0, 100_000)


@settings(deadline=None)
@given(
    st.floats(0.05, 2.0),
    st.floats(0.1, 5.0),
    st.floats(0.05, 3.0),
    st.floats(1e-3, 1.0),
    st.floats(0.1, 5.0),
    st.integers(-20, 20),
)
def test_one_asset_is_gueant_lehalle_and_fernandez_tapia(
    vol: float, arrivals: float, decay: float, aversion: float, size: float, lots: int
) -> None:
    """Width and skew both. Quotes of a size z are theirs of one unit, at γ z and with inventory counted in z."""
    fills = ExponentialIntensity(np.array([arrivals]), np.array([decay]))
    assets = Assets(np.array([[vol**2]]), fills, np.array([size]), aversion)
    ours = factor_skew_distances(assets, risk_price(assets), np.array([lots * size]))
    theirs = Glft(vol, ExponentialIntensity(arrivals, decay), aversion * size).closed_form_distances(float(lots))
    scale = 1e-9 * (1.0 + abs(float(theirs.bid)) + abs(float(theirs.ask)))
    assert ours.bid[0] == pytest.approx(float(theirs.bid), abs=scale)
    assert ours.ask[0] == pytest.approx(float(theirs.ask), abs=scale)


@settings(deadline=None)
@given(seeds, st.integers(2, 6))
def test_many_assets_are_the_closed_form_of_bergault_et_al(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(count, 2 * count))
    fills = ExponentialIntensity(rng.uniform(0.5, 3.0, count), rng.uniform(0.5, 3.0, count))
    assets = Assets(root @ root.T / count, fills, np.full(count, 1.5), 0.05)
    held = rng.normal(size=count)
    ours = factor_skew_distances(assets, risk_price(assets), held)
    theirs = gueant.closed_form_distances(assets, gueant.curvature(assets), held)
    np.testing.assert_allclose(ours.bid, theirs.bid, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(ours.ask, theirs.ask, rtol=1e-8, atol=1e-9)


class Chain:
    """A drawn chain of plausible Greeks, the loadings the kernels make of them, and R of its flow."""

    def __init__(self, seed: int, covariance: Floats | None = None) -> None:
        rng = np.random.default_rng(seed)
        forward, vol = np.full(ROWS, INDEX), rng.uniform(0.3, 0.9, ROWS)
        self.years = rng.uniform(1.0, 200.0, ROWS) / 365
        self.moneyness = rng.uniform(-2.0, 2.0, ROWS)
        density = np.exp(-0.5 * self.moneyness**2) / math.sqrt(2 * math.pi)
        width = vol * np.sqrt(self.years)
        self.vega = forward * np.sqrt(self.years) * density
        greeks = np.stack(
            [forward * width * density, rng.uniform(-1.0, 1.0, ROWS), density / (forward * width), self.vega]
        )
        self.greeks, self.forward = greeks, forward
        liquidity = Liquidity(rng.uniform(50.0, 3_000.0, ROWS), rng.uniform(0.005, 0.05, ROWS), np.ones(ROWS))
        sigma = CovarianceModel().prior() if covariance is None else covariance
        self.price = quadratic_risk_price(sigma, self.loading(), liquidity, 1e-4)

    def factor_map(self) -> Floats:
        """Each row an expiry of its own."""
        mapped = np.empty((ROWS, PRIMITIVES * FACTORS))
        map_factors(TENOR_YEARS, self.years, mapped)
        return mapped

    def loading(self) -> Floats:
        """What a contract of each row adds to exposures."""
        loaded = np.empty((ROWS, FACTORS))
        load_factors(INDEX, np.arange(ROWS), self.factor_map(), self.forward, self.moneyness, self.greeks, loaded)
        return loaded

    def charges(self, exposure: Floats) -> tuple[Floats, Floats]:
        """What the kernels shift and widen each row's quotes by."""
        rows, folded = np.arange(ROWS), np.empty((FOLDED, ROWS))
        fold_gradient(self.factor_map(), self.price.gradient(exposure), folded)
        fold_curvature(self.factor_map(), self.price.curvature, folded)
        shift, width = np.empty(ROWS), np.empty(ROWS)
        ends = np.arange(ROWS + 1)
        charge_rows(INDEX, rows, ends, rows, folded, self.forward, self.moneyness, self.greeks, 1.0, shift, width)
        return shift, width


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_without_exposure_quotes_are_symmetric_and_every_trade_costs(seed: int) -> None:
    chain = Chain(seed)
    shift, width = chain.charges(np.zeros(FACTORS))
    assert not shift.any()
    assert (width > 0).all()


@settings(deadline=None, max_examples=40)
@given(seeds, st.integers(0, ROWS - 1), st.integers(0, ROWS - 1))
def test_options_of_equal_greeks_are_skewed_alike(seed: int, one: int, other: int) -> None:
    """Whatever else they are: strike, right, price of their own, flow."""
    chain = Chain(seed)
    chain.greeks[:, other] = chain.greeks[:, one]
    chain.years[other], chain.moneyness[other] = chain.years[one], chain.moneyness[one]
    held = np.random.default_rng(seed).normal(size=ROWS)
    shift, width = chain.charges(held @ chain.loading())
    assert shift[one] == shift[other]
    assert width[one] == width[other]


@settings(deadline=None, max_examples=40)
@given(seeds, st.floats(-1e7, 1e7))
def test_where_vol_levels_are_the_only_risk_every_option_of_a_tenor_shifts_by_the_same_vol(
    seed: int, vega_usd: float
) -> None:
    level_only = np.diag(np.full(FACTORS, 1e-16))
    level_only[np.ix_(LEVELS, LEVELS)] = np.array([[0.36, 0.2, 0.1], [0.2, 0.16, 0.1], [0.1, 0.1, 0.09]])
    chain = Chain(seed, level_only)
    chain.years[: ROWS // 2] = TENOR_YEARS[0]
    chain.years[ROWS // 2 :] = TENOR_YEARS[2]
    exposure = np.zeros(FACTORS)
    exposure[LEVELS[1]] = vega_usd
    shift, _ = chain.charges(exposure)
    shift_vol = shift / chain.vega
    for tenor in (slice(ROWS // 2), slice(ROWS // 2, None)):
        typical = float(np.median(shift_vol[tenor]))
        np.testing.assert_allclose(shift_vol[tenor], typical, rtol=1e-4, atol=1e-16)
        assert math.copysign(1.0, typical) == math.copysign(1.0, vega_usd) or abs(vega_usd) < 1e-9


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_reservation_prices_fall_in_what_is_held_as_a_negative_semidefinite_matrix(seed: int) -> None:
    """dR/dq by buying one contract at a time: symmetric, so no round trip pays, and against every position."""
    chain = Chain(seed)
    loading = chain.loading()
    held = np.random.default_rng(seed).normal(0.0, 5.0, ROWS)
    before, _ = chain.charges(held @ loading)
    slope = np.empty((ROWS, ROWS))
    for row in range(ROWS):
        more = held.copy()
        more[row] += 1.0
        after, _ = chain.charges(more @ loading)
        slope[:, row] = -(after - before)
    scale = np.abs(slope).max()
    np.testing.assert_allclose(slope, slope.T, atol=1e-8 * scale)
    assert np.linalg.eigvalsh(0.5 * (slope + slope.T)).max() < 1e-8 * scale
    assert (np.diag(slope) < 0).all()
