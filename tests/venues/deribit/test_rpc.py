"""Deribit's wire: requests read, answers written as recorded, channels by name, credits as they fill."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.units import NS_PER_SECOND
from flatbook.venues.deribit.channels import parse_channel
from flatbook.venues.deribit.credits import Credits, load_limits
from flatbook.venues.deribit.rpc import (
    Code,
    RpcError,
    decode_request,
    encode_error,
    encode_notification,
    encode_result,
)


def test_a_request_is_read_and_what_is_none_is_refused_by_its_code() -> None:
    request = decode_request('{"jsonrpc":"2.0","id":7,"method":"public/test","params":{"a":1}}')
    assert (request.id, request.method, request.params) == (7, "public/test", {"a": 1})
    assert decode_request(b'{"method":"public/get_time"}').params == {}
    for raw, code in (("{", Code.PARSE_ERROR), ("[]", Code.INVALID_REQUEST), ('{"id":1}', Code.INVALID_REQUEST)):
        with pytest.raises(RpcError) as caught:
            decode_request(raw)
        assert caught.value.code is code


def test_answers_have_the_venues_form() -> None:
    assert json.loads(encode_result(1, {"a": 1}, 10, 25)) == {
        "jsonrpc": "2.0", "id": 1, "result": {"a": 1}, "usIn": 10, "usOut": 25, "usDiff": 15, "testnet": True,
    }  # fmt: skip
    error = json.loads(encode_error(None, RpcError(Code.INVALID_PARAMS, "must be a number", "amount"), 1, 1))
    assert "id" not in error
    assert error["error"] == {
        "code": -32602, "message": "Invalid params", "data": {"reason": "must be a number", "param": "amount"},
    }  # fmt: skip
    told = json.loads(encode_notification("quote.BTC-PERPETUAL", {"x": 1}))
    assert told["params"] == {"channel": "quote.BTC-PERPETUAL", "data": {"x": 1}}


@pytest.mark.parametrize(
    ("name", "sort", "part", "text"),
    [
        ("book.BTC-PERPETUAL.raw", "book", "interval", "raw"),
        ("book.BTC_USDC-PERPETUAL.none.10.100ms", "grouped_book", "depth", "10"),
        ("book.BTC-27SEP24-60000-C.5.20.100ms", "grouped_book", "group", "5"),
        ("ticker.BTC-27SEP24-60000-C.agg2", "ticker", "instrument", "BTC-27SEP24-60000-C"),
        ("trades.option.BTC.raw", "trades_of_kind", "kind", "option"),
        ("trades.XRP_USDC-27SEP24-0d48-C.100ms", "trades", "instrument", "XRP_USDC-27SEP24-0d48-C"),
        ("quote.BTC_USDC", "quote", "instrument", "BTC_USDC"),
        ("deribit_price_index.btc_usd", "index", "index_name", "btc_usd"),
        ("user.orders.any.any.raw", "user_of_kind", "topic", "orders"),
        ("user.changes.BTC-PERPETUAL.100ms", "user", "topic", "changes"),
        ("user.portfolio.btc", "user_portfolio", "currency", "btc"),
        ("user.mmp_trigger.btc_usd", "user_mmp", "index_name", "btc_usd"),
        ("block_rfq.maker.any", "user_rfq", "topic", "maker"),
        ("chart.trades.BTC-PERPETUAL.1", "chart", "resolution", "1"),
    ],
)
def test_a_channel_is_known_by_its_name(name: str, sort: str, part: str, text: str) -> None:
    channel = parse_channel(name)
    assert channel is not None
    assert (channel.sort, getattr(channel, part)) == (sort, text)
    assert channel.is_private == name.startswith(("user", "block_rfq"))


@pytest.mark.parametrize("name", ["", "book", "book.BTC-PERPETUAL", "book.BTC-PERPETUAL.7ms", "user.orders.x", "a.b.c"])
def test_what_is_no_channel_is_none(name: str) -> None:
    assert parse_channel(name) is None


@given(st.lists(st.integers(0, 2 * NS_PER_SECOND), min_size=1, max_size=60))
def test_no_span_pays_for_more_than_the_burst_and_what_flowed_in(gaps_ns: list[int]) -> None:
    limits, purse, now_ns = load_limits().matching, Credits(), 0
    paid = []
    for gap_ns in gaps_ns:
        now_ns += gap_ns
        if purse.spend(now_ns, "private/buy"):
            paid.append(now_ns)
    for first, start_ns in enumerate(paid):
        for number, end_ns in enumerate(paid[first:], 1):
            assert number <= limits.most + limits.per_s * (end_ns - start_ns) / NS_PER_SECOND + 1e-6


def test_a_burst_is_paid_for_and_no_more_and_pools_are_apart() -> None:
    purse = Credits()
    assert [purse.spend(0, "private/buy") for _ in range(21)] == [True] * 20 + [False]
    assert purse.spend(0, "private/get_positions")
    assert purse.spend(NS_PER_SECOND // 5, "private/cancel"), "a fifth of a second is one request"
    assert not purse.spend(NS_PER_SECOND // 5, "private/cancel")


def test_a_log_of_many_pages_is_read_a_page_a_second_once_the_burst_is_spent() -> None:
    purse, at_once = Credits(), 0
    while purse.spend(0, "private/get_transaction_log"):
        at_once += 1
    assert at_once == 5
    assert [purse.spend(second * NS_PER_SECOND, "private/get_transaction_log") for second in (1, 1, 2)] == [
        True, False, True,
    ]  # fmt: skip
