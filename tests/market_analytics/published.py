"""Published figures by row, and smiles that several tests share."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flatbook.market.analytics.smile import Smile

Floats = NDArray[np.float64]

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(name: str) -> list[dict[str, str]]:
    """Rows of a table of published figures."""
    with (GOLDEN / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def flat(vol: float, years: float, forward: float = 100.0) -> Smile:
    """One vol at every strike."""
    return Smile(np.array([vol * vol * years, 0.0, 0.0, 0.0, 0.1]), years, forward)


def ssvi(theta: float, rho: float, eta: float, years: float, forward: float = 100.0, gamma: float = 0.5) -> Smile:
    """SSVI of a power law as a raw slice; free of arbitrage where eta (1 + |rho|) <= 2."""
    phi = eta / (theta**gamma * (1.0 + theta) ** (1.0 - gamma))
    rest = np.sqrt(1.0 - rho * rho)
    raw = [0.5 * theta * rest * rest, 0.5 * theta * phi, rho, -rho / phi, rest / phi]
    return Smile(np.array(raw), years, forward)
