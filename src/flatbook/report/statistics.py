"""Risk statistics of a series sampled at uneven times.

Shapes      all arguments (n,), times rising; NaN values are left out
Returns     NaN where the series is too short to say
"""

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_HOUR

Floats = NDArray[np.float64]
Times = NDArray[np.int64]


def max_drawdown(gains: Floats) -> float:
    """The greatest fall from a peak of cumulative `gains`, positive; the start, at zero, counts as a peak."""
    known = gains[~np.isnan(gains)]
    if known.size == 0:
        return float("nan")
    peaks = np.maximum.accumulate(np.concatenate(([0.0], known)))[1:]
    return float(np.max(peaks - known))


def time_weighted_rms(ts_ns: Times, values: Floats) -> float:
    """Root mean square over time; a value holds until the next one, so the last has weight only alone."""
    known = ~np.isnan(values)
    times, squares = ts_ns[known], values[known] ** 2
    if times.size == 0:
        return float("nan")
    seconds = np.diff(times) / 1e9
    if seconds.sum() == 0.0:
        return float(np.sqrt(squares.mean()))
    return float(np.sqrt(np.average(squares[:-1], weights=seconds)))


def hourly_changes(ts_ns: Times, values: Floats) -> Floats:
    """Changes over each whole hour from the first time on, by the last value known at each hour's end."""
    known = ~np.isnan(values)
    times, levels = ts_ns[known], values[known]
    if times.size == 0:
        return np.empty(0)
    marks = np.arange(times[0], times[-1] + 1, NS_PER_HOUR)
    return np.diff(levels[np.searchsorted(times, marks, side="right") - 1])


def std_per_hour(ts_ns: Times, values: Floats) -> float:
    """Sample standard deviation of the hourly changes; NaN under two of them."""
    changes = hourly_changes(ts_ns, values)
    return float(np.std(changes, ddof=1)) if changes.size > 1 else float("nan")
