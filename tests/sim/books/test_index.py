"""The index of a recorded book is its middle, whenever that changes and both sides are shown."""

import itertools

import polars as pl
import pytest

from flatbook.domain.events import TopOfBook
from flatbook.kernels import l2_layout as at
from flatbook.sim.books.feed import BookFeed, BookListing
from flatbook.sim.books.index import index_ticks
from flatbook.sim.books.tape import BookTerms, book_tape

from .drawn import SPOT, drawn_book, walk_usd

LISTING = BookListing("binance", "BTC_USDT", "BTC", 0.01, 0.001, False)
START_NS = 1_700_000_000_000_000_000


def feed_of(rows: pl.DataFrame) -> BookFeed:
    return BookFeed(book_tape(rows.drop("instrument")), BookTerms(), LISTING, orders=1)


def test_ticks_are_the_middles_of_the_best_prices() -> None:
    mids = walk_usd(200, 5)
    rows = drawn_book(SPOT, "BTC_USDT", mids, START_NS, 6)
    until_ns = int(rows["local_ts_ns"].max())  # type: ignore[arg-type]
    ticks = list(index_ticks(feed_of(rows), "BTC", until_ns))
    tops = [event for event in feed_of(rows).events(until_ns) if isinstance(event, TopOfBook)]
    middle = {(top.exch_ts_ns, top.local_ts_ns): 0.5 * (top.bid + top.ask) for top in tops if top.bid < top.ask}
    assert all(middle[tick.exch_ts_ns, tick.local_ts_ns] == tick.price_usd for tick in ticks)
    assert all(after.price_usd != before.price_usd for before, after in itertools.pairwise(ticks))
    assert ticks[-1].price_usd == pytest.approx(mids[-1], abs=0.01)


def test_a_book_without_two_sides_gives_no_tick() -> None:
    rows = drawn_book(SPOT, "BTC_USDT", walk_usd(20, 5), START_NS, 6)
    bids = rows.filter(pl.col("what") == at.BID)
    assert not list(index_ticks(feed_of(bids), "BTC", 2**62))
