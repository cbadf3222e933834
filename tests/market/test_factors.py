import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_SECOND, NS_PER_YEAR
from flatbook.kernels.chain import BASIS, CONVEXITIES, FACTORS, LEVELS, PREMIUM, SKEWS, SPOT, SQUARED
from flatbook.market.covariance import CovarianceModel
from flatbook.market.factors import FactorMeter, FactorMoves, MeterModel
from flatbook.market.market import Market, MarketModel

from .builders import START_NS, World, at, chain, index, new_market, options, shown_market, top

Floats = NDArray[np.float64]

TENORS = CovarianceModel().tenor_days
STEP_S = MeterModel().step_s
DATES = ("4APR25", "25APR25", "27JUN25")


def read(meter: FactorMeter, market: Market, seconds: float) -> FactorMoves | None:
    now_ns = at(seconds)
    return meter.read(market.forwards, market.surface, market.perpetual, market.years(now_ns), now_ns)


def show(market: Market, world: World, seconds: float, premium: float | None = None) -> None:
    """The world's index, chains and perpetual as of a moment."""
    market.take_index(world.index(seconds))
    if premium is not None:
        mark = world.index_usd * math.exp(premium)
        for _ in range(3):
            market.take_top(top(seconds, mark - 0.01, mark + 0.01))
    names = [name for date in DATES for name in options(date)]
    market.take_chain(chain(seconds, [world.quote(seconds, name, 0.001) for name in names]))


def test_levels_are_the_markets_own_at_standardised_moneyness() -> None:
    world, market = World(), new_market()
    show(market, world, 0.0, premium=3e-4)
    meter = FactorMeter(MeterModel(), TENORS)
    assert read(meter, market, 0.0) is None
    vol = {kind: [] for kind in (-1, 0, 1)}  # type: dict[int, list[float]]
    for date in DATES:
        years = world.years(f"BTC-{date}", 0.0)
        a, b, rho, m, s = world.slice_at(years)
        atm = math.sqrt((a + b * (rho * -m + math.hypot(m, s))) / years)
        for z in vol:
            k = z * atm * math.sqrt(years)
            vol[z].append(math.sqrt((a + b * (rho * (k - m) + math.hypot(k - m, s))) / years))
    assert meter.levels[SPOT] == pytest.approx(math.log(80_000.0))
    low, middle, high = (np.array(vol[z]) for z in (-1, 0, 1))
    np.testing.assert_allclose(meter.levels[LEVELS], middle, atol=0.006)  # one smile in every expiry
    np.testing.assert_allclose(meter.levels[SKEWS], 0.5 * (high - low), atol=0.006)
    np.testing.assert_allclose(meter.levels[CONVEXITIES], 0.5 * (high + low) - middle, atol=0.006)
    assert np.isnan(meter.levels[SQUARED])


def test_moves_are_those_of_the_world_per_root_year() -> None:
    world, market = World(), new_market()
    meter = FactorMeter(MeterModel(window_steps=1), TENORS)
    show(market, world, 0.0, premium=0.0)
    read(meter, market, 0.0)
    show(market, world, STEP_S, premium=0.0)
    read(meter, market, STEP_S)
    world.index_usd *= 1.01
    world.rate += 0.01
    world.smile[2] -= 0.1
    show(market, world, 2 * STEP_S, premium=5e-4)
    moves = read(meter, market, 2 * STEP_S)
    assert moves is not None
    root = math.sqrt(STEP_S * NS_PER_SECOND / NS_PER_YEAR)
    assert moves.elapsed_ns == STEP_S * NS_PER_SECOND
    assert moves.single[SPOT] * root == pytest.approx(math.log(1.01))
    assert moves.single[BASIS] * root == pytest.approx(0.01, rel=0.1)
    lasting = math.sqrt((1 - math.exp(-7.0)) / 7.0)  # 168 hours of a premium that reverts in 48
    assert moves.single[PREMIUM] * root == pytest.approx(5e-4 * lasting, rel=0.05)
    assert (moves.single[SKEWS] < 0).all()
    np.testing.assert_array_equal(moves.averaged, moves.single)


