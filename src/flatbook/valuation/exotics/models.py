"""European options beyond a flat market: jumps and stochastic vol, as oracles and for what-if pricing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, xlogy

from flatbook.kernels.black import black
from flatbook.valuation.exotics.quantlib import AT_EXPIRY, FlatMarket, npv, plain_payoff, ql, with_engine

_HESTON_NODES = 192


@dataclass(frozen=True, slots=True)
class Vanilla:
    """A European option: `sign` +1 call, -1 put; rates continuous and annual."""

    sign: int
    strike: float
    spot: float
    years: float
    rate: float
    carry: float


@dataclass(frozen=True, slots=True)
class Jumps:
    """Lognormal jumps: `intensity` per year; `log_mean` and `log_vol` of a jump's logarithm."""

    intensity: float
    log_mean: float
    log_vol: float


@dataclass(frozen=True, slots=True)
class StochasticVariance:
    """Heston's variance: dv = reversion (long_run - v) dt + vol_of_vol sqrt(v) dW, correlated with the spot."""

    now: float
    long_run: float
    reversion: float
    vol_of_vol: float
    correlation: float


def merton(option: Vanilla, vol: float, jumps: Jumps) -> float:
    """Black's formula mixed over the number of jumps; `vol` is that of the diffusion alone.

    Source      Merton, "Option pricing when underlying stock returns are discontinuous" (1976)
    """
    growth_per_jump = jumps.log_mean + 0.5 * jumps.log_vol**2
    expected = jumps.intensity * option.years
    counts = np.arange(math.ceil(expected + 12.0 * math.sqrt(expected) + 30.0) + 1.0)
    weights = np.exp(xlogy(counts, expected) - expected - gammaln(counts + 1.0))
    drift = option.carry - jumps.intensity * math.expm1(growth_per_jump)
    forwards = option.spot * np.exp(drift * option.years + counts * growth_per_jump)
    vols = np.sqrt(vol**2 + counts * jumps.log_vol**2 / option.years)
    values = black(forwards, option.strike, vols, option.years, float(option.sign)).price
    return math.exp(-option.rate * option.years) * float(weights @ values)


def heston(option: Vanilla, variance: StochasticVariance) -> float:
    """Heston's price; on the one-year clock variances, reversion and vol of vol all go in times the years.

    Source      Heston (1993), through QuantLib's analytic engine
    """
    years = option.years
    market = FlatMarket()
    market.move(option.spot, math.sqrt(variance.now), years, option.rate, option.carry)
    base = market.process
    process = ql.HestonProcess(
        base.riskFreeRate(),
        base.dividendYield(),
        base.stateVariable(),
        variance.now * years,
        variance.reversion * years,
        variance.long_run * years,
        variance.vol_of_vol * years,
        variance.correlation,
    )
    contract = ql.VanillaOption(plain_payoff(option.sign, option.strike), AT_EXPIRY)
    return npv(with_engine(contract, ql.AnalyticHestonEngine(ql.HestonModel(process), _HESTON_NODES)))
