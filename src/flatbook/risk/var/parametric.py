"""VaR and ES in closed form: of a normal law, of Student's, and by Cornish and Fisher's expansion; losses positive.

Source      Cornish and Fisher (1938), "Moments and cumulants in the specification of distributions"
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from flatbook.domain.errors import BadInputError

Floats = NDArray[np.float64]


class ClosedForm(NamedTuple):
    """VaR and ES in the unit of the deviation; of a law of mean 0 and deviation 1 unless said."""

    var: float
    shortfall: float


class Moments(NamedTuple):
    """Mean and deviation of P&L in USD, skewness, and kurtosis in excess of the normal's."""

    mean: float
    deviation: float
    skewness: float
    kurtosis: float


def moments_of(pnl_usd: Floats) -> Moments:
    """Of a sample; a P&L that never moves has neither skewness nor kurtosis."""
    deviation = float(pnl_usd.std())
    if not deviation > 0.0:
        return Moments(float(pnl_usd.mean()), 0.0, 0.0, 0.0)
    standard = (pnl_usd - pnl_usd.mean()) / deviation
    return Moments(float(pnl_usd.mean()), deviation, float((standard**3).mean()), float((standard**4).mean() - 3.0))


def normal(confidence: float) -> ClosedForm:
    """Of a standard normal law."""
    quantile = float(stats.norm.ppf(confidence))
    return ClosedForm(quantile, float(stats.norm.pdf(quantile)) / (1.0 - confidence))


def student(confidence: float, degrees: float) -> ClosedForm:
    """Of Student's law with `degrees` of freedom, scaled to deviation 1.

    Errors      BadInputError for 2 degrees or fewer, which have no deviation
    """
    if not degrees > 2.0:
        raise BadInputError(f"Student's law with {degrees:g} degrees of freedom has no deviation; give more than 2")
    scale = math.sqrt((degrees - 2.0) / degrees)
    quantile = float(stats.t.ppf(confidence, degrees))
    density = float(stats.t.pdf(quantile, degrees))
    shortfall = density * (degrees + quantile**2) / (degrees - 1.0) / (1.0 - confidence)
    return ClosedForm(scale * quantile, scale * shortfall)


def degrees_of(kurtosis: float) -> float:
    """Degrees of freedom with which Student's law has this excess kurtosis; infinite where it has none."""
    return 4.0 + 6.0 / kurtosis if kurtosis > 0.0 else math.inf


def cornish_fisher(probability: float, skewness: float, kurtosis: float) -> float:
    """Quantile of a law of mean 0 and deviation 1, by its skewness and excess kurtosis.

    Domain      NaN where the expansion is no quantile function, for it falls somewhere: the skewness and kurtosis of
                short options' P&L are often beyond it
    """
    # The derivative in z is a parabola, curve z^2 + slope z + level; it must be above 0 everywhere.
    curve, slope = kurtosis / 8.0 - skewness**2 / 6.0, skewness / 3.0
    level = 1.0 - kurtosis / 8.0 + 5.0 * skewness**2 / 36.0
    if curve < 0.0 or slope**2 > 4.0 * curve * level or level <= 0.0:
        return math.nan
    z = float(stats.norm.ppf(probability))
    return (
        z
        + (z**2 - 1.0) * skewness / 6.0
        + (z**3 - 3.0 * z) * kurtosis / 24.0
        - (2.0 * z**3 - 5.0 * z) * skewness**2 / 36.0
    )


def parametric_var_usd(moments: Moments, confidence: float) -> dict[str, float]:
    """VaR in USD by each law that has these moments."""
    degrees = degrees_of(moments.kurtosis)
    of_student = normal(confidence).var if math.isinf(degrees) else student(confidence, degrees).var
    lower = cornish_fisher(1.0 - confidence, moments.skewness, moments.kurtosis)
    return {
        "normal": moments.deviation * normal(confidence).var - moments.mean,
        "student": moments.deviation * of_student - moments.mean,
        "cornish_fisher": -moments.deviation * lower - moments.mean,
    }
