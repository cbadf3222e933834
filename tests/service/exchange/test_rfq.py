"""Block RFQ: asked, quoted, accepted; all legs at once with one maker, or nothing."""

import pytest

from tests.service.exchange.desk import CALL, PERPETUAL, Caller, Desk

PUT = "BTC-30JAN26-80000-P"
LEGS = [
    {"instrument_name": CALL, "direction": "buy", "ratio": 1},
    {"instrument_name": PUT, "direction": "sell", "ratio": 2},
]


def prices(call: float, put: float) -> list[dict[str, object]]:
    return [{"instrument_name": CALL, "price": call}, {"instrument_name": PUT, "price": put}]


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.exchange.list_instrument(PUT).mark = desk.exchange.listings[CALL].mark._replace(delta=-0.5)
    return desk


def test_a_structure_trades_whole_with_the_best_maker_and_off_the_book(desk: Desk) -> None:
    taker, maker = Caller(desk, "alice"), Caller(desk, "bob")
    taker("private/subscribe", channels=["block_rfq.taker.any"])
    maker("private/subscribe", channels=["block_rfq.maker.BTC", "block_rfq.taker.BTC"])
    number = taker("private/create_block_rfq", amount=5, legs=LEGS)["block_rfq_id"]
    assert [(each["channel"], each["data"]["block_rfq_id"]) for each in maker.told()] == [
        ("block_rfq.maker.BTC", number)
    ]
    taker.told()
    assert [each["role"] for each in maker("private/get_block_rfqs")["block_rfqs"]] == ["maker"]
    quote = {"block_rfq_id": number, "amount": 5, "direction": "sell"}
    worse = maker("private/add_block_rfq_quote", legs=prices(0.052, 0.049), **quote)
    better = maker("private/add_block_rfq_quote", legs=prices(0.051, 0.0495), **quote)
    assert (worse["price"], better["price"]) == (-0.046, -0.048)
    assert [len(each["data"]["asks"]) for each in taker.told()] == [1, 2]
    seen = taker("private/get_block_rfqs")["block_rfqs"][0]
    assert [level["price"] for level in seen["asks"]] == [-0.048, -0.046]
    accept = {"block_rfq_id": number, "direction": "buy", "amount": 3}
    assert taker.error("private/accept_block_rfq", price=-0.05, **accept) == 11050, "nobody is that good"
    (block,) = taker("private/accept_block_rfq", price=-0.045, **accept)["block_trades"]
    traded = [(each["instrument_name"], each["direction"], each["amount"], each["price"]) for each in block["trades"]]
    assert traded == [(CALL, "buy", 3.0, 0.051), (PUT, "sell", 6.0, 0.0495)]
    assert {each["block_trade_id"] for each in block["trades"]} == {block["id"]}
    sizes = {each["instrument_name"]: each["size"] for each in maker("private/get_positions", currency="BTC")}
    assert sizes == {CALL: -3.0, PUT: 6.0}
    for account in desk.exchange.accounts.values():
        account.ledger.invariant()
        assert not account.orders
        assert not any(map(any, account.working.values()))
    assert taker.error("private/accept_block_rfq", price=-0.045, **accept) == 11050, "it is over"
    assert [each["quote_state"] for each in maker("private/get_block_rfq_quotes")] == ["cancelled", "filled"]


def test_who_may_quote_and_what_is_no_request(desk: Desk) -> None:
    taker, maker = Caller(desk, "alice"), Caller(desk, "bob")
    for change, code in (
        ({"legs": []}, 11050),
        ({"legs": [LEGS[0], LEGS[0]]}, 11050),
        ({"amount": 0.05}, -32602),
        ({"legs": [{"instrument_name": "BTC-1-C", "direction": "buy"}]}, 10020),
    ):
        assert taker.error("private/create_block_rfq", **({"amount": 1, "legs": LEGS} | change)) == code, change
    named = taker("private/create_block_rfq", amount=1, legs=LEGS, makers=["carol"])["block_rfq_id"]
    quote = {"amount": 1, "direction": "sell", "legs": prices(0.05, 0.05)}
    assert maker.error("private/add_block_rfq_quote", block_rfq_id=named, **quote) == 11050
    asked = taker("private/create_block_rfq", amount=1, legs=LEGS)["block_rfq_id"]
    assert (
        maker.error("private/add_block_rfq_quote", block_rfq_id=asked, **(quote | {"legs": prices(0.05, 0.0501)}))
        == 10043
    )
    assert maker.error("private/cancel_block_rfq", block_rfq_id=asked) == 11050
    own = maker("private/add_block_rfq_quote", block_rfq_id=asked, **quote)["block_rfq_quote_id"]
    assert maker("private/cancel_block_rfq_quote", block_rfq_quote_id=own)["quote_state"] == "cancelled"
    desk.pass_time(301)
    assert maker.error("private/add_block_rfq_quote", block_rfq_id=asked, **quote) == 11050


def test_a_structure_that_nobody_could_carry_does_not_trade(desk: Desk) -> None:
    taker, maker = Caller(desk, "alice"), Caller(desk, "bob")
    legs = [{"instrument_name": PERPETUAL, "direction": "buy", "ratio": 1}]
    number = taker("private/create_block_rfq", amount=40_000_000, legs=legs)["block_rfq_id"]
    price = [{"instrument_name": PERPETUAL, "price": 80_000}]
    quote = {"block_rfq_id": number, "amount": 40_000_000, "direction": "sell", "legs": price}
    maker("private/add_block_rfq_quote", **quote)
    accept = {"block_rfq_id": number, "direction": "buy", "amount": 40_000_000, "price": 80_000}
    assert taker.error("private/accept_block_rfq", **accept) == 10009
    assert not taker("private/get_positions", currency="BTC")
