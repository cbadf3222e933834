"""Single-asset exotics against identities, limits and a second witness each."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from flatbook.domain.errors import BadInputError
from flatbook.kernels.black import black
from flatbook.valuation.contracts import Cell, parse_contract
from flatbook.valuation.exotics import EngineError, implied_vol, price
from flatbook.valuation.exotics.barriers import cash_digital_on_smile
from flatbook.valuation.exotics.quantlib import AT_EXPIRY, FlatMarket, npv, plain_payoff, ql, with_engine

Cells = dict[str, Cell]

MARKETS = st.fixed_dictionaries(
    {
        "spot": st.floats(50.0, 200.0),
        "vol": st.floats(0.1, 1.5),
        "years": st.floats(1e-3, 2.0),
        "rate": st.floats(0.0, 0.1),
        "carry": st.floats(-0.05, 0.1),
    }
)
NEGATIVE_RATES = st.floats(-0.1, -0.001)
RIGHTS = st.sampled_from(["call", "put"])
SIDES = st.sampled_from(["down", "up"])


def priced(*parts: Cells, **cells: Cell) -> float:
    merged: Cells = {}
    for part in parts:
        merged |= part
    return price(parse_contract(merged | cells))


def plain(market: Cells, right: str, strike: float) -> float:
    spot, vol, years, rate, carry = (float(market[name] or 0.0) for name in ("spot", "vol", "years", "rate", "carry"))
    sign = 1.0 if right == "call" else -1.0
    return math.exp(-rate * years) * black(spot * math.exp(carry * years), strike, vol, years, sign).price


@given(market=MARKETS, right=RIGHTS, side=SIDES, barrier=st.floats(50.0, 200.0), strike=st.floats(60.0, 150.0))
@settings(deadline=None)
def test_a_knock_in_and_a_knock_out_are_the_plain_option(
    market: Cells, right: str, side: str, barrier: float, strike: float
) -> None:
    cells: Cells = {"right": right, "strike": strike, "barrier": barrier}
    parts = [priced(market, cells, style="barrier", barrier_kind=f"{side}_{kind}") for kind in ("in", "out")]
    assert sum(parts) == pytest.approx(plain(market, right, strike), abs=1e-9)


@given(market=MARKETS, right=RIGHTS, side=SIDES, barrier=st.floats(50.0, 200.0))
@settings(deadline=None)
def test_a_digital_splits_at_its_barrier(market: Cells, right: str, side: str, barrier: float) -> None:
    for payoff in ("cash", "asset"):
        cells: Cells = {"right": right, "strike": 100.0, "payoff": payoff, "cash": 10.0, "style": "digital"}
        parts = [priced(market, cells, barrier=barrier, barrier_kind=f"{side}_{kind}") for kind in ("in", "out")]
        assert sum(parts) == pytest.approx(priced(market, cells), abs=1e-8)


@given(market=MARKETS, side=SIDES, barrier=st.floats(50.0, 200.0))
@settings(deadline=None)
def test_touch_and_no_touch_are_a_sure_payment(market: Cells, side: str, barrier: float) -> None:
    cells: Cells = {"style": "touch", "payoff": "cash", "cash": 10.0, "barrier": barrier, "pay_at": "expiry"}
    both = sum(priced(market, cells, barrier_kind=f"{side}_{kind}") for kind in ("in", "out"))
    assert both == pytest.approx(10.0 * math.exp(-float(market["rate"] or 0) * float(market["years"] or 0)), abs=1e-8)


@given(market=MARKETS, rate=NEGATIVE_RATES, side=SIDES)
@settings(deadline=None)
def test_a_knock_out_without_rebate_has_a_value_at_any_rate(market: Cells, rate: float, side: str) -> None:
    """Its forward is what counts: at another rate and the same carry it is discounted otherwise, and no more."""
    level = float(market["spot"] or 0.0) * (0.9 if side == "down" else 1.1)
    cells: Cells = {"style": "barrier", "right": "call", "strike": 100.0, "barrier": level}
    years = float(market["years"] or 0.0)
    found = priced(market, cells, barrier_kind=f"{side}_out", rate=rate)
    at_nil = priced(market, cells, barrier_kind=f"{side}_out", rate=0.0)
    assert found == pytest.approx(at_nil * math.exp(-rate * years), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize(
    ("kind", "expected"), [("down_in", "plain"), ("up_in", "plain"), ("down_out", "rebate"), ("up_out", "rebate")]
)
def test_a_barrier_already_hit_is_what_it_has_become(kind: str, expected: str) -> None:
    spot = 89.0 if kind.startswith("down") else 91.0
    market: Cells = {"spot": spot, "vol": 0.4, "years": 0.5, "rate": 0.03, "carry": 0.01}
    found = priced(market, style="barrier", right="put", strike=95.0, barrier=90.0, barrier_kind=kind, rebate=2.5)
    assert found == pytest.approx(2.5 if expected == "rebate" else plain(market, "put", 95.0), rel=1e-12)


def test_a_hit_touch_pays_now_or_at_expiry() -> None:
    market: Cells = {"spot": 80.0, "vol": 0.4, "years": 0.5, "rate": 0.03, "carry": 0.01}
    cells: Cells = {"style": "touch", "cash": 10.0, "barrier": 90.0, "barrier_kind": "down_in"}
    assert priced(market, cells, payoff="cash", pay_at="hit") == 10.0
    assert priced(market, cells, payoff="asset", pay_at="hit") == 80.0
    assert priced(market, cells, payoff="cash", pay_at="expiry") == pytest.approx(10.0 * math.exp(-0.015))
    assert priced(market, cells, payoff="asset", pay_at="expiry") == pytest.approx(80.0 * math.exp(-0.01))
    assert priced(market, cells | {"barrier_kind": "down_out"}, payoff="cash", pay_at="expiry") == 0.0


STYLES: dict[str, Cells] = {
    "american": {"right": "put", "strike": 105.0},
    "barrier": {"right": "call", "strike": 105.0, "barrier": 80.0, "barrier_kind": "down_out", "rebate": 1.0},
    "digital": {"right": "call", "strike": 105.0, "payoff": "asset"},
    "touch": {"payoff": "cash", "cash": 5.0, "barrier": 120.0, "barrier_kind": "up_in", "pay_at": "hit"},
    "asian": {"right": "call", "strike": 105.0, "average": "arithmetic", "fixings": 6},
    "lookback": {"right": "call", "extreme_so_far": 90.0},
}


@pytest.mark.parametrize("style", STYLES)
@given(speed=st.floats(0.01, 1000.0))
@settings(max_examples=20, deadline=None)
def test_only_total_variance_and_total_rates_count(style: str, speed: float) -> None:
    """Run time `speed` times as fast: hours or centuries, the clock inside an engine rounds nothing."""
    slow: Cells = {"spot": 100.0, "vol": 0.4, "years": 0.5, "rate": 0.04, "carry": 0.015}
    fast: Cells = {
        "spot": 100.0,
        "vol": 0.4 * math.sqrt(speed),
        "years": 0.5 / speed,
        "rate": 0.04 * speed,
        "carry": 0.015 * speed,
    }
    assert priced(STYLES[style], fast, style=style) == pytest.approx(priced(STYLES[style], slow, style=style), rel=1e-9)


@given(market=MARKETS, right=RIGHTS, strike=st.floats(60.0, 150.0))
@settings(max_examples=40, deadline=None)
def test_american_is_worth_its_european_and_its_payoff_at_least(market: Cells, right: str, strike: float) -> None:
    found = priced(market, style="american", right=right, strike=strike)
    sign = 1.0 if right == "call" else -1.0
    assert found >= plain(market, right, strike) - 1e-6
    assert found >= sign * (float(market["spot"] or 0.0) - strike) - 1e-6


@given(
    market=MARKETS.filter(lambda market: market["carry"] <= market["rate"]),
    strike=st.floats(60.0, 150.0),
)
@settings(max_examples=25, deadline=None)
def test_an_american_put_is_a_call_with_asset_and_strike_in_each_others_place(market: Cells, strike: float) -> None:
    rate, carry = float(market["rate"] or 0.0), float(market["carry"] or 0.0)
    put = priced(market, style="american", right="put", strike=strike)
    turned: Cells = {"spot": strike, "strike": market["spot"], "rate": rate - carry, "carry": -carry}
    assert priced(market, turned, style="american", right="call") == pytest.approx(put, rel=1e-4, abs=1e-4)


@given(market=MARKETS, right=RIGHTS)
@settings(max_examples=25, deadline=None)
def test_margined_like_a_future_an_american_is_never_exercised(market: Cells, right: str) -> None:
    nil: Cells = {"rate": 0.0, "carry": 0.0}
    found = priced(market, nil, style="american", right=right, strike=100.0)
    assert found == pytest.approx(plain(market | nil, right, 100.0), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("years", [0.1, 1.0, 3.0])
def test_american_against_finite_differences(years: float) -> None:
    market = FlatMarket()
    market.move(95.0, 0.45, years, 0.05, 0.01)
    option = ql.VanillaOption(plain_payoff(-1, 100.0), ql.AmericanExercise(*_clock()))
    witness = npv(with_engine(option, ql.FdBlackScholesVanillaEngine(market.process, 400, 800)))
    cells: Cells = {"spot": 95.0, "vol": 0.45, "years": years, "rate": 0.05, "carry": 0.01}
    assert priced(cells, style="american", right="put", strike=100.0) == pytest.approx(witness, abs=4e-3)


def _clock() -> tuple[ql.Date, ql.Date]:
    return ql.Settings.instance().evaluationDate, AT_EXPIRY.lastDate()


def lookback_without_carry(sign: int, spot: float, extreme: float, vol: float, years: float, rate: float) -> float:
    """Haug (2007), section 4.15: the limit of a zero cost of carry, in its own closed form."""
    width = vol * math.sqrt(years)
    a1 = math.log(spot / extreme) / width + width / 2.0
    a2 = a1 - width
    bonus = spot * width * (norm.pdf(a1) + a1 * (norm.cdf(a1) - (1.0 if sign > 0 else 0.0)))
    plain_part = sign * (spot * norm.cdf(sign * a1) - extreme * norm.cdf(sign * a2))
    return math.exp(-rate * years) * float(plain_part + bonus)


@given(
    sign=st.sampled_from([1, -1]),
    room=st.floats(0.0, 1.5),
    vol=st.floats(0.05, 2.0),
    years=st.floats(1e-3, 3.0),
    carry=st.sampled_from([0.0, 1e-14, 1e-11, -1e-9]),
)
@settings(deadline=None)
def test_lookback_at_and_near_a_carry_of_zero(sign: int, room: float, vol: float, years: float, carry: float) -> None:
    extreme = 100.0 * math.exp(-sign * room * vol * math.sqrt(years))
    cells: Cells = {"spot": 100.0, "vol": vol, "years": years, "rate": 0.03, "carry": carry}
    found = priced(cells, style="lookback", right="call" if sign > 0 else "put", extreme_so_far=extreme)
    assert found == pytest.approx(
        lookback_without_carry(sign, 100.0, extreme, vol, years, 0.03), rel=1e-9, abs=1e-7 + 1e3 * abs(carry)
    )


DAY = 1.0 / 365.0


def quantlib_asian(average: str, sign: int, strike: float, days: list[int], past: tuple[int, float]) -> float:
    """QuantLib's own discrete averages, for fixings on whole days; vol 40 %, rate 5 %, yield 2 %, spot 100."""
    today = ql.Settings.instance().evaluationDate
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(100.0)),
        ql.YieldTermStructureHandle(ql.FlatForward(today, 0.02, ql.Actual365Fixed())),
        ql.YieldTermStructureHandle(ql.FlatForward(today, 0.05, ql.Actual365Fixed())),
        ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), 0.4, ql.Actual365Fixed())),
    )
    count, so_far = past
    is_geometric = average == "geometric"
    kind = ql.Average.Geometric if is_geometric else ql.Average.Arithmetic
    accumulated = so_far**count if is_geometric else so_far * count
    dates = [today + day for day in days]
    exercise = ql.EuropeanExercise(dates[-1])
    option = ql.DiscreteAveragingAsianOption(kind, accumulated, count, dates, plain_payoff(sign, strike), exercise)
    engines = (ql.TurnbullWakemanAsianEngine, ql.AnalyticDiscreteGeometricAveragePriceAsianEngine)
    return npv(with_engine(option, engines[is_geometric](process)))


