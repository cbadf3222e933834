"""Markouts: what trades were worth some time later, by bucket, side and size, online.

For each trade, of ours or of others on the tape, seen from its maker (side +1 where the maker bought):

    edge        side x (fair value - price): what the maker gained at once
    move        side x (fair value after the horizon - fair value - decay of time): what it gained, or lost to whoever
                knew better, afterwards; in coin per contract and in units of depth
    vol move    side x change of the option's vol, in vol points

The markout is edge + move. Fair values are the caller's own before the trade and as of the horizon's end, never of an
event after it. A horizon that is not over, or that the option does not live through, is missing.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import ConfigurationError
from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND, NS_PER_YEAR
from flatbook.market.flow.buckets import SIDES, FlowBuckets
from flatbook.market.flow.clusters import ClusteredMeans, Samples

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COIN, UNITS, VOL_PT, EDGE_COIN, EDGE_UNITS = range(5)
"""Measures of a markout: the move in three units, and the edge in two."""

_MEASURES = 5
_LEAST_BLOCK_NS = 10 * NS_PER_MINUTE
_NEVER_NS = 2**62


@dataclass(frozen=True, slots=True)
class MarkoutModel:
    """Horizons in seconds, rising; the contracts from which a taker is of the next size class; the half-life."""

    horizons_s: tuple[float, ...] = (1.0, 10.0, 60.0, 600.0, 3600.0)
    size_edges: tuple[float, ...] = (1.0, 10.0)
    half_life_hours: float = 48.0

    def __post_init__(self) -> None:
        for name, edges in (("horizons_s", self.horizons_s), ("size_edges", self.size_edges)):
            if any(low >= high for low, high in pairwise((0.0, *edges))):
                raise ConfigurationError(f"markouts: {name} {edges} do not rise from above 0")

    @property
    def sizes(self) -> int:
        """How many size classes there are."""
        return len(self.size_edges) + 1


@dataclass(frozen=True, slots=True)
class ChainColumns:
    """The chain as flow is measured against it, a row each.

    Shapes      all (n,)
    Units       fair, vega (per 1.00 vol) and theta (per year) in coin per contract; vol a decimal, not above 0 where
                the option is expired or has none
    """

    fair_coin: Floats
    vol: Floats
    vega_coin: Floats
    theta_coin: Floats


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade to be followed. side +1: its maker bought; size in contracts; unit_coin is one unit of depth."""

    row: int
    bucket: int
    side: int
    price_coin: float
    size: float
    unit_coin: float


class _Waiting(NamedTuple):
    """A trade on its way to its horizons: what it is measured from."""

    ts_ns: int
    trade: Trade
    nodes: Ints
    fair_coin: float
    vol: float
    theta_coin: float


