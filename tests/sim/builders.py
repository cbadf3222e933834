"""Short ways to write a tape, a contract and a maker in tests."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from flatbook.domain.events import AnyEvent, ChainQuotes, Event, IndexTick, QuoteRow, TopOfBook, TradePrint
from flatbook.domain.intents import OrderIntent, Purpose, TimeInForce
from flatbook.domain.units import NS_PER_SECOND, parse_utc
from flatbook.engine.effects import Effects, Order, QuoteChanges
from flatbook.engine.venue import Venue
from flatbook.sim import Delay, FillModel, FillRules, Latency, VenueTerms
from flatbook.venues.deribit import load_reference

REFERENCE = load_reference()
START_NS = parse_utc("2025-03-31T12:00")
MIDNIGHT_NS = parse_utc("2025-03-31T00:00")
CALL = "BTC-4APR25-85000-C"
PERPETUAL = "BTC-PERPETUAL"
MS = 1_000_000

Kind = TypeVar("Kind", bound=Event)
React = Callable[[AnyEvent], Effects | None]


def at(seconds: float) -> int:
    """Nanoseconds of a moment after the tests' noon."""
    return START_NS + round(seconds * NS_PER_SECOND)


def index(seconds: float, price_usd: float = 80_000.0, underlying: str = "BTC") -> IndexTick:
    return IndexTick(exch_ts_ns=at(seconds), local_ts_ns=at(seconds), underlying=underlying, price_usd=price_usd)


def trade(
    seconds: float, side: int, ticks: int, lots: int, name: str = CALL, *, off_book: bool = False,
    mark_ticks: float = float("nan"), late_s: float = 0.0,
) -> TradePrint:  # fmt: skip
    return TradePrint(
        exch_ts_ns=at(seconds),
        local_ts_ns=at(seconds + late_s),
        instrument=name,
        trade_id=f"T{seconds}",
        taker_side=side,
        price=ticks / 10_000,
        size_lots=lots,
        mark_price=mark_ticks / 10_000,
        iv=0.5,
        index_usd=80_000.0,
        off_book=off_book,
    )


def chain(seconds: float, *names: str) -> ChainQuotes:
    nan = float("nan")
    rows = tuple(QuoteRow(name, nan, nan, nan, nan, nan, nan) for name in names)
    return ChainQuotes(exch_ts_ns=at(seconds), local_ts_ns=at(seconds), underlying="BTC", rows=rows)


def top(seconds: float, bid: float = 80_007.5, ask: float = 80_008.5, name: str = PERPETUAL) -> TopOfBook:
    """A contract's best prices, amounts and mark unknown."""
    nan = float("nan")
    return TopOfBook(
        exch_ts_ns=at(seconds), local_ts_ns=at(seconds), instrument=name, bid=bid, ask=ask, bid_amount=nan,
        ask_amount=nan, mark_price=nan,
    )  # fmt: skip


def quote(row: int, bid: tuple[int, int] | None, ask: tuple[int, int] | None) -> QuoteChanges:
    """One row's quote: price in ticks and size in lots of each side, None for none."""
    numbers = (*(bid or (0, 0)), *(ask or (0, 0)))
    rows, bids, bid_lots, asks, ask_lots = (np.array([number], np.int64) for number in (row, *numbers))
    return QuoteChanges(rows, bids, bid_lots, asks, ask_lots)


def together(*changes: QuoteChanges) -> QuoteChanges:
    """Several rows' quotes as one change; the rows rise."""
    return QuoteChanges(
        np.concatenate([change.row for change in changes]),
        np.concatenate([change.bid_ticks for change in changes]),
        np.concatenate([change.bid_lots for change in changes]),
        np.concatenate([change.ask_ticks for change in changes]),
        np.concatenate([change.ask_lots for change in changes]),
    )


def order(
    order_id: str, side: int, limit_usd: float, size_lots: int, *, name: str = PERPETUAL,
    time_in_force: TimeInForce = TimeInForce.IOC,
) -> Order:  # fmt: skip
    """An order on an option, on spot, or on a contract with ticks of half a dollar."""
    tick = 0.0001 if name.endswith(("-C", "-P")) else 1.0 if name == "BTC_USDC" else 0.5
    intent = OrderIntent(
        instrument=name,
        side=side,
        limit_ticks=round(limit_usd / tick),
        size_lots=size_lots,
        time_in_force=time_in_force,
        purpose=Purpose.HEDGE,
        reason="test",
    )
    return Order(order_id, intent)


def terms(
    model: FillModel = FillModel.OPTIMISTIC, *, share: float = 0.5, feed_ms: int = 5, quote_ms: int = 10,
    order_ms: int = 10, jitter_ms: int = 0,
) -> VenueTerms:  # fmt: skip
    """A venue's terms with constant delays, unless jitter is asked for."""
    feed, quotes, orders = (Delay(delay * MS, jitter_ms * MS) for delay in (feed_ms, quote_ms, order_ms))
    return VenueTerms(name="test", fills=FillRules(model, share), latency=Latency(feed, quotes, orders))


def listed(venue: Venue, names: Iterable[str] = (CALL,)) -> None:
    for row, name in enumerate(names):
        venue.list_instrument(row, REFERENCE.instrument(name))


def run(venue: Venue, react: React = lambda event: None) -> list[AnyEvent]:
    """Everything a venue says to a maker who answers by `react`; it stops the test where time runs backwards."""
    heard: list[AnyEvent] = []
    for event in venue.events():
        assert not heard or event.local_ts_ns >= heard[-1].local_ts_ns, (heard[-1], event)
        heard.append(event)
        effects = react(event)
        if effects is not None:
            venue.submit(effects)
    return heard


def once(when: AnyEvent, effects: Callable[[int], Effects]) -> React:
    """A maker who acts when it hears of `when`, and at no other time."""
    return lambda event: effects(event.local_ts_ns) if event == when else None


def only(heard: Sequence[AnyEvent], kind: type[Kind]) -> list[Kind]:
    return [event for event in heard if isinstance(event, kind)]
