import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from flatbook.decide.hedge.best import no_trade_half_width
from flatbook.decide.hedge.gamma_aware import GapMotion, gamma_aware, moving_half_width_usd
from flatbook.decide.hedge.rules import BandTerms, whalley_wilmott
from flatbook.domain.errors import BadInputError
from tests.decide.hedge.builders import FACTOR_NAMES, book, perpetual, risk_price

SPOT_USD, VOL, COST, AVERSION = 60_000.0, 0.6, 5e-4, 1e-4
SPOT = book(spot=1.0)


@given(gamma=st.floats(-1e-2, 1e-2).filter(lambda g: abs(g) > 1e-9))
def test_gamma_alone_gives_whalley_and_wilmotts_band(gamma: float) -> None:
    motion = GapMotion(gamma * SPOT_USD**2, VOL**2)
    coins = whalley_wilmott(BandTerms(COST, SPOT_USD, gamma, AVERSION, VOL, 0.0))
    assert moving_half_width_usd(motion, COST, AVERSION) == pytest.approx(SPOT_USD * float(coins))


def test_the_marginal_charge_solves_the_zones_equation_and_meets_the_cost_at_its_edge() -> None:
    """Inside the zone 1/2 ν² R''' = -γσ² y, by which R' rises from 0 at the middle to λ, flat, at the edge."""
    motion = GapMotion(3e6, VOL**2, flow_variance_usd2=4e11)
    width = moving_half_width_usd(motion, COST, AVERSION)

    def zone(y: float, slope: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
        return [slope[1], -2 * AVERSION * VOL**2 * y / motion.gap_variance_usd2]

    start = AVERSION * VOL**2 * width**2 / motion.gap_variance_usd2
    end = solve_ivp(zone, (0.0, width), [0.0, start], rtol=1e-10, atol=1e-16).y[:, -1]
    assert end[0] == pytest.approx(COST, rel=1e-7)
    assert abs(end[1]) < 1e-6 * start


@given(seed=st.integers(0, 1_000), dollar_gamma=st.floats(0.0, 1e8))
def test_the_zone_is_as_much_wider_as_gamma_moves_the_gap(seed: int, dollar_gamma: float) -> None:
    price, perp = risk_price(seed), perpetual(fee=COST)
    motion = GapMotion(dollar_gamma, VOL**2)
    aware = gamma_aware(price, SPOT, COST, AVERSION, motion)
    before, after = no_trade_half_width(price, perp)[0], no_trade_half_width(aware, perp)[0]
    assert after == pytest.approx(before + moving_half_width_usd(motion, COST, AVERSION))


@given(seed=st.integers(0, 1_000), dollar_gamma=st.floats(0.0, 1e8))
def test_where_least_risk_is_and_what_cannot_be_hedged_stay_as_they_are(seed: int, dollar_gamma: float) -> None:
    price = risk_price(seed)
    aware = gamma_aware(price, SPOT, COST, AVERSION, GapMotion(dollar_gamma, VOL**2))
    exposure = np.random.default_rng(seed).normal(0.0, 1e5, len(FACTOR_NAMES))

    def best(of: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> float:
        return -float(SPOT @ of @ exposure) / float(SPOT @ of @ SPOT)

    assert best(aware.curvature) == pytest.approx(best(price.curvature), rel=1e-6)
    hedged = exposure + best(price.curvature) * SPOT
    assert aware.cost_usd(hedged) == pytest.approx(price.cost_usd(hedged), rel=1e-6)
    assert np.linalg.eigvalsh(aware.curvature).min() >= -1e-15


def test_a_book_that_stands_still_is_charged_as_before() -> None:
    price = risk_price(1)
    assert np.array_equal(gamma_aware(price, SPOT, COST, AVERSION, GapMotion(0.0, VOL**2)).curvature, price.curvature)


def test_a_gap_without_cost_or_variance_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"variance 0 at cost 0.0005"):
        gamma_aware(risk_price(), SPOT, COST, AVERSION, GapMotion(1.0, 0.0))
