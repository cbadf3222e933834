"""A whole chain in a known market: the factor-skew quoter against the published models, each over a range of aversions.

    python -m bench.chain_utility            every model at every aversion, and what it falls short by

Utility is what fills earn less γ/2 of the variance of what is held, ∫ x'Σx dt, which is known to all, as is the flow.
The mids' own noise, which has no mean, is left out: paths draw nothing but fills, the same numbers for all. A model may
take another γ than the utility's, and so trade more or less risk for what it earns; where it falls short at every γ it
earns less than the factor-skew quoter at the same risk, too.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from flatbook.decide.baselines.chain import Dealer, Rows, distances_usd, fit_model
from flatbook.decide.baselines.intensity import Distances, ExponentialIntensity
from flatbook.decide.policy import BASELINES, BaselinePolicy
from flatbook.kernels.black import price_full
from flatbook.kernels.chain import FACTORS
from flatbook.kernels.factors import PRIMITIVES, load_factors, map_factors
from flatbook.market.covariance import CovarianceModel
from flatbook.valuation.risk_price import Liquidity, quadratic_risk_price

Floats = NDArray[np.float64]

Quoter = Callable[[Floats], Distances]
"""From contracts held (paths, n) to distances of that shape, USD per contract."""

INDEX_USD = 80_000.0
VOL = 0.55
DAYS = (2.0, 7.0, 30.0)
STRIKES = 9
TRADES_PER_DAY = 1_000.0
AVERSION_PER_USD = 1e-3
MULTIPLES = (0.1, 0.3, 0.5, 1.0, 3.0, 10.0)
"""What the models take for γ, as multiples of the utility's."""


@dataclass(frozen=True)
class Chain:
    """Options of three expiries, a contract a quote; their delta held, or hedged away at no cost.

    Shapes      loading (n, FACTORS); covariance (FACTORS, FACTORS) per year; liquidity (n,)
    """

    is_hedged: bool
    loading: Floats
    covariance: Floats
    liquidity: Liquidity


def known_chain(*, is_hedged: bool) -> Chain:
    """Out-of-the-money options from two deviations down to two up, and flow as the makers that ship believe it."""
    days = np.repeat(DAYS, STRIKES)
    z = np.tile(np.linspace(-2.0, 2.0, STRIKES), len(DAYS))
    years, n = days / 365, len(days)
    forward, vol = np.full(n, INDEX_USD), np.full(n, VOL)
    greeks = np.empty((11, n))
    price_full(forward, forward * np.exp(z * vol * np.sqrt(years)), vol, years, np.where(z > 0, 1.0, -1.0), greeks)
    model = CovarianceModel()
    factor_map, loading = np.empty((n, PRIMITIVES * FACTORS)), np.empty((n, FACTORS))
    map_factors(np.array(model.tenor_days) / 365, years, factor_map)
    load_factors(INDEX_USD, np.arange(n), factor_map, forward, z, greeks, loading)
    loading[:, 0] *= not is_hedged
    weight = np.exp(-days / 20.0) / np.sqrt(days) * np.exp(-0.5 * (z / 1.2) ** 2)
    edge_usd = np.hypot(0.00012 * INDEX_USD, 0.003 * greeks[3])
    arrivals = 0.5 * TRADES_PER_DAY * 365 * weight / weight.sum()
    return Chain(is_hedged, loading, model.prior(), Liquidity(arrivals, 1.0 / edge_usd, np.ones(n)))


def factor_skew(chain: Chain) -> Quoter:
    """The engine's R and its closed form, all rows of all paths at once."""
    price = quadratic_risk_price(chain.covariance, chain.loading, chain.liquidity, AVERSION_PER_USD)
    slope = chain.loading @ price.curvature @ chain.loading.T
    fills = ExponentialIntensity(chain.liquidity.arrivals_per_year, chain.liquidity.decay_per_usd)
    half = fills.spread(AVERSION_PER_USD) + 0.5 * np.diag(slope)

    def quoter(held: Floats) -> Distances:
        shift = held @ slope
        return Distances(half + shift, half - shift)

    return quoter


