"""The forward of one expiry by put-call parity.

C - P = 1 - K/F in coin, F - K for options settled in dollars, both undiscounted: fitted with a free discount, recorded
chains agree with a discount of 1 within its error, a few parts in ten thousand where that is smallest. Each strike
whose call and put are quoted on both sides gives F with the error of mids that lie anywhere in their bid-ask; a
weighted regression goes through all strikes, without those far off its line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.market.calibration.evidence import Observed, birge_ratio
from flatbook.market.chain_snapshot import ChainSnapshot

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNIFORM: Final = 1.0 / math.sqrt(12.0)
"""Standard deviation of what lies anywhere in a band of width 1."""

_MOST_ROUNDS = 20
_SHARPEST = 1e-5  # relative: a locked quote says no more than its tick


@dataclass(frozen=True, slots=True, eq=False)
class ParityPairs:
    """One observation of the forward per strike with a two-sided call and put, shape (n,) each.

    ratio       forward over the one stated beside the two rows; the forward itself, in USD, where none is stated
    deviation   of `ratio`, relative
    """

    ratio: Floats
    deviation: Floats
    is_relative: bool


def parity_pairs(snapshot: ChainSnapshot, rows: Ints) -> ParityPairs:
    """What each strike of one expiry, whose rows are given, says of the forward."""
    calls, puts = rows[snapshot.sign[rows] > 0.0], rows[snapshot.sign[rows] < 0.0]
    _, in_calls, in_puts = np.intersect1d(snapshot.strike_usd[calls], snapshot.strike_usd[puts], return_indices=True)
    call, put = calls[in_calls], puts[in_puts]
    mid = 0.5 * (snapshot.bid + snapshot.ask)
    width = np.where(snapshot.ask >= snapshot.bid, snapshot.ask - snapshot.bid, np.nan)
    gap = mid[call] - mid[put]
    error = UNIFORM * np.hypot(width[call], width[put])
    stated = np.stack((snapshot.forward_usd[call], snapshot.forward_usd[put]))
    is_relative = bool(np.isfinite(stated).any())
    # A pair quoted on two forwards errs by up to their difference: the option in the money moved with it.
    asynchrony = np.abs(np.log(stated[0] / stated[1])) if is_relative else np.zeros(call.size)
    level = np.sqrt(stated[0] * stated[1]) if is_relative else np.ones(call.size)
    strike = snapshot.strike_usd[call]
    with np.errstate(divide="ignore", invalid="ignore"):
        if snapshot.is_inverse:
            forward = np.where(gap < 1.0, strike / (1.0 - gap), np.nan)
            relative = forward / strike * error
        else:
            forward = np.where(strike + gap > 0.0, strike + gap, np.nan)
            relative = error / forward
        ratio, deviation = forward / level, np.hypot(np.maximum(relative, _SHARPEST), asynchrony)
    good = np.isfinite(ratio) & np.isfinite(deviation)
    return ParityPairs(ratio[good], deviation[good], is_relative)


def parity_regression(pairs: ParityPairs, outlier: float) -> tuple[Observed, int] | None:
    """Log forward (or ratio) by weighted least squares over strikes, and the number of strikes it stands on.

    A strike farther than `outlier` of its deviations from the line is left out, starting from the line through the
    weighted median. The error is that of independent mids anywhere in their bid-ask, and larger by the Birge ratio
    where strikes scatter by more. None without a strike.
    """
    if not pairs.ratio.size:
        return None
    # One unknown: the line's other end is the coin itself, so the regression on strikes is a weighted mean.
    log, weight = np.log(pairs.ratio), pairs.deviation**-2.0
    centre, kept = _weighted_median(log, 1.0 / pairs.deviation), np.zeros(log.size, dtype=bool)
    for _ in range(_MOST_ROUNDS):
        now = np.abs(log - centre) <= outlier * pairs.deviation
        if not now.any() or np.array_equal(now, kept):
            break
        kept = now
        centre = float(np.average(log[kept], weights=weight[kept]))
    used = int(kept.sum())
    if not used:
        return None
    chi2 = float(weight[kept] @ (log[kept] - centre) ** 2)
    return Observed("parity", centre, birge_ratio(chi2, used) / math.sqrt(float(weight[kept].sum()))), used


def _weighted_median(values: Floats, weight: Floats) -> float:
    order = np.argsort(values)
    share = np.cumsum(weight[order])
    return float(values[order[np.searchsorted(share, 0.5 * share[-1])]])
