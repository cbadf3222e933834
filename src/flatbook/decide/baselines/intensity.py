"""How often a quote is filled at a distance from fair value, and what the best distance then earns.

The Hamiltonian of an intensity Λ, at an aversion x per unit of price (risk aversion times the trade's size) and a price
p of letting the inventory change, is

    H(p) = sup over d of Λ(d) (1 - exp(-x (d - p))) / x          x -> 0:  sup of Λ(d) (d - p)

and the distance that attains it is the best quote.

Source      Guéant (2017), "Optimal market making", arXiv 1605.01862, sections 2 and 3
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError

Floats = NDArray[np.float64]
Real = float | Floats
"""A number, or an array that broadcasts."""


class Distances(NamedTuple):
    """How far bid and ask lie from fair value, outward positive; infinite where that side is not quoted."""

    bid: Floats
    ask: Floats


class Intensity(Protocol):
    """Fills per unit of time of one side's quote, by its distance from fair value."""

    def rate(self, distance: Real) -> Floats:
        """Fills per unit of time."""

    def best_distance(self, price: Real) -> Floats:
        """The distance that earns most, for a dealer without aversion to whom the trade is worth `price` less."""

    def hamiltonian(self, price: Real) -> Floats:
        """What that earns per unit of time and of size."""


@dataclass(frozen=True, slots=True, eq=False)
class ExponentialIntensity:
    """Λ(d) = A exp(-k d).

    Units       arrivals A per unit of time at zero distance; decay k per unit of price
    Domain      both above 0; numbers, or arrays that broadcast with prices and distances
    """

    arrivals: Real
    decay: Real

    def __post_init__(self) -> None:
        require_positive("fill intensity", arrivals=self.arrivals, decay=self.decay)

    def rate(self, distance: Real) -> Floats:
        """Fills per unit of time; none at an infinite distance."""
        return np.asarray(self.arrivals * np.exp(-np.multiply(self.decay, distance)))

    def spread(self, aversion: Real = 0.0) -> Floats:
        """The distance asked beyond the price of inventory: ln(1 + x/k) / x, and 1/k without aversion."""
        return np.asarray(_log_slope(aversion / self.decay) / self.decay)

    def constant(self, aversion: Real = 0.0) -> Floats:
        """C = (1 + x/k)^-(1 + k/x), and 1/e without aversion: H(p) is (A C / k) exp(-k p)."""
        ratio = aversion / self.decay
        return np.asarray(np.exp(-(1.0 + ratio) * _log_slope(ratio)))

    def best_distance(self, price: Real, aversion: Real = 0.0) -> Floats:
        """The distance that attains the Hamiltonian."""
        return np.asarray(price + self.spread(aversion))

    def hamiltonian(self, price: Real, aversion: Real = 0.0) -> Floats:
        """H(p), per unit of time and of size."""
        return self.rate(price) * self.constant(aversion) / self.decay


@dataclass(frozen=True, slots=True, eq=False)
class LogisticIntensity:
    """Λ(d) = peak / (1 + exp(offset + slope d)), which levels off where the quote is better than any other's.

    With c = offset + slope p and W Lambert's function, the best distance is p + (1 + W(exp(-1 - c))) / slope and the
    Hamiltonian peak W(exp(-1 - c)) / slope.

    Units       peak per unit of time; slope per unit of price; offset is the log odds against a fill at zero distance
    Domain      peak and slope above 0; no aversion; numbers, or arrays that broadcast with prices and distances
    """

    peak: Real
    offset: Real
    slope: Real

    def __post_init__(self) -> None:
        require_positive("fill intensity", peak=self.peak, slope=self.slope)

    def rate(self, distance: Real) -> Floats:
        """Fills per unit of time; none at an infinite distance."""
        return np.asarray(self.peak * np.exp(-np.logaddexp(0.0, self.offset + np.multiply(self.slope, distance))))

    def best_distance(self, price: Real) -> Floats:
        """The distance that attains the Hamiltonian."""
        return np.asarray(price + (1.0 + self._omega(price)) / self.slope)

    def hamiltonian(self, price: Real) -> Floats:
        """H(p), per unit of time and of size."""
        return np.asarray(self.peak * self._omega(price) / self.slope)

    def _omega(self, price: Real) -> Floats:
        from scipy.special import wrightomega  # a start that quotes by no such model does not pay for scipy

        # Wright's ω(x) is W(exp(x)) without the overflow.
        return np.asarray(wrightomega(-1.0 - self.offset - np.multiply(self.slope, price)))


def require_positive(what: str, **values: Real) -> None:
    """Refuses parameters that are not above zero and finite, by name."""
    for name, value in values.items():
        _require(what, name, value, np.greater(value, 0.0), "above 0")


def require_not_negative(what: str, **values: Real) -> None:
    """Refuses parameters that are below zero or not finite, by name."""
    for name, value in values.items():
        _require(what, name, value, np.greater_equal(value, 0.0), "0 or more")


def _require(what: str, name: str, value: Real, holds: NDArray[np.bool_], bound: str) -> None:
    wrong = ~(np.ravel(holds) & np.isfinite(np.ravel(value)))
    if wrong.any():
        raise BadInputError(f"{what}: {name} of {np.ravel(value)[wrong][0]:g} must be {bound} and finite")


def _log_slope(ratio: Real) -> Floats:
    """ln(1 + r) / r, 1 at r = 0."""
    r = np.asarray(ratio, dtype=np.float64)
    return np.asarray(np.where(r > 0.0, np.log1p(r) / np.where(r > 0.0, r, 1.0), 1.0))