def test_what_was_not_seen_lately_is_not_read_and_serves_for_a_while() -> None:
    world, market = World(), new_market()
    meter = FactorMeter(MeterModel(window_steps=2), TENORS)
    show(market, world, 0.0, premium=1e-4)
    read(meter, market, 0.0)
    gap_steps = round(MeterModel().gap_s / STEP_S)
    for n in range(1, gap_steps + 3):
        market.take_index(index(n * STEP_S, world.index_usd * 1.001**n))
        moves = read(meter, market, n * STEP_S)
        assert moves is not None
        unseen = np.r_[np.arange(FACTORS)[LEVELS], np.arange(FACTORS)[SKEWS], BASIS, PREMIUM]
        assert np.isnan(moves.single[unseen]).all()
        assert moves.single[SPOT] > 0
        if 1 < n < gap_steps:
            assert np.abs(moves.averaged[LEVELS]).max() == 0.0, "unseen it is taken to stand still ..."
    assert moves is not None
    assert np.isnan(moves.averaged[LEVELS]).all(), "... but not for ever"
    assert np.isfinite(moves.averaged[SPOT])


def test_after_a_gap_nothing_is_taught_and_windows_begin_anew() -> None:
    world, market = World(), new_market()
    meter = FactorMeter(MeterModel(window_steps=3), TENORS)
    spots = []
    for seconds in (0.0, 600.0, 1_200.0, 20_000.0, 20_600.0, 21_200.0, 21_800.0):
        market.take_index(world.index(seconds))
        moves = read(meter, market, seconds)
        spots.append(None if moves is None else bool(np.isfinite(moves.averaged[SPOT])))
    assert spots == [None, False, False, None, False, False, True]


def test_the_carry_moves_by_the_expiries_read_twice_the_longer_the_more() -> None:
    market = shown_market(World(), *DATES)
    meter = FactorMeter(MeterModel(window_steps=1), TENORS)
    years = market.years(START_NS)
    read(meter, market, 0.0)
    read(meter, market, 1.0)
    market.forwards.basis[:3] += years * np.array([0.03, 0.02, 0.01])
    later = market.years(at(2.0))
    market.forwards.basis[:3] *= later / years
    moves = read(meter, market, 2.0)
    assert moves is not None
    expected = float(years**2 @ np.array([0.03, 0.02, 0.01]) / np.sum(years**2))
    assert moves.single[BASIS] * math.sqrt(NS_PER_SECOND / NS_PER_YEAR) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 12, 36])
def test_a_window_has_unit_square_and_counts_its_overlap(steps: int) -> None:
    model = MeterModel(window_steps=steps)
    window = model.window()
    assert float(window @ window) == pytest.approx(1.0)
    # The variance of a mean of squares of moves that share steps, against one of moves that do not.
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(400, 20 * steps + steps - 1))
    shared = np.array([np.convolve(row, window, "valid") for row in noise])
    ratio = np.var((shared**2).mean(axis=1)) / (2.0 / shared.shape[1])
    assert model.overlap == pytest.approx(ratio, rel=0.3)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1_000), st.floats(0.0, 3.0))
def test_averaging_finds_the_variance_under_errors_that_a_single_step_takes_for_it(seed: int, error: float) -> None:
    """A wandering level of unit variance a step, read with errors of up to three steps' deviation."""
    rng, model = np.random.default_rng(seed), MeterModel()
    n = 4_000
    read_level = np.cumsum(rng.normal(size=n)) + error * rng.normal(size=n)
    moves = np.diff(read_level)
    averaged = np.convolve(moves, model.window(), "valid")
    assert np.var(moves) == pytest.approx(1 + 2 * error**2, rel=0.2)
    inflation = error**2 * (math.pi / model.window_steps) ** 2
    assert np.var(averaged) == pytest.approx(1 + inflation, rel=0.35)


def test_a_market_reads_its_factors_when_all_that_is_known_is_of_one_moment() -> None:
    """Snapshots: the index first, its chain after. The vols of a step must go with the spot of the same step."""
    model = MarketModel(meter=MeterModel(step_s=3_600.0, window_steps=1, gap_s=7_300.0))
    world, market, rng = World(), new_market(model), np.random.default_rng(0)
    shared = 0.0
    for n in range(40):
        shock = 0.01 * rng.normal()
        world.index_usd *= math.exp(shock)
        world.vol *= math.exp(-2 * shock)
        shared += shock * shock
        show(market, world, 3_600.0 * n)
    sigma = market.covariance.matrix()
    deviation = np.sqrt(np.diag(sigma))
    correlation = sigma[SPOT, LEVELS] / deviation[SPOT] / deviation[LEVELS]
    assert (correlation[:2] < -0.7).all()
    assert sigma[SPOT, SPOT] == pytest.approx(shared / 40 * 8_760, rel=0.4)
