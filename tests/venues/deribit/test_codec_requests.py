"""Requests as the venue reads them."""

import hashlib
import hmac

import pytest

from flatbook.domain.errors import BadInputError
from flatbook.venues.deribit.codec_requests import (
    Credentials,
    EditOrder,
    MassQuote,
    MmpConfig,
    PlaceOrder,
    QuoteEntry,
    QuoteSide,
    encode_request,
    place_order,
    subscriptions,
)
from flatbook.venues.deribit.maker_terms import protection_of
from flatbook.venues.deribit.rpc import decode_request
from tests.service.exchange.desk import CALL, PERPETUAL, Caller, Desk


def test_orders_and_quotes_do_at_the_exchange_what_they_say() -> None:
    desk = Desk()
    alice = Caller(desk, "alice")
    method, params = place_order(
        1, PlaceOrder(instrument_name=PERPETUAL, amount=100.0, price=79_000.0, label="a", post_only=True)
    )
    assert "reduce_only" not in params
    placed = alice(method, **params)["order"]
    assert (placed["direction"], placed["price"], placed["label"]) == ("buy", 79_000.0, "a")
    edited = alice("private/edit", **EditOrder(order_id=placed["order_id"], amount=200.0, price=79_100.0).sent())
    assert (edited["order"]["amount"], edited["order"]["price"]) == (200.0, 79_100.0)
    config = MmpConfig(index_name="btc_usd", mmp_group="g", interval=5, frozen_time=0, quantity_limit=2.0,
                       max_quote_quantity=10.0)  # fmt: skip
    assert alice("private/set_mmp_config", **config.sent())[0]["frozen_time"] == 0
    entry = QuoteEntry(instrument_name=CALL, bid=QuoteSide(0.04, 1.0), ask=QuoteSide(0.06, 1.0))
    quotes = MassQuote(quote_id="q1", mmp_group="g", quotes=(entry,))
    answer = alice("private/mass_quote", **quotes.sent())
    assert (answer["success_count"], answer["errors_count"]) == (2, 0)


def test_the_protection_that_a_maker_asks_for_is_one_that_the_venue_grants() -> None:
    alice = Caller(Desk(), "alice")
    asked = protection_of("btc_usd", interval_s=5, frozen_s=5, quantity_coin=10.0, quote_coin=2.0).sent()
    (granted,) = alice("private/set_mmp_config", **asked)
    assert (granted["quantity_limit"], granted["max_quote_quantity"]) == (10.0, 2.0)
    del asked["max_quote_quantity"]
    assert alice.error("private/set_mmp_config", **asked) == -32602, "the venue requires it"
    large = QuoteEntry(instrument_name=CALL, bid=QuoteSide(0.04, 2.1), quote_set_id="s")
    answer = alice("private/mass_quote", **MassQuote(quote_id="q", mmp_group="flatbook", quotes=(large,)).sent())
    assert answer["errors_count"] == 1, "and no quote is larger"


def test_a_request_is_read_back_as_it_was_asked() -> None:
    read = decode_request(encode_request(5, "public/test", {"a": [1, "é"]}))
    assert (read.id, read.method, read.params) == (5, "public/test", {"a": [1, "é"]})


def test_an_order_that_could_not_be_found_again_is_refused() -> None:
    with pytest.raises(BadInputError, match="no label"):
        place_order(1, PlaceOrder(instrument_name=PERPETUAL, amount=1.0))
    with pytest.raises(BadInputError, match="side 0"):
        place_order(0, PlaceOrder(instrument_name=PERPETUAL, amount=1.0, label="a"))


def test_a_whole_chain_is_subscribed_in_batches_each_channel_once() -> None:
    names = [f"ticker.{number}.raw" for number in range(601)]
    requests = subscriptions([*names, *names[:7]], is_private=False)
    assert [len(params["channels"]) for _, params in requests] == [250, 250, 101]
    assert [name for _, params in requests for name in params["channels"]] == names
    assert {method for method, _ in requests} == {"public/subscribe"}


def test_the_secret_signs_and_is_neither_sent_nor_shown() -> None:
    credentials = Credentials("me", "S3CRET")
    params = credentials.signed_in(1_700_000_000_000, "nonce")
    assert "S3CRET" not in f"{credentials!r} {params}"
    # RFC 2104 by hand: the inner and the outer hash over the padded key.
    pads = [bytes(byte ^ pad for byte in b"S3CRET".ljust(64, b"\0")) for pad in (0x36, 0x5C)]
    inner = hashlib.sha256(pads[0] + b"1700000000000\nnonce\n").digest()
    assert params["signature"] == hashlib.sha256(pads[1] + inner).hexdigest()
    assert hmac.compare_digest(str(params["signature"]), credentials.signed_in(1_700_000_000_000, "nonce")["signature"])
    desk = Desk()
    caller = Caller(desk)
    granted = caller("public/auth", **Credentials("alice", "secret").signed_in(desk.now_ns // 1_000_000, "n1"))
    assert granted["expires_in"] > 0
