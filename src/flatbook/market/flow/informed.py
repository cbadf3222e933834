"""What it costs to trade with somebody who may know: the classic models, and the price impact they lead to.

Sources     A. Kyle (1985), "Continuous auctions and insider trading"; L. Glosten, P. Milgrom (1985); D. Easley,
            N. Kiefer, M. O'Hara, J. Paperman (1996), its likelihood factored as by H.-W. Lin and W.-C. Ke (2011);
            B. Tóth et al. (2011) for the square root; J.-P. Bouchaud et al. (2004) for the propagator
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import gammaln, logsumexp

from flatbook.domain.errors import BadInputError

Floats = NDArray[np.float64]


class KyleAuctions(NamedTuple):
    """By auction, shape (n,): price impact per volume, the insider's intensity, and the variance left after it."""

    impact: Floats
    intensity: Floats
    variance: Floats


def kyle_auctions(variance: float, noise: float, auctions: int = 1, span: float = 1.0) -> KyleAuctions:
    """Kyle's equilibrium.

    Units       variance of the value before the first auction; noise is the standard deviation of noise traders' volume
                over one unit of time; the auctions are spread over `span` evenly
    """
    if not (variance > 0 and noise > 0 and auctions >= 1 and span > 0):
        raise BadInputError(
            f"Kyle's auctions with variance {variance:g}, noise {noise:g}, {auctions} auctions over {span:g}: all must "
            "be above 0"
        )
    step = span / auctions
    # Backward in units of the unknown last variance: the first auction's then sets the scale.
    impact, intensity, left = np.empty(auctions), np.empty(auctions), np.empty(auctions)
    alpha, after = 0.0, 1.0
    for n in range(auctions - 1, -1, -1):
        a = _impact_of(alpha, noise, math.sqrt(after), step)
        impact[n] = a
        intensity[n] = a * noise**2 / after
        left[n] = after
        after /= 1 - intensity[n] * a * step
        alpha = 1 / (4 * a * (1 - alpha * a))
    scale = variance / after
    return KyleAuctions(impact * math.sqrt(scale), intensity / math.sqrt(scale), left * scale)


def _impact_of(alpha: float, noise: float, deviation: float, step: float) -> float:
    """λ of an auction from α and the deviation left after it: λ^2 σ_u^2 Δt / Σ = (1 - 2αλ) / (2 (1 - αλ))."""

    def excess(impact: float) -> float:
        return 2 * (1 - alpha * impact) * (impact * noise / deviation) ** 2 * step - (1 - 2 * alpha * impact)

    most = 1.001 * deviation / (noise * math.sqrt(2 * step))  # the root itself where alpha is 0
    return float(brentq(excess, 0.0, min(most, 0.5 / alpha) if alpha > 0 else most, xtol=1e-15, rtol=1e-14))


def informed_quotes(prior_high: float, informed: float, low: float, high: float) -> tuple[float, float]:
    """Glosten and Milgrom's bid and ask: the value's mean given that the next taker sells, or buys.

    `prior_high` is the chance of the high value, `informed` the share of takers who know; the others toss a coin. At
    even odds the spread is `informed` x (high - low).
    """
    if not (0 <= prior_high <= 1 and 0 <= informed < 1):
        raise BadInputError(f"a prior of {prior_high:g} and an informed share of {informed:g}: use 0 to 1, below 1")
    noise = (1 - informed) / 2
    high_if_sold = prior_high * noise / (noise + (1 - prior_high) * informed)
    high_if_bought = prior_high * (informed + noise) / (noise + prior_high * informed)
    return low + high_if_sold * (high - low), low + high_if_bought * (high - low)


@dataclass(frozen=True, slots=True)
class InformedFlow:
    """The mixture behind PIN: a day has news by chance `alpha`, bad by `delta`; the informed then come at rate `mu`.

    eps_buy, eps_sell   arrivals a day of the uninformed by side
    """

    alpha: float
    delta: float
    mu: float
    eps_buy: float
    eps_sell: float

    @property
    def pin(self) -> float:
        """The share of arrivals that are informed."""
        informed = self.alpha * self.mu
        return informed / (informed + self.eps_buy + self.eps_sell)

    def log_likelihood(self, buys: Floats, sells: Floats) -> float:
        """Of days' counts, shape (n,) each; factored by the likelihoods' logs so that busy days do not overflow."""
        days = np.array(
            [
                math.log1p(-self.alpha) + _log_poisson(buys, self.eps_buy) + _log_poisson(sells, self.eps_sell),
                math.log(self.alpha * self.delta)
                + _log_poisson(buys, self.eps_buy)
                + _log_poisson(sells, self.eps_sell + self.mu),
                math.log(self.alpha * (1 - self.delta))
                + _log_poisson(buys, self.eps_buy + self.mu)
                + _log_poisson(sells, self.eps_sell),
            ]
        )
        return float(np.asarray(logsumexp(days, axis=0)).sum())


def _log_poisson(count: Floats, mean: float) -> Floats:
    return np.asarray(count * math.log(mean) - mean - gammaln(count + 1))


def square_root_impact(volume_share: float, vol: float, constant: float = 1.0) -> float:
    """Relative price impact of buying this share of a period's volume, `vol` being of the same period."""
    return constant * vol * math.sqrt(volume_share)


def propagator(lag: Floats, decay: float, cutoff: float) -> Floats:
    """G(l) = (l_0^2 + l^2)^(-decay/2): what is left of one trade's impact `lag` trades on.

    Prices stay unpredictable where decay is (1 - g) / 2, the signs' autocorrelation falling with the power g.
    """
    return np.asarray((cutoff**2 + lag**2) ** (-0.5 * decay))
