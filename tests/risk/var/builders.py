"""Histories of factors by hand, and a market for them."""

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_HOUR, NS_PER_YEAR
from flatbook.kernels.chain import FACTORS, SPOT, SQUARED
from flatbook.market.covariance import CovarianceModel
from flatbook.risk.var.history import FactorHistory
from flatbook.risk.var.sources import covariance_of
from tests.market.snapshots import NOW_NS

Floats = NDArray[np.float64]

MODEL = CovarianceModel(half_life_hours=269.0)
TENOR_YEARS = np.array(MODEL.tenor_days) / 365


def prior(*underlyings: str, correlation: float = 0.8) -> Floats:
    """Σ per year before anything was seen."""
    names = underlyings or ("BTC",)
    nothing = FactorHistory(names, np.zeros(0, np.int64), np.zeros((0, len(names), FACTORS)))
    return covariance_of(nothing, dict.fromkeys(names, MODEL), correlation)


def wandering(
    steps: int, sigma: Floats, rng: np.random.Generator, *, hours: float = 6.0, underlyings: tuple[str, ...] = ("BTC",)
) -> FactorHistory:
    """Factors that move normally by `sigma` a year, the last reading at the tests' now."""
    step_ns = round(hours * NS_PER_HOUR)
    root = np.linalg.cholesky(sigma * (step_ns / NS_PER_YEAR))
    moves = (rng.standard_normal((steps, len(sigma))) @ root.T).reshape(steps, len(underlyings), FACTORS)
    levels = np.concatenate([np.zeros((1, len(underlyings), FACTORS)), np.cumsum(moves, axis=0)])
    levels[:, :, SQUARED] = np.nan
    times = NOW_NS - step_ns * np.arange(steps, -1, -1)
    return FactorHistory(underlyings, times.astype(np.int64), levels)


def prices_alone(history: FactorHistory) -> FactorHistory:
    """The same history with nothing but spot seen."""
    levels = np.full_like(history.levels, np.nan)
    levels[:, :, SPOT] = history.levels[:, :, SPOT]
    return FactorHistory(history.underlyings, history.times_ns, levels)
