"""What is on its way to us: market events in the order they were published, and answers, each at its time."""

import heapq
from collections import deque

from flatbook.domain.events import (
    AnyEvent,
    ChainQuotes,
    Clock,
    DailySettlement,
    Delivery,
    Event,
    Fill,
    FundingRate,
    IndexTick,
    MarketEvent,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    PackageFill,
    ProtectionTriggered,
    QuotesAcknowledged,
    RequestForQuote,
    RfqClosed,
    TopOfBook,
    TradePrint,
)

NEVER_NS = 2**63 - 1
"""A time that does not come."""

_ANSWER = 5
_RANK: dict[type[Event], int] = {
    IndexTick: 0,
    TopOfBook: 1,
    FundingRate: 2,
    DailySettlement: 3,
    Delivery: 4,
    Fill: _ANSWER,
    OrderAccepted: _ANSWER,
    OrderRejected: _ANSWER,
    PackageFill: _ANSWER,
    RequestForQuote: _ANSWER,
    RfqClosed: _ANSWER,
    OrderCancelled: _ANSWER,
    QuotesAcknowledged: _ANSWER,
    ProtectionTriggered: _ANSWER,
    TradePrint: 6,
    ChainQuotes: 7,
    Clock: 8,
}


class Mailbox:
    """Events under way to us.

    Invariant   they leave by `local_ts_ns`; at equal times in the order of `domain.events`, but those published among
                themselves always as they were published, so that a recording keeps its own order
    """

    def __init__(self) -> None:
        self._published: deque[MarketEvent | Clock] = deque()
        self._placed: list[tuple[int, int, int, AnyEvent]] = []
        self._sequence = 0

    def publish(self, event: MarketEvent | Clock) -> None:
        """Sends a market event; local times do not fall from one to the next."""
        self._published.append(event)

    def place(self, event: AnyEvent) -> None:
        """Sends an answer, or a settlement, to its place among the rest."""
        self._sequence += 1
        heapq.heappush(self._placed, (event.local_ts_ns, _RANK[type(event)], self._sequence, event))

    @property
    def next_ns(self) -> int:
        """When the next event reaches us; never, where none is under way."""
        published_ns = self._published[0].local_ts_ns if self._published else NEVER_NS
        return min(published_ns, self._placed[0][0]) if self._placed else published_ns

    def pop(self) -> AnyEvent:
        """The next event."""
        if not self._placed:
            return self._published.popleft()
        if self._published:
            head = self._published[0]
            if (head.local_ts_ns, _RANK[type(head)]) <= self._placed[0][:2]:
                return self._published.popleft()
        return heapq.heappop(self._placed)[3]
