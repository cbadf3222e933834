"""Which changes of our quotes go out where not all may: what must be taken back first, then what moved most."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_BID, _ASK = 0, 2
_CUT, _UNACCEPTABLE = 2e9, 1e9
"""Above any move in half-spreads, so that these go first."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many rows may go out, and the least move of a price, in half-spreads, for which one does."""

    most_rows: int
    least_change_share: float


@dataclass(frozen=True, slots=True)
class SidePrices:
    """By what a change is judged. Shapes (2, rows): bids, asks. Units finest ticks, NaN where nothing is quoted."""

    half_spread: Floats
    reservation: Floats


def worth_sending(rows: Ints, resting: Ints, wanted: Ints, unsure: Flags, prices: SidePrices, limits: Limits) -> Ints:
    """Those of `rows` that go out now, rising; the others stay different, and are asked about again.

    First go rows of which a side is pulled or cut, or is not surely known; then those with a side that rests where we
    would no longer trade; then the rest by how far a price moved. A row whose sizes stay, whose prices are acceptable
    and moved less than the least share stays as it is.

    Shapes      rows (m,) of the table; resting, wanted (4, m) and unsure (m,) are theirs, as in `QuoteTable`, and so
                is `prices`
    """
    cut, resized, unacceptable = unsure.copy(), unsure.copy(), np.zeros(len(rows), np.bool_)
    moved = np.zeros(len(rows))
    for side, at, sign in ((0, _BID, 1), (1, _ASK, -1)):
        ticks, lots, new_ticks, new_lots = resting[at], resting[at + 1], wanted[at], wanted[at + 1]
        cut |= new_lots < lots
        resized |= new_lots != lots
        unacceptable |= (lots > 0) & (sign * (ticks - prices.reservation[side]) > 0)
        both = (lots > 0) & (new_lots > 0)
        share = np.abs(new_ticks - ticks) / np.maximum(prices.half_spread[side], 1e-9)
        moved = np.maximum(moved, np.where(both, np.nan_to_num(share, posinf=0.0), new_lots > 0))
    urgency = np.where(cut, _CUT, np.where(unacceptable, _UNACCEPTABLE, np.minimum(moved, 1e6)))
    going = np.flatnonzero(resized | unacceptable | (moved >= limits.least_change_share))
    if len(going) > limits.most_rows:
        going = going[np.argsort(-urgency[going], kind="stable")[: limits.most_rows]]
    return np.sort(rows[going])
