"""Contracts on two assets against identities, limits and plain quadrature."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.kernels.black import black
from flatbook.valuation.contracts import Cell, parse_contract
from flatbook.valuation.exotics import EngineError, price, value

Cells = dict[str, Cell]

MARKET: Cells = {"spot": 100.0, "vol": 0.5, "carry": 0.02, "spot2": 95.0, "vol2": 0.7, "carry2": -0.01}
MARKET |= {"rate": 0.04, "years": 0.4, "correlation": 0.6}
MARKETS = st.fixed_dictionaries(
    {
        "spot": st.floats(70.0, 140.0),
        "vol": st.floats(0.15, 1.2),
        "carry": st.floats(-0.05, 0.05),
        "spot2": st.floats(70.0, 140.0),
        "vol2": st.floats(0.15, 1.2),
        "carry2": st.floats(-0.05, 0.05),
        "rate": st.floats(0.0, 0.1),
        "years": st.floats(0.01, 2.0),
        "correlation": st.floats(-0.9, 0.9),
    }
)


def priced(*parts: Cells, **cells: Cell) -> float:
    merged: Cells = {}
    for part in parts:
        merged |= part
    return price(parse_contract(merged | cells))


def of(market: Cells, name: str) -> float:
    return float(market[name] or 0.0)


def forwards(market: Cells) -> tuple[float, float, float]:
    """Both forwards and the discount factor."""
    years = of(market, "years")
    return (
        of(market, "spot") * math.exp(of(market, "carry") * years),
        of(market, "spot2") * math.exp(of(market, "carry2") * years),
        math.exp(-of(market, "rate") * years),
    )


def linear_payoff(market: Cells, weight2: float, strike: float) -> float:
    """D E[max(S1 + weight2 S2 - strike, 0)], the other way round: Black over the second asset given the first."""
    first, second, discount = forwards(market)
    root, rho = math.sqrt(of(market, "years")), of(market, "correlation")
    z, step = np.linspace(-12.0, 12.0, 20_001, retstep=True)
    density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) * step
    width, width2 = of(market, "vol") * root, of(market, "vol2") * root
    sign = math.copysign(1.0, weight2)
    given = abs(weight2) * second * np.exp(rho * width2 * z - 0.5 * (rho * width2) ** 2)
    level = sign * (strike - first * np.exp(width * z - 0.5 * width**2))
    optional = black(given, np.maximum(level, 1e-300), width2 * math.sqrt(1.0 - rho**2), 1.0, sign).price
    certain = np.maximum(sign * (given - level), 0.0)
    return discount * float(density @ np.where(level > 0.0, optional, certain))


@given(market=MARKETS, strike=st.floats(0.5, 40.0))
@settings(max_examples=30, deadline=None)
def test_spread_by_quadrature_and_by_kirk(market: Cells, strike: float) -> None:
    cells: Cells = {"style": "spread", "right": "call", "strike": strike}
    exact = linear_payoff(market, -1.0, strike)
    assert priced(market, cells, method="quadrature") == pytest.approx(exact, abs=1e-9)
    assert priced(market, cells) == pytest.approx(exact, abs=0.05 * sum(forwards(market)[:2]))


@given(market=MARKETS, strike=st.floats(-40.0, 40.0), method=st.sampled_from(["kirk", "quadrature"]))
@settings(max_examples=30, deadline=None)
def test_spread_parity(market: Cells, strike: float, method: str) -> None:
    first, second, discount = forwards(market)
    call, put = (priced(market, style="spread", right=right, strike=strike, method=method) for right in ("call", "put"))
    assert call - put == pytest.approx(discount * (first - second - strike), abs=1e-6)


@given(market=MARKETS)
@settings(max_examples=30, deadline=None)
def test_a_spread_struck_at_zero_is_an_exchange(market: Cells) -> None:
    exchange = priced(market, style="exchange")
    assert priced(market, style="spread", right="call", strike=0.0) == pytest.approx(exchange, abs=1e-10)
    swapped = priced(market, style="exchange", right="put")
    assert priced(market, style="spread", right="put", strike=0.0) == pytest.approx(swapped, abs=1e-10)


@given(market=MARKETS, quantity=st.floats(0.2, 3.0), strike=st.floats(100.0, 300.0))
@settings(max_examples=30, deadline=None)
def test_basket_against_quadrature(market: Cells, quantity: float, strike: float) -> None:
    found = priced(market, style="basket", right="call", strike=strike, quantity2=quantity)
    assert found == pytest.approx(linear_payoff(market, quantity, strike), abs=1e-5)  # the witness's own error


@pytest.mark.parametrize("correlation", [1.0, -1.0])
def test_linear_payoffs_of_perfectly_correlated_assets(correlation: float) -> None:
    """One normal variable drives both: the payoff is integrated as it stands."""
    market = MARKET | {"correlation": correlation}
    first, second, discount = forwards(market)
    z, step = np.linspace(-10.0, 10.0, 1_000_001, retstep=True)
    density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) * step
    width, width2 = 0.5 * math.sqrt(0.4), 0.7 * math.sqrt(0.4)
    s1 = first * np.exp(width * z - 0.5 * width**2)
    s2 = second * np.exp(correlation * width2 * z - 0.5 * width2**2)
    spread = discount * float(density @ np.maximum(s1 - s2 - 4.0, 0.0))
    basket = discount * float(density @ np.maximum(s1 + s2 - 190.0, 0.0))
    assert priced(market, style="spread", right="call", strike=4.0, method="quadrature") == pytest.approx(
        spread, abs=1e-4
    )
    assert priced(market, style="basket", right="call", strike=190.0) == pytest.approx(basket, abs=1e-4)


@given(market=MARKETS, right=st.sampled_from(["call", "put"]), strike=st.floats(60.0, 150.0))
@settings(max_examples=30, deadline=None)
def test_the_dearer_and_the_cheaper_are_both_assets(market: Cells, right: str, strike: float) -> None:
    cells: Cells = {"style": "min_max", "right": right, "strike": strike}
    both = priced(market, cells, extremum="min") + priced(market, cells, extremum="max")
    sign = 1.0 if right == "call" else -1.0
    years, discount = of(market, "years"), forwards(market)[2]
    singles = [
        black(forward, strike, of(market, vol), years, sign).price
        for forward, vol in zip(forwards(market)[:2], ("vol", "vol2"), strict=True)
    ]
    assert both == pytest.approx(discount * sum(singles), abs=1e-7)


def no_touch_probability(level: float, spot: float, vol: float, carry: float, years: float) -> float:
    cells: Cells = {"style": "touch", "payoff": "cash", "cash": 1.0, "barrier": level, "spot": spot, "vol": vol}
    kind = "down_out" if level < spot else "up_out"
    return priced(cells, barrier_kind=kind, carry=carry, rate=0.0, years=years)


@pytest.mark.parametrize("barrier", [80.0, 110.0])
@pytest.mark.parametrize("right", ["call", "put"])
def test_a_barrier_on_an_independent_asset_is_a_lottery(barrier: float, right: str) -> None:
    side = "down" if barrier < 95.0 else "up"
    cells: Cells = {"style": "two_asset_barrier", "right": right, "strike": 101.0, "correlation": 0.0}
    first, _, discount = forwards(MARKET)
    alive = no_touch_probability(barrier, 95.0, 0.7, -0.01, 0.4)
    option = discount * black(first, 101.0, 0.5, 0.4, 1.0 if right == "call" else -1.0).price
    out = priced(MARKET, cells, barrier=barrier, barrier_kind=f"{side}_out")
    assert out == pytest.approx(option * alive, rel=1e-7)  # the engine's bivariate normal is good to 1e-8
    assert priced(MARKET, cells, barrier=barrier, barrier_kind=f"{side}_in") == pytest.approx(option - out, rel=1e-9)
    rebate = priced(MARKET, cells, barrier=barrier, barrier_kind=f"{side}_in", rebate=7.0)
    assert rebate == pytest.approx(option - out + 7.0 * discount * alive, rel=1e-9)


def test_a_barrier_on_almost_the_same_asset_is_a_single_barrier() -> None:
    twin: Cells = MARKET | {"spot2": 100.0, "vol2": 0.5, "carry2": 0.02, "correlation": 1.0 - 1e-9}
    cells: Cells = {"right": "call", "strike": 101.0, "barrier": 90.0, "barrier_kind": "down_out"}
    single = priced(MARKET, cells, style="barrier")
    assert priced(twin, cells, style="two_asset_barrier") == pytest.approx(single, abs=1e-3)


def test_a_hit_second_barrier_leaves_the_plain_option_or_the_rebate() -> None:
    cells: Cells = {"style": "two_asset_barrier", "right": "call", "strike": 101.0, "barrier": 95.0, "rebate": 2.0}
    first, _, discount = forwards(MARKET)
    plain = discount * black(first, 101.0, 0.5, 0.4, 1.0).price
    assert priced(MARKET, cells, barrier_kind="down_out") == 2.0
    assert priced(MARKET, cells, barrier_kind="down_in") == pytest.approx(plain, rel=1e-12)


def test_a_correlation_option_whose_first_leg_is_sure_is_plain() -> None:
    cells: Cells = {"style": "two_asset_correlation", "right": "call", "strike": 1e-6, "strike2": 90.0}
    _, second, discount = forwards(MARKET)
    assert priced(MARKET, cells) == pytest.approx(discount * black(second, 90.0, 0.7, 0.4, 1.0).price, rel=1e-9)


@pytest.mark.parametrize("style", ["exchange", "spread", "basket", "min_max", "two_asset_correlation"])
def test_forwards_say_as_much_as_spots_and_carries(style: str) -> None:
    first, second, _ = forwards(MARKET)
    cells: Cells = {"style": style, "right": "call", "strike": 60.0, "strike2": 90.0, "extremum": "max"}
    by_forward: Cells = {"forward": first, "forward2": second, "carry": 0.02, "vol": 0.5, "vol2": 0.7}
    by_forward |= {"rate": 0.04, "years": 0.4, "correlation": 0.6}
    spot, forward = value(parse_contract(MARKET | cells)), value(parse_contract(by_forward | cells))
    assert spot.second is not None
    assert forward.second is not None
    assert forward.measures.price == pytest.approx(spot.measures.price, rel=1e-10)
    assert forward.measures.delta * first / 100.0 == pytest.approx(spot.measures.delta, rel=1e-6)
    assert forward.second.delta2 * second / 95.0 == pytest.approx(spot.second.delta2, rel=1e-6)
    assert forward.measures.rho == pytest.approx(-0.4 * forward.measures.price, rel=1e-6)


def test_vol_of_the_second_asset_has_its_own_vega() -> None:
    cells: Cells = {"style": "spread", "right": "call", "strike": 3.0}
    found = value(parse_contract(MARKET | cells)).second
    up, down = priced(MARKET, cells, vol2=0.7001), priced(MARKET, cells, vol2=0.6999)
    assert found is not None
    assert found.vega2 == pytest.approx((up - down) / 2e-4, rel=1e-5)


@pytest.mark.parametrize("style", ["min_max", "two_asset_correlation"])
def test_perfect_correlation_is_refused_where_the_formula_has_no_limit(style: str) -> None:
    cells: Cells = {"style": style, "right": "call", "strike": 90.0, "strike2": 90.0, "extremum": "max"}
    with pytest.raises(EngineError, match="correlation: 1 in size"):
        priced(MARKET, cells, correlation=-1.0)
