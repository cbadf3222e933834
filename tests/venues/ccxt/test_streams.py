"""Binance's streams through ccxt's own handlers: recorded best prices and prints, a documented fill of ours."""

from __future__ import annotations

import asyncio
import gzip
import json
from itertools import islice
from typing import Any

import pytest

from flatbook.domain.events import Fill, TopOfBook, TradePrint
from flatbook.venues.ccxt.orders import Known
from tests.domain.recorded import DATA, needs_data
from tests.venues.ccxt.answers import ANSWERS, OWN_FILLS
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


@pytest.mark.parametrize(
    ("venue", "url", "size_lots", "trade_id", "fee_units"),
    [
        ("binance_usdm", "wss://fstream.binance.com/ws", 5, "BTCUSDT-698759", 200_013),
        ("okx", "wss://ws.okx.com:8443/ws/v5/private", 250, "BTC-USDT-SWAP-123", 1_000_063),
        ("bybit", "wss://stream.bybit.com/v5/private", 10, "BTCUSDT-8c065341", 440_028),
    ],
)
def test_a_fill_by_stream_is_our_orders_though_its_answer_was_lost(
    venue: str, url: str, size_lots: int, trade_id: str, fee_units: int
) -> None:
    async def go() -> Bench:
        bench = Bench(venue, ANSWERS[venue])
        try:
            await bench.client.open()
            listed = bench.client.listing.named(f"{venue}:BTC_USDT-PERPETUAL")
            asked = bench.client.orders.ask("h0", listed, size_lots, bench.now_ns)
            socket = Heard(url)
            bench.exchange.handle_message(socket, OWN_FILLS[venue])
            for name, rows in socket.resolved:
                if "myTrades" in name:
                    bench.client.take_trades(list(rows))
            assert asked.known is Known.ENDED
            return bench
        finally:
            await bench.client.close()

    (fill,) = asyncio.run(go()).told
    assert isinstance(fill, Fill)
    assert (fill.order_id, fill.trade_id, fill.price_ticks) == ("h0", trade_id, 800_050)
    assert (fill.size_lots, fill.fee_units) == (size_lots, fee_units)
