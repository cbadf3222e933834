"""What a contract over the counter says, what it pays, and what its cells may not."""

import math

import pytest

from flatbook.domain.errors import BadInputError
from flatbook.domain.instruments import parse_expiry
from flatbook.domain.units import parse_utc
from flatbook.valuation.contracts import AsianTerms, Cell, LookbackTerms, Style
from flatbook.valuation.otc import UNTOUCHED, OtcTerms, PathState, may_live_on, parse_otc
from flatbook.valuation.otc_value import otc_worth_usd
from flatbook.valuation.payoffs import in_settlement, payoff, payoff_at_hit
from flatbook.valuation.point import Point
from tests.market.snapshots import NOW_NS, after, snapshot

from .books import DAYS, EVERY_STYLE, deal, markets, over_the_counter

Cells = dict[str, Cell]

PUT: Cells = {"style": "american", "right": "put", "strike": 85_000}
BARRIER: Cells = EVERY_STYLE["down and out call"]
NAN = math.nan


def test_terms_know_money_time_and_the_second_asset() -> None:
    terms, path = deal(EVERY_STYLE["spread"] | {"settle": "usdc", "expiry": "27mar26"}, "spread-9")
    contract = terms.instrument.contract
    assert (terms.instrument.name, contract.base, contract.quote, contract.settle) == (
        "spread-9",
        "BTC",
        "USDC",
        "USDC",
    )
    assert (terms.underlying2, terms.correlation, terms.pays_coin) == ("ETH", 0.7, False)
    assert terms.expiry_ns == parse_expiry("27MAR26") == parse_utc("2026-03-27T08:00")
    assert path == UNTOUCHED
    own, _ = deal(PUT)
    assert (own.instrument.contract.quote, own.instrument.contract.settle, own.pays_coin) == ("USD", "BTC", True)
    assert math.isnan(own.template.asset.spot)


def test_years_follow_the_clock() -> None:
    terms, path = deal(PUT)
    point = Point(80_000.0, 0.5, 0.0, 0.0)
    for days in (0.0, 3.0, 19.5):
        contract = terms.in_market(NOW_NS + round(days * 86_400e9), point, path, NAN)
        assert contract.years * 365 == pytest.approx(DAYS - days, abs=1e-9)


def test_an_average_counts_from_its_own_day() -> None:
    terms, path = deal(EVERY_STYLE["arithmetic call"])
    point = Point(80_000.0, 0.5, 0.0, 0.0)
    ahead = terms.in_market(NOW_NS, point, path, NAN).terms
    assert isinstance(ahead, AsianTerms)
    assert ahead.first_fixing_years == pytest.approx(5 / 365)
    begun = terms.in_market(NOW_NS + round(7 * 86_400e9), point, PathState(average=79_000.0), NAN).terms
    assert isinstance(begun, AsianTerms)
    assert begun.first_fixing_years is None
    assert begun.elapsed_years * 365 == pytest.approx(2.0)
    assert begun.average_so_far == 79_000.0


@pytest.mark.parametrize(
    ("right", "so_far", "expected"), [("call", 75e3, 75e3), ("call", 85e3, 80e3), ("put", NAN, 80e3)]
)
def test_todays_price_is_one_of_a_lookbacks(right: str, so_far: float, expected: float) -> None:
    terms, _ = deal({"style": "lookback", "right": right})
    made = terms.in_market(NOW_NS, Point(80_000.0, 0.5, 0.0, 0.0), PathState(extreme=so_far), NAN).terms
    assert made == LookbackTerms(expected)


