"""The service as a client meets it, without sockets: calls, errors, accounts, limits, heartbeats."""

import base64
import hashlib
import hmac
import json

import pytest

from flatbook.domain.units import NS_PER_SECOND
from flatbook.sim.venue.events import CashMoved
from tests.service.exchange.desk import CALL, PERPETUAL, SPOT, Caller, Desk


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_an_order_is_placed_changed_filled_and_found_again(desk: Desk) -> None:
    alice, bob = Caller(desk, "alice"), Caller(desk, "bob")
    placed = alice("private/sell", instrument_name=CALL, amount=2, price=0.05, label="mine", post_only=True)
    assert (placed["order"]["order_state"], placed["trades"]) == ("open", [])
    number = placed["order"]["order_id"]
    edited = alice("private/edit", order_id=number, amount=1.5, price=0.0505)["order"]
    assert (edited["amount"], edited["price"], edited["label"], edited["replaced"]) == (1.5, 0.0505, "mine", True)
    taken = bob("private/buy", instrument_name=CALL, amount=1, type="market")
    assert taken["order"]["average_price"] == 0.0505
    (trade,) = taken["trades"]
    assert (trade["price"], trade["fee"], trade["liquidity"], trade["direction"]) == (0.0505, 0.0003, "T", "buy")
    state = alice("private/get_order_state", order_id=number)
    assert (state["filled_amount"], state["order_state"]) == (1.0, "open")
    (held,) = bob("private/get_positions", currency="BTC", kind="option")
    assert (held["size"], held["direction"], held["average_price"]) == (1.0, "buy", 0.0505)
    summary = bob("private/get_account_summary", currency="BTC")
    assert summary["balance"] == pytest.approx(10 - 0.0505 - 0.0003)
    assert summary["equity"] == pytest.approx(10 - 0.0505 - 0.0003 + 0.05)
    assert alice("private/cancel", order_id=number)["order_state"] == "cancelled"
    history = alice("private/get_order_history_by_currency", currency="BTC")
    assert [each["order_id"] for each in history] == [number]
    assert alice("private/get_user_trades_by_order", order_id=number)[0]["liquidity"] == "M"
    tape = bob("public/get_last_trades_by_instrument", instrument_name=CALL)
    assert [each["trade_id"] for each in tape["trades"]] == [trade["trade_id"]]
    assert tape["has_more"] is False


def test_errors_are_the_venues(desk: Desk) -> None:
    desk.quote(PERPETUAL, 159_990, 160_010, 100)
    alice = Caller(desk, "alice")
    buy = {"instrument_name": PERPETUAL, "amount": 100, "price": 79_000}
    for change, code in (
        ({"amount": 105}, -32602),
        ({"amount": "much"}, -32602),
        ({"amount": None}, -32602),
        ({"price": 79_000.3}, 10043),
        ({"price": 90_000}, 10007),
        ({"amount": 40_000_000}, 10009),
        ({"instrument_name": "BTC-1JAN30"}, -32602),
        ({"price": 80_010, "post_only": True, "reject_post_only": True}, 11054),
        ({"reduce_only": True}, 11030),
        ({"mmp": True}, 11029),
        ({"type": "stop_limit"}, -32602),
    ):
        assert alice.error("private/buy", **(buy | change)) == code, change
    mine = alice("private/buy", **buy)["order"]["order_id"]
    assert Caller(desk, "bob").error("private/cancel", order_id=mine) == 10004
    alice("private/cancel", order_id=mine)
    assert alice.error("private/cancel", order_id=mine) == 11044
    assert Caller(desk).error("private/buy", **buy) == 13009
    assert Caller(desk).error("private/nothing") == -32601
    assert (
        Caller(desk).error("public/auth", grant_type="client_credentials", client_id="alice", client_secret="") == 13004
    )
    assert Caller(desk).error("public/subscribe", channels=[f"book.{PERPETUAL}.raw"]) == 13778


def test_tokens_pass_expire_and_are_refreshed_once(desk: Desk) -> None:
    caller = Caller(desk)
    grant = caller("public/auth", grant_type="client_credentials", client_id="alice", client_secret="secret")
    other = Caller(desk)
    assert other("private/get_positions", currency="BTC", access_token=grant["access_token"]) == []
    desk.pass_time(grant["expires_in"])
    assert Caller(desk).error("private/get_positions", access_token=grant["access_token"]) == 13009
    again = caller("public/auth", grant_type="refresh_token", refresh_token=grant["refresh_token"])
    assert again["access_token"] != grant["access_token"]
    assert Caller(desk).error("public/auth", grant_type="refresh_token", refresh_token=grant["refresh_token"]) == 13004


def test_http_knows_its_callers_by_header(desk: Desk) -> None:
    target = f"/api/v2/private/get_position?instrument_name={PERPETUAL}"

    def status(header: str) -> int:
        return desk.api.request("GET", target, b"", header, desk.now_ns)[0]

    assert status("") == 400
    assert status("Basic " + base64.b64encode(b"alice:secret").decode()) == 200
    assert status("Basic " + base64.b64encode(b"alice:guess").decode()) == 400
    sign = hmac.new(b"secret", f"5\nabc\nGET\n{target}\n\n".encode(), hashlib.sha256).hexdigest()
    signed = f"deri-hmac-sha256 id=alice,ts=5,nonce=abc,sig={sign}"
    assert status(signed) == 200
    assert status(signed) == 400, "a nonce is good once"
    body = json.dumps({"id": 3, "method": "public/ticker", "params": {"instrument_name": PERPETUAL}}).encode()
    code, told = desk.api.request("POST", "/api/v2/public/ticker", body, "", desk.now_ns)
    assert (code, json.loads(told)["id"]) == (200, 3)


