"""Strikes by delta and at the money, under each delta convention, at one vol and along a smile.

With v = vol sqrt(T): the forward delta is sign N(sign d1); the premium-adjusted one, less the premium in units of the
asset, is sign (K/F) N(sign d2), which of a coin-settled option is the net transaction delta. Spot deltas are these
times the asset's discount factor. A premium-adjusted call delta first rises with the strike and then falls: the
strike meant is the one beyond the maximum.

Source: Castagna (2009), "FX options and smile risk"; Reiswich and Wystup (2010), "A guide to FX options quoting
conventions".
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flatbook.domain.errors import BadInputError
from flatbook.kernels.black import black
from flatbook.market.analytics.smile import Smile

Floats = NDArray[np.float64]

_NORMAL = NormalDist()
_REACH = 14.0  # standard deviations to which a delta is looked for
_POINTS, _ZOOMS = 65, 8
_MOST_STEPS = 60


class DeltaConvention(enum.Enum):
    """Of what a delta is a share, and whether the premium counts as a position in the asset."""

    FORWARD = ("forward", False, False)
    SPOT = ("spot", True, False)
    PREMIUM_ADJUSTED_FORWARD = ("premium-adjusted forward", False, True)
    PREMIUM_ADJUSTED_SPOT = ("premium-adjusted spot", True, True)

    def __init__(self, label: str, of_spot: bool, premium_adjusted: bool) -> None:
        self.label = label
        self.of_spot = of_spot
        self.premium_adjusted = premium_adjusted


class Atm(enum.Enum):
    """Which strike is meant by at the money."""

    FORWARD = "forward"
    DELTA_NEUTRAL = "delta-neutral straddle"
    DELTA_NEUTRAL_PREMIUM_ADJUSTED = "premium-adjusted delta-neutral straddle"


def delta_of_strike(
    k: ArrayLike, width: ArrayLike, sign: ArrayLike, convention: DeltaConvention, asset_discount: float = 1.0
) -> Floats:
    """Delta at log-moneyness k = ln(K/F) and width v = vol sqrt(T) > 0; inputs broadcast, sign +1 call, -1 put."""
    value = black(1.0, np.exp(np.asarray(k, dtype=np.float64)), width, 1.0, sign)
    delta = value.delta - value.price if convention.premium_adjusted else value.delta
    return np.asarray(delta * (asset_discount if convention.of_spot else 1.0))


def strike_at_delta(
    delta: float, forward_usd: float, width: float, convention: DeltaConvention, asset_discount: float = 1.0
) -> float:
    """Strike at which an option of width v has the delta: a call's is positive, a put's negative."""
    sign = math.copysign(1.0, delta)
    share = delta / asset_discount if convention.of_spot else delta
    if convention.premium_adjusted:

        def at(k: Floats) -> Floats:
            return delta_of_strike(k, width, sign, DeltaConvention.PREMIUM_ADJUSTED_FORWARD)

        return forward_usd * math.exp(_outermost(at, share, width))
    if not 0.0 < abs(share) < 1.0:
        raise BadInputError(f"no strike has a {convention.label} delta of {delta:g}; give one between -1 and 1, not 0")
    return forward_usd * math.exp(-sign * _NORMAL.inv_cdf(abs(share)) * width + 0.5 * width * width)


def log_moneyness_at_delta(
    smile: Smile, delta: float, convention: DeltaConvention, asset_discount: float = 1.0
) -> float:
    """ln(K/F) at which an option priced on the smile has the delta: a call's is positive, a put's negative."""
    sign = math.copysign(1.0, delta)

    def at(k: Floats) -> Floats:
        width = np.sqrt(smile.variance(k)[0])
        return delta_of_strike(k, width, sign, convention, asset_discount)

    return _outermost(at, delta, smile.deviation())


def _outermost(delta_at: Callable[[Floats], Floats], delta: float, deviation: float) -> float:
    """The crossing of `delta` farthest out of the money, by a grid that zooms in on it."""
    sign = math.copysign(1.0, delta)
    # Out of the money comes first: beyond a premium-adjusted call's maximum its delta falls to 0.
    k = sign * deviation * np.linspace(_REACH, -_REACH, 8 * _POINTS)
    for _ in range(_ZOOMS):
        reached = np.abs(delta_at(k)) >= abs(delta)
        first = int(np.argmax(reached))
        if first == 0:
            raise BadInputError(f"no strike within {_REACH:g} standard deviations has a delta of {delta:g}; check it")
        k = np.linspace(k[first - 1], k[first], _POINTS)
    return float(0.5 * (k[0] + k[-1]))


def atm_log_moneyness(smile: Smile, atm: Atm) -> float:
    """ln(K/F) at the money: 0, or +-v(k)^2/2 where a straddle has no delta, plain (+) or premium-adjusted (-)."""
    if atm is Atm.FORWARD:
        return 0.0
    half = -0.5 if atm is Atm.DELTA_NEUTRAL_PREMIUM_ADJUSTED else 0.5
    k = 0.0
    for _ in range(_MOST_STEPS):
        w, dw = smile.variance(k)
        step = (half * float(w) - k) / (1.0 - half * float(dw))
        k += step
        if abs(step) < 1e-15 * (1.0 + abs(k)):
            return k
    raise BadInputError(f"the smile at {smile.years:g} years has no delta-neutral strike; refit it")
