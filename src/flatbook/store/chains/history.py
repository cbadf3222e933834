"""The chains of one underlying over time: whole snapshots, or single updates whose state is asked for."""

from bisect import bisect_right
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
    """Single updates, each all that is known of its instrument; listed is the state after the last.

    Rows as of `RunHistory`, unsound ones among them, told by their `reason`: they end what stood before them.
    """

    def __init__(self, rows: pl.DataFrame) -> None:
        self._rows = rows.sort("ts_ns", maintain_order=True)
        self._clock: Ints = self._rows["ts_ns"].to_numpy()

    @property
    def times_ns(self) -> Ints:
        """When the last update came."""
        return self._clock[-1:]

    def snapshot(self, number: int) -> ChainSnapshot:
        """The state after the last update."""
        assert number == 0
        last = self.at(int(self._clock[-1]))
        assert last is not None
        return last

    def at(self, ts_ns: int) -> ChainSnapshot | None:
        """The last sound row of each instrument that had not expired, as of the last update by `ts_ns`."""
        count = bisect_right(self._clock, ts_ns)
        if not count:
            return None
        taken_ns = int(self._clock[count - 1])
        stands = self._rows[:count].unique("instrument", keep="last")
        alive = pl.col("expiry_ns").is_null() | (pl.col("expiry_ns") > taken_ns)
        return _snapshot(stands.filter(pl.col("reason").is_null() & alive).sort(*_ORDER), taken_ns)


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
