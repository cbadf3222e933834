"""hftbacktest with the strategy of `bench.l2`. Runs inside the peers' environment and uses nothing of flatbook.

As a script it answers a file of rows with the strategy's fills: `python hft_quoting.py rows.npz fills.csv`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from hftbacktest import (  # type: ignore[import-not-found]
    CANCELED,
    EXPIRED,
    FILLED,
    GTX,
    LIMIT,
    BacktestAsset,
    ROIVectorMarketDepthBacktest,
)
from hftbacktest.data import correct_event_order  # type: ignore[import-not-found]
from numba import njit

NOTHING = 2**62
DEPTH, TRADE, CLEAR, BUY, SELL = 1, 2, 3, 1 << 29, 1 << 28
CODES = np.array([DEPTH | BUY, DEPTH | SELL, TRADE | BUY, TRADE | SELL, CLEAR | BUY, CLEAR | SELL], dtype=np.uint64)
"""Its name for each code of `what`; ticks and lots are of size 1, so that its floats hold them exactly."""


@njit
def quote(hbt: Any, step_ns: int, lots: int, lots_a_tick: int, fills: Any) -> int:
    """Two sides at the touch, each stepped back by what is held; a row (time, tick, side) in `fills` for each fill."""
    ids = np.zeros(2, np.int64)
    next_id, count = 1, 0
    while hbt.elapse(step_ns) == 0:
        depth = hbt.depth(0)
        bid, ask = depth.best_bid_tick, depth.best_ask_tick
        held = round(hbt.position(0))
        for k in range(2):
            side = 1 - 2 * k
            wanted = (bid if side > 0 else ask) - side * (max(side * held, 0) // lots_a_tick)
            if ids[k] > 0:
                order = hbt.orders(0).get(ids[k])
                if order.status == FILLED:
                    fills[count] = order.exch_timestamp, order.exec_price_tick, side
                    count += 1
                if order.status in (EXPIRED, FILLED, CANCELED):
                    ids[k] = 0
                elif order.price_tick != wanted and order.cancellable:
                    hbt.cancel(0, ids[k], False)
            if ids[k] == 0 and bid > 0 and ask < NOTHING:
                ids[k] = next_id
                next_id += 1
                if side > 0:
                    hbt.submit_buy_order(0, ids[k], float(wanted), float(lots), GTX, LIMIT, False)
                else:
                    hbt.submit_sell_order(0, ids[k], float(wanted), float(lots), GTX, LIMIT, False)
        hbt.clear_inactive_orders(0)
    for k in range(2):
        if ids[k] > 0 and hbt.orders(0).get(ids[k]).status == FILLED:
            order = hbt.orders(0).get(ids[k])
            fills[count] = order.exch_timestamp, order.exec_price_tick, 1 - 2 * k
            count += 1
    return count


def prepare(data: Mapping[str, Any]) -> Callable[[], Any]:
    """The strategy over the rows of `data`; what it returns are its fills (time, tick, side), a row each."""
    rows = events(data)
    names = ("entry_ns", "response_ns", "step_ns", "size_lots", "lots_a_tick", "low", "high")
    entry, response, step, lots, lots_a_tick, low, high = (int(data[name]) for name in names)
    power = float(data["power"])
    fills = np.zeros((100_000, 3), np.int64)

    def run() -> Any:
        asset = BacktestAsset().data(rows).linear_asset(1.0).constant_order_latency(entry, response)
        asset = asset.power_prob_queue_model(power) if power > 0 else asset.risk_adverse_queue_model()
        asset = asset.no_partial_fill_exchange().trading_value_fee_model(0.0, 0.0).tick_size(1.0).lot_size(1.0)
        hbt = ROIVectorMarketDepthBacktest([asset.roi_lb(float(low)).roi_ub(float(high))])
        count = quote(hbt, step, lots, lots_a_tick, fills)
        hbt.close()
        return fills[:count]

    return run


def events(data: Mapping[str, Any]) -> Any:
    """The rows as it wants them: flagged by whom they are for, and twice where we hear of rows in another order."""
    n = data["what"].size
    names = ["ev", "exch_ts", "local_ts", "px", "qty", "order_id", "ival", "fval"]
    types = ["u8", "i8", "i8", "f8", "f8", "u8", "i8", "f8"]
    rows = np.zeros(n, np.dtype(list(zip(names, types, strict=True)), align=True))
    rows["ev"] = CODES[data["what"]]
    rows["exch_ts"], rows["local_ts"] = data["exch_ts_ns"], data["local_ts_ns"]
    rows["px"], rows["qty"] = data["tick"], data["lots"]
    return correct_event_order(rows, np.arange(n), data["heard"])


if __name__ == "__main__":
    found = prepare(np.load(sys.argv[1]))()
    np.savetxt(sys.argv[2], found, fmt="%d", delimiter=",", header="exch_ts_ns,tick,side", comments="")
