"""Hedging: the best trades over a set of instruments, in the no-trade zone and beyond it, against scipy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from bench.measure import Bar, Work, local
from flatbook.decide.hedge.best import best_hedge, hedge_problem
from flatbook.decide.hedge.instruments import HedgeSet
from flatbook.decide.hedge.solver import KinkedQuadratic, solve
from flatbook.valuation.risk_price import RiskPrice

Floats = NDArray[np.float64]

FACTORS = 13
INSTRUMENTS = 10
PEER = "scipy L-BFGS-B"


def works() -> list[Work]:
    """Ten instruments, four of them options in lots of a tenth of a coin; books from small to large."""
    price, hedge_set = scene()
    small, large = (size * np.random.default_rng(1).normal(0.0, 1.0, FACTORS) for size in (1e3, 1e6))
    warm = best_hedge(large, price, hedge_set).warm
    problem = hedge_problem(large, price, replace(hedge_set, lot=np.full(INSTRUMENTS, 1e-6)))
    return [
        Work(
            "hedge with 10 instruments, nothing to trade",
            [local("flatbook", lambda: best_hedge(small, price, hedge_set))],
            1,
            "us",
            most_seconds=2e-4,
        ),
        Work(
            "hedge with 10 instruments, a trade in whole lots",
            [local("flatbook", lambda: best_hedge(1.0001 * large, price, hedge_set, warm))],
            1,
            "us",
            most_seconds=5e-3,
        ),
        Work(
            "the same without lots",
            [local("flatbook, cold", lambda: solve(problem)), local(PEER, by_lbfgsb(problem))],
            1,
            "us",
            [Bar(PEER, 5.0)],
        ),
    ]


def scene() -> tuple[RiskPrice, HedgeSet]:
    """A price of risk with every cross term, delta-one instruments that nearly agree, and options that do not."""
    draw = np.random.default_rng(0)
    root = draw.normal(0.0, 2e-5, (FACTORS, FACTORS))
    loading = np.zeros((INSTRUMENTS, FACTORS))
    loading[:6, 0] = 1.0
    loading[:6, -2:] = draw.normal(0.0, 0.3, (6, 2))
    loading[6:] = draw.normal(0.0, 2e4, (4, FACTORS))
    is_option = np.arange(INSTRUMENTS) >= 6
    none = np.zeros(INSTRUMENTS)
    hedge_set = HedgeSet(
        name=tuple(f"I{j}" for j in range(INSTRUMENTS)),
        loading=loading,
        lot=np.where(is_option, 0.1, 10.0),
        least=none,
        most=np.where(is_option, 200.0, 5e6),
        fee_usd=np.where(is_option, 25.0, draw.uniform(3e-4, 6e-4, INSTRUMENTS)),
        half_spread_usd=np.where(is_option, 40.0, 1e-5),
        impact_usd=np.where(is_option, 0.5, 2e-11),
        carry_buy_usd=none,
        carry_sell_usd=none,
    )
    return RiskPrice(root @ root.T), hedge_set


def by_lbfgsb(problem: KinkedQuadratic) -> Callable[[], object]:
    """The programme with each variable split into what is bought and what is sold, scaled as ours scales it."""
    scale = np.sqrt(np.diag(problem.hessian))
    m = scale.size
    hessian = problem.hessian / np.outer(scale, scale)
    unit = float(np.abs(problem.gradient / scale).max())
    gradient, buy, sell = (column / scale / unit for column in (problem.gradient, problem.buy, problem.sell))
    bounds = [(0.0, most) for most in np.tile(problem.most * scale / unit, 2)]

    def value(split: Floats) -> float:
        n = split[:m] - split[m:]
        return float(0.5 * n @ hessian @ n + gradient @ n + buy @ split[:m] + sell @ split[m:])

    def slope(split: Floats) -> Floats:
        along = hessian @ (split[:m] - split[m:]) + gradient
        return np.concatenate([along + buy, -along + sell])

    def search() -> object:
        return minimize(
            value,
            np.zeros(2 * m),
            jac=slope,
            method="L-BFGS-B",
            bounds=bounds,
            options={"ftol": 1e-12, "gtol": 1e-9, "maxiter": 5_000},
        )

    return search
