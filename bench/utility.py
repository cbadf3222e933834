"""How near the factor-skew quoter comes to the optimum, in markets that are known.

    python -m bench.utility                  certainty equivalents, exactly, and beside them a simulation

The market is a martingale of known covariance, and takers come at known rates to one or two assets. Quotes are those of
the engine's own path, `valuation.risk_price` and the kernels; what they are worth is computed without drawing a path,
and once more by drawing many.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from flatbook.decide.baselines import gueant
from flatbook.decide.baselines.evaluation import certainty_equivalent
from flatbook.decide.baselines.gueant import Assets
from flatbook.decide.baselines.intensity import Distances, ExponentialIntensity
from flatbook.kernels.chain import FACTORS
from flatbook.kernels.charges import FOLDED, charge_rows, fold_curvature, fold_gradient
from flatbook.kernels.factors import PRIMITIVES
from flatbook.kernels.quotes import TERMS, quote_prices
from flatbook.valuation.risk_price import Liquidity, RiskPrice, quadratic_risk_price

Floats = NDArray[np.float64]

Quoter = Callable[[Floats, float], Distances]
"""From inventories (d, paths) and the time left to distances of that shape."""


@dataclass(frozen=True)
class Study:
    """A market, the bound on inventory in quote sizes, and how long it is made for."""

    name: str
    assets: Assets
    bound: int
    time: float


def studies() -> tuple[Study, ...]:
    """The one asset of Guéant, Lehalle and Fernandez-Tapia's figures; two of Bergault et al.'s kind."""
    one = Assets(np.array([[0.3**2]]), ExponentialIntensity(np.array([0.9]), np.array([0.3])), np.ones(1), 0.01)
    vols = np.array([1.0, 0.6])
    covariance = np.outer(vols, vols) * np.array([[1.0, 0.7], [0.7, 1.0]])
    two = Assets(covariance, ExponentialIntensity(np.array([1.2, 0.8]), np.array([1.5, 2.0])), np.ones(2), 0.05)
    return Study("one asset, 600 s", one, 30, 600.0), Study("two assets", two, 8, 40.0)


def risk_price(assets: Assets) -> RiskPrice:
    """R of the assets themselves as the factors."""
    fills = assets.fills
    liquidity = Liquidity(np.asarray(fills.arrivals), np.asarray(fills.decay), assets.size)
    return quadratic_risk_price(assets.covariance, np.eye(assets.count), liquidity, assets.risk_aversion)


def factor_skew_distances(assets: Assets, price: RiskPrice, inventory: Floats) -> Distances:
    """What the engine's kernels quote at one inventory (d,), as distances from fair value.

    Domain      sizes alike, and no more assets than there are risk factors. An asset is an expiry of one option, worth
                1 and with a vega of 1/k, so that flow's edge is 1/k; a map of k makes its loading one of a factor
    """
    n, size, decay = assets.count, float(assets.size[0]), np.asarray(assets.fills.decay)
    greeks, one, none, rows = np.zeros((4, n)), np.ones(n), np.zeros(n), np.arange(n)
    greeks[0], greeks[3] = 1.0, 1.0 / decay
    factor_map = np.zeros((n, PRIMITIVES * FACTORS))
    factor_map[rows, 2 * FACTORS + rows] = decay
    gradient, curvature, folded = np.zeros(FACTORS), np.zeros((FACTORS, FACTORS)), np.empty((FOLDED, n))
    gradient[:n], curvature[:n, :n] = price.gradient(inventory), price.curvature
    fold_gradient(factor_map, gradient, folded)
    fold_curvature(factor_map, curvature, folded)
    shift, width, parts, bid, ask = np.empty(n), np.empty(n), np.empty((6, n)), np.empty(n), np.empty(n)
    charge_rows(1.0, rows, np.arange(n + 1), rows, folded, one, none, greeks, size, shift, width)
    takers = np.stack([one, none, none])
    terms = dict.fromkeys(TERMS, 0.0) | {"widen": 1.0, "aversion": assets.risk_aversion * size, "edge_vol": 1.0}
    known, quoted = np.array(list(terms.values())), np.ones(n, np.int8)
    quote_prices(1.0, known, True, quoted, greeks, one, none, none, takers, shift, width, parts, bid, ask)
    return Distances(1.0 - bid, ask - 1.0)


def factor_skew_on_grid(study: Study) -> Distances:
    """The same at every inventory of the grid, no quote beyond its bound."""
    assets, price = study.assets, risk_price(study.assets)
    held = gueant.inventories(assets, study.bound)
    sides = np.empty((2, *held.shape))
    for at in np.ndindex(held.shape[1:]):
        sides[(slice(None), slice(None), *at)] = factor_skew_distances(assets, price, held[(slice(None), *at)])
    return gueant.within(Distances(*sides), held, assets.size, study.bound)


@dataclass(frozen=True)
class Outcome:
    """What paths came to: P&L (paths,), final inventory (d, paths); averages of the spread, and of ∫ γ/2 q'Σq dt."""

    pnl: Floats
    inventory: Floats
    spread: float
    risk_cost: float

    def certainty_equivalent(self, risk_aversion: float) -> tuple[float, float]:
        """Of exponential utility, with its standard error."""
        utility = np.exp(-risk_aversion * (self.pnl - self.pnl.mean()))
        level = float(self.pnl.mean() - np.log(utility.mean()) / risk_aversion)
        return level, float(utility.std() / utility.mean() / risk_aversion / np.sqrt(utility.size))