class Markouts:
    """Trades that wait for their horizons, and the sums of those that reached them.

    Nodes, in each of which a trade counts: a bucket and its maker's side; a tenor; all; a size class and side. `nodes`
    gives their slices.
    Invariant   each horizon's queue is in order of time, and holds the trades that have not reached it
    """

    def __init__(self, buckets: FlowBuckets, model: MarkoutModel) -> None:
        self.model = model
        self.buckets = buckets
        counts = {"bucket": SIDES * buckets.count, "tenor": buckets.tenors, "all": 1, "size": SIDES * model.sizes}
        ends = np.cumsum(list(counts.values())).tolist()
        self.nodes = {name: slice(end - size, end) for (name, size), end in zip(counts.items(), ends, strict=True)}
        self._horizons = [_Horizon(int(seconds * NS_PER_SECOND), ends[-1]) for seconds in model.horizons_s]
        self._next_ns = _NEVER_NS

    def observe(self, trade: Trade, chain: ChainColumns, now_ns: int) -> None:
        """A trade happened now; `chain` is as it was known before it. One without a fair value is passed over."""
        fair, vol = float(chain.fair_coin[trade.row]), float(chain.vol[trade.row])
        if trade.bucket < 0 or not (math.isfinite(fair) and vol > 0 and trade.unit_coin > 0):
            return
        theta = float(chain.theta_coin[trade.row])
        waiting = _Waiting(now_ns, trade, self._nodes_of(trade), fair, vol, theta)
        for horizon in self._horizons:
            horizon.queue.append(waiting)
        self._next_ns = min(self._next_ns, now_ns + self._horizons[0].length_ns)

    def mature(self, chain: ChainColumns, now_ns: int) -> None:
        """Takes what reached its horizon by now against `chain`, which is as known before this moment's event.

        It may wait for as long as the chain stays the same.
        """
        if now_ns < self._next_ns:
            return
        self._next_ns = _NEVER_NS
        for horizon in self._horizons:
            self._close_block(horizon, now_ns)
            queue = horizon.queue
            while queue and queue[0].ts_ns + horizon.length_ns <= now_ns:
                _take(horizon, queue.popleft(), chain, now_ns)
            if queue:
                self._next_ns = min(self._next_ns, queue[0].ts_ns + horizon.length_ns)

    def samples(self, horizon: int, now_ns: int) -> Samples:
        """What the trades that reached a horizon say, nodes by measures, as of now; an open block is not in it yet."""
        found = self._horizons[horizon]
        self._close_block(found, now_ns)
        return found.means.samples(self._fade(now_ns - found.closed_ns))

    def age_s(self, horizon: int, now_ns: int) -> Floats:
        """(nodes,) seconds since a trade last reached the horizon; NaN before the first."""
        seen_ns = self._horizons[horizon].seen_ns
        return np.where(seen_ns > 0, (now_ns - seen_ns) / NS_PER_SECOND, np.nan)

    def _nodes_of(self, trade: Trade) -> Ints:
        side = int(trade.side < 0)  # takers who sell come first: their maker bought
        size = int(np.searchsorted(self.model.size_edges, trade.size, side="right"))
        return np.array(
            [
                self.nodes["bucket"].start + SIDES * trade.bucket + side,
                self.nodes["tenor"].start + trade.bucket // self.buckets.strikes,
                self.nodes["all"].start,
                self.nodes["size"].start + SIDES * size + side,
            ]
        )

    def _close_block(self, horizon: _Horizon, now_ns: int) -> None:
        elapsed_ns = now_ns - horizon.closed_ns
        if elapsed_ns >= horizon.block_ns:
            horizon.means.close(self._fade(horizon.block_ns), self._fade(elapsed_ns - horizon.block_ns))
            horizon.closed_ns = now_ns

    def _fade(self, elapsed_ns: int) -> float:
        return float(0.5 ** (elapsed_ns / (self.model.half_life_hours * NS_PER_HOUR)))


class _Horizon:
    """One horizon: who waits for it, and the means of those who reached it. Blocks are at least twice as long."""

    def __init__(self, length_ns: int, nodes: int) -> None:
        self.length_ns = length_ns
        self.block_ns = max(2 * length_ns, _LEAST_BLOCK_NS)
        self.queue: deque[_Waiting] = deque()
        self.means = ClusteredMeans(nodes, _MEASURES)
        self.closed_ns = 0
        self.seen_ns: Ints = np.zeros(nodes, np.int64)


def _take(horizon: _Horizon, waiting: _Waiting, chain: ChainColumns, now_ns: int) -> None:
    trade = waiting.trade
    fair, vol = float(chain.fair_coin[trade.row]), float(chain.vol[trade.row])
    if not (math.isfinite(fair) and vol > 0):
        return
    expected = waiting.fair_coin + waiting.theta_coin * (horizon.length_ns / NS_PER_YEAR)
    move, edge = trade.side * (fair - expected), trade.side * (waiting.fair_coin - trade.price_coin)
    vol_pt = 100 * trade.side * (vol - waiting.vol)
    row = np.array([1.0, move, move / trade.unit_coin, vol_pt, edge, edge / trade.unit_coin])
    horizon.means.add(waiting.nodes, row)
    horizon.seen_ns[waiting.nodes] = now_ns
