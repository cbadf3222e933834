"""The chains of one underlying over time: whole snapshots, or single updates whose state is asked for."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import polars as pl

from flatbook.market.chain_snapshot import ChainSnapshot, Ints, LinearQuote
from flatbook.store.chains.quotes import is_option

_ORDER = ("expiry_ns", "strike_usd", "sign")
_COLUMNS = (
    *("expiry_ns", "strike_usd", "sign", "forward_usd", "bid", "ask", "mark"),
    *("bid_size", "ask_size", "bid_iv", "ask_iv", "mark_iv"),
)


class History(Protocol):
    """The chains of one underlying, settled in one currency. `times_ns` rises; there is a snapshot at each."""

    @property
    def span_ns(self) -> tuple[int, int]:
        """The first and the last time that something is known of."""
        ...

    @property
    def times_ns(self) -> Ints:
        """When each listed snapshot was taken, shape (n,)."""
        ...

    def snapshot(self, number: int) -> ChainSnapshot:
        """The listed snapshot of that number, from 0."""
        ...

    def at(self, ts_ns: int) -> ChainSnapshot | None:
        """What was last taken at or before `ts_ns`; None where nothing was."""
        ...


class RunHistory:
    """Whole snapshots. Rows are sound; the columns of `quotes.with_contracts`, and `taken_ns` and `run`."""

    def __init__(self, rows: pl.DataFrame) -> None:
        ordered = rows.sort("taken_ns", "run", *_ORDER, maintain_order=True)
        self._rows = ordered
        sizes = ordered.group_by("taken_ns", "run", maintain_order=True).len()
        self._ends = np.cumsum(sizes["len"].to_numpy()).astype(np.int64)
        self._times_ns: Ints = sizes["taken_ns"].to_numpy()

    @property
    def span_ns(self) -> tuple[int, int]:
        """The first and the last snapshot."""
        return int(self._times_ns[0]), int(self._times_ns[-1])

    @property
    def times_ns(self) -> Ints:
        """When each was taken."""
        return self._times_ns

    def snapshot(self, number: int) -> ChainSnapshot:
        """The snapshot of that number, from 0."""
        begin = int(self._ends[number - 1]) if number else 0
        return _snapshot(self._rows[begin : int(self._ends[number])], int(self._times_ns[number]))

    def at(self, ts_ns: int) -> ChainSnapshot | None:
        """The last snapshot taken at or before `ts_ns`."""
        number = bisect_right(self._times_ns, ts_ns) - 1
        return self.snapshot(number) if number >= 0 else None


class UpdateHistory:
    """Single updates; listed is the state after the last.

    `batches` gives rows by time, anew each time it is asked: as of `RunHistory`, unsound ones among them, told by
    their `reason`, for they end what stood before them. `standing` is the last row of each instrument.
    """

    def __init__(
        self, pair: str, batches: Callable[[], Iterator[pl.DataFrame]], first_ns: int, standing: pl.DataFrame
    ) -> None:
        self._pair = pair
        self._batches = batches
        self._last = _state(standing.filter(pl.col("pair") == pair))
        self._last_ns = int(standing.filter(pl.col("pair") == pair)["ts_ns"].to_numpy().max())
        self._first_ns = first_ns

    @property
    def span_ns(self) -> tuple[int, int]:
        """The first and the last update."""
        return self._first_ns, self._last_ns

    @property
    def times_ns(self) -> Ints:
        """When the last update came; none where it left no option."""
        return np.array([] if self._last is None else [self._last.ts_ns], dtype=np.int64)

    def snapshot(self, number: int) -> ChainSnapshot:
        """The state after the last update."""
        assert number == 0
        assert self._last is not None
        return self._last

    def at(self, ts_ns: int) -> ChainSnapshot | None:
        """The last sound row of each instrument that had not expired, as of the last update by `ts_ns`."""
        if ts_ns >= self._last_ns:
            return self._last
        standing: pl.DataFrame | None = None
        for rows in self._batches():
            due = rows.filter((pl.col("pair") == self._pair) & (pl.col("ts_ns") <= ts_ns))
            standing = latest(standing, due)
            if (rows["ts_ns"] > ts_ns).any():
                break
        return _state(standing) if standing is not None else None


def latest(standing: pl.DataFrame | None, rows: pl.DataFrame) -> pl.DataFrame:
    """The last row of each instrument, of what stood and what came after."""
    every = rows if standing is None else pl.concat([standing, rows])
    return every.unique("instrument", keep="last")


def _state(standing: pl.DataFrame) -> ChainSnapshot | None:
    """The chain of the rows that stand; None where no option is left of them."""
    if standing.is_empty():
        return None
    taken_ns = int(standing["ts_ns"].to_numpy().max())
    alive = pl.col("expiry_ns").is_null() | (pl.col("expiry_ns") > taken_ns)
    sound = standing.filter(pl.col("reason").is_null() & alive)
    return _snapshot(sound.sort(*_ORDER), taken_ns) if sound.filter(is_option()).height else None


def _snapshot(rows: pl.DataFrame, taken_ns: int) -> ChainSnapshot:
    options = rows.filter(is_option())
    base, _, quote = rows["pair"][0].partition("_")
    index = options["index_usd"].drop_nans().median()
    return ChainSnapshot(
        underlying=base,
        settle=quote or base,
        ts_ns=taken_ns,
        index_usd=float(index) if isinstance(index, float) else float("nan"),
        instrument=tuple(options["instrument"]),
        **{name: options[name].to_numpy() for name in _COLUMNS},
        linear=_linear(rows.filter(~is_option())),
    )


def _linear(rows: pl.DataFrame) -> tuple[LinearQuote, ...]:
    columns = rows.sort("expiry_ns", "instrument").select("instrument", "expiry_ns", "bid", "ask", "mark")
    return tuple(LinearQuote(*row) for row in columns.iter_rows())
