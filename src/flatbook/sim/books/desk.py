"""Our orders in a recorded book, as a gateway sends them there, and what the replay tells, a moment at a time."""

from collections import deque

import msgspec

from flatbook.domain.events import AnyEvent, OrderAccepted, TopOfBook, TradePrint
from flatbook.domain.intents import TimeInForce
from flatbook.engine.effects import Order
from flatbook.kernels import l2_layout as at
from flatbook.sim.books.feed import BookEvent, BookFeed

_KIND = {TimeInForce.IOC: at.IMMEDIATE_OR_CANCEL, TimeInForce.GTC: at.GOOD_TIL_CANCELLED}


class BookDesk:
    """One replay with our orders by their own ids, up to `until_ns`; what is sent from then on is not answered.

    Invariant   whatever is heard by the time of an order that was sent is handed out before anything later
    """

    def __init__(self, feed: BookFeed, until_ns: int) -> None:
        self._feed = feed
        self._until_ns = until_ns
        self._order_of: dict[str, str] = {}
        self._number_of: dict[str, str] = {}
        self._to_cancel: set[str] = set()
        self._waiting: deque[AnyEvent] = deque()

    def takes(self, sent: Order | str) -> bool:
        """Whether an order, or the id of one that is to be pulled, is for this book."""
        if isinstance(sent, str):
            return sent in self._number_of
        return sent.intent.instrument == self._feed.instrument

    def send(self, ts_ns: int, sent: Order | str) -> None:
        """Sends an order, or a cancel by its id, at `ts_ns`: no earlier than what was heard last.

        Errors      BadInputError for a price beyond the recorded levels, and where the replay has no room
        """
        # An order leaves at the replay's own time, which may be that of a row before the event that it answers.
        self._waiting.extend(map(self._named, self._feed.events(ts_ns)))
        if isinstance(sent, str):
            self._cancel(self._number_of[sent])
            return
        intent = sent.intent
        number = self._feed.place(intent.side, intent.limit_ticks, intent.size_lots, _KIND[intent.time_in_force])
        self._order_of[number], self._number_of[sent.order_id] = sent.order_id, number

    def heard_before(self, local_ns: int) -> list[AnyEvent]:
        """What we hear at the next moment before `local_ns` at which we hear anything; nothing where there is none."""
        if not self._waiting:
            self._waiting.extend(map(self._named, self._feed.moment(min(local_ns - 1, self._until_ns))))
        heard = list(self._waiting)
        self._waiting.clear()
        return heard

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
