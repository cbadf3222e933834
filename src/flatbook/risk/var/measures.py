"""From P&L by position and scenario to VaR, expected shortfall, their errors, and who they come from.

VaR and ES are weighted means of ranked losses, so each splits into what every position lost in those very scenarios:
components are conditional means, and sum to the total exactly. VaR weighs the losses around the quantile by Harrell and
Davis' weights, which has a smaller error than a single order statistic; ES is the mean of the worst share.

Losses are positive. Sources: Harrell and Davis (1982), "A new distribution-free quantile estimator"; Acerbi and Tasche
(2002), "On the coherence of expected shortfall"; Tasche (1999), "Risk contributions and performance measurement";
Hansen and Hodrick (1980), "Forward exchange rates as optimal predictors of future spot rates", for overlaps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from flatbook.domain.errors import BadInputError

Floats = NDArray[np.float64]


class Estimate(NamedTuple):
    """A number and one standard error of it."""

    value: float
    error: float


@dataclass(frozen=True, eq=False)
class RiskMeasures:
    """VaR and ES of a book at one confidence, USD, and of each row (n,).

    component       sums to the total
    incremental     what the total has over the book without the row
    per_lot         what one more lot adds on the row's side, long or short; NaN where it has no lot
    """

    confidence: float
    var: Estimate
    shortfall: Estimate
    component_var: Floats
    component_shortfall: Floats
    incremental_var: Floats
    incremental_shortfall: Floats
    var_per_lot: Floats
    shortfall_per_lot: Floats


def check_confidence(confidence: float) -> None:
    """Errors      BadInputError outside 0.5 to 1, both excluded."""
    if not 0.5 < confidence < 1.0:
        raise BadInputError(f"confidence {confidence:g} is not between 0.5 and 1; write 99 % as 0.99")


def quantile_weights(count: int, confidence: float) -> Floats:
    """Harrell and Davis' weights of the losses ranked from the worst, (count,), for the VaR; they sum to 1."""
    check_confidence(confidence)
    worst = (count + 1) * (1.0 - confidence)
    edges = beta.cdf(np.arange(count + 1) / count, worst, count + 1 - worst)
    return np.asarray(np.diff(edges))


def tail_weights(count: int, confidence: float) -> Floats:
    """Weights of the losses ranked from the worst, (count,), for the ES: the worst share of them, the last in part."""
    check_confidence(confidence)
    tail = max((1.0 - confidence) * count, 1.0)
    return np.asarray(np.clip(tail - np.arange(count), 0.0, 1.0) / tail)


def var_and_shortfall(loss: Floats, confidence: float) -> tuple[Floats, Floats]:
    """VaR and ES of losses (..., scenarios), each (...)."""
    ranked = -np.sort(-loss, axis=-1)
    count = ranked.shape[-1]
    return ranked @ quantile_weights(count, confidence), ranked @ tail_weights(count, confidence)


def measure(
    pnl_usd: Floats,
    confidence: float,
    units: Floats,
    overlap: int = 1,
) -> RiskMeasures:
    """VaR and ES of a book from what each row gains in each scenario, (rows, scenarios).

    units       (rows,) lots over the sizes without their signs: what part of a row a lot is; NaN where it has none
    overlap     so many scenarios in a row share a part of their time, and widen the errors
    """
    rows, count = pnl_usd.shape
    if count < 2:
        raise BadInputError(f"{count} scenarios say nothing of a tail; give more")
    loss = -pnl_usd.sum(axis=0)
    order = np.argsort(-loss, kind="stable")
    at_quantile, in_tail = quantile_weights(count, confidence), tail_weights(count, confidence)
    ranked = -pnl_usd[:, order]
    var, shortfall = float(loss[order] @ at_quantile), float(loss[order] @ in_tail)
    without = np.array([var_and_shortfall(loss + gain, confidence) for gain in pnl_usd]).reshape(rows, 2)
    added = np.array(
        [var_and_shortfall(loss - unit * gain, confidence) for gain, unit in zip(pnl_usd, units, strict=True)]
    ).reshape(rows, 2)
    total = np.array([var, shortfall])
    incremental, per_lot = total - without, np.where(np.isfinite(units)[:, None], added - total, np.nan)
    return RiskMeasures(
        confidence,
        Estimate(var, standard_error(loss, at_quantile, overlap)),
        Estimate(shortfall, standard_error(loss, in_tail, overlap)),
        ranked @ at_quantile,
        ranked @ in_tail,
        incremental[:, 0],
        incremental[:, 1],
        per_lot[:, 0],
        per_lot[:, 1],
    )


def standard_error(loss: Floats, weights: Floats, overlap: int = 1) -> float:
    """One standard error of a weighted mean of ranked losses, by its influence function (the infinitesimal jackknife).

    Shapes      loss (n,) in the order of time; weights (n,) of losses ranked from the worst
    overlap     so many losses in a row share a part of their time; their influences' covariances are counted in
    """
    count = loss.size
    order = np.argsort(loss, kind="stable")
    rising, density = loss[order], count * weights[::-1]
    rises = np.diff(rising) * 0.5 * (density[1:] + density[:-1])
    influence = np.empty(count)
    influence[order] = np.concatenate([[0.0], np.cumsum(rises)])
    influence -= influence.mean()
    independent = variance = float(np.mean(influence**2))
    for lag in range(1, min(overlap, count)):
        variance += 2.0 * float(np.sum(influence[lag:] * influence[:-lag])) / count
    # Covariances as estimated may come out below nothing; no overlap makes a mean surer.
    return math.sqrt(max(variance, independent) / count)
