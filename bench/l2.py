"""A recorded order book replayed with two quotes at the touch, by flatbook and by hftbacktest, under one model.

Both have constant latency, quantities ahead that fall by prints alone, and no partial fills. One recording is drawn
from a seed: a mid that walks, levels that come and go around it, prints at the touch. One is Binance's, if it is here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import polars as pl
from numpy.typing import NDArray

from bench.measure import Bar, Work, local
from bench.peers.remote import remote
from flatbook.kernels import l2_layout as at
from flatbook.kernels.l2 import advance, cancel, submit
from flatbook.kernels.l2_layout import Replay
from flatbook.sim.books.tape import BookTape, BookTerms, book_tape
from flatbook.store.importers import binance_l2

ROWS = 1_000_000
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "binance-l2-raw"
RECORDED = [DATA / f"cm_btcusd_perp_{day}.jsonl.gz" for day in (20240808, 20240809)]
PEER = "hftbacktest"
STEP_NS = 100_000_000
SIZE_LOTS = 3
LOTS_A_TICK = 12

Strategy = Callable[[Replay, int, int, int], None]


def works() -> list[Work]:
    """A million rows, at venue and with us, with an order a side to place, cancel and fill."""
    tapes = {"drawn": book_tape(drawn_rows(ROWS))}
    if all(path.exists() for path in RECORDED):
        tapes["BTCUSD_PERP"] = book_tape(recorded_rows(ROWS))
    return [_work(f"L2 replay, quoting, {name}", tape) for name, tape in tapes.items()]


def _work(name: str, tape: BookTape) -> Work:
    terms = BookTerms()
    quote = compiled(quoting(advance, submit, cancel))

    def run() -> Replay:
        replay = tape.replay(terms, orders=40_000)
        quote(replay, STEP_NS, SIZE_LOTS, LOTS_A_TICK)
        return replay

    contenders = [local("flatbook", run), remote(PEER, "hftbacktest_quotes", for_peer(tape, terms))]
    return Work(name, contenders, tape.what.size, "M/s", [Bar(PEER, 2.0)])


def quoting(
    advance: Callable[..., bool], submit: Callable[..., int], cancel: Callable[..., bool], *, wakes: bool = False
) -> Strategy:
    """A post-only order a side at the touch, stepped back a tick for each `lots_a_tick` held; looked at each `step_ns`.

    Numba compiles what comes back where it has the kernels, Python runs it with either twin. With `wakes` it looks at
    every answer too, and does nothing at it.
    """

    def quote(replay: Replay, step_ns: int, lots: int, lots_a_tick: int) -> None:
        cursor, orders = replay.cursor, replay.orders
        ours = np.full(2, -1)
        look_ns = cursor[at.NOW_NS] + step_ns
        while advance(replay, look_ns, wakes):
            if cursor[at.NOW_NS] < look_ns:
                continue
            look_ns += step_ns
            bid, ask = cursor[at.KNOWN_BID], cursor[at.KNOWN_ASK]
            held = cursor[at.POSITION_LOTS]
            for k in range(2):
                side = 1 - 2 * k
                wanted = (bid if side > 0 else ask) - side * (max(side * held, 0) // lots_a_tick)
                if ours[k] >= 0:
                    if orders[ours[k], at.STATE] == at.DONE:
                        ours[k] = -1
                    elif orders[ours[k], at.TICK] != wanted:
                        cancel(replay, ours[k])
                if ours[k] < 0 and bid > 0 and ask < replay.depth.shape[1]:
                    ours[k] = submit(replay, side, wanted, lots, at.POST_ONLY)

    return quote


def compiled(strategy: Strategy) -> Strategy:
    """The strategy as machine code."""
    jit: Any = numba.njit
    return jit(strategy)  # type: ignore[no-any-return]


def fills_of(replay: Replay) -> NDArray[np.int64]:
    """Time at the venue, tick and side of each fill, by time and then side."""
    filled = replay.answers[: replay.cursor[at.ANSWERS_HEARD]]
    filled = filled[filled[:, at.ANSWER] == at.FILLED]
    sides = replay.orders[filled[:, at.ANSWERED], at.SIDE]
    rows = np.column_stack([filled[:, at.VENUE_NS], filled[:, at.AT_TICK], sides])
    return rows[np.lexsort((rows[:, 2], rows[:, 0]))]


def for_peer(tape: BookTape, terms: BookTerms) -> dict[str, Any]:
    """The same tape, terms and strategy as the peer's task takes them."""
    scalars = {
        "entry_ns": terms.entry_ns, "response_ns": terms.response_ns, "power": terms.queue_power, "step_ns": STEP_NS,
        "size_lots": SIZE_LOTS, "lots_a_tick": LOTS_A_TICK, "low": 0, "high": tape.window - 1,
    }  # fmt: skip
    columns = {name: getattr(tape, name) for name in ("exch_ts_ns", "local_ts_ns", "heard", "what", "tick", "lots")}
    return {**columns, **{name: np.array(value) for name, value in scalars.items()}}


def recorded_rows(least: int) -> pl.DataFrame:
    """Binance's inverse perpetual as recorded, again and again until there are `least` rows, each from its snapshot."""
    rows = binance_l2.read(list(RECORDED)).books.drop("instrument")
    clocks = rows.select("exch_ts_ns", "local_ts_ns")
    span_ns = max(clocks.max().row(0)) - min(clocks.min().row(0)) + STEP_NS
    times = range(-(-least // rows.height))
    return pl.concat(rows.with_columns(pl.col("exch_ts_ns", "local_ts_ns") + again * span_ns) for again in times)


def drawn_rows(count: int, seed: int = 1) -> pl.DataFrame:
    """A recording in which books cross for a moment, levels vanish and return, and rows reach us out of order."""
    draw = np.random.default_rng(seed)
    mid = 10_000 + np.cumsum(draw.integers(-1, 2, count) * (draw.random(count) < 0.02))
    what = draw.choice([at.BID, at.ASK, at.BUY_PRINT, at.SELL_PRINT], count, p=[0.42, 0.42, 0.08, 0.08])
    is_level = what <= at.ASK
    side = np.where((what == at.BID) | (what == at.SELL_PRINT), -1, 1)
    lots = np.where(is_level, draw.integers(1, 30, count) * (draw.random(count) < 0.7), draw.integers(1, 12, count))
    exch_ts_ns = 10**18 + np.cumsum(draw.integers(0, 2_000, count)) * 1_000
    rows = pl.DataFrame(
        {
            "exch_ts_ns": exch_ts_ns,
            "local_ts_ns": exch_ts_ns + draw.integers(1_000, 3_000, count) * 1_000,
            "what": what,
            "price_ticks": mid + side * (1 + np.where(is_level, draw.integers(0, 8, count), 0)),
            "size_lots": lots,
        }
    )
    return rows.sort("local_ts_ns", maintain_order=True)