@pytest.mark.parametrize(
    ("cells", "answer"),
    [
        (PUT | {"vol": "0.5"}, "vol: 0.5 is for the market to say; leave it out of a book"),
        (PUT | {"years": "1"}, "years: 1 is for the market to say"),
        (PUT | {"expiry": ""}, "expiry: missing; give it as 27MAR26"),
        (PUT | {"expiry": "soon"}, "time 'soon' is not ISO-8601"),
        (PUT | {"underlying": ""}, "underlying: missing; give a currency such as BTC"),
        (PUT | {"underlying": "DOGE"}, "underlying: 'DOGE' is not known; use one of BTC"),
        (PUT | {"settle": "ETH"}, "settle: ETH is not BTC; a contract settles in its own coin or in dollars"),
        (PUT | {"lot": "few"}, "lot: 'few' is not a number"),
        (PUT | {"lot": "3"}, "a lot of 3 contracts"),
        (PUT | {"strike": ""}, "strike: missing; give the strike"),
        (PUT | {"strike": "nan"}, "strike: nan is not finite"),
        (PUT | {"style": "perpetual", "funding_kappa": 1}, "style: perpetual has no expiry"),
        (PUT | {"style": "inverse"}, "style: inverse says how it settles; use european"),
        (PUT | {"style": "bermudan"}, "style: 'bermudan' is not known"),
        (PUT | {"hit": "yes"}, "hit: yes, of a contract without a barrier"),
        (BARRIER | {"hit": "yes"}, "hit: yes, so the contract has paid and ended"),
        (BARRIER | {"hit": "maybe"}, "hit: 'maybe' is not known"),
        (EVERY_STYLE["one-touch at the hit"] | {"hit": "yes"}, "has paid and ended"),
        (EVERY_STYLE["exchange"] | {"underlying2": ""}, "underlying2: missing"),
        (EVERY_STYLE["exchange"] | {"correlation": "1.5"}, "correlation: 1.5 is beyond 1"),
        (EVERY_STYLE["arithmetic call"] | {"averaging_from": after(30)}, "is not before expiry; give when it begins"),
        (EVERY_STYLE["arithmetic call"] | {"averaging_from": ""}, "averaging_from: missing"),
        (EVERY_STYLE["arithmetic call"] | {"average_so_far": "-1"}, "average_so_far: -1 is negative"),
    ],
)
def test_a_bad_cell_is_named_with_its_value_and_the_remedy(cells: Cells, answer: str) -> None:
    with pytest.raises(BadInputError) as caught:
        deal(cells)
    assert answer in str(caught.value)


def test_a_venues_name_is_not_for_a_private_deal() -> None:
    with pytest.raises(BadInputError, match="is that of a listed contract"):
        parse_otc("BTC-27MAR26-80000-C", PUT | {"underlying": "BTC", "expiry": after(20)})


def at_end(cells: Cells, spot: float, spot2: float = NAN, path: PathState = UNTOUCHED) -> float:
    return payoff(deal(cells)[0], path, spot, spot2)


HIT, LOW = PathState(was_hit=True), PathState(extreme=71_000.0)
KNOCK_IN = EVERY_STYLE["up and in put"]
PAYOFFS: dict[str, list[tuple[float, float, PathState, float]]] = {
    "american put": [(80_000.0, NAN, UNTOUCHED, 5_000.0), (90_000.0, NAN, UNTOUCHED, 0.0)],
    "down and out call": [
        (83_000.0, NAN, UNTOUCHED, 3_000.0), (79_000.0, NAN, UNTOUCHED, 0.0), (69_000.0, NAN, UNTOUCHED, 100.0),
    ],
    "up and in put": [(80_000.0, NAN, UNTOUCHED, 50.0), (80_000.0, NAN, HIT, 2_000.0), (91_000.0, NAN, UNTOUCHED, 0.0)],
    "cash call": [(85_001.0, NAN, UNTOUCHED, 1e3), (85_000.0, NAN, UNTOUCHED, 0.0), (86_000.0, NAN, UNTOUCHED, 1e3)],
    "asset put": [(84_000.0, NAN, UNTOUCHED, 84_000.0), (86_000.0, NAN, UNTOUCHED, 0.0)],
    "cash call alive": [(86_000.0, NAN, UNTOUCHED, 1_000.0), (80_000.0, NAN, UNTOUCHED, 0.0)],
    "one-touch at the hit": [(80_000.0, NAN, UNTOUCHED, 0.0), (90_000.0, NAN, UNTOUCHED, 1_000.0)],
    "one-touch at expiry": [(80_000.0, NAN, HIT, 80_000.0), (80_000.0, NAN, UNTOUCHED, 0.0)],
    "no-touch": [(80_000.0, NAN, UNTOUCHED, 1_000.0), (70_000.0, NAN, UNTOUCHED, 0.0)],
    "arithmetic call": [(81_500.0, NAN, PathState(average=81_500.0), 1_500.0)],
    "geometric put": [(79_500.0, NAN, PathState(average=79_500.0), 500.0)],
    "lookback call": [(80_000.0, NAN, LOW, 9_000.0), (70_000.0, NAN, LOW, 0.0)],
    "exchange": [(80_000.0, 3_000.0, UNTOUCHED, 2_000.0), (70_000.0, 3_000.0, UNTOUCHED, 0.0)],
    "spread": [(80_000.0, 3_000.0, UNTOUCHED, 1_000.0), (78_000.0, 3_000.0, UNTOUCHED, 0.0)],
    "basket": [(81_000.0, 3_000.0, UNTOUCHED, 1_000.0), (79_000.0, 3_000.0, UNTOUCHED, 0.0)],
    "worst of": [(80_000.0, 3_000.0, UNTOUCHED, 100.0), (80_000.0, 2_000.0, UNTOUCHED, 0.0)],
    "outside barrier": [(83_000.0, 2_600.0, UNTOUCHED, 3_000.0), (83_000.0, 2_400.0, UNTOUCHED, 50.0)],
    "correlation call": [(81_000.0, 3_300.0, UNTOUCHED, 200.0), (79_000.0, 3_300.0, UNTOUCHED, 0.0)],
}  # fmt: skip
CASES = [(name, *case) for name, cases in PAYOFFS.items() for case in cases]