def test_a_mass_quote_sets_its_sides_and_one_that_is_refused_rests_no_more(desk: Desk) -> None:
    alice, bob = Caller(desk, "alice"), Caller(desk, "bob")
    limits = {"interval": 5, "frozen_time": 0, "quantity_limit": 1.0, "max_quote_quantity": 5}
    alice("private/set_mmp_config", index_name="btc_usd", mmp_group="g", **limits)
    alice("private/subscribe", channels=["user.mmp_trigger.btc_usd"])

    def quotes(bid: float, ask: float) -> dict[str, object]:
        sides = {"bid": {"price": bid, "amount": 1}, "ask": {"price": ask, "amount": 1}}
        return {"mmp_group": "g", "quote_id": "1", "quotes": [{"instrument_name": CALL, "quote_set_id": "s"} | sides]}

    first = alice("private/mass_quote", **quotes(0.049, 0.051))
    assert [each["price"] for each in first["orders"]] == [0.049, 0.051]
    second = alice("private/mass_quote", **quotes(0.0493, 0.052))
    assert [each["error"]["code"] for each in second["errors"]] == [10043]
    assert [each["price"] for each in alice("private/get_open_orders")] == [0.052]
    bob("private/buy", instrument_name=CALL, amount=1, price=0.052)
    (trigger,) = alice.told()
    assert trigger["data"] == {"index_name": "btc_usd", "mmp_group": "g", "frozen_until": 0}
    assert alice("private/get_open_orders") == []
    refused = alice("private/mass_quote", **quotes(0.049, 0.051))
    assert [each["error"]["code"] for each in refused["errors"]] == [11030, 11030]
    assert alice("private/reset_mmp", index_name="btc_usd", mmp_group="g") == "ok"
    assert alice("private/mass_quote", **quotes(0.049, 0.051))["errors"] == []


def test_who_asks_too_much_is_told_so_and_cut_off(desk: Desk) -> None:
    alice, other = Caller(desk, "alice"), Caller(desk, "alice")
    for _ in range(20):
        alice("private/cancel_all")
    assert other.error("private/cancel_all") == 10028, "the account's pool is one"
    assert other.session.is_closing
    assert not alice.session.is_closing
    desk.pass_time(0.2)
    alice("private/cancel_all")


def test_a_heartbeat_that_is_not_answered_ends_the_connection(desk: Desk) -> None:
    caller = Caller(desk)
    assert caller.error("public/set_heartbeat", interval=5) == -32602
    caller("public/set_heartbeat", interval=10)
    desk.pass_time(10)
    assert [each["type"] for each in caller.told()] == ["heartbeat", "test_request"]
    caller("public/test")
    desk.pass_time(10)
    assert not caller.session.is_closing
    desk.pass_time(10)
    assert caller.session.is_closing


def test_orders_go_with_a_connection_that_asked_for_it(desk: Desk) -> None:
    alice, watcher = Caller(desk, "alice"), Caller(desk, "alice")
    alice("private/enable_cancel_on_disconnect")
    watcher("private/subscribe", channels=["user.orders.any.any.raw"])
    alice("private/buy", instrument_name=SPOT, amount=0.01, price=79_000)
    watcher.told()
    desk.api.disconnect(alice.session, desk.now_ns + NS_PER_SECOND)
    (told,) = watcher.told()
    assert [(each["order_state"], each["cancel_reason"]) for each in told["data"]] == [
        ("cancelled", "cancel_on_disconnect")
    ]


def test_time_is_stepped_by_clients_where_it_is_and_answered_when_all_is_told(desk: Desk) -> None:
    alice = Caller(desk, "alice")
    until_ms = desk.now_ns // 1_000_000 + 1_500
    assert alice.error("public/advance", timestamp=until_ms) == -32601
    desk.api.is_stepped = True
    alice("public/subscribe", channels=[f"ticker.{PERPETUAL}.100ms"])
    raw = json.dumps({"jsonrpc": "2.0", "id": "step", "method": "public/advance", "params": {"timestamp": until_ms}})
    alice.session.outbox.clear()
    desk.quote(PERPETUAL, 159_990, 160_010, 100)
    desk.api.receive(alice.session, raw, desk.now_ns)
    told = [json.loads(each) for each in alice.session.outbox]
    assert [each.get("method") for each in told[:-1]] == ["subscription"]
    assert told[-1]["result"] == {"timestamp": until_ms}
    assert desk.exchange.now_ns == until_ms * 1_000_000
    assert alice.error("public/advance", timestamp=until_ms + 3_600_001) == -32602


def test_a_log_longer_than_a_page_goes_on_where_it_ended(desk: Desk) -> None:
    alice = Caller(desk, "alice")
    desk.api._cash["alice"] = [
        CashMoved("alice", "BTC", "settlement", PERPETUAL, units, desk.now_ns) for units in (1, 2, 3)
    ]
    span = {"currency": "BTC", "start_timestamp": 0, "end_timestamp": 2**50, "count": 2}
    first = alice("private/get_transaction_log", **span)
    assert ([row["id"] for row in first["logs"]], first["continuation"]) == ([1, 2], 3)
    rest = alice("private/get_transaction_log", **span, continuation=3)
    assert ([row["change"] for row in rest["logs"]], rest["continuation"]) == ([3e-8], None)
