"""Fair strikes of variance and vol swaps: by a strip of listed options, and from a fitted smile.

Realised variance is replicated by the log contract f(S) = (2/T) ((S - S*)/S* - ln(S/S*)) and a forward. Prices are
undiscounted, so that no rate is needed beside the forward. Jumps are not: with them the strike is that of the log
contract, which falls short of expected variance by a third of the sum of cubed jumps.

Sources: Demeterfi, Derman, Kamal, Zou (1999), "More than you ever wanted to know about volatility swaps"; Gatheral
(2006), "The volatility surface", chapter 11, for the integral over a smile.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.market.analytics.smile import Smile

Floats = NDArray[np.float64]

_STEP, _END = 0.05, 16.0  # of u in k = deviation x sinh(u); 4 million deviations is far enough
_SINH_GRID: Floats = np.arange(-_END, _END + _STEP / 2, _STEP)
_NEGLIGIBLE = 1e-13
_NODES, _WEIGHTS = (row.astype(np.float64) for row in np.polynomial.legendre.leggauss(40))


class Strip(NamedTuple):
    """Options on one grid of strikes, shape (n,) each: quantities, or prices, of puts and of calls."""

    put: Floats
    call: Floats


def log_contract_weights(strike_usd: Floats, boundary_usd: float) -> Strip:
    """Puts up to the boundary and calls from it on whose payoff is the chord of T f(S) between the strikes.

    Shapes      strike_usd (n,), rising, n >= 2; the boundary S* is one of them, and holds a put and a call
    Units       contracts per USD of strike; over T they pay the variance
    Convention  beyond the outermost strikes the last chord goes one spacing on, as the source does
    """
    at = np.flatnonzero(strike_usd == boundary_usd)
    if strike_usd.ndim != 1 or strike_usd.size < 2 or not np.all(np.diff(strike_usd) > 0.0) or strike_usd[0] <= 0.0:
        raise BadInputError("strikes of a replicating strip must be at least two, positive and rising")
    if at.size != 1:
        raise BadInputError(f"the boundary {boundary_usd:g} USD is not among the strikes; take the one nearest below F")
    centre = int(at[0])
    put, call = np.zeros(strike_usd.size), np.zeros(strike_usd.size)
    call[centre:] = _chord_weights(strike_usd[centre:], boundary_usd)
    put[: centre + 1] = _chord_weights(strike_usd[: centre + 1][::-1], boundary_usd)[::-1]
    return Strip(put, call)


def _chord_weights(outward: Floats, boundary_usd: float) -> Floats:
    """Quantities at strikes going away from the boundary: the changes of the chord's slope."""
    spacing = outward[-1] - outward[-2] if outward.size > 1 else 0.0
    if outward.size == 1 or outward[-1] + spacing <= 0.0:
        raise BadInputError(f"no two strikes to one side of {boundary_usd:g} USD with room beyond; add strikes there")
    ends = np.append(outward, outward[-1] + spacing)
    payoff = 2.0 * ((ends - boundary_usd) / boundary_usd - np.log(ends / boundary_usd))
    slope = np.abs(np.diff(payoff) / np.diff(ends))
    return np.asarray(np.diff(slope, prepend=0.0))


def replicated_variance(
    strike_usd: Floats, price_usd: Strip, forward_usd: float, boundary_usd: float, years: float
) -> float:
    """Fair variance per year of a strip at undiscounted prices.

    Shapes      strike_usd (n,) as in `log_contract_weights`; prices of the side that has no weight may be NaN
    Source      Demeterfi et al. (1999), equations 25 to 29, with F = S e^(rT)
    """
    weights = log_contract_weights(strike_usd, boundary_usd)
    held = sum(
        float(weight[weight > 0.0] @ price[weight > 0.0]) for weight, price in zip(weights, price_usd, strict=True)
    )
    log_forward = 2.0 * (math.log(forward_usd / boundary_usd) - (forward_usd / boundary_usd - 1.0))
    return (held + log_forward) / years


def smile_variance(smile: Smile) -> float:
    """Fair variance per year of all strikes: the mean of vol(z)^2 over a standard normal z = -d2(k).

    The trapezoid rule on k = deviation x sinh(u) converges exponentially, for the integrand is analytic. A smile with
    butterfly arbitrage may fold z back on itself: its result then means nothing. Refuses wings so steep that z does
    not reach them.
    """
    stretch = smile.deviation()
    k = stretch * np.sinh(_SINH_GRID)
    w, dw = smile.variance(k)
    v = np.sqrt(w)
    dv = dw / (2.0 * v)
    z = k / v + 0.5 * v
    density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    mass = density * (1.0 / v - k * dv / w + 0.5 * dv) * stretch * np.cosh(_SINH_GRID) * _STEP
    if abs(float(mass.sum()) - 1.0) > 1e-6 or max(density[0], density[-1]) > _NEGLIGIBLE:
        raise BadInputError(f"the wings of the smile at {smile.years:g} years are too steep for a variance strike")
    return float(mass @ w) / smile.years


def smile_variance_between(smile: Smile, k_lo: float, k_hi: float) -> float:
    """The part of the fair variance that options with log-moneyness in [k_lo, k_hi] pay, k_lo <= 0 <= k_hi.

    (2/T) times the integral of OTM price / K^2 over K, by Gauss-Legendre on each side of the kink at the forward.
    """
    if not k_lo <= 0.0 <= k_hi:
        raise BadInputError(f"the range [{k_lo:g}, {k_hi:g}] of log-moneyness must hold 0")
    total = 0.0
    for end in (k_lo, k_hi):
        k = 0.5 * end * (_NODES + 1.0)
        total += 0.5 * abs(end) * float(_WEIGHTS @ (smile.otm_price(k) * np.exp(-k)))
    return 2.0 * total / smile.years


def vol_swap_strike(variance: float, variance_of_variance: float) -> float:
    """Fair vol of a vol swap, sqrt(K_var) (1 - Var(V) / (8 K_var^2)): below the variance strike by convexity.

    Domain      variance > 0; Var(V) of realised variance, same units squared, below 8 K_var^2. To second order in V.
    Source      Brockhaus and Long (2000), "Volatility swaps made simple"
    """
    convexity = variance_of_variance / (8.0 * variance * variance) if variance > 0.0 else math.nan
    if not 0.0 <= convexity < 1.0:
        raise BadInputError(
            f"variance {variance:g} with variance {variance_of_variance:g} of its own: a second-order vol swap asks "
            "for 0 <= Var(V) < 8 K^2"
        )
    return math.sqrt(variance) * (1.0 - convexity)