@pytest.mark.parametrize(("name", "spot", "spot2", "path", "paid"), CASES)
def test_what_is_paid_at_expiry(name: str, spot: float, spot2: float, path: PathState, paid: float) -> None:
    assert at_end(EVERY_STYLE[name], spot, spot2, path) == paid
    assert set(PAYOFFS) == set(EVERY_STYLE)


@pytest.mark.parametrize(("name", "spot", "spot2", "path", "paid"), CASES)
def test_a_second_before_expiry_it_is_worth_what_it_will_pay(
    name: str, spot: float, spot2: float, path: PathState, paid: float
) -> None:
    """The pricing engines as a second witness; what hangs on the last cent of a price is left out."""
    if abs(spot - 85_000.0) <= 1.0 or name == "one-touch at the hit" or spot < path.extreme:
        return
    eth = snapshot("ETH", spot2 if spot2 > 0 else 3_000.0, days=(0.001, 20.0), carry=0.0)
    btc = snapshot(index_usd=spot, days=(0.001, 20.0), carry=0.0)
    soon: Cells = {
        "expiry": after(1 / 86_400),
        **({"averaging_from": after(-9)} if "average" in EVERY_STYLE[name] else {}),
    }
    terms, _ = deal(EVERY_STYLE[name] | soon)
    assert otc_worth_usd(terms, path, markets(btc, eth)) == pytest.approx(paid, rel=2e-3, abs=1.0)


def test_what_nobody_saw_of_an_average_counts_at_the_spot_of_the_moment() -> None:
    """Ten fixings over fifteen days, the first on day five; and a mean over time of twenty-five days."""
    day = 86_400 * 10**9
    discrete, continuous = deal(EVERY_STYLE["arithmetic call"])[0], deal(EVERY_STYLE["geometric put"])[0]
    half = PathState(average=79_000.0, seen_ns=NOW_NS + round(12.5 * day))  # five of ten are taken
    assert discrete.average_at(NOW_NS + 13 * day, half, 90_000.0) == 79_000.0
    assert discrete.average_at(NOW_NS + 14 * day, half, 90_000.0) == pytest.approx(79_000 * 5 / 6 + 90_000 / 6)
    assert discrete.average_at(discrete.expiry_ns, half, 90_000.0) == pytest.approx(84_500.0)
    early = PathState(average=81_000.0, seen_ns=NOW_NS)
    expected = 81_000.0**0.2 * 90_000.0**0.8
    assert continuous.average_at(continuous.expiry_ns, early, 90_000.0) == pytest.approx(expected)
    assert discrete.average_at(NOW_NS + 6 * day, PathState(seen_ns=NOW_NS), 90_000.0) == 90_000.0
    with pytest.raises(BadInputError, match="average_so_far: missing"):
        at_end(EVERY_STYLE["arithmetic call"], 80_000.0)


@pytest.mark.parametrize(
    ("cells", "goes_on", "paid"),
    [
        (BARRIER, False, 100.0),
        (KNOCK_IN, True, None),
        (EVERY_STYLE["one-touch at the hit"], False, 1_000.0),
        (EVERY_STYLE["one-touch at the hit"] | {"payoff": "asset"}, False, 90_001.0),
        (EVERY_STYLE["one-touch at expiry"], True, None),
        (EVERY_STYLE["no-touch"], False, 0.0),
        (EVERY_STYLE["cash call alive"], False, 0.0),
        (EVERY_STYLE["outside barrier"], False, 50.0),
    ],
)
def test_a_hit_ends_what_knocks_out_and_pays_then(cells: Cells, goes_on: bool, paid: float | None) -> None:
    terms: OtcTerms = deal(cells)[0]
    assert may_live_on(terms) == goes_on
    assert payoff_at_hit(terms, 90_001.0) == paid


def test_without_a_barrier_nothing_is_hit() -> None:
    assert payoff_at_hit(deal(PUT)[0], 80_000.0) is None


def test_coin_is_paid_over_the_spot_of_the_moment() -> None:
    assert in_settlement(deal(PUT)[0], 5_000.0, 80_000.0) == 0.0625
    assert in_settlement(deal(PUT | {"settle": "USDC"})[0], 5_000.0, 80_000.0) == 5_000.0


def test_a_hit_knock_in_is_its_option_from_then_on() -> None:
    knocked = over_the_counter(KNOCK_IN | {"hit": "yes"})
    assert knocked.path == HIT
    assert knocked.otc is not None
    assert knocked.otc.style is Style.BARRIER
