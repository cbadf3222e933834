"""Row slices of a large table on threads. Kernels hold no lock, so two slices take half the time.

Below some ten thousand rows, and always in the quoting loop, call the kernel itself: waking threads beside a busy
neighbour costs up to milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

_ALIGNMENT = 64  # rows: slices begin on whole vector registers and cache lines


def for_slices(pool: Executor, parts: int, rows: int, task: Callable[[int, int], None]) -> None:
    """Run `task(first, last)` over `parts` adjoining slices of `rows` rows on `pool`, and wait for all.

    The task slices its own columns: `lambda i, j: price_greeks(forward[i:j], ..., theta[i:j])`. The first exception
    of a slice is raised here.
    """
    if parts < 1 or rows < 0:
        raise ValueError(f"for_slices needs parts >= 1 and rows >= 0, not {parts} and {rows}")
    step = max(-(-rows // (parts * _ALIGNMENT)) * _ALIGNMENT, 1)
    waiting = [pool.submit(task, first, min(first + step, rows)) for first in range(0, rows, step)]
    for slice_ in waiting:
        slice_.result()
