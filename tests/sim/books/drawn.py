"""Order books drawn from a seed about a given price, written as a session: what tests of hedging in books replay."""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flatbook.kernels import l2_layout as at
from flatbook.store.importers.recording import Recording, write
from flatbook.store.session import BookContract
from flatbook.store.tables import BOOKS

STEP_NS = 200_000_000
LEVELS = 12

PERPETUAL = BookContract("binance", "BTCUSD_PERP", "0.1", "1", 100)
SPOT = BookContract("binance", "BTCUSDT", "0.01", "0.001")


def drawn_book(
    contract: BookContract, name: str, mid_usd: NDArray[np.float64], start_ns: int, seed: int
) -> pl.DataFrame:
    """A book whose middle follows `mid_usd` (n,), one each STEP_NS: a dozen levels a side, at times a print.

    Each row is heard 2 to 5 ms after it happened, never before the one before it.
    """
    draw, rows = np.random.default_rng(seed), list[tuple[int, int, int, int]]()
    shown: dict[tuple[int, int], int] = {}
    for step, mid in enumerate(np.rint(mid_usd / float(contract.tick)).astype(int).tolist()):
        now_ns = start_ns + step * STEP_NS
        wanted = {(at.BID, mid - 1 - 5 * k): 0 for k in range(LEVELS)} | {
            (at.ASK, mid + 1 + 5 * k): 0 for k in range(LEVELS)
        }
        gone = [level for level in shown if level not in wanted]
        changed = [level for level in wanted if level not in shown or draw.random() < 0.2]
        for what, tick in gone:
            rows.append((now_ns, what, tick, 0))
            del shown[what, tick]
        for what, tick in changed:
            shown[what, tick] = int(draw.integers(5, 200))
            rows.append((now_ns, what, tick, shown[what, tick]))
        if draw.random() < 0.5:
            what, tick = [(at.BUY_PRINT, mid + 1), (at.SELL_PRINT, mid - 1)][draw.integers(2)]
            rows.append((now_ns + STEP_NS // 2, what, tick, int(draw.integers(1, 60))))
    exch_ts_ns, codes, ticks, lots = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    heard_ns = np.maximum.accumulate(exch_ts_ns + draw.integers(2_000_000, 5_000_000, exch_ts_ns.size))
    columns = {
        "exch_ts_ns": exch_ts_ns, "local_ts_ns": heard_ns, "instrument": [name] * exch_ts_ns.size,
        "what": codes, "price_ticks": ticks, "size_lots": lots,
    }  # fmt: skip
    return pl.DataFrame(columns, schema=BOOKS.schema)


def write_books(out: Path, books: dict[str, tuple[BookContract, pl.DataFrame]]) -> Path:
    """A session of order books alone."""
    source = out.with_suffix(".drawn")
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(", ".join(books), encoding="utf-8")
    recording = Recording("drawn", inputs=[source])
    recording.books = pl.concat(frame for _, frame in books.values())
    recording.contracts = {name: contract for name, (contract, _) in books.items()}
    write(recording, out, "none")
    return out


def walk_usd(steps: int, seed: int, start_usd: float = 60_000.0, step_bp: float = 1.0) -> NDArray[np.float64]:
    """A price that walks."""
    moves = np.random.default_rng(seed).normal(0.0, step_bp * 1e-4, steps)
    return np.asarray(start_usd * np.exp(np.cumsum(moves)))