@pytest.mark.parametrize("average", ["arithmetic", "geometric"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("elapsed", [0, 60])
def test_discrete_averages_against_quantlib(average: str, sign: int, elapsed: int) -> None:
    """Ten fixings, thirty days apart: all to come, or three of them (sixty, thirty and no days ago) taken at 97."""
    cells: Cells = {"average": average, "fixings": 10, "right": "call" if sign > 0 else "put", "strike": 102.0}
    if elapsed:
        cells |= {"elapsed_years": elapsed * DAY, "average_so_far": 97.0, "years": 210 * DAY}
        days, past = list(range(30, 211, 30)), (3, 97.0)
    else:
        cells |= {"first_fixing_years": 30 * DAY, "years": 300 * DAY}
        days, past = list(range(30, 301, 30)), (0, 1.0)
    found = priced(cells, style="asian", spot=100.0, vol=0.4, rate=0.05, carry=0.03)
    assert found == pytest.approx(quantlib_asian(average, sign, 102.0, days, past), rel=1e-10)


@pytest.mark.parametrize("average", ["arithmetic", "geometric"])
@pytest.mark.parametrize(
    "window",
    [{}, {"first_fixing_years": 0.2}, {"elapsed_years": 0.3, "average_so_far": 97.0}],
    ids=["from now", "from later", "since before"],
)
def test_a_continuous_average_is_the_limit_of_many_fixings(average: str, window: Cells) -> None:
    market: Cells = {"spot": 100.0, "vol": 0.6, "years": 0.5, "rate": 0.05, "carry": 0.02}
    cells: Cells = {"style": "asian", "right": "call", "strike": 101.0, "average": average}
    limit = priced(market, cells, window, fixings=0)
    errors = [priced(market, cells, window, fixings=count) - limit for count in (1_000, 4_000)]
    assert abs(errors[1]) < 1e-2
    assert errors[1] == pytest.approx(errors[0] / 4.0, rel=0.2)


def test_one_fixing_at_expiry_is_the_plain_option() -> None:
    market: Cells = {"spot": 100.0, "vol": 0.6, "years": 0.5, "rate": 0.05, "carry": 0.02}
    for average in ("arithmetic", "geometric"):
        found = priced(market, style="asian", right="put", strike=101.0, average=average, fixings=1)
        assert found == pytest.approx(plain(market, "put", 101.0), rel=1e-12)


def test_an_average_already_past_the_strike_is_a_forward() -> None:
    """Half the average stands at 300: a call struck at 100 is sure to be exercised."""
    cells: Cells = {"style": "asian", "right": "call", "strike": 100.0, "average": "arithmetic", "fixings": 0}
    market: Cells = {"spot": 100.0, "vol": 0.6, "years": 0.5, "rate": 0.05, "carry": 0.0}
    found = priced(market, cells, elapsed_years=0.5, average_so_far=300.0)
    assert found == pytest.approx(math.exp(-0.025) * (0.5 * 300.0 + 0.5 * 100.0 - 100.0), rel=1e-12)


@pytest.mark.parametrize(
    "style", [style for style in STYLES if style != "digital"], ids=[style for style in STYLES if style != "digital"]
)
@pytest.mark.parametrize("vol", [0.15, 0.62])
def test_implied_vol_gives_the_vol_back(style: str, vol: float) -> None:
    market: Cells = {"spot": 100.0, "years": 0.5, "rate": 0.04, "carry": 0.015}
    cells = STYLES[style] | ({"barrier_kind": "down_in", "rebate": 0.0} if style == "barrier" else {})
    target = priced(market, cells, style=style, vol=vol)
    contract = parse_contract(market | cells | {"style": style}, implied=True)
    assert implied_vol(contract, target) == pytest.approx(vol, rel=1e-8)


def test_two_vols_for_one_price_are_named_and_none_is_chosen() -> None:
    """A digital call above the forward is worth little at a low vol, and at a high one, and more in between."""
    cells: Cells = {"style": "digital", "right": "call", "strike": 120.0, "payoff": "cash", "cash": 1.0, "rate": 0.0}
    contract = parse_contract(cells | {"spot": 100.0, "years": 1.0, "carry": 0.0}, implied=True)
    with pytest.raises(BadInputError, match=r"more than one vol \(0\.\d+, 1?\.?\d+\)"):
        implied_vol(contract, 0.2)
    with pytest.raises(BadInputError, match="not reached by any vol"):
        implied_vol(contract, 0.9)


def test_an_engine_without_a_number_says_so() -> None:
    cells: Cells = {"style": "touch", "payoff": "cash", "cash": 1.0, "barrier": 90.0, "barrier_kind": "down_in"}
    market: Cells = {"spot": 100.0, "vol": 0.1, "years": 1.0, "rate": -0.5, "carry": 0.0}
    with pytest.raises(EngineError, match="no finite number"):
        priced(cells, market, pay_at="hit")


@pytest.mark.parametrize("sign", [1, -1])
def test_a_digital_on_a_smile_is_a_tight_call_spread(sign: int) -> None:
    forward, years, discount, slope = 60_000.0, 0.1, 0.99, -0.2 / 60_000.0
    strikes = np.array([64_999.0, 65_001.0])
    vols = 0.6 + slope * (strikes - 65_000.0)
    low, high = discount * black(forward, strikes, vols, years, float(sign)).price
    found = cash_digital_on_smile(sign, 65_000.0, forward, 0.6, slope, years, discount)
    assert found == pytest.approx(sign * (low - high) / 2.0, rel=1e-6)
