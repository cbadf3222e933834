"""Which way flow leans: quotes at the best prices, and trades by who took.

Order-flow imbalance counts what is added to the bid and taken from the ask, less the reverse; over short times a price
moves with it, by about half of it over the depth at the best. Trade imbalance counts the takers alone. Both fade by a
half-life, and are given over what they would be if every event fell to either side by a coin's toss: a score of 0 says
nothing, beyond ±3 flow leans.

Source      R. Cont, A. Kukanov, S. Stoikov (2014), "The price impact of order book events", Journal of Financial
            Econometrics 12
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_SECOND

Floats = NDArray[np.float64]


class BestQuotes(NamedTuple):
    """Best prices and the sizes there."""

    bid: float
    bid_size: float
    ask: float
    ask_size: float


def best_quote_flow(before: BestQuotes, after: BestQuotes) -> float:
    """e_n of the paper: what one change of the best quotes added to the demand side, in their sizes' unit."""
    flow = 0.0
    if after.bid >= before.bid:
        flow += after.bid_size
    if after.bid <= before.bid:
        flow -= before.bid_size
    if after.ask <= before.ask:
        flow -= after.ask_size
    if after.ask >= before.ask:
        flow += before.ask_size
    return flow


class Imbalance:
    """Signed volume by group, fading.

    Shapes      all (groups,)
    Units       net in the unit of what is added
    """

    def __init__(self, groups: int, half_life_s: float) -> None:
        if groups < 1 or not half_life_s > 0:
            raise BadInputError(f"{groups} groups with a half-life of {half_life_s:g} s: use one or more, and above 0")
        self._half_life_ns = half_life_s * NS_PER_SECOND
        self._net: Floats = np.zeros(groups)
        self._total: Floats = np.zeros(groups)
        self._square: Floats = np.zeros(groups)
        self._at_ns: NDArray[np.int64] = np.zeros(groups, np.int64)

    def add(self, group: int, signed: float, now_ns: int) -> None:
        """Adds a volume to one group, positive where it is demand."""
        fade = 0.5 ** ((now_ns - int(self._at_ns[group])) / self._half_life_ns)
        self._net[group] = self._net[group] * fade + signed
        self._total[group] = self._total[group] * fade + abs(signed)
        self._square[group] = self._square[group] * fade * fade + signed * signed
        self._at_ns[group] = now_ns

    def net(self, now_ns: int) -> Floats:
        """The signed sum, faded to now."""
        return np.asarray(self._net * 0.5 ** ((now_ns - self._at_ns) / self._half_life_ns))

    def share(self) -> Floats:
        """Net over total, -1 to 1; NaN where nothing was added."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self._net / self._total)

    def score(self) -> Floats:
        """Net over its standard deviation were each sign a coin's toss; NaN where nothing was added."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self._net / np.sqrt(self._square))

    def age_s(self, now_ns: int) -> Floats:
        """Seconds since something was added; NaN before."""
        return np.where(self._at_ns > 0, (now_ns - self._at_ns) / NS_PER_SECOND, np.nan)


class QuoteImbalance:
    """Order-flow imbalance of one instrument's best quotes."""

    def __init__(self, half_life_s: float) -> None:
        self.flow = Imbalance(1, half_life_s)
        self._last: BestQuotes | None = None

    def observe(self, quotes: BestQuotes, now_ns: int) -> None:
        """The best quotes are now these; a side that is gone has size 0 and price -inf or +inf."""
        if self._last is not None and quotes != self._last:
            self.flow.add(0, best_quote_flow(self._last, quotes), now_ns)
        self._last = quotes

    def expected_ticks(self, now_ns: int) -> float:
        """The move that goes with the imbalance, by the paper's stylised book: net over twice the depth; NaN before."""
        if self._last is None:
            return math.nan
        depth = 0.5 * (self._last.bid_size + self._last.ask_size)
        return float(self.flow.net(now_ns)[0]) / (2 * depth) if depth > 0 else math.nan
