"""The simulated market's vol surface: an SSVI whose at-the-money variance follows the market's variance factors.

At-the-money total variance is what a mean-reverting variance is expected to add up to, plus jumps; it rises with time
whatever the factors. Slices share one skew rho and the power law phi = eta / sqrt(theta (1 + theta)), so with
eta (1 + |rho|) <= 2 there is no butterfly and no calendar arbitrage at any expiry, factor by factor.

Source      Gatheral and Jacquier (2014), "Arbitrage-free SVI volatility surfaces", section 4; Heston (1993) for theta
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_ETA_TIMES_SKEW = 2.0
"""Bound on eta (1 + |rho|)."""


class Factors(NamedTuple):
    """Where the surface stands: arrays of one shape, or floats.

    variance        of the index now, per year, without jumps
    long_variance   that it reverts to
    skew            rho of SSVI, -1 to 1
    convexity       eta of SSVI; eta (1 + |rho|) <= 2
    """

    variance: Floats
    long_variance: Floats
    skew: Floats
    convexity: Floats


@dataclass(frozen=True, slots=True)
class TermStructure:
    """What does not move: how fast variance reverts, and the variance that jumps add, both per year."""

    reversion_per_year: float
    jump_variance_per_year: float

    def atm_total_variance(self, factors: Factors, years: Floats) -> Floats:
        """Expected variance from now over `years`: theta of SSVI."""
        decay = -np.expm1(-self.reversion_per_year * years) / self.reversion_per_year
        steady = (factors.long_variance + self.jump_variance_per_year) * years
        return np.asarray(steady + (factors.variance - factors.long_variance) * decay)

    def total_variance(self, factors: Factors, years: Floats, log_moneyness: Floats) -> Floats:
        """Total variance at ln(strike / forward); all arguments broadcast.

        Domain      years > 0 and positive variances
        """
        theta = self.atm_total_variance(factors, years)
        rho = factors.skew
        phi_k = factors.convexity / np.sqrt(theta * (1 + theta)) * log_moneyness
        return np.asarray(0.5 * theta * (1 + rho * phi_k + np.sqrt((phi_k + rho) ** 2 + 1 - rho * rho)))
