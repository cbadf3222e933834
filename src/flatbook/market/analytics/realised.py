"""Realised vol from bars and from ticks, and vol of vol.

Every estimator returns an annual vol whose square is unbiased for a driftless log-normal price watched without gaps.
They differ in what they use and in what breaks them:

    close to close     closes only; a known drift of nothing
    Parkinson          the range; 5 times as efficient; a drift or missed extremes bias it
    Garman-Klass       range, open and close; 7 times; the same flaws
    Rogers-Satchell    range, open and close; 6 times; free of drift
    Yang-Zhang         Rogers-Satchell, jumps between bars and opens to closes; free of drift, and sees gaps
    two scales         ticks under noise of quotes, which sums of squares mistake for vol

Sources: Parkinson (1980); Garman and Klass (1980); Rogers and Satchell (1991); Yang and Zhang (2000); Zhang, Mykland
and Ait-Sahalia (2005), "A tale of two time scales".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Open, high, low and close of consecutive bars of one length, shape (n,) each, and how many make a year."""

    opens: Floats
    highs: Floats
    lows: Floats
    closes: Floats
    bars_per_year: float

    def __post_init__(self) -> None:
        shapes = {column.shape for column in (self.opens, self.highs, self.lows, self.closes)}
        if len(shapes) != 1 or self.opens.ndim != 1 or not self.opens.size:
            raise BadInputError(
                f"columns of bars have shapes {sorted(shapes)}; give at least one bar, one length for all"
            )
        good = (
            (self.lows > 0.0)
            & (self.lows <= np.minimum(self.opens, self.closes))
            & (self.highs >= np.maximum(self.opens, self.closes))
            & (self.highs < math.inf)
        )
        if not good.all():
            at = int(np.argmin(good))
            raise BadInputError(
                f"bar {at} is none: open {self.opens[at]:g}, high {self.highs[at]:g}, low {self.lows[at]:g}, "
                f"close {self.closes[at]:g}; drop it or mend it"
            )
        if not 0.0 < self.bars_per_year < math.inf:
            raise BadInputError(f"{self.bars_per_year:g} bars per year; hours are 8760 and days 365")


def close_to_close(close: Floats, bars_per_year: float) -> float:
    """Root mean square of log returns; a mean is not taken off, for over a short span it is noise."""
    if close.size < 2 or not np.all(close > 0.0):
        raise BadInputError(f"{close.size} closes; give two or more, all above 0")
    return _annual(float(np.mean(np.diff(np.log(close)) ** 2)), bars_per_year)


def parkinson(bars: Bars) -> float:
    """By the range: mean of ln(H/L)^2 / (4 ln 2)."""
    return _annual(float(np.mean(np.log(bars.highs / bars.lows) ** 2)) / (4.0 * math.log(2.0)), bars.bars_per_year)


def garman_klass(bars: Bars) -> float:
    """By range and body: mean of ln(H/L)^2 / 2 - (2 ln 2 - 1) ln(C/O)^2."""
    ranges, bodies = np.log(bars.highs / bars.lows) ** 2, np.log(bars.closes / bars.opens) ** 2
    return _annual(float(np.mean(0.5 * ranges - (2.0 * math.log(2.0) - 1.0) * bodies)), bars.bars_per_year)


def rogers_satchell(bars: Bars) -> float:
    """Whatever the drift: mean of ln(H/C) ln(H/O) + ln(L/C) ln(L/O)."""
    return _annual(_rogers_satchell(bars), bars.bars_per_year)


def _rogers_satchell(bars: Bars) -> float:
    up = np.log(bars.highs / bars.closes) * np.log(bars.highs / bars.opens)
    down = np.log(bars.lows / bars.closes) * np.log(bars.lows / bars.opens)
    return float(np.mean(up + down))


def yang_zhang(bars: Bars) -> float:
    """With the jumps between bars, whatever the drift; the first bar gives only its close, so three bars at least."""
    n = bars.opens.size - 1
    if n < 2:
        raise BadInputError(f"{bars.opens.size} bars; Yang-Zhang needs three or more")
    between = np.log(bars.opens[1:] / bars.closes[:-1])
    within = np.log(bars.closes[1:] / bars.opens[1:])
    share = 0.34 / (1.34 + (n + 1) / (n - 1))
    rest = Bars(bars.opens[1:], bars.highs[1:], bars.lows[1:], bars.closes[1:], bars.bars_per_year)
    variance = float(between.var(ddof=1) + share * within.var(ddof=1)) + (1.0 - share) * _rogers_satchell(rest)
    return _annual(variance, bars.bars_per_year)


def two_scales(price: Floats, span_years: float, scale: int | None = None) -> float:
    """Vol of ticks under independent noise: the sum of squares over `scale` ticks, averaged over its starts, less the
    share of noise that the sum over single ticks shows.

    Shapes      price (n + 1,), in the order of time, over `span_years`
    Domain      2 <= scale < n; None takes n^(2/3), the rate of the source. Returns 0 where noise is all there is
    """
    n = price.size - 1
    step = round(n ** (2.0 / 3.0)) if scale is None and n > 0 else (scale or 0)
    if not (2 <= step < n and span_years > 0.0 and np.all(price > 0.0)):
        raise BadInputError(f"{n} returns at a scale of {step} over {span_years:g} years; give more ticks, above 0")
    level = np.log(price)
    slow = float(np.sum((level[step:] - level[:-step]) ** 2)) / step
    fast = float(np.sum(np.diff(level) ** 2))
    share = (n - step + 1) / (step * n)
    return math.sqrt(max(slow - share * fast, 0.0) / (1.0 - share) / span_years)


def vol_of_vol(vol: Floats, observations_per_year: float) -> float:
    """Relative vol of a series of vol levels, as DVOL or a constant-maturity vol is: the vol of its logarithm."""
    return close_to_close(vol, observations_per_year)


def _annual(variance_per_bar: float, bars_per_year: float) -> float:
    return math.sqrt(max(variance_per_bar, 0.0) * bars_per_year)