def simulate(
    assets: Assets, quoter: Quoter, time: float, steps: int, paths: int, seed: int, *, mid_moves_first: bool = False
) -> Outcome:
    """Draws paths from no inventory: in each step each quote is filled or not, and the mids move by two-point shocks.

    Fills of a step are drawn about the mid it began with, or, where the mid moves first, about the one it ends with,
    to quotes made about the one before: then takers pick stale quotes off.
    """
    rng = np.random.default_rng(seed)
    step = time / steps
    root = np.linalg.cholesky(assets.covariance) * np.sqrt(step)
    shape = (assets.count, paths)
    inventory, mid, cash = np.zeros(shape), np.zeros(shape), np.zeros(paths)
    over, spread, risk_cost = (-1, 1), 0.0, 0.0
    arrivals, decay = np.reshape(assets.fills.arrivals, over), np.reshape(assets.fills.decay, over)
    for n in range(steps):
        quotes = quoter(inventory, time - n * step)
        spread += float(np.mean(quotes.bid + quotes.ask))
        move = root @ np.where(rng.random(shape) < 0.5, -1.0, 1.0)
        moved = move if mid_moves_first else 0.0
        bought = rng.random(shape) < arrivals * np.exp(-decay * (quotes.bid + moved)) * step
        sold = rng.random(shape) < arrivals * np.exp(-decay * (quotes.ask - moved)) * step
        traded = assets.size.reshape(over) * (bought.astype(np.float64) - sold)
        paid = assets.size.reshape(over) * (bought * (mid - quotes.bid) - sold * (mid + quotes.ask))
        cash -= paid.sum(axis=0)
        inventory = inventory + traded
        mid = mid + move
        risk_cost += float(assets.running_cost(inventory).mean()) * step
    return Outcome(cash + (inventory * mid).sum(axis=0), inventory, spread / steps, risk_cost)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.utility", description=__doc__)
    parser.add_argument("--paths", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=4_000)
    asked = parser.parse_args()
    table = Table(title="certainty equivalent from no inventory")
    for heading in ("market", "optimum", "factor skew", "share", f"simulated, {asked.paths:,} paths"):
        table.add_column(heading, justify="left" if heading == "market" else "right")
    for study in studies():
        assets, middle = study.assets, (study.bound,) * study.assets.count
        best = float(gueant.solve(assets, study.bound, study.time)[middle])
        ours = float(certainty_equivalent(assets, study.bound, factor_skew_on_grid(study), study.time)[middle])
        curvature = risk_price(assets).curvature

        def quoter(held: Floats, _: float, assets: Assets = assets, curvature: Floats = curvature) -> Distances:
            return gueant.closed_form_distances(assets, curvature, held)

        drawn = simulate(assets, quoter, study.time, asked.steps, asked.paths, seed=0)
        level, error = drawn.certainty_equivalent(assets.risk_aversion)
        table.add_row(
            study.name, f"{best:.3f}", f"{ours:.3f}", f"{ours / best:.2%}", f"{level:.2f} ± {1.96 * error:.2f}"
        )
    Console().print(table)


if __name__ == "__main__":
    main()
