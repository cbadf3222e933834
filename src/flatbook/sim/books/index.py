"""An index read off a recorded book: its middle, at each change of it."""

from collections.abc import Iterator

from flatbook.domain.events import IndexTick, TopOfBook
from flatbook.sim.books.feed import BookFeed


def index_ticks(feed: BookFeed, underlying: str, until_ns: int) -> Iterator[IndexTick]:
    """Ticks on both clocks of the book, while it shows two sides that do not cross, up to `until_ns`."""
    last_usd = 0.0
    for event in feed.events(until_ns):
        if not (isinstance(event, TopOfBook) and event.bid < event.ask):
            continue
        price_usd = 0.5 * (event.bid + event.ask)
        if price_usd != last_usd:
            last_usd = price_usd
            yield IndexTick(
                exch_ts_ns=event.exch_ts_ns,
                local_ts_ns=event.local_ts_ns,
                underlying=underlying,
                price_usd=price_usd,
            )