def published(chain: Chain, name: str, aversion_per_usd: float) -> Quoter:
    """A published model, told the chain's own Σ and flow, whose logistic is as good as exponential here."""
    told = BaselinePolicy(
        delta_share=0.0 if chain.is_hedged else 1.0, fill_log_odds=20.0, vega_bound_usd_per_vol_pt=5_000.0
    )
    nothing, n = np.zeros(FACTORS), len(chain.loading)
    book = Rows(chain.loading, chain.liquidity, np.zeros(n), nothing)
    model = fit_model(Dealer(name, told, 1.0, aversion_per_usd), chain.covariance, book)

    def quoter(held: Floats) -> Distances:
        paths = len(held)
        repeated = (
            np.tile(column, paths)
            for column in (chain.liquidity.arrivals_per_year, chain.liquidity.decay_per_usd, chain.liquidity.size)
        )
        exposure = np.repeat(held @ chain.loading, n, axis=0)
        rows = Rows(np.tile(chain.loading, (paths, 1)), Liquidity(*repeated), held.ravel(), exposure)
        quotes, _ = distances_usd(model, rows)
        return Distances(quotes.bid.reshape(held.shape), quotes.ask.reshape(held.shape))

    return quoter


class Outcome(NamedTuple):
    """Of each path: what fills earned, and γ/2 of the variance of what was held, USD."""

    earned: Floats
    risk: Floats

    @property
    def utility(self) -> Floats:
        """What counts."""
        return self.earned - self.risk


def draw(chain: Chain, quoter: Quoter, days: float, steps: int, paths: int, seed: int) -> Outcome:
    """Paths from a flat book; whether a quote is filled in a step is drawn from the same numbers for every quoter."""
    rng = np.random.default_rng(seed)
    step = days / 365 / steps
    fills = ExponentialIntensity(chain.liquidity.arrivals_per_year * step, chain.liquidity.decay_per_usd)
    held, earned, risk = np.zeros((paths, len(chain.loading))), np.zeros(paths), np.zeros(paths)
    for _ in range(steps):
        bid, ask = quoter(held)
        bought = rng.random(held.shape) < fills.rate(bid)
        sold = rng.random(held.shape) < fills.rate(ask)
        earned += np.where(bought, bid, 0.0).sum(axis=1) + np.where(sold, ask, 0.0).sum(axis=1)
        held = held + bought - sold
        exposure = held @ chain.loading
        risk += 0.5 * AVERSION_PER_USD * step * ((exposure @ chain.covariance) * exposure).sum(axis=1)
    return Outcome(earned, risk)


class Shortfall(NamedTuple):
    """A model at one aversion: its outcome, and the utility it falls short by on average, with a 95 % interval."""

    name: str
    aversion_per_usd: float
    outcome: Outcome
    usd: float
    low: float
    high: float


def shortfalls(chain: Chain, days: float, steps: int, paths: int, seed: int) -> tuple[Outcome, list[Shortfall]]:
    """The factor-skew quoter's outcome, and how far each model at each aversion falls short of it, path by path."""
    ours, found = draw(chain, factor_skew(chain), days, steps, paths, seed), []
    for name in BASELINES:
        for multiple in MULTIPLES:
            aversion = multiple * AVERSION_PER_USD
            theirs = draw(chain, published(chain, name, aversion), days, steps, paths, seed)
            short = ours.utility - theirs.utility
            mean, error = float(short.mean()), 1.96 * float(short.std(ddof=1)) / paths**0.5
            found.append(Shortfall(name, aversion, theirs, mean, mean - error, mean + error))
    return ours, found


def main() -> None:
    """Print a table for each chain."""
    parser = argparse.ArgumentParser(prog="python -m bench.chain_utility", description=__doc__)
    parser.add_argument("--paths", type=int, default=200)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--days", type=float, default=2.0)
    asked = parser.parse_args()
    for is_hedged in (True, False):
        chain = known_chain(is_hedged=is_hedged)
        ours, found = shortfalls(chain, asked.days, asked.steps, asked.paths, seed=0)
        table = Table(title=f"{'delta hedged away' if is_hedged else 'delta held'}, {asked.days:g} days, USD")
        for heading in ("model", "γ per USD", "earned", "risk", "utility", "falls short by", "95 %"):
            table.add_column(heading, justify="left" if heading == "model" else "right", no_wrap=True)
        means = (f"{x.mean():,.0f}" for x in (ours.earned, ours.risk, ours.utility))
        table.add_row("factor skew", f"{AVERSION_PER_USD:g}", *means, "", "")
        for short in found:
            outcome = short.outcome
            means = (f"{x.mean():,.0f}" for x in (outcome.earned, outcome.risk, outcome.utility))
            bounds = f"{short.low:,.0f} to {short.high:,.0f}"
            table.add_row(short.name, f"{short.aversion_per_usd:g}", *means, f"{short.usd:,.0f}", bounds)
        Console().print(table)


if __name__ == "__main__":
    main()
