"""Means of samples that hang together, many at once and fading, with errors that know it.

Markouts of trades a second apart share the market's move, and a mean's error by the number of trades would be far too
small. So samples come in blocks of time; blocks are taken as independent and the error is that of their sums
(cluster-robust). All sums fade by a half-life, and with them what they are worth: a mean without news is less and less
certain, which lets it yield to its pool.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Samples(NamedTuple):
    """Means, and what they are worth.

    Shapes      mean, noise (nodes, measures), or (nodes,) of one measure; worth, blocks (nodes,)
    Units       worth is the count of samples and blocks that of blocks, both discounted; noise is the variance of a
                mean times its worth. Mean is NaN where there is nothing, noise below two blocks
    """

    mean: Floats
    noise: Floats
    worth: Floats
    blocks: Floats

    @property
    def error(self) -> Floats:
        """Standard error of the mean; NaN below two blocks."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.sqrt((self.noise.T / self.worth).T))

    def of(self, nodes: slice, measure: int) -> Samples:
        """One measure of some nodes."""
        return Samples(self.mean[nodes, measure], self.noise[nodes, measure], self.worth[nodes], self.blocks[nodes])


class ClusteredMeans:
    """Means of several measures over many nodes.

    Invariant   closed sums are discounted to the last `close`; the open block is not in them
    """

    def __init__(self, nodes: int, measures: int) -> None:
        # Column 0 counts, the others sum a measure each.
        self._open: Floats = np.zeros((nodes, 1 + measures))
        self._sums: Floats = np.zeros((nodes, 1 + measures))
        self._crosses: Floats = np.zeros((nodes, 1 + measures))
        self._squares: Floats = np.zeros((nodes, 1 + measures))
        self._blocks: Floats = np.zeros(nodes)
        self._has_open = False

    def add(self, nodes: Ints, row: Floats) -> None:
        """A sample into the open block: the nodes it counts in, all different, and (1, measures...)."""
        self._open[nodes] += row
        self._has_open = True

    def close(self, fade: float, since: float = 1.0) -> None:
        """Ends the block: what was closed before fades over it, the block is put to it, all fade by what is `since`."""
        kept = (self._sums, self._crosses, self._squares, self._blocks)
        for sums in kept:
            sums *= fade
        if self._has_open:
            count = self._open[:, :1]
            self._sums += self._open
            self._crosses += count * self._open
            self._squares += self._open**2
            self._blocks += count[:, 0] > 0
            self._open[:] = 0.0
            self._has_open = False
        for sums in kept:
            sums *= since

    def samples(self, fade: float = 1.0) -> Samples:
        """What the closed blocks say, faded once more."""
        count, blocks = self._sums[:, :1], self._blocks[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self._sums[:, 1:] / count
            square = self._squares[:, 1:] - 2 * mean * self._crosses[:, 1:] + mean**2 * self._crosses[:, :1]
            noise = np.maximum(square, 0.0) / count * blocks / (blocks - 1)
        known = count > 0
        return Samples(
            np.where(known, mean, np.nan),
            np.where(known & (blocks > 1), noise, np.nan),
            fade * count[:, 0],
            fade * self._blocks,
        )
