"""A book told event by event: the same decisions and fills as by the kernels, each event as a live feed has it."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from bench.l2 import LOTS_A_TICK, SIZE_LOTS, STEP_NS, drawn_rows, fills_of, quoting

from flatbook.domain.errors import BadInputError, ConfigurationError
from flatbook.domain.events import Event, Fill, OrderAccepted, OrderCancelled, OrderRejected, TopOfBook, TradePrint
from flatbook.kernels import l2_layout as at
from flatbook.kernels.l2 import advance, cancel, submit
from flatbook.sim.books.feed import BookFeed, BookListing
from flatbook.sim.books.tape import BookTape, BookTerms, book_tape

LISTING = BookListing("binance", "BTC-PERPETUAL", "BTC", 0.1, 100.0, True, 0.0002, 0.0005)


@pytest.fixture(scope="module")
def tape() -> BookTape:
    return book_tape(drawn_rows(4_000))


class Maker:
    """The strategy of `bench.l2`, from events alone."""

    def __init__(self, feed: BookFeed) -> None:
        self.feed = feed
        self.heard: list[Event] = []
        self.top: TopOfBook | None = None
        self.held = 0
        self.ours: dict[int, tuple[str, int]] = {}
        self.open: set[str] = set()
        self.done: set[str] = set()

    def run(self, until_ns: int) -> None:
        look_ns = self.feed.now_ns + STEP_NS
        while look_ns <= until_ns:
            for event in self.feed.events(look_ns):
                self.hear(event)
            self.look()
            look_ns += STEP_NS

    def hear(self, event: Event) -> None:
        self.heard.append(event)
        match event:
            case TopOfBook():
                self.top = event
            case OrderAccepted(order_id=number):
                self.open.add(number)
            case OrderCancelled(order_id=number) | OrderRejected(order_id=number):
                self.done.add(number)
            case Fill():
                self.held += event.side * event.size_lots
                self.done.add(event.order_id)  # filled whole

    def look(self) -> None:
        for side in (1, -1):
            if self.top is None:
                return
            best = self.top.bid if side > 0 else self.top.ask
            known = not math.isnan(self.top.bid + self.top.ask)
            wanted = round(best / LISTING.tick) - side * (max(side * self.held, 0) // LOTS_A_TICK) if known else 0
            if side in self.ours:
                number, price_ticks = self.ours[side]
                if number in self.done:
                    del self.ours[side]
                elif number in self.open and price_ticks != wanted:
                    self.feed.cancel(number)
            if side not in self.ours and known:
                self.ours[side] = (self.feed.place(side, wanted, SIZE_LOTS, at.POST_ONLY), wanted)


def test_a_maker_that_hears_events_is_filled_as_one_that_reads_arrays(tape: BookTape) -> None:
    replay = tape.replay(BookTerms())
    quoting(advance, submit, cancel)(replay, STEP_NS, SIZE_LOTS, LOTS_A_TICK)
    maker = Maker(BookFeed(tape, BookTerms(), LISTING))
    maker.run(int(replay.cursor[at.NOW_NS]))
    assert len(fills_of(replay)) > 30
    fills = [event for event in maker.heard if isinstance(event, Fill)]
    ours = sorted((fill.exch_ts_ns, fill.price_ticks - tape.base_ticks, fill.side) for fill in fills)
    np.testing.assert_array_equal(sorted(ours, key=lambda row: (row[0], row[2])), fills_of(replay)[: len(ours)])
    assert len(ours) >= len(fills_of(replay)) - 2  # those heard after the last look
    assert [e.local_ts_ns for e in maker.heard] == sorted(e.local_ts_ns for e in maker.heard)


def test_events_say_what_was_recorded(tape: BookTape) -> None:
    feed = BookFeed(tape, BookTerms(), LISTING)
    heard = list(feed.events(int(tape.local_ts_ns.max())))
    prints = [event for event in heard if isinstance(event, TradePrint)]
    rows = [int(row) for row in tape.heard if tape.what[row] in (at.BUY_PRINT, at.SELL_PRINT)]
    assert [event.trade_id for event in prints] == [str(row) for row in rows]
    assert [event.local_ts_ns for event in prints] == tape.local_ts_ns[rows].tolist()
    assert [round(event.price / 0.1) for event in prints] == (tape.tick[rows] + tape.base_ticks).tolist()
    tops = [event for event in heard if isinstance(event, TopOfBook)]
    assert all(top.bid < top.ask for top in tops if not math.isnan(top.bid + top.ask))
    assert tops[-1].bid_amount == 100 * feed.replay.depth[at.KNOWN_BIDS, feed.replay.cursor[at.KNOWN_BID]]


def _to_the_end(feed: BookFeed, tape: BookTape) -> Iterator[Event]:
    return (
        event for event in feed.events(int(tape.local_ts_ns.max())) if not isinstance(event, TopOfBook | TradePrint)
    )


def test_each_way_an_order_ends_is_an_event(tape: BookTape) -> None:
    feed = BookFeed(tape, BookTerms(is_partial=True), LISTING)
    list(feed.events(feed.now_ns + STEP_NS))
    bid, ask = (int(feed.replay.cursor[k]) + tape.base_ticks for k in (at.KNOWN_BID, at.KNOWN_ASK))
    through = feed.place(1, ask + 30, 1, at.POST_ONLY)
    away = feed.place(1, bid - 30, 1, at.IMMEDIATE_OR_CANCEL)
    takes = feed.place(1, ask + 30, 2, at.GOOD_TIL_CANCELLED)
    ends = {event.order_id: event for event in _to_the_end(feed, tape) if not isinstance(event, OrderAccepted)}  # type: ignore[attr-defined]
    assert isinstance(ends[through], OrderRejected)
    assert isinstance(ends[away], OrderCancelled)
    fill = ends[takes]
    assert isinstance(fill, Fill)
    assert not fill.is_maker
    assert fill.fee_units == round(fill.size_lots * 100 / (fill.price_ticks * 0.1) * 0.0005 * 1e8)


def test_what_cannot_be_ordered_is_refused(tape: BookTape) -> None:
    feed = BookFeed(tape, BookTerms(), LISTING, orders=1)
    with pytest.raises(BadInputError, match="beyond what was recorded"):
        feed.place(1, 10, 1, at.POST_ONLY)
    feed.place(1, tape.base_ticks + 5, 1, at.POST_ONLY)
    with pytest.raises(BadInputError, match="room for 1 orders; give it more"):
        feed.place(1, tape.base_ticks + 5, 1, at.POST_ONLY)
    with pytest.raises(ConfigurationError, match="must be above zero"):
        BookListing("v", "x", "BTC", 0.0, 1.0, True)
