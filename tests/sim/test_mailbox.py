"""Events on their way: by local time, then by the order of `domain.events`."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.events import (
    AnyEvent,
    DailySettlement,
    Delivery,
    Fill,
    IndexTick,
    MarketEvent,
    TopOfBook,
    TradePrint,
)
from flatbook.sim.mailbox import NEVER_NS, Mailbox

from .builders import CALL, PERPETUAL, top


def tick(ns: int) -> IndexTick:
    return IndexTick(exch_ts_ns=ns, local_ts_ns=ns, underlying="BTC", price_usd=1.0)


def printed(ns: int) -> TradePrint:
    return TradePrint(
        exch_ts_ns=ns, local_ts_ns=ns, instrument=CALL, trade_id="", taker_side=1, price=0.01, size_lots=1,
        mark_price=0.01, iv=0.5, index_usd=1.0, off_book=False,
    )  # fmt: skip


def fill(ns: int, trade_id: str = "") -> Fill:
    return Fill(
        exch_ts_ns=ns, local_ts_ns=ns, venue="test", trade_id=trade_id, order_id="", instrument=CALL, side=1,
        price_ticks=1, size_lots=1, fee_units=0, is_maker=True,
    )  # fmt: skip


def emptied(mailbox: Mailbox) -> list[AnyEvent]:
    heard = []
    while mailbox.next_ns < NEVER_NS:
        heard.append(mailbox.pop())
    return heard


def test_at_one_moment_events_come_in_the_order_of_the_domain() -> None:
    mailbox = Mailbox()
    settled = DailySettlement(exch_ts_ns=5, local_ts_ns=5, instrument=PERPETUAL, price_usd=1.0)
    delivered = Delivery(exch_ts_ns=5, local_ts_ns=5, underlying="BTC", expiry_ns=5, price_usd=1.0)
    shown = msgspec.structs.replace(top(0), exch_ts_ns=5, local_ts_ns=5)
    for market in (tick(5), shown, printed(5)):
        mailbox.publish(market)
    for placed in (fill(5), delivered, settled):
        mailbox.place(placed)
    heard = emptied(mailbox)
    assert [type(event) for event in heard] == [IndexTick, TopOfBook, DailySettlement, Delivery, Fill, TradePrint]


def test_a_recording_keeps_its_own_order_at_one_moment() -> None:
    mailbox = Mailbox()
    recorded: list[MarketEvent] = [tick(5), printed(5), tick(5), printed(5)]
    for event in recorded:
        mailbox.publish(event)
    assert emptied(mailbox) == recorded


def test_answers_of_one_moment_keep_their_order() -> None:
    mailbox = Mailbox()
    answers = [fill(5, f"{number}") for number in range(20)]
    for answer in answers:
        mailbox.place(answer)
    assert emptied(mailbox) == answers


@given(st.lists(st.integers(0, 9)), st.lists(st.integers(0, 9)))
def test_everything_leaves_once_and_in_time_order(published: list[int], placed: list[int]) -> None:
    mailbox = Mailbox()
    for ns in sorted(published):
        mailbox.publish(tick(ns))
    for ns in placed:
        mailbox.place(fill(ns))
    heard = emptied(mailbox)
    assert [event.local_ts_ns for event in heard] == sorted(published + placed)
    assert sum(isinstance(event, Fill) for event in heard) == len(placed)
