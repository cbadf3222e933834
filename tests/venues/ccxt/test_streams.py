"""Binance's streams through ccxt's own handlers: recorded best prices and prints, a documented fill of ours."""

from __future__ import annotations

import asyncio
import gzip
import json
from itertools import islice
from typing import Any

from flatbook.domain.events import Fill, TopOfBook, TradePrint
from flatbook.venues.ccxt.orders import Known
from tests.domain.recorded import DATA, needs_data
from tests.venues.ccxt.answers import ANSWERS
from tests.venues.ccxt.transport import Bench

_LINES = 6_000


class Heard:
    """A socket of the library's that never was: what its handlers resolve is kept."""

    def __init__(self, url: str) -> None:
        self.url, self.subscriptions, self.resolved = url, dict[str, Any](), list[tuple[str, Any]]()

    def resolve(self, result: Any, message_hash: str) -> None:
        """What a watcher would get."""
        self.resolved.append((message_hash, result))


@needs_data
def test_a_recorded_stream_of_an_inverse_perpetual() -> None:
    path = DATA / "binance-l2-raw" / "cm_btcusd_perp_20240808.jsonl.gz"
    with gzip.open(path, "rt") as file:
        messages = [json.loads(line.partition(" ")[2]) for line in islice(file, _LINES)]
    raw = [message["data"] for message in messages if "data" in message]
    best = [row for row in raw if row["e"] == "bookTicker"]
    prints = {str(row["t"]): row for row in raw if row["e"] == "trade"}

    async def go() -> tuple[list[TopOfBook | None], list[TradePrint]]:
        bench = Bench("binance_coinm", ANSWERS["binance_coinm"])
        try:
            await bench.client.open()
            feed, socket = bench.client.feed, Heard("wss://dstream.binance.com/stream")
            for message in messages:
                if message.get("data", {}).get("e") in ("bookTicker", "trade"):
                    bench.exchange.handle_message(socket, message)
            tops = [feed.top(row, 0) for name, row in socket.resolved if name == "bidask:bookTicker@BTC/USD:BTC"]
            cache = bench.exchange.trades["BTC/USD:BTC"]
            return tops, feed.trades(list(cache), 0) + feed.trades(list(cache), 0)
        finally:
            await bench.client.close()

    tops, told = asyncio.run(go())
    assert len(best) > 1_000
    assert [(top.bid, top.bid_amount, top.ask, top.ask_amount) for top in tops if top is not None] == [
        (float(row["b"]), 100.0 * int(row["B"]), float(row["a"]), 100.0 * int(row["A"])) for row in best
    ]
    assert {one.trade_id for one in told} == prints.keys()
    for one in told:
        row = prints[one.trade_id]
        taker = -1 if row["m"] else 1
        assert (one.price, one.size_lots, one.taker_side) == (float(row["p"]), int(row["q"]), taker)


def test_a_fill_by_stream_is_our_orders_though_its_answer_was_lost() -> None:
    """ORDER_TRADE_UPDATE, as documented: the order's own id is beside the venue's."""
    own = {
        "s": "BTCUSDT",
        "c": "r1h0",
        "S": "BUY",
        "o": "LIMIT",
        "f": "IOC",
        "q": "0.005",
        "p": "80010.1",
        "ap": "80005",
        "sp": "0",
        "x": "TRADE",
        "X": "FILLED",
        "i": 4611,
        "l": "0.005",
        "z": "0.005",
        "L": "80005",
        "N": "USDT",
        "n": "0.2000125",
        "T": 1767600000200,
        "t": 698759,
        "b": "0",
        "a": "0",
        "m": False,
        "R": False,
        "wt": "CONTRACT_PRICE",
        "ot": "LIMIT",
        "ps": "BOTH",
        "cp": False,
        "rp": "0",
        "pP": False,
        "si": 0,
        "ss": 0,
    }
    message = {"e": "ORDER_TRADE_UPDATE", "E": 1767600000201, "T": 1767600000200, "o": own}

    async def go() -> Bench:
        bench = Bench("binance_usdm", ANSWERS["binance_usdm"])
        try:
            await bench.client.open()
            listed = bench.client.listing.named("binance_usdm:BTC_USDT-PERPETUAL")
            asked = bench.client.orders.ask("h0", listed, 5, bench.now_ns)
            socket = Heard("wss://fstream.binance.com/ws")
            bench.exchange.handle_message(socket, message)
            for name, rows in socket.resolved:
                if name == "myTrades":
                    bench.client.take_trades(list(rows))
            assert asked.known is Known.ENDED
            return bench
        finally:
            await bench.client.close()

    (fill,) = asyncio.run(go()).told
    assert isinstance(fill, Fill)
    assert (fill.order_id, fill.trade_id, fill.size_lots, fill.fee_units) == ("h0", "BTCUSDT-698759", 5, 200_013)
