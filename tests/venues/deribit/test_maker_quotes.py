"""Quotes on their way: what is sent, when, and what it leaves at the venue."""

import msgspec
import numpy as np

from flatbook.engine.effects import QuoteChanges
from flatbook.venues.deribit import load_reference
from flatbook.venues.deribit.codec_own import OwnOrder
from flatbook.venues.deribit.codec_requests import QuoteSide
from flatbook.venues.deribit.maker_quotes import Batch, QuoteLine
from flatbook.venues.deribit.maker_terms import LABEL
from tests.service.exchange.desk import CALL


def _line() -> QuoteLine:
    line = QuoteLine()
    line.list_instrument(0, load_reference().instrument(CALL))
    return line


def _wish(line: QuoteLine, number: int, *quote: int) -> None:
    row, bid_ticks, bid_lots, ask_ticks, ask_lots = (np.array([each]) for each in (0, *quote))
    line.wish(QuoteChanges(row, bid_ticks, bid_lots, ask_ticks, ask_lots, number))


def _order(state: str, filled: float, order_id: str = "1", direction: str = "sell") -> OwnOrder:
    known = {
        "order_id": order_id, "order_state": state, "order_type": "limit", "instrument_name": CALL, "price": 0.05,
        "direction": direction, "amount": 1.0, "filled_amount": filled, "creation_timestamp": 1, "quote": True,
        "last_update_timestamp": 1, "quote_set_id": LABEL,
    }  # fmt: skip
    return msgspec.convert(known, OwnOrder)


def test_a_quote_that_traded_in_part_is_taken_away_and_then_quoted_whole() -> None:
    line = _line()
    _wish(line, 1, 480, 10, 520, 10)
    first = line.next_batch(9)
    assert first is not None
    line.sent(1, first)
    line.answered(1, [])
    assert line.acknowledge() == 1
    line.saw([_order("open", 0.3)])
    _wish(line, 2, 480, 10, 520, 10)
    sent = []
    for request_id in (2, 3):
        batch = line.next_batch(9)
        assert batch is not None
        sent.append(batch.entries[0])
        line.sent(request_id, batch)
        assert line.next_batch(9) is None, "a row is under way once"
        line.answered(request_id, [])
        assert line.acknowledge() == (None if request_id == 2 else 2)
    assert [each.bid for each in sent] == [QuoteSide(0.048, 1.0)] * 2
    assert [each.ask for each in sent] == [QuoteSide(0.052, 0.0), QuoteSide(0.052, 1.0)]


def test_one_that_has_ended_since_is_quoted_at_once() -> None:
    line = _line()
    line.saw([_order("open", 0.3), _order("filled", 1.0, "2"), _order("filled", 1.0)])
    _wish(line, 1, 480, 10, 520, 10)
    batch = line.next_batch(9)
    assert batch is not None
    assert batch.entries[0].ask == QuoteSide(0.052, 1.0)


def _rests(direction: str, price: float, amount: float = 1.0, state: str = "open") -> OwnOrder:
    return msgspec.structs.replace(_order(state, 0.0, direction, direction), price=price, amount=amount)


def _sent(line: QuoteLine, number: int, *quote: int) -> Batch | None:
    _wish(line, number, *quote)
    batch = line.next_batch(9)
    if batch is not None:
        line.sent(number, batch)
    return batch


def test_a_side_that_rests_as_it_is_wished_is_not_named_again() -> None:
    line = _line()
    assert _sent(line, 1, 480, 10, 520, 10) is not None
    line.answered(1, [], [_rests("buy", 0.048), _rests("sell", 0.0525)])  # post-only: the ask rests one step away
    both = _sent(line, 2, 480, 10, 520, 10)
    assert both is not None
    assert (both.entries[0].bid, both.entries[0].ask) == (None, QuoteSide(0.052, 1.0))
    line.answered(2, [], [_rests("sell", 0.052)])
    assert _sent(line, 3, 480, 10, 520, 10) is None
    assert line.acknowledge() == 3, "what need not be sent is done"
    line.doubt()
    assert _sent(line, 4, 480, 10, 520, 10) is not None


def test_an_answer_that_comes_after_the_news_that_a_side_is_gone_does_not_bring_it_back() -> None:
    line = _line()
    assert _sent(line, 1, 480, 10, 520, 10) is not None
    line.saw([_rests("buy", 0.048, state="cancelled")])
    line.answered(1, [], [_rests("buy", 0.048), _rests("sell", 0.052)])
    again = _sent(line, 2, 480, 10, 520, 10)
    assert again is not None
    assert (again.entries[0].bid, again.entries[0].ask) == (QuoteSide(0.048, 1.0), None)
