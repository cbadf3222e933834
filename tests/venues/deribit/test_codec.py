"""Messages as recorded come out typed and whole; what is new is counted, what is missing is named."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.venues.deribit.codec import Answer, Codec, Heartbeat, Notification, data_type, result_of
from flatbook.venues.deribit.codec_messages import BookUpdate, GroupedBook, Quote, Ticker, Trade
from flatbook.venues.deribit.codec_own import Grant, OwnOrder, OwnTrade, Portfolio
from flatbook.venues.deribit.rpc import Code, RpcError, encode_error, encode_heartbeat, encode_notification
from tests.service.exchange.desk import CALL, PERPETUAL, Caller, Desk
from tests.venues.deribit.recordings import RAW, recorded_messages

QUOTE = {
    "timestamp": 1, "instrument_name": PERPETUAL, "best_bid_price": 1.5, "best_bid_amount": 10.0,
    "best_ask_price": 2.0, "best_ask_amount": 20.0,
}  # fmt: skip


def _differences(sent: Any, kept: Any, path: str = "$") -> Iterator[str]:
    """Where what was kept is not what was sent."""
    if isinstance(sent, dict) and isinstance(kept, dict):
        for name, value in sent.items():
            yield from _differences(value, kept.get(name, "nothing"), f"{path}.{name}")
    elif isinstance(sent, list) and len(sent) == len(kept):
        for number, value in enumerate(sent):
            yield from _differences(value, kept[number], f"{path}[{number}]")
    elif sent != kept:
        yield f"{path}: {sent!r} became {kept!r}"


def test_every_recorded_message_is_decoded_typed_and_nothing_of_it_is_lost() -> None:
    codec, kinds = Codec(), Counter[str]()
    for raw in recorded_messages():
        told, sent = codec.decode(raw), json.loads(raw)
        if isinstance(told, Notification):
            first = told.data[0] if isinstance(told.data, list) else told.data
            kinds[type(first).__name__] += 1
            assert not list(_differences(sent["params"]["data"], msgspec.to_builtins(told.data)))
        else:
            kinds[type(told).__name__] += 1
    assert not codec.unknown
    assert kinds == {
        "Ticker": 100, "BookUpdate": 52, "GroupedBook": 1, "Trade": 5, "Quote": 2, "VolatilityIndex": 1, "Candle": 1,
        "Answer": 2, "Heartbeat": 1,
    }  # fmt: skip


def test_recorded_answers_over_http_are_told_apart_from_errors() -> None:
    if not RAW.exists():
        pytest.skip("deribit-ws-raw is not beside the repository")
    answer = Codec().decode((RAW / "nautilus_deribit" / "http_get_time.json").read_bytes())
    assert isinstance(answer, Answer)
    assert result_of(answer, int) == 1_733_338_800_000
    trades = Codec().decode(
        (RAW / "nautilus_deribit" / "http_get_last_trades_perpetual_with_combo_tags.json").read_bytes()
    )
    assert isinstance(trades, Answer)
    assert {type(each.combo_id) for each in msgspec.convert(result_of(trades, dict)["trades"], list[Trade])} >= {str}


def test_the_order_of_fields_and_white_space_do_not_matter() -> None:
    usual = encode_notification(f"quote.{PERPETUAL}", QUOTE)
    spelt = json.dumps({"params": {"data": QUOTE, "channel": f"quote.{PERPETUAL}"}, "method": "subscription"}, indent=1)
    told = Codec().decode(usual)
    assert told == Codec().decode(spelt.encode())
    assert isinstance(told, Notification)
    assert told.data == msgspec.convert(QUOTE, Quote)


def test_unknown_fields_are_counted_by_path_at_any_depth_and_the_rest_is_taken() -> None:
    codec = Codec()
    trade = {
        "trade_seq": 1, "trade_id": "1", "timestamp": 1, "instrument_name": PERPETUAL, "direction": "buy", "price": 1.0,
        "amount": 10.0, "index_price": 1.0, "tick_direction": 0, "colour": {"red": 1},
    }  # fmt: skip
    for _ in range(3):
        told = codec.decode(encode_notification(f"trades.{PERPETUAL}.raw", [trade, trade]))
        assert isinstance(told, Notification)
        assert [each.trade_id for each in told.data] == ["1", "1"]
    codec.decode(b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"quote.X","label":1,"data":' +
                 json.dumps(QUOTE).encode() + b"}}")  # fmt: skip
    assert codec.unknown == {"trades: $.params.data[].colour": 6, "quote: $.params.label": 1}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (encode_notification("quote.X", {**QUOTE, "timestamp": "soon"}), r"\$\.params\.data\.timestamp"),
        (
            encode_notification("quote.X", {"timestamp": 1}),
            r"missing required field `instrument_name`.*params.data",
        ),
        (encode_notification("trades.X.raw", [{"trade_seq": 1, "colour": 1}]), r"missing .*params.data.0"),
        (b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"tick', "Deribit: message of 66 bytes"),
        (b"\xff\xfe", "Deribit: message of 2 bytes"),
        (b"[1]", "Expected `object`"),
    ],
)
def test_what_is_missing_or_of_another_type_is_an_error_with_its_path(raw: bytes, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        Codec().decode(raw)


def test_answers_errors_and_heartbeats() -> None:
    error = Codec().decode(encode_error(7, RpcError(Code.TOO_MANY_REQUESTS), 1, 2))
    assert isinstance(error, Answer)
    assert error.error is not None
    assert (error.id, error.error.code, error.usOut) == (7, 10028, 2)
    assert error.error.describe() == "10028 too_many_requests"
    assert Codec().decode(encode_heartbeat("test_request")) == Heartbeat("test_request")
    with pytest.raises(BadInputError, match="answer to request 3"):
        result_of(Answer(3, msgspec.Raw(b'"text"')), int)


def test_what_the_simulated_exchange_tells_is_known_to_the_last_field() -> None:
    desk, codec = Desk(), Codec()
    taker = Caller(desk, "alice")
    names = [
        f"ticker.{PERPETUAL}.raw", f"ticker.{CALL}.raw", f"book.{PERPETUAL}.raw", f"book.{PERPETUAL}.none.10.100ms",
        f"quote.{PERPETUAL}", f"trades.{PERPETUAL}.raw", f"perpetual.{PERPETUAL}.raw", "deribit_price_index.btc_usd",
        "user.orders.any.any.raw", "user.trades.any.any.raw", "user.portfolio.btc", "markprice.options.btc_usd",
    ]  # fmt: skip
    taker("private/subscribe", channels=names)
    desk.quote(PERPETUAL, 159_990, 160_010, 100)
    taker("private/buy", instrument_name=PERPETUAL, amount=200, price=80_005.0, label="a")
    desk.pass_time(2)
    told = [codec.decode(raw) for raw in taker.session.outbox]
    parts = [
        each.data if isinstance(each.data, list) else [each.data] for each in told if isinstance(each, Notification)
    ]
    seen = {type(item) for part in parts for item in part}
    assert {Ticker, BookUpdate, GroupedBook, Quote, Trade, OwnOrder, OwnTrade, Portfolio} <= seen
    assert not codec.unknown


def test_tokens_are_never_shown() -> None:
    raw = b'{"id":1,"result":{"access_token":"S3CRET","refresh_token":"S3CRET","expires_in":9,"scope":"x"}}'
    answer = Codec().decode(raw)
    assert isinstance(answer, Answer)
    assert "S3CRET" not in f"{answer!r} {result_of(answer, Grant)!r}"
    with pytest.raises(BadInputError) as caught:
        result_of(answer, int)
    assert "S3CRET" not in str(caught.value)


def test_channels_of_one_sort_share_a_type_and_others_are_taken_as_they_come() -> None:
    assert data_type("trades.option.BTC.100ms") == data_type(f"trades.{PERPETUAL}.raw") == list[Trade]
    assert data_type("platform_state") is data_type(f"incremental_ticker.{PERPETUAL}") is Any
