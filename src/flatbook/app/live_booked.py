"""What a live run's events have booked: whoever goes on with it asks the venue for what came after."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from flatbook.domain.events import AnyEvent, DailySettlement, Delivery, Fill, FundingPaid


@dataclass(slots=True)
class Booked:
    """Trade ids, the venue's time of the last payment or trade, of the last payment, and of the last session that ended
    or delivery; 0 where there was none."""

    trade_ids: set[str] = field(default_factory=set)
    until_ns: int = 0
    paid_ns: int = 0
    settled_ns: int = 0

    def take(self, event: AnyEvent) -> None:
        """One more event."""
        if isinstance(event, Fill):
            self.trade_ids.add(event.trade_id)
        if isinstance(event, FundingPaid):
            self.paid_ns = max(self.paid_ns, event.exch_ts_ns)
        if isinstance(event, Fill | FundingPaid):
            self.until_ns = max(self.until_ns, event.exch_ts_ns)
        elif isinstance(event, DailySettlement | Delivery):
            self.settled_ns = max(self.settled_ns, event.exch_ts_ns)


def booked(events: Iterable[AnyEvent]) -> Booked:
    """By these events."""
    books = Booked()
    for event in events:
        books.take(event)
    return books
