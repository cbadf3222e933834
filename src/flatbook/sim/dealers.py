"""Those who answer requests beside us: what they believe a package is worth, and the price each of them asks.

Each adds to what all of them believe an error of his own and a half-spread of his own around the usual one. The best of
them is what we must beat: neither a logit nor anything else that a policy's win curve assumes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import ConfigurationError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DealerParameters:
    """How dealers price packages.

    least, most         how many answer a request
    leg_share           of their usual half-spreads in the legs, added in squares, beside fees
    scatter             log standard deviation of a dealer's half-spread about the usual
    error               standard deviation of a dealer's own error, in usual half-spreads
    """

    least: int = 2
    most: int = 6
    leg_share: float = 1.0
    scatter: float = 0.35
    error: float = 0.35

    def __post_init__(self) -> None:
        if not (0 <= self.least <= self.most and self.leg_share > 0 and self.scatter >= 0 and self.error >= 0):
            raise ConfigurationError(f"dealers: {self}; use 0 <= least <= most, leg_share above 0, nothing below 0")


def usual_half_spread(parameters: DealerParameters, ratios: Floats, usual_coin: Floats, fee_coin: float) -> float:
    """What dealers usually ask for a package beside fair, coin; `usual_coin` (n,) is what they ask in each leg."""
    return fee_coin + parameters.leg_share * float(np.linalg.norm(ratios * usual_coin))


def draw_dealers(parameters: DealerParameters, random: np.random.Generator) -> Floats:
    """(dealers, 2): each one's error and half-spread, in usual half-spreads; each request draws as many numbers."""
    count = int(random.integers(parameters.least, parameters.most + 1))
    normal = random.standard_normal((parameters.most, 2))[:count]
    return np.column_stack([parameters.error * normal[:, 0], np.exp(parameters.scatter * normal[:, 1])])


def best_ticks(dealers: Floats, taker_side: int, believed_coin: float, usual_coin: float, tick: float) -> int | None:
    """The best of the dealers' prices for a taker of a side, in ticks, each rounded his own way; None where none is."""
    if not len(dealers):
        return None
    exact = (believed_coin + usual_coin * (dealers[:, 0] + taker_side * dealers[:, 1])) / tick
    return int(np.ceil(exact - 1e-9).min()) if taker_side > 0 else int(np.floor(exact + 1e-9).max())
