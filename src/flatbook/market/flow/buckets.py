"""Into which flow an option's trades are counted, and the distance that flow is measured by.

A bucket is a tenor, a right, and how far out of the money the strike lies; each has two sides, of takers who sell (0)
and who buy (1). Buckets nest: a bucket in its tenor, a tenor in all; what is known of one is lent to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import ConfigurationError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NOWHERE = -1
"""Bucket of an option that is expired or has no vol: no flow of it is counted."""

SIDES = 2
"""Takers who sell to our bids, then takers who buy at our asks."""

_DAYS = 365.0


@dataclass(frozen=True, slots=True)
class FlowBuckets:
    """Edges of the buckets; each holds its lower edge and not its upper one, the outer ones are open.

    tenor_edges_days    to expiry, rising
    otm_edges           standard deviations out of the money: sign ln(K/F) / (vol sqrt(years)), sign +1 for a call
    """

    tenor_edges_days: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 15.0, 32.0, 65.0, 130.0)
    otm_edges: tuple[float, ...] = (-0.75, -0.25, 0.25, 0.75, 1.5, 2.5)

    def __post_init__(self) -> None:
        for name, edges in (("tenor_edges_days", self.tenor_edges_days), ("otm_edges", self.otm_edges)):
            if any(low >= high for low, high in pairwise(edges)):
                raise ConfigurationError(f"{name} {edges} do not rise; sort them, each once")

    @property
    def tenors(self) -> int:
        """How many tenors there are."""
        return len(self.tenor_edges_days) + 1

    @property
    def strikes(self) -> int:
        """How many buckets a tenor has: puts from deep in the money outward, then calls."""
        return 2 * (len(self.otm_edges) + 1)

    @property
    def count(self) -> int:
        """How many buckets there are."""
        return self.tenors * self.strikes

    def of(self, years: Floats, moneyness: Floats, sign: Floats, vol: Floats) -> Ints:
        """The bucket of each option, tenor x strikes + strike; NOWHERE for the expired and those without a vol.

        Shapes      all (n,)
        Units       years to expiry; moneyness ln(K/F) / (vol sqrt(years)); sign +1 for a call, -1 for a put
        """
        tenor = np.searchsorted(self.tenor_edges_days, years * _DAYS, side="right")
        otm = np.searchsorted(self.otm_edges, sign * moneyness, side="right")
        bucket = tenor * self.strikes + otm + np.where(sign > 0, len(self.otm_edges) + 1, 0)
        return np.where((years > 0) & (vol > 0), bucket, NOWHERE).astype(np.int64)

    def name(self, bucket: int) -> str:
        """A bucket as people read it: `2-4 d call 0.25-0.75`."""
        tenor, strike = divmod(bucket, self.strikes)
        right, otm = divmod(strike, len(self.otm_edges) + 1)
        return f"{_span(self.tenor_edges_days, tenor)} d {('put', 'call')[right]} {_span(self.otm_edges, otm)}"


def _span(edges: tuple[float, ...], at: int) -> str:
    if not edges:
        return "any"
    if at == 0:
        return f"<{edges[0]:g}"
    return f">{edges[-1]:g}" if at == len(edges) else f"{edges[at - 1]:g}–{edges[at]:g}"


@dataclass(frozen=True, slots=True)
class DepthUnit:
    """The distance from fair value that counts as one: a share of the coin and a piece of vol, added in squares.

    A tick weighs where vega is small, vol where it is large; so one decay serves options of many vegas. On Deribit's
    tape the number of prints falls by about e over the default.
    """

    coin: float = 2e-4
    vol: float = 4e-3

    def __post_init__(self) -> None:
        if not (self.coin > 0 and self.vol >= 0):
            raise ConfigurationError(f"a depth unit of {self.coin:g} coin and {self.vol:g} vol: use a coin above 0")

    def in_coin(self, vega_coin: Floats) -> Floats:
        """One unit in coin per contract; `vega_coin` in coin per 1.00 of vol, broadcast, NaN where not known."""
        return np.asarray(np.hypot(self.coin, self.vol * vega_coin))
