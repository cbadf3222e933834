import math
from typing import get_args

import msgspec
import pytest

from flatbook.domain import events
from flatbook.domain.events import AnyEvent, ChainQuotes, Delivery, Event, Fill, QuoteRow, TopOfBook, TradePrint

CLOCKS = {"exch_ts_ns": 1_743_359_100_000_000_000, "local_ts_ns": 1_743_359_100_000_000_001}
FILL = Fill(
    **CLOCKS,
    venue="deribit",
    trade_id="357234172",
    order_id="q-17",
    instrument="BTC-28MAR25-80000-C",
    side=-1,
    price_ticks=525,
    size_lots=23,
    fee_units=-7,
    is_maker=True,
)


@pytest.mark.parametrize(
    "event",
    [
        FILL,
        Delivery(**CLOCKS, underlying="BTC", expiry_ns=1_743_148_800_000_000_000, price_usd=87_123.45),
        ChainQuotes(
            **CLOCKS, underlying="BTC", rows=(QuoteRow("BTC-28MAR25-80000-C", 0.05, 0.06, 0.5, 0.6, 0.55, 8e4),)
        ),
    ],
)
def test_an_event_is_the_same_after_the_journal(event: AnyEvent) -> None:
    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=AnyEvent)
    assert decoded == event
    assert type(decoded) is type(event)


def test_a_missing_mark_stays_missing() -> None:
    trade = TradePrint(
        **CLOCKS,
        instrument="BTC-28MAR25-80000-C",
        trade_id="1",
        taker_side=1,
        price=0.05,
        size_lots=1,
        mark_price=math.nan,
        iv=math.nan,
        index_usd=82_000.0,
        off_book=False,
    )
    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(trade), type=AnyEvent)
    assert isinstance(decoded, TradePrint)
    assert math.isnan(decoded.mark_price)
    assert math.isnan(decoded.iv)


def test_nothing_changes_an_event() -> None:
    with pytest.raises(AttributeError):
        FILL.size_lots = 1  # type: ignore[misc]


def test_every_event_has_its_own_tag_and_is_one_of_any_event() -> None:
    defined = {
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
    }
    assert defined == set(get_args(AnyEvent))
    tags = {kind.__struct_config__.tag for kind in defined}
    assert len(tags) == len(defined)
    assert None not in tags


@pytest.mark.parametrize(
    ("bid", "ask", "mark", "mid"),
    [(99.0, 101.0, 98.0, 100.0), (math.nan, 101.0, 98.0, 98.0), (99.0, math.nan, 98.0, 98.0)],
)
def test_a_book_with_one_side_is_worth_its_mark(bid: float, ask: float, mark: float, mid: float) -> None:
    top = TopOfBook(
        **CLOCKS, instrument="BTC-PERPETUAL", bid=bid, ask=ask, bid_amount=1.0, ask_amount=1.0, mark_price=mark
    )
    assert top.mid == mid
    assert math.isnan(msgspec.structs.replace(top, ask=math.nan, mark_price=math.nan).mid)
