"""The one vol of a package: what all of its options would have to trade at for it to cost so much."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from flatbook.kernels.black import price_greeks

Floats = NDArray[np.float64]

_LEAST_VOL, _MOST_VOL = 1e-4, 10.0


class OneVega(NamedTuple):
    """Options that expire together and whose vegas have one sign, bought or sold alike. Shapes (n,) each."""

    ratios: Floats
    strike_usd: Floats
    sign: Floats
    forward_usd: float
    years: float


def package_vol(package: OneVega, value_usd: float) -> float:
    """The flat vol at which the options are worth `value_usd` on their forward; NaN where no vol says so."""
    n = len(package.ratios)
    forward, years = np.full(n, package.forward_usd), np.full(n, package.years)
    out = np.empty((5, n))

    def excess(vol: float) -> float:
        price_greeks(forward, package.strike_usd, np.full(n, vol), years, package.sign, *out)
        return float(package.ratios @ out[0]) - value_usd

    if excess(_LEAST_VOL) * excess(_MOST_VOL) >= 0.0:
        return float("nan")
    return float(brentq(excess, _LEAST_VOL, _MOST_VOL, xtol=1e-10))
