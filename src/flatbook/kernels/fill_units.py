"""What one contract of each row, bought at fair value, adds to a book: the numbers that limits bound."""

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.chain import FACTORS, TENORS
from flatbook.kernels.jit import Arg, inlined, kernel
from flatbook.kernels.vector import largest

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LINEAR = ("delta", "gamma", "vega", "vega_short", "vega_mid", "vega_long", "vanna", "volga", "contracts")
"""The axes that `fill_units` fills, in order."""

SHARES = [2 * FACTORS + 2 + 3 * tenor for tenor in range(TENORS)]
"""Where a slot's factor map has the tenors' shares of its vega."""


def fill_units_plain(
    index: float, slot: Ints, factor_map: Floats, forward: Floats, greeks: Floats, unit: Floats, reach: Floats
) -> None:
    """Plain twin of `fill_units`."""
    scale = index / forward
    vega = np.where(np.isfinite(greeks[3] * scale), greeks[3] * scale / 100, unit[2])
    fresh = np.stack(
        [
            greeks[1] - greeks[0] / forward,
            greeks[2] * forward * index / 100,
            vega,
            *(vega * factor_map[:, SHARES].T[:, slot]),
            greeks[5] * index / 1e4,
            greeks[6] * scale / 1e4,
            np.ones(len(forward)),
        ]
    )
    rows = len(LINEAR)
    unit[:rows] = np.where(np.isfinite(fresh), fresh, unit[:rows])
    reach[:rows] = np.abs(unit[:rows]).max(axis=1, initial=0.0)


@inlined
def _known(fresh: float, last: float) -> float:
    return fresh if abs(fresh) < np.inf else last


@kernel(Arg.FLOAT, Arg.IN_INT, Arg.IN_2D, Arg.IN, Arg.IN_2D, Arg.OUT_2D, Arg.OUT, plain=fill_units_plain)
def fill_units(
    index: float, slot: Ints, factor_map: Floats, forward: Floats, greeks: Floats, unit: Floats, reach: Floats
) -> None:
    """Fill what buying one contract at fair value adds to each of LINEAR, and the largest of any row in `reach`.

    Shapes      factor_map (slots, ...) as in `kernels.factors.map_factors`; greeks (>= 7, n) as
                `kernels.black.CHAIN_ROWS`; unit (>= len(LINEAR), n) and reach, of which the first are filled; else (n,)
    Units       delta in coin, the coin paid counted; gamma USD of delta per 1 %; vega USD per vol point; vanna USD of
                vega per 1 % of spot; volga USD of vega per vol point; contracts one each, whatever they are
    Domain      what is not finite stays as it was last known: a quote on its way may fill whatever we know of it now
    """
    for i in range(forward.size):
        scale = index / forward[i]
        unit[0, i] = _known(greeks[1, i] - greeks[0, i] / forward[i], unit[0, i])
        unit[1, i] = _known(greeks[2, i] * forward[i] * index / 100, unit[1, i])
        unit[2, i] = _known(greeks[3, i] * scale / 100, unit[2, i])
        unit[6, i] = _known(greeks[5, i] * index / 1e4, unit[6, i])
        unit[7, i] = _known(greeks[6, i] * scale / 1e4, unit[7, i])
        unit[8, i] = 1.0
    vega, share = unit[2], np.empty(factor_map.shape[0])
    for tenor in range(TENORS):
        of_tenor, at = unit[3 + tenor], 2 * FACTORS + 2 + 3 * tenor
        for j in range(share.size):
            share[j] = factor_map[j, at]
        for i in range(forward.size):
            of_tenor[i] = _known(vega[i] * share[slot[i]], of_tenor[i])
    for a in range(9):
        reach[a] = largest(unit[a, : forward.size])
