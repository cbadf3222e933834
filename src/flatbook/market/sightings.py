"""What was seen of each expiry's smile: the last vols and bands, each carried along with the level since."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.market.expiry_quotes import Bands

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RING = 64
_K, _LOW, _HIGH, _ERROR, _DRIFT = range(5)


class Seen(NamedTuple):
    """Observations, all of one shape: of one slot (held,), or of several (slots, RING) and NaN where one holds fewer.

    Log-moneyness, low and high vol at today's level, standard error in vol, time seen.
    """

    k: Floats
    low: Floats
    high: Floats
    error: Floats
    seen_ns: Ints


def thinned(bands: Bands) -> Bands:
    """At most RING of them, evenly over the strikes."""
    n = len(bands.k)
    if n <= RING:
        return bands
    kept = np.round(np.linspace(0, n - 1, RING)).astype(np.int64)
    return Bands(bands.k[kept], bands.low[kept], bands.high[kept])


class Sightings:
    """The last RING observations of each expiry slot.

    Invariant   a vol is kept with the drift of its level when it was seen, and read at the drift of now
    """

    def __init__(self, slots: int) -> None:
        self.count: Ints = np.zeros(slots, np.int64)
        self._rows: Floats = np.full((slots, 5, RING), np.nan)
        self._seen_ns: Ints = np.zeros((slots, RING), np.int64)

    def keep(self, slot: int, k: float, low: float, high: float, error: float, drift: float, now_ns: int) -> None:
        """Keeps a vol, or a band whose absent end is NaN, at log-moneyness `k`, in place of the oldest."""
        at = int(self.count[slot]) % RING
        self._rows[slot, :, at] = (k, low, high, error, drift)
        self._seen_ns[slot, at] = now_ns
        self.count[slot] += 1

    def of(self, slot: int, drift: float) -> Seen:
        """What one slot holds, at the level's drift."""
        held = min(int(self.count[slot]), RING)
        k, low, high, error, then = self._rows[slot, :, :held]
        carried = np.exp(drift - then)
        return Seen(k, low * carried, high * carried, error, self._seen_ns[slot, :held])

    def held(self, slot: int) -> tuple[Floats, Ints, int]:
        """What one slot holds, as it was seen: what `kernels.seeing.recall` asks for."""
        return self._rows[slot], self._seen_ns[slot], min(int(self.count[slot]), RING)

    def of_all(self, slots: Ints, drift: Floats) -> Seen:
        """What several slots hold, at the drifts of their levels."""
        rows = self._rows[slots]
        carried = np.exp(drift[:, None] - rows[:, _DRIFT])
        return Seen(
            rows[:, _K], rows[:, _LOW] * carried, rows[:, _HIGH] * carried, rows[:, _ERROR], self._seen_ns[slots]
        )

    def forget_drift(self, slot: int, drift: float) -> None:
        """Takes what a slot holds for vols of now, as they were seen."""
        self._rows[slot, _DRIFT] = drift

    def grow(self, slots: int) -> None:
        """Makes room for as many slots."""
        more = slots - len(self.count)
        self.count = np.concatenate([self.count, np.zeros(more, np.int64)])
        self._rows = np.concatenate([self._rows, np.full((more, 5, RING), np.nan)])
        self._seen_ns = np.concatenate([self._seen_ns, np.zeros((more, RING), np.int64)])
