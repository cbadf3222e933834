"""A venue whose perpetual trades in a recorded order book: our orders in it meet the replay, all else another market.

The replay has its own two clocks and its own latency; the other market has those of its gateway. What both tell us
comes in the order in which we hear of it, at equal times the other market's events first.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Protocol

import msgspec

from flatbook.domain.events import AnyEvent, MarketEvent, OrderAccepted, TopOfBook, TradePrint
from flatbook.domain.intents import TimeInForce
from flatbook.domain.reference import Instrument
from flatbook.engine.effects import Effects, Order
from flatbook.engine.venue import Venue
from flatbook.kernels import l2_layout as at
from flatbook.sim.books.feed import BookEvent, BookFeed
from flatbook.sim.fills import FillModel, FillTally

_KIND = {TimeInForce.IOC: at.IMMEDIATE_OR_CANCEL, TimeInForce.GTC: at.GOOD_TIL_CANCELLED}


class _Beside(Venue, Protocol):
    def fill_tally(self) -> Mapping[FillModel, FillTally]: ...


class BookVenue:
    """`engine.venue.Venue` of the market `beside`, but for the instrument of `feed`, whose orders go into its book.

    Both end with `until_ns`; what is sent from then on is not answered.
    """

    def __init__(self, beside: _Beside, feed: BookFeed, until_ns: int) -> None:
        self._beside = beside
        self._feed = feed
        self._until_ns = until_ns
        self._order_of: dict[str, str] = {}
        self._number_of: dict[str, str] = {}
        self._to_cancel: set[str] = set()
        self._heard_early: deque[AnyEvent] = deque()

    def list_instrument(self, row: int, instrument: Instrument) -> None:
        """As in `engine.venue.Venue`."""
        self._beside.list_instrument(row, instrument)

    def fill_tally(self) -> Mapping[FillModel, FillTally]:
        """What each fill model made of the market beside."""
        return self._beside.fill_tally()

    def events(self) -> Iterator[AnyEvent]:
        """As in `engine.venue.Venue`.

        Errors      BadInputError as of the market beside, and where the replay has no room for another order
        """
        for event in self._beside.events():
            if event.local_ts_ns > self._until_ns and isinstance(event, MarketEvent):
                break
            yield from self._hear(event.local_ts_ns - 1)
            yield event
        yield from self._hear(self._until_ns)

    def submit(self, effects: Effects) -> None:
        """As in `engine.venue.Venue`: everything sent leaves at `effects.ts_ns`.

        Errors      BadInputError for a price beyond the recorded levels, and where the replay has no room
        """
        ours = tuple(order for order in effects.orders if order.intent.instrument == self._feed.instrument)
        pulled = tuple(order_id for order_id in effects.cancels if order_id in self._number_of)
        if ours or pulled:
            # An order leaves at the replay's own time, which may be that of the last row before the event answered.
            self._heard_early.extend(map(self._named, self._feed.events(effects.ts_ns)))
        for order in ours:
            self._place(order)
        for order_id in pulled:
            self._cancel(self._number_of[order_id])
        orders = tuple(order for order in effects.orders if order not in ours)
        cancels = tuple(order_id for order_id in effects.cancels if order_id not in pulled)
        beside = replace(effects, orders=orders, cancels=cancels)
        if not beside.is_empty:
            self._beside.submit(beside)

    def _hear(self, until_ns: int) -> Iterator[AnyEvent]:
        while self._heard_early:
            yield self._heard_early.popleft()
        yield from map(self._named, self._feed.events(min(until_ns, self._until_ns)))

    def _place(self, order: Order) -> None:
        intent = order.intent
        kind = _KIND[intent.time_in_force]
        number = self._feed.place(intent.side, intent.limit_ticks, intent.size_lots, kind)
        self._order_of[number], self._number_of[order.order_id] = order.order_id, number

    def _cancel(self, number: str) -> None:
        # The replay takes no cancel of an order before it is known to rest.
        if not self._feed.cancel(number):
            self._to_cancel.add(number)

    def _named(self, event: BookEvent) -> AnyEvent:
        """The event with the order's id as we know it."""
        if isinstance(event, TopOfBook | TradePrint):
            return event
        number = event.order_id
        if isinstance(event, OrderAccepted) and number in self._to_cancel:
            self._to_cancel.discard(number)
            self._feed.cancel(number)
        return msgspec.structs.replace(event, order_id=self._order_of[number])
