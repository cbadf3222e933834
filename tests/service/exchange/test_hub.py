"""Channels: a client that follows them has the venue's book, its own orders, and nobody else's."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.service.exchange.desk import CALL, PERPETUAL, Caller, Desk

steps = st.lists(
    st.tuples(
        st.sampled_from((1, -1)), st.integers(159_990, 160_010), st.integers(1, 9), st.sampled_from((0.0, 0.04, 0.3))
    ),
    max_size=30,
)


class Follower:
    """A book rebuilt from a channel."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[float, float]] = {"bids": {}, "asks": {}}
        self.change_id: int | None = None

    def take(self, data: dict[str, Any]) -> None:
        """One message, whose id must follow the last."""
        if data["type"] == "snapshot":
            self.sides = {"bids": {}, "asks": {}}
        else:
            assert data["prev_change_id"] == self.change_id, "no gap"
        self.change_id = data["change_id"]
        for name, levels in self.sides.items():
            for action, price, amount in data[name]:
                assert (action == "new") == (price not in levels)
                if action == "delete":
                    del levels[price]
                else:
                    levels[price] = amount


@given(steps)
def test_raw_and_interval_books_rebuild_the_venues(script: list[tuple[int, int, int, float]]) -> None:
    desk = Desk()
    early, late = Caller(desk, "alice"), Caller(desk, "bob")
    channels = [f"book.{PERPETUAL}.raw", f"book.{PERPETUAL}.100ms"]
    followers = {(who, channel): Follower() for who in ("early", "late") for channel in channels}
    early("public/subscribe", channels=channels)
    for number, (side, ticks, lots, seconds) in enumerate(script):
        if number == len(script) // 2:
            late("public/subscribe", channels=channels)
        desk.exchange.house_order("makers", PERPETUAL, side, ticks, lots, rests=True)
        desk.pass_time(seconds)
        for who, caller in (("early", early), ("late", late)):
            for told in caller.told():
                followers[who, told["channel"]].take(told["data"])
    desk.pass_time(1.0)
    book = Caller(desk)("public/get_order_book", instrument_name=PERPETUAL, depth=1_000)
    for who, caller in (("early", early), ("late", late)):
        for told in caller.told():
            followers[who, told["channel"]].take(told["data"])
    for (who, _), follower in followers.items():
        if who == "early" or script:
            for name in ("bids", "asks"):
                assert follower.sides[name] == dict(book[name])
    if script:
        assert followers["early", channels[0]].change_id == book["change_id"]


def test_an_account_hears_of_its_own_orders_only_and_the_tape_is_everybodys() -> None:
    desk = Desk()
    alice, bob, nobody = Caller(desk, "alice"), Caller(desk, "bob"), Caller(desk)
    orders, trades, changes = "user.orders.option.BTC.raw", "user.trades.any.any.100ms", f"user.changes.{CALL}.raw"
    private = [orders, trades, changes, "user.portfolio.btc"]
    for caller in (alice, bob):
        assert caller("private/subscribe", channels=private) == private
    tape = "trades.option.BTC.100ms"
    assert nobody("public/subscribe", channels=[tape, *private, "no.such"]) == [tape]
    alice("private/sell", instrument_name=CALL, amount=1, price=0.05)
    desk.pass_time(0.2)
    assert [each["channel"] for each in bob.told()] == ["user.portfolio.btc"], "its first word, and nothing of alice's"
    told = alice.told()
    assert [each["channel"] for each in told] == [orders, changes, "user.portfolio.btc"]
    assert told[0]["data"][0]["order_state"] == "open"
    bob("private/buy", instrument_name=CALL, amount=0.4, price=0.05)
    assert trades not in [each["channel"] for each in bob.told()], "kept for the end of the interval"
    desk.pass_time(0.2)
    told = alice.told()
    heard = {each["channel"]: each["data"] for each in told}
    assert set(heard) == set(private)
    held = [each["size"] for message in told if message["channel"] == changes for each in message["data"]["positions"]]
    assert held == [-0.4]
    assert [each["filled_amount"] for each in heard[orders]] == [0.4]
    assert [(each["liquidity"], each["amount"]) for each in heard[trades]] == [("M", 0.4)]
    assert heard["user.portfolio.btc"]["options_value"] == -0.02
    (printed,) = nobody.told()
    assert [each["amount"] for each in printed["data"]] == [0.4]


def test_what_only_the_last_word_counts_of_is_told_when_it_changed() -> None:
    desk = Desk()
    caller = Caller(desk)
    quote, ticker, grouped = f"quote.{PERPETUAL}", f"ticker.{PERPETUAL}.100ms", f"book.{PERPETUAL}.5.10.100ms"
    index = ["deribit_price_index.btc_usd", "deribit_volatility_index.btc_usd"]
    caller("public/subscribe", channels=[quote, ticker, grouped, *index])
    caller.told()
    desk.quote(PERPETUAL, 159_990, 160_010, 100)
    desk.quote(PERPETUAL, 159_989, 160_011, 100)
    desk.pass_time(0.2)
    told = caller.told()
    assert [each["channel"] for each in told] == [quote, ticker, grouped], "each once; the best price stood"
    assert (told[0]["data"]["best_bid_price"], told[0]["data"]["best_ask_price"]) == (79_995.0, 80_005.0)
    assert told[2]["data"]["bids"] == [[79_995.0, 1_000.0], [79_990.0, 1_000.0]]
    desk.pass_time(0.2)
    assert caller.told() == []
    desk.api.cycle.tick("BTC", 80_100.0)
    desk.pass_time(0.2)
    heard = {each["channel"]: each["data"] for each in caller.told()}
    assert heard[index[0]]["price"] == 80_100.0
    assert heard[index[1]]["volatility"] == 55.12
