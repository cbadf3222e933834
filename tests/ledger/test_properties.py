"""Any stream of events against the exact twin, and any order of fills against any other."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.events import DailySettlement, Delivery, Fill, FundingRate, Payoff
from flatbook.domain.instruments import parse_expiry
from flatbook.ledger import Ledger

from .blotter import REFERENCE, STRATEGIES
from .exact_twin import CONTRACTS, OVER_THE_COUNTER, PERPETUALS, UNITS, ExactTwin, worth

VENUES = ("deribit", "testnet")
EXPIRY_NS = parse_expiry("28MAR25") or 0


@dataclass(frozen=True)
class Trade:
    """A fill before it has a trade id, and the strategy it is for."""

    venue: str
    strategy: str
    name: str
    lots: int
    ticks: int
    fee_units: int

    def event(self, number: int) -> Fill:
        return Fill(
            exch_ts_ns=number,
            local_ts_ns=number,
            venue=self.venue,
            trade_id=str(number),
            order_id="",
            instrument=self.name,
            side=1 if self.lots > 0 else -1,
            price_ticks=self.ticks,
            size_lots=abs(self.lots),
            fee_units=self.fee_units,
            is_maker=True,
        )


@dataclass(frozen=True)
class Funding:
    venue: str
    name: str
    rate: float
    price: float


@dataclass(frozen=True)
class Settlement:
    venue: str
    name: str
    price: float


@dataclass(frozen=True)
class Paid:
    venue: str
    name: str
    amount: float


venues = st.sampled_from(VENUES)
prices = st.integers(1_000_000, 30_000_000).map(lambda cents: cents / 100)
trades = st.builds(
    Trade,
    venue=venues,
    strategy=st.sampled_from(STRATEGIES),
    name=st.sampled_from(sorted(CONTRACTS)),
    lots=st.integers(-40, 40).filter(bool),
    ticks=st.integers(1, 200_000),
    fee_units=st.integers(-1_000, 10_000),
)
fundings = st.builds(Funding, venues, st.sampled_from(PERPETUALS), st.floats(-0.01, 0.01), prices)
settlements = st.builds(Settlement, venues, st.sampled_from([*PERPETUALS, "BTC-28MAR25"]), prices)
payoffs = st.builds(Paid, venues, st.sampled_from(OVER_THE_COUNTER), st.floats(0.0, 1e4, allow_subnormal=False))


def booked(stream: Sequence[tuple[Fill, str]]) -> Ledger:
    ledger = Ledger(REFERENCE, STRATEGIES)
    for fill, strategy in stream:
        ledger.book_fill(fill, strategy)
        ledger.invariant()
    return ledger


def numbered(blotter: Sequence[Trade]) -> list[tuple[Fill, str]]:
    return [(trade.event(number), trade.strategy) for number, trade in enumerate(blotter)]


def economics(ledger: Ledger) -> dict[str, object]:
    """What no order of the fills may change: all but how far the cost of open lots has become realised P&L."""
    outlays = {
        key: (position.size_lots, position.cost_units - position.realised_units, position.fees_units)
        for key, position in ledger.positions().items()
    }
    flows = {currency: ledger.totals(currency) for currency in UNITS}
    return {
        "outlays": outlays,
        "net": dict(ledger.open_lots()),
        "premium": {currency: total.premium_units for currency, total in flows.items()},
        "fees": {currency: total.fees_paid_units for currency, total in flows.items()},
        "carried": {currency: ledger.carried_units(currency) for currency in UNITS},
    }


@st.composite
def streams_and_their_disorder(draw: st.DrawFn, flat: bool) -> tuple[list[tuple[Fill, str]], list[tuple[Fill, str]]]:
    """A stream of fills, and the same fills some more than once in another order; `flat` ends every position."""
    blotter = draw(st.lists(trades, min_size=1, max_size=14))
    if flat:
        open_lots: dict[tuple[str, str, str], int] = defaultdict(int)
        for trade in blotter:
            open_lots[trade.venue, trade.strategy, trade.name] += trade.lots
        ticks = draw(st.integers(1, 200_000))
        blotter += [Trade(*key, -lots, ticks, 0) for key, lots in open_lots.items() if lots]
    stream = numbered(blotter)
    copies = draw(st.lists(st.sampled_from(stream), max_size=10))
    return stream, draw(st.permutations(stream + copies))


@given(streams_and_their_disorder(flat=True))
def test_a_book_that_ends_flat_is_the_same_to_the_byte_in_any_order(
    streams: tuple[list[tuple[Fill, str]], list[tuple[Fill, str]]],
) -> None:
    stream, disordered = streams
    assert booked(disordered).digest_bytes() == booked(stream).digest_bytes()


@given(streams_and_their_disorder(flat=False))
def test_order_decides_nothing_but_how_early_cost_is_realised(
    streams: tuple[list[tuple[Fill, str]], list[tuple[Fill, str]]],
) -> None:
    stream, disordered = streams
    assert economics(booked(disordered)) == economics(booked(stream))


@given(st.lists(trades, min_size=1, max_size=14), st.data())
def test_a_copy_of_a_fill_changes_not_one_byte(blotter: list[Trade], data: st.DataObject) -> None:
    stream = numbered(blotter)
    ledger = booked(stream)
    once = ledger.digest_bytes()
    fill, _ = data.draw(st.sampled_from(stream))
    assert ledger.book_fill(fill, data.draw(st.sampled_from(STRATEGIES))) is None
    assert ledger.digest_bytes() == once


@given(st.lists(trades, min_size=1, max_size=14), settlements)
def test_daily_settlement_moves_profit_and_makes_none(blotter: list[Trade], settlement: Settlement) -> None:
    ledger = booked(numbered(blotter))
    carried = {currency: ledger.carried_units(currency) for currency in UNITS}
    settle(ledger, settlement, 1_000)
    assert {currency: ledger.carried_units(currency) for currency in UNITS} == carried


def settle(ledger: Ledger, settlement: Settlement, now_ns: int) -> None:
    event = DailySettlement(
        exch_ts_ns=now_ns, local_ts_ns=now_ns, instrument=settlement.name, price_usd=settlement.price
    )
    ledger.book_daily_settlement(event, settlement.venue)


def pay(ledger: Ledger, paid: Paid, now_ns: int) -> None:
    event = Payoff(exch_ts_ns=now_ns, local_ts_ns=now_ns, instrument=paid.name, amount=paid.amount)
    ledger.book_payoff(event, paid.venue)


@given(st.lists(trades | fundings | settlements | payoffs, max_size=20), st.data())
def test_profit_is_the_exact_twins_rounded_against_us(
    events: list[Trade | Funding | Settlement | Paid], data: st.DataObject
) -> None:
    """Realised plus unrealised, with fees, funding, settlement and then delivery, is never more than the exact profit
    and never less by a unit for each rounding."""
    ledger, twin, clock = Ledger(REFERENCE, STRATEGIES), ExactTwin(), count(1)
    marks = {
        name: data.draw(st.integers(1, 200_000), label=f"mark of {name}") * terms.tick
        for name, terms in CONTRACTS.items()
    }
    for event in events:
        now_ns = next(clock)
        match event:
            case Trade(venue, strategy, name, lots, ticks, fee_units):
                ledger.book_fill(event.event(now_ns), strategy)
                twin.fill(venue, name, lots, ticks, fee_units)
            case Funding(venue, name, rate, price):
                clocks = {"exch_ts_ns": now_ns, "local_ts_ns": now_ns}
                ledger.book_funding(FundingRate(**clocks, instrument=name, rate=rate, hours=8), venue, price)
                twin.funding(venue, name, Fraction(repr(rate)), Fraction(repr(price)))
            case Settlement():
                settle(ledger, event, now_ns)
            case Paid(venue, name, amount):
                pay(ledger, event, now_ns)
                twin.pay(venue, name, Fraction(repr(amount)))
        check(ledger, twin, marks)
    price = data.draw(prices, label="delivery price")
    for venue in VENUES:
        clocks = {"exch_ts_ns": EXPIRY_NS, "local_ts_ns": EXPIRY_NS}
        ledger.book_delivery(Delivery(**clocks, underlying="BTC", expiry_ns=EXPIRY_NS, price_usd=price), venue)
        twin.deliver(venue, Fraction(repr(price)))
        check(ledger, twin, marks)
    for venue in VENUES:
        for name in OVER_THE_COUNTER:
            amount = data.draw(st.floats(0.0, 1e4, allow_subnormal=False), label=f"payoff of {name}")
            pay(ledger, Paid(venue, name, amount), next(clock))
            twin.pay(venue, name, Fraction(repr(amount)))
            check(ledger, twin, marks)
    assert set(ledger.open_lots()) <= set(PERPETUALS)


def check(ledger: Ledger, twin: ExactTwin, marks: dict[str, Fraction]) -> None:
    ledger.invariant()
    for currency, units_per_coin in UNITS.items():
        held = {name: lots for name, lots in ledger.open_lots().items() if CONTRACTS[name].settle == currency}
        value = sum(worth(CONTRACTS[name], lots, marks[name]) * units_per_coin for name, lots in held.items())
        exact = twin.profit(currency, marks) * units_per_coin
        assert 0 <= exact - (ledger.carried_units(currency) + value) <= twin.roundings[currency]
        settled_here = [
            position for key, position in ledger.positions().items() if CONTRACTS[key.instrument].settle == currency
        ]
        realised = sum(position.net_units for position in settled_here)
        unrealised = value - sum(position.cost_units for position in settled_here)
        assert realised + unrealised == ledger.carried_units(currency) + value


@given(st.lists(trades, max_size=20))
def test_the_digest_tells_different_books_apart(blotter: list[Trade]) -> None:
    ledger = booked(numbered(blotter))
    before = ledger.digest_bytes()
    ledger.deposit("deribit", "BTC", 1, 0)
    after_deposit = ledger.digest_bytes()
    assert after_deposit != before
    ledger.book_fill(Trade("deribit", "maker", "BTC-PERPETUAL", 1, 160_000, 0).event(999), "maker")
    assert ledger.digest_bytes() != after_deposit
