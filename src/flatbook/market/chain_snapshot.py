"""Quotes of one underlying's options taken together, as columns: what a calibration reads, whoever recorded it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LinearQuote:
    """A dated future or a perpetual as quoted: USD per coin; `expiry_ns` None for a perpetual, NaN where unknown."""

    instrument: str
    expiry_ns: int | None
    bid: float
    ask: float
    mark: float


@dataclass(frozen=True, slots=True)
class ChainSnapshot:
    """One chain at one time.

    underlying, settle      currencies: an option is coin-settled (inverse) where they are the same
    ts_ns                   when it was taken, UTC; of rows taken one by one, the last
    index_usd               NaN where unknown
    Shapes                  every column (n,), a row an option; names unique
    Units                   bid, ask, mark in `settle` per contract of one coin; sizes in contracts; vols decimal;
                            strike and forward USD; `forward_usd` is the venue's at the time of the row
    Domain                  NaN where there is no quote or no statement; a bid or ask is above zero or NaN
    """

    underlying: str
    settle: str
    ts_ns: int
    index_usd: float
    instrument: tuple[str, ...]
    expiry_ns: Ints
    strike_usd: Floats
    sign: Floats
    forward_usd: Floats
    bid: Floats
    ask: Floats
    mark: Floats
    bid_size: Floats
    ask_size: Floats
    bid_iv: Floats
    ask_iv: Floats
    mark_iv: Floats
    linear: tuple[LinearQuote, ...] = ()

    @property
    def is_inverse(self) -> bool:
        """Whether premium is paid in the coin itself."""
        return self.settle == self.underlying
