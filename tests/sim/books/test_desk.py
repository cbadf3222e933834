"""Orders routed into a replayed book: filled as the same orders given to the replay itself, and told in our order."""

from collections import Counter

import msgspec
import pytest

from flatbook.domain.events import AnyEvent, Fill, IndexTick, OrderAccepted, OrderCancelled, OrderRejected, TopOfBook
from flatbook.domain.intents import OrderIntent, Purpose, TimeInForce
from flatbook.engine.effects import Effects, Order
from flatbook.kernels import l2_layout as at
from flatbook.sim.books.desk import BookDesk
from flatbook.sim.books.feed import BookFeed, BookListing
from flatbook.sim.books.tape import BookTape, BookTerms, book_tape
from flatbook.sim.exchange import RecordedVenue
from flatbook.venues.deribit import load_reference

from .drawn import PERPETUAL, STEP_NS, drawn_book, walk_usd

NAME = "BTC-PERPETUAL"
LISTING = BookListing("binance", NAME, "BTC", 0.1, 100.0, True, 0.0002, 0.0005)
TERMS = BookTerms(is_partial=True)
START_NS = 1_700_000_000_000_000_000
STEPS = 600


@pytest.fixture(scope="module")
def tape() -> BookTape:
    return book_tape(drawn_book(PERPETUAL, NAME, walk_usd(STEPS, 3), START_NS, 4).drop("instrument"))


def ticks(every: int = 1) -> list[IndexTick]:
    """An index that ticks between the rows of the book."""
    moments = [START_NS + step * STEP_NS + 7_777_777 for step in range(1, STEPS, every)]
    return [IndexTick(exch_ts_ns=now, local_ts_ns=now, underlying="BTC", price_usd=60_000.0) for now in moments]


def venue_of(tape: BookTape, events: list[IndexTick]) -> RecordedVenue:
    """A recorded market whose perpetual trades in the book, until the market ends."""
    desk = BookDesk(BookFeed(tape, TERMS, LISTING), int(tape.local_ts_ns.max()))
    return RecordedVenue(events, load_reference(), book=desk)


def order(number: int, side: int, limit_ticks: int, lots: int, tif: TimeInForce, name: str = NAME) -> Order:
    intent = OrderIntent(
        instrument=name, side=side, limit_ticks=limit_ticks, size_lots=lots, time_in_force=tif, purpose=Purpose.HEDGE,
        reason="test",
    )  # fmt: skip
    return Order(f"h{number}", intent)


def sendings(tape: BookTape, moments: list[int]) -> dict[int, Order]:
    """An order at each of `moments`: takers that reach through some levels, and makers at a touch of long ago."""
    feed, sent = BookFeed(tape, TERMS, LISTING), dict[int, Order]()
    for number, now_ns in enumerate(moments):
        list(feed.events(now_ns))
        bid, ask = (int(feed.replay.cursor[k]) + tape.base_ticks for k in (at.KNOWN_BID, at.KNOWN_ASK))
        side, takes = 1 - 2 * (number % 2), number % 3 < 2
        touch = ask if (side > 0) == takes else bid
        tif = TimeInForce.IOC if takes else TimeInForce.GTC
        sent[now_ns] = order(number, side, touch + 15 * side * takes, 150 + 10 * number, tif)
    return sent


def through_the_venue(tape: BookTape, sent: dict[int, Order]) -> list[AnyEvent]:
    venue, heard = venue_of(tape, ticks()), []
    for event in venue.events():
        heard.append(event)
        if event.local_ts_ns in sent and isinstance(event, IndexTick):
            venue.submit(Effects(event.local_ts_ns, orders=(sent[event.local_ts_ns],)))
    return heard


def test_orders_are_filled_as_the_same_orders_given_to_the_replay_itself(tape: BookTape) -> None:
    moments = [START_NS + step * STEP_NS + 7_777_777 for step in range(20, STEPS - 20, 12)]
    sent = sendings(tape, moments)
    heard = through_the_venue(tape, sent)
    feed, direct = BookFeed(tape, TERMS, LISTING), []
    for now_ns, one in sent.items():
        direct += list(feed.events(now_ns))
        kind = at.IMMEDIATE_OR_CANCEL if one.intent.time_in_force is TimeInForce.IOC else at.GOOD_TIL_CANCELLED
        assert feed.place(one.intent.side, one.intent.limit_ticks, one.intent.size_lots, kind) == one.order_id[1:]
        assert feed.now_ns == now_ns
    direct += list(feed.events(int(tape.local_ts_ns.max())))
    told = [event for event in heard if not isinstance(event, IndexTick)]
    assert [_by_number(event) for event in told] == direct
    fills = [event for event in told if isinstance(event, Fill)]
    assert {fill.is_maker for fill in fills} == {True, False}
    levels = Counter(fill.order_id for fill in fills if not fill.is_maker)
    assert levels.most_common(1)[0][1] > 1, "no order took level by level"


def _by_number(event: AnyEvent) -> AnyEvent:
    order_id = getattr(event, "order_id", None)
    return event if order_id is None else msgspec.structs.replace(event, order_id=order_id.removeprefix("h"))


def test_all_is_heard_in_local_order(tape: BookTape) -> None:
    moments = [START_NS + step * STEP_NS + 7_777_777 for step in (30, 60)]
    heard = through_the_venue(tape, {now_ns: order(0, 1, 610_000, 5, TimeInForce.IOC) for now_ns in moments[:1]})
    times = [event.local_ts_ns for event in heard]
    assert times == sorted(times)
    assert [event for event in heard if isinstance(event, IndexTick)] == ticks()


def test_what_is_not_for_the_book_is_answered_beside_it_in_the_time_that_takes(tape: BookTape) -> None:
    """The market beside is silent for a minute: an order that answers the book's news does not wait for its word."""
    venue, answers, sent_ns = venue_of(tape, ticks(every=300)), [], 0
    for event in venue.events():
        if isinstance(event, TopOfBook) and not sent_ns and event.local_ts_ns > START_NS + 20 * STEP_NS:
            sent_ns = event.local_ts_ns
            venue.submit(Effects(sent_ns, orders=(order(0, 1, 600_000, 5, TimeInForce.IOC, "ETH-PERPETUAL"),)))
        elif isinstance(event, OrderRejected):
            answers.append(event)
    assert [event.order_id for event in answers] == ["h0"]
    assert 10_000_000 <= answers[0].exch_ts_ns - sent_ns < 50_000_000
    assert 5_000_000 <= answers[0].local_ts_ns - answers[0].exch_ts_ns < 30_000_000


def test_an_order_pulled_before_it_is_known_to_rest_is_pulled_when_it_is(tape: BookTape) -> None:
    venue = venue_of(tape, ticks())
    answers, is_sent = [], False
    for event in venue.events():
        if isinstance(event, IndexTick) and not is_sent:
            resting = order(0, 1, round(tape.base_ticks * 1.02), 5, TimeInForce.GTC)
            venue.submit(Effects(event.local_ts_ns, orders=(resting,)))
            venue.submit(Effects(event.local_ts_ns, cancels=("h0",)))
            is_sent = True
        elif isinstance(event, OrderAccepted | OrderCancelled | OrderRejected | Fill):
            answers.append(event)
    assert [type(event) for event in answers] == [OrderAccepted, OrderCancelled]
    assert answers[1].local_ts_ns - answers[0].local_ts_ns == TERMS.entry_ns + TERMS.response_ns
