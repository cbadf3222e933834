"""Books put together from their changes: equal to the venue's while nothing is missed, and gone as soon as it is."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from flatbook.venues.deribit.client_book import AssembledBook, Taken
from flatbook.venues.deribit.codec import Codec, Notification
from flatbook.venues.deribit.codec_messages import BookUpdate, Level
from tests.service.exchange.desk import PERPETUAL, Caller, Desk
from tests.venues.deribit.recordings import recorded_messages

Steps = list[tuple[int, int]]
ONE_CONNECTION = 136
"""The first messages are of one connection, in their order; the others are of many days."""


def _updates(steps: Steps) -> tuple[list[BookUpdate], list[dict[float, float]]]:
    """A venue's tellings of bids that take these amounts at these prices, and the bids after each."""
    bids: dict[float, float] = {}
    updates = [BookUpdate(timestamp=0, instrument_name="X", change_id=10, bids=[], asks=[], type="snapshot")]
    after: list[dict[float, float]] = [{}]
    for number, (price, amount) in enumerate(steps):
        level: Level = ("new", price, amount)
        if amount:
            level = ("change" if price in bids else "new", price, amount)
            bids[price] = amount
        else:
            level = ("delete", price, 0.0)
            bids.pop(price, None)
        last = updates[-1].change_id
        updates.append(
            BookUpdate(timestamp=0, instrument_name="X", change_id=last + 1 + number % 3, bids=[level], asks=[],
                       type="change", prev_change_id=last)
        )  # fmt: skip
        after.append(dict(bids))
    return updates, after


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=30),
    st.lists(st.sampled_from(["take", "take", "take", "drop", "twice"]), min_size=31, max_size=31),
)
def test_a_book_is_the_venues_or_none(steps: Steps, fates: list[str]) -> None:
    updates, after = _updates(steps)
    book, missed = AssembledBook("X"), False
    for update, bids, fate in zip(updates, after, fates, strict=False):
        if fate == "drop":
            missed = True
            continue
        taken = book.take(update)
        if fate == "twice" and taken is Taken.APPLIED and not update.is_snapshot:
            assert book.take(update) is Taken.OLD
        assert taken is (Taken.GAP if missed else Taken.APPLIED)
        assert book.bids == ({} if missed else bids)
        assert book.is_whole is not missed


def test_a_snapshot_mends_a_gap_and_the_gap_is_counted() -> None:
    updates, after = _updates([(1, 1), (2, 2), (3, 3)])
    book = AssembledBook("X")
    assert book.take(updates[1]) is Taken.GAP
    assert [book.take(updates[number]) for number in (0, 1, 3)] == [Taken.APPLIED, Taken.APPLIED, Taken.GAP]
    assert (book.gaps, book.best()) == (1, (None, None))
    whole: list[Level] = [("new", price, amount) for price, amount in after[3].items()]
    fresh = BookUpdate(timestamp=0, instrument_name="X", change_id=99, bids=whole, asks=[], type="snapshot")
    assert book.take(fresh) is Taken.APPLIED
    assert (book.bids, book.gaps) == (after[3], 1)


def test_recorded_books_follow_each_other_without_a_gap_and_never_cross() -> None:
    books: dict[str, AssembledBook] = defaultdict(lambda: AssembledBook(""))
    taken = []
    for raw in recorded_messages()[:ONE_CONNECTION]:
        told = Codec().decode(raw)
        if isinstance(told, Notification) and isinstance(told.data, BookUpdate):
            book = books[told.data.instrument_name]
            taken.append(book.take(told.data))
            bid, ask = book.best()
            assert bid is None or ask is None or bid < ask
    assert len(taken) > 40
    assert set(taken) == {Taken.APPLIED}


def test_the_simulated_exchanges_book_is_put_together_as_it_stands() -> None:
    desk, book = Desk(), AssembledBook(PERPETUAL)
    alice = Caller(desk, "alice")
    alice("private/subscribe", channels=[f"book.{PERPETUAL}.raw"])
    for spread in range(5, 0, -1):
        desk.quote(PERPETUAL, 160_000 - spread, 160_000 + spread, 10 * spread)
    alice("private/buy", instrument_name=PERPETUAL, amount=150, price=80_002.0, label="a")
    for raw in alice.session.outbox:
        told = Codec().decode(raw)
        if isinstance(told, Notification):
            assert book.take(told.data) is Taken.APPLIED
    shown = alice("public/get_order_book", instrument_name=PERPETUAL, depth=20)
    assert sorted(book.bids.items(), reverse=True) == [tuple(level) for level in shown["bids"]]
    assert sorted(book.asks.items()) == [tuple(level) for level in shown["asks"]]


def test_a_snapshot_of_before_does_not_take_a_whole_book_back() -> None:
    updates, after = _updates([(1, 5), (2, 7), (1, 0)])
    book = AssembledBook("X")
    taken = [book.take(update) for update in [*updates, updates[0]]]
    assert taken == [Taken.APPLIED] * 4 + [Taken.OLD]
    assert book.bids == after[-1]
    book.lose()
    assert book.take(updates[0]) is Taken.APPLIED
