"""Contracts over the counter on a smile: against call spreads, static hedges, QuantLib's engines, a local vol."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_YEAR
from flatbook.kernels.black import black
from flatbook.market.snapshot import MarketSnapshot
from flatbook.valuation import exotics
from flatbook.valuation.contracts import Barrier, Cell
from flatbook.valuation.exotics.barriers import touch_value
from flatbook.valuation.exotics.on_surface import Underlyings, basis_slope, on_surface
from flatbook.valuation.exotics.quantlib import (
    EXPIRY,
    TODAY,
    barrier_type,
    npv,
    plain_payoff,
    ql,
    with_engine,
)
from flatbook.valuation.exotics.vanna_volga import PILLAR_DEVIATIONS, survival
from flatbook.valuation.point import Point, point_of
from tests.market.snapshots import FLAT, NOW_NS, SYMMETRIC, after, snapshot

from .books import DAYS, EVERY_STYLE, deal, valued, worth

Floats = NDArray[np.float64]
Cells = dict[str, Cell]

YEARS = DAYS / 365
ETH = snapshot("ETH", 3_000.0, vol=0.8, carry=0.03)
KNOCK_OUTS = [
    (1, 80_000, 70_000), (1, 80_000, 65_000), (1, 90_000, 75_000), (1, 80_000, 78_000), (-1, 80_000, 95_000),
    (-1, 70_000, 90_000),
]  # fmt: skip
LEVELS = (70_000, 62_000, 95_000, 108_000, 77_000, 83_000)


def knock_out(sign: int, strike: float, level: float, kind: str = "out") -> Cells:
    side = "down" if level < 80_000 else "up"
    right = "call" if sign > 0 else "put"
    return {
        "style": "barrier", "right": right, "strike": strike, "barrier": level, "barrier_kind": f"{side}_{kind}",
    }  # fmt: skip


def no_touch(level: float) -> Cells:
    side = "down" if level < 80_000 else "up"
    return {"style": "touch", "payoff": "cash", "cash": 1, "barrier": level, "barrier_kind": f"{side}_out"}


def vanilla(market: MarketSnapshot, strike: float, sign: int, years: float = YEARS) -> float:
    """On the smile, discounted as what settles in coin is."""
    forward = float(market.forward_at(years))
    return (
        float(black(forward, strike, float(market.vol(strike, years)), years, sign).price) * market.index_usd / forward
    )


@pytest.mark.parametrize("settle", ["BTC", "USDC"])
@pytest.mark.parametrize("name", EVERY_STYLE)
def test_without_a_smile_it_is_the_flat_contract(name: str, settle: str) -> None:
    flat, flat2 = snapshot(smile=FLAT), snapshot("ETH", 3_000.0, vol=0.8, carry=0.03, smile=FLAT)
    terms, path = deal(EVERY_STYLE[name] | {"settle": settle})
    rate = 0.05 if settle == "BTC" else 0.0
    point = Point(80_000.0, 0.6, 0.05, rate, spot2=3_000.0, vol2=0.8, carry2=0.03)
    correlation = 0.7 if name == "spread" else 0.8
    found = on_surface(terms, path, Underlyings(flat, flat2, 0.8))
    assert found.repricer.at(point_of(found.contract)) == pytest.approx(
        exotics.price(terms.in_market(NOW_NS, point, path, correlation)), rel=1e-7
    )


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("strike", [65_000.0, 80_000.0, 100_000.0])
def test_a_digital_is_the_limit_of_a_spread_of_options_each_at_its_own_vol(sign: int, strike: float) -> None:
    market, step = snapshot(), 0.5
    near, far = (vanilla(market, strike - sign * step / 2, sign), vanilla(market, strike + sign * step / 2, sign))
    spread = (near - far) / step
    cells: Cells = {"style": "digital", "right": "call" if sign > 0 else "put", "strike": strike}
    assert worth(cells | {"payoff": "cash", "cash": 1}, market) == pytest.approx(spread, rel=1e-7)
    whole = strike * spread + sign * vanilla(market, strike, sign)
    assert worth(cells | {"payoff": "asset"}, market) == pytest.approx(whole, rel=1e-7)


@pytest.mark.parametrize(("sign", "strike", "level"), KNOCK_OUTS)
def test_in_and_out_are_the_option_on_the_smile(sign: int, strike: float, level: float) -> None:
    market = snapshot()
    both = worth(knock_out(sign, strike, level), market) + worth(knock_out(sign, strike, level, "in"), market)
    assert both == pytest.approx(vanilla(market, strike, sign), rel=1e-12)
    digital: Cells = {"style": "digital", "right": "call", "strike": strike, "payoff": "cash", "cash": 10}
    watched: list[Cells] = [
        {"barrier": level, "barrier_kind": knock_out(sign, strike, level, kind)["barrier_kind"]}
        for kind in ("in", "out")
    ]
    assert sum(worth(digital | one, market) for one in watched) == pytest.approx(worth(digital, market), rel=1e-12)


def test_a_barrier_out_of_sight_leaves_the_option_and_one_at_the_spot_leaves_nothing() -> None:
    market = snapshot()
    assert worth(knock_out(1, 80_000, 25_000), market) == pytest.approx(vanilla(market, 80_000, 1), rel=1e-4)
    assert worth(knock_out(-1, 80_000, 240_000), market) == pytest.approx(vanilla(market, 80_000, -1), rel=1e-4)
    gone = worth(knock_out(1, 80_000, 79_999), market)
    assert 0.0 <= gone < 2e-3 * vanilla(market, 80_000, 1)
    assert worth(knock_out(1, 80_000, 80_000 - 1e-9) | {"barrier": 80_000}, market) == 0.0
    assert worth(knock_out(1, 80_000, 79_999) | {"barrier": 80_000, "rebate": 77}, market) == 77.0


@pytest.mark.parametrize(("sign", "strike", "level"), KNOCK_OUTS)
def test_knock_outs_are_near_their_static_hedge_where_there_is_one(sign: int, strike: float, level: float) -> None:
    """Of a smile symmetric about a forward without carry: a knock-out is the option less K/H options at H^2/K.

    Source      Carr, Ellis, Gupta (1998), "Static hedging of exotic options"
    """
    market = snapshot(smile=SYMMETRIC, carry=0.0)
    hedge = vanilla(market, strike, sign) - strike / level * vanilla(market, level**2 / strike, -sign)
    assert worth(knock_out(sign, strike, level), market) == pytest.approx(hedge, rel=0.02)


@pytest.mark.parametrize("level", LEVELS)
def test_touches_are_near_their_static_hedge(level: float) -> None:
    """The same: one paid at a hit is E[(1 + S/H) 1(S beyond H)], a cash and an asset digital."""
    market = snapshot(smile=SYMMETRIC, carry=0.0)
    right = "put" if level < 80_000 else "call"
    digital: Cells = {"style": "digital", "right": right, "strike": level}
    cash = worth(digital | {"payoff": "cash", "cash": 1}, market)
    touched = cash + worth(digital | {"payoff": "asset"}, market) / level
    assert worth(no_touch(level), market) == pytest.approx(1.0 - touched, abs=0.02)
    hit: Cells = no_touch(level) | {"barrier_kind": ("down" if right == "put" else "up") + "_in", "pay_at": "hit"}
    assert worth(hit, market) == pytest.approx(touched, abs=0.02)
    assert worth(hit | {"pay_at": "expiry"}, market) == pytest.approx(1.0 - worth(no_touch(level), market), abs=1e-12)


@pytest.mark.parametrize("skew", [-0.5, -0.25, 0.25])
@pytest.mark.parametrize(("sign", "strike", "level"), KNOCK_OUTS)
def test_knock_outs_against_quantlibs_vanna_volga(sign: int, strike: float, level: float, skew: float) -> None:
    """Which weighs all three Greeks by survival alone; within a twenty-fifth of the plain option."""
    market = snapshot(smile=np.array([0.45, 0.35, skew, 0.1, 0.9]))
    theirs = _vanna_volga_of_quantlib(market, sign, strike, level)
    assert worth(knock_out(sign, strike, level), market) == pytest.approx(
        theirs, abs=0.04 * vanilla(market, strike, sign)
    )


def _vanna_volga_of_quantlib(market: MarketSnapshot, sign: int, strike: float, level: float) -> float:
    forward, root = float(market.forward_at(YEARS)), math.sqrt(YEARS)
    carry = float(market.log_basis(YEARS))
    reach = PILLAR_DEVIATIONS * float(market.vol(forward, YEARS)) * root
    low, money, high = (float(market.vol(forward * math.exp(k), YEARS)) * root for k in (-reach, 0.0, reach))

    def quote(vol: float, *delta: float) -> object:
        kind = ql.DeltaVolQuote.Fwd
        handle = ql.QuoteHandle(ql.SimpleQuote(vol))
        made = (
            ql.DeltaVolQuote(*delta, handle, 1.0, kind)
            if delta
            else ql.DeltaVolQuote(handle, kind, 1.0, ql.DeltaVolQuote.AtmFwd)
        )
        return ql.DeltaVolQuoteHandle(made)

    def curve(rate: float) -> object:
        return ql.YieldTermStructureHandle(ql.FlatForward(TODAY, rate, ql.Actual365Fixed()))

    engine = ql.VannaVolgaBarrierEngine(
        quote(money), quote(low, -0.25), quote(high, 0.25), ql.QuoteHandle(ql.SimpleQuote(market.index_usd)),
        curve(carry), curve(0.0), True, vanilla(market, strike, sign),
    )  # fmt: skip
    kind = barrier_type(is_down=level < market.index_usd, is_in=False)
    option = ql.BarrierOption(kind, level, 0.0, plain_payoff(sign, strike), ql.EuropeanExercise(EXPIRY))
    return npv(with_engine(option, engine))


@pytest.mark.parametrize(("sign", "strike", "level"), KNOCK_OUTS)
def test_knock_outs_against_a_local_vol(sign: int, strike: float, level: float) -> None:
    """The other extreme of what a smile may do when spot moves: within a tenth of the plain option."""
    market = snapshot(smile=np.array([0.7, 0.2, -0.25, 0.1, 0.9]))
    found = worth(knock_out(sign, strike, level), market)
    local = _local_vol_knock_out(market, sign, strike, level)
    assert found == pytest.approx(local, abs=vanilla(market, strike, sign) / 10)


def test_the_local_vol_of_the_tests_prices_options_as_the_smile_does() -> None:
    market = snapshot(smile=np.array([0.7, 0.2, -0.25, 0.1, 0.9]))
    for sign, strike in ((1, 70_000.0), (1, 90_000.0), (-1, 80_000.0)):
        far = 20_000.0 if sign > 0 else 400_000.0
        found = _local_vol_knock_out(market, sign, strike, far)
        assert found == pytest.approx(vanilla(market, strike, sign), rel=4e-3)


def _local_vol_knock_out(market: MarketSnapshot, sign: int, strike: float, level: float) -> float:
    """QuantLib's finite differences on Dupire's local vol, its clock one year long."""
    carry = float(market.log_basis(YEARS))
    spots = market.index_usd * np.exp(np.linspace(-1.2, 1.2, 161))
    times = np.concatenate([[1e-3], np.linspace(0.01, 1.0, 40)])
    vols = np.sqrt(_dupire_variance(market, spots, times * YEARS) * YEARS)
    day_count = ql.Actual365Fixed()
    local = ql.FixedLocalVolSurface(
        TODAY, ql.DoubleVector(times.tolist()), ql.DoubleVector(spots.tolist()), ql.Matrix(vols.tolist()), day_count
    )
    process = ql.GeneralizedBlackScholesProcess(
        ql.QuoteHandle(ql.SimpleQuote(market.index_usd)),
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, 0.0, day_count)),
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, carry, day_count)),
        ql.BlackVolTermStructureHandle(
            ql.BlackConstantVol(TODAY, ql.NullCalendar(), 0.6 * math.sqrt(YEARS), day_count)
        ),
        ql.LocalVolTermStructureHandle(local),
    )
    kind = barrier_type(is_down=level < market.index_usd, is_in=False)
    option = ql.BarrierOption(kind, level, 0.0, plain_payoff(sign, strike), ql.EuropeanExercise(EXPIRY))
    engine = ql.FdBlackScholesBarrierEngine(process, 200, 400, 0, ql.FdmSchemeDesc.Douglas(), True, -1.0)
    return npv(with_engine(option, engine))


def _dupire_variance(market: MarketSnapshot, spots: Floats, years: Floats) -> Floats:
    """Local variance per year, shape (spots, years), by differences of total variance."""
    k, t = np.log(spots[:, None] / market.forward_at(years)[None, :]), np.broadcast_to(years, (len(spots), len(years)))
    step, w = 1e-4, market.term.total_variance
    here, up, down = w(k, t), w(k + step, t), w(k - step, t)
    slope, bend = (up - down) / (2 * step), (up - 2 * here + down) / step**2
    in_time = (w(k, t * 1.001) - w(k, t * 0.999)) / (0.002 * t)
    density = 1 - k / here * slope + 0.25 * (-0.25 - 1 / here + (k / here) ** 2) * slope**2 + 0.5 * bend
    return np.asarray(in_time / density)


@pytest.mark.parametrize("level", LEVELS)
def test_survival_is_the_mean_of_two_no_touches(level: float) -> None:
    """Paid in cash and in the asset, undiscounted."""
    terms, path = deal(no_touch(level))
    point = Point(80_000.0, 0.5, 0.1, 0.02)
    contract = terms.in_market(NOW_NS, point, path, math.nan)
    watched = terms.barrier
    assert watched is not None
    touch = contract.terms
    cash = touch_value(contract, touch)(point) * math.exp(0.02 * contract.years)  # type: ignore[arg-type]
    asset = touch_value(contract, replace(touch, pays_asset=True))(point)  # type: ignore[type-var, arg-type]
    whole = point.spot * math.exp((0.1 - 0.02) * contract.years)
    assert survival(watched, point, contract.years) == pytest.approx(0.5 * (cash + asset / whole), rel=1e-9)
    assert survival(Barrier(80_000.0, True, False, 0.0), point, contract.years) == 0.0


@pytest.mark.parametrize("right", ["call", "put"])
def test_early_exercise_is_worth_nothing_without_carry_and_to_a_call_paid_in_coin(right: str) -> None:
    cells: Cells = {"style": "american", "right": right, "strike": 85_000}
    sign = 1 if right == "call" else -1
    still = snapshot(carry=0.0)
    for settle in ("BTC", "USDC"):
        assert worth(cells | {"settle": settle}, still) == pytest.approx(vanilla(still, 85_000, sign), rel=1e-5)
    rising = snapshot(carry=0.3)
    found, plain = worth(cells, rising), vanilla(rising, 85_000, sign)
    assert found == pytest.approx(plain, rel=1e-5) if sign > 0 else found > plain * 1.01


def test_an_average_takes_each_fixings_vol_from_the_term_structure() -> None:
    """Haug's table 4-28: a discrete average of futures with vol by time, as tabulated in QuantLib's tests."""
    times = 1 / 52 + np.arange(26) * (0.5 - 1 / 52) / 25
    steps = np.arange(26)
    published = {
        ("call", 90.0): (9.8313, 10.7062), ("put", 90.0): (0.0782, 0.9531), ("call", 80.0): (19.5063, None),
        ("put", 100.0): (2.2819, None), ("call", 100.0): (None, 4.337), ("put", 120.0): (19.5078, 19.7609),
    }  # fmt: skip
    for number, vols in enumerate((0.075 + 0.005 * steps, 0.325 - 0.005 * steps)):
        slices = np.zeros((26, 5))
        slices[:, 0], slices[:, 4] = vols**2 * times, 1.0
        expiry_ns = NOW_NS + np.rint(times * NS_PER_YEAR).astype(np.int64)
        market = MarketSnapshot("BTC", NOW_NS, 100.0, expiry_ns, np.full(26, 100.0), slices)
        for (right, strike), prices in published.items():
            expected = prices[number]
            cells: Cells = {
                "style": "asian", "right": right, "strike": strike, "average": "arithmetic", "fixings": 26,
                "averaging_from": after(float(times[0]) * 365), "expiry": after(0.5 * 365), "settle": "USDC",
            }  # fmt: skip
            if expected is not None:
                assert worth(cells, market) * math.exp(-0.05 * 0.5) == pytest.approx(expected, abs=2e-4)


def test_what_the_greeks_move_is_the_vol_of_the_strike_and_the_basis_stays() -> None:
    """A price moved by hand: spot, vol, time and basis, of a barrier on a smile."""
    market = snapshot()
    cells = knock_out(1, 80_000, 70_000)
    found = valued(cells, market)
    assert found.contract.asset.vol == pytest.approx(float(market.vol(80_000.0, YEARS)), rel=1e-12)
    base = point_of(found.contract)
    up = snapshot(index_usd=80_100.0)
    slices = market.slices.copy()
    slices[:, 3] -= math.log(80_100 / 80_000)
    moved = replace(up, slices=slices)
    assert found.repricer.at(base._replace(spot=80_100.0)) == pytest.approx(worth(cells, moved), rel=1e-9)
    # The smile is by strike over forward: slices that move along leave the strikes their vols.
    shifted = market.slices.copy()
    shifted[:, 3] -= 1e-5
    dearer = replace(market, forward_usd=market.forward_usd * math.exp(1e-5), slices=shifted)
    moved_basis = float(dearer.log_basis(YEARS) - market.log_basis(YEARS))
    gained = worth(cells, dearer) - worth(cells, market)
    assert basis_slope(found, pays_coin=True) * moved_basis == pytest.approx(gained, rel=2e-3)


@pytest.mark.parametrize(
    ("cells", "market", "answer"),
    [
        (EVERY_STYLE["exchange"], snapshot(), "no market for ETH; give one"),
        (
            EVERY_STYLE["american put"],
            replace(snapshot(), slices=np.full((4, 5), np.nan)),
            "no vol at a strike of 85000",
        ),
        (
            EVERY_STYLE["geometric put"] | {"average_so_far": ""},
            snapshot(),
            "average_so_far: missing, and averaging began",
        ),
    ],
)
def test_what_the_market_or_the_path_does_not_say_is_asked_for(
    cells: Cells, market: MarketSnapshot, answer: str
) -> None:
    with pytest.raises(BadInputError, match=answer):
        worth(cells, market)


def test_a_correlation_nobody_knows_is_asked_for() -> None:
    with pytest.raises(BadInputError, match="correlation: missing, and the market knows none of BTC and ETH; give it"):
        valued(EVERY_STYLE["exchange"], snapshot(), ETH)
