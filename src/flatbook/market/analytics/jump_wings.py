"""An SVI slice in the terms traders move it by: level, skew, the slopes of both wings and the least variance.

Source: Gatheral and Jacquier (2014), "Arbitrage-free SVI volatility surfaces", sections 3.2 and 5.1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.market.analytics.smile import Smile

Floats = NDArray[np.float64]


class JumpWings(NamedTuple):
    """Jump-wings parameters of a slice.

    variance        v, at the money, per year
    skew            psi, d sqrt(w) / dk at the money
    put_slope       p, of the left wing over sqrt(w at the money), positive
    call_slope      c, of the right
    least_variance  v~, the smile's minimum, per year
    """

    variance: float
    skew: float
    put_slope: float
    call_slope: float
    least_variance: float


def jump_wings(smile: Smile) -> JumpWings:
    """The jump wings of a raw slice."""
    a, b, rho, m, s = (float(value) for value in smile.params)
    radius = math.hypot(m, s)
    total = a + b * (radius - rho * m)
    root = math.sqrt(total)
    return JumpWings(
        total / smile.years,
        0.5 * b * (rho - m / radius) / root,
        b * (1.0 - rho) / root,
        b * (1.0 + rho) / root,
        (a + b * s * math.sqrt(1.0 - rho * rho)) / smile.years,
    )


def raw_params(wings: JumpWings, years: float) -> Floats:
    """(a, b, rho, m, s) of jump wings at `years`.

    Domain      v >= v~ > 0, p + c > 0, and a skew within [-p/2, c/2], which no hyperbola exceeds at the money
    """
    total = wings.variance * years
    root = math.sqrt(total) if total > 0.0 else math.nan
    b = 0.5 * root * (wings.call_slope + wings.put_slope)
    if not (b > 0.0 and wings.variance >= wings.least_variance > 0.0):
        raise BadInputError(f"{wings} at {years:g} years is no slice: it asks for v >= v~ > 0 and p + c > 0")
    rho = 1.0 - wings.put_slope * root / b
    # The cosine of the money's place on the hyperbola, m / sqrt(m^2 + s^2): 0 at its centre.
    place = rho - 2.0 * wings.skew * root / b
    if not (abs(place) < 1.0 and abs(rho) < 1.0):
        raise BadInputError(f"{wings} is no slice: its skew must lie inside -p/2 to c/2, and both slopes be above 0")
    rest = math.sqrt(1.0 - rho * rho)
    height = math.sqrt(1.0 - place * place)
    # w(0) - min w = b r (1 - rho place - rest height), where r = sqrt(m^2 + s^2).
    drop = (wings.variance - wings.least_variance) * years
    spread = 1.0 - rho * place - rest * height
    if spread <= 1e-14 or drop == 0.0:
        raise BadInputError(f"{wings} has its least variance at the money: jump wings leave its curvature open")
    radius = drop / (b * spread)
    m, s = radius * place, radius * height
    return np.array([wings.least_variance * years - b * s * rest, b, rho, m, s])


def without_butterfly(wings: JumpWings) -> JumpWings:
    """The slice of SSVI with the same level, skew and put wing, whose call wing and minimum follow from them.

    Free of butterfly arbitrage under SSVI's bounds on theta phi (Gatheral and Jacquier, theorem 4.2). A smaller
    correction often lies between this and the slice. Refuses a skew under -p/2, which leaves no call wing.
    """
    call_slope = wings.put_slope + 2.0 * wings.skew
    if not call_slope > 0.0:
        raise BadInputError(f"a skew of {wings.skew:g} under -p/2 = {-0.5 * wings.put_slope:g} leaves no call wing")
    total = wings.put_slope + call_slope
    least = wings.variance * 4.0 * wings.put_slope * call_slope / (total * total)
    return wings._replace(call_slope=call_slope, least_variance=least)
