"""The forward of each expiry: the index times a basis that is filtered from what options and futures imply.

One scalar Kalman filter per expiry, on the log basis ln(F / index). The basis wanders slowly and the index is known, so
a tick of the index moves every forward at once, and an observation only corrects the basis. An observation too far out
for its own error and the filter's is refused; refusals in a row mean that the filter is wrong, and reopen it.

An expiry never observed has the carry rate of those that were: rates are taken for a Gaussian process in log tenor, so
the nearest count most, each as well as it is known, and what lies between is known better than what lies beyond.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_YEAR, years_between
from flatbook.market.analytics.funding import CarryCurve, carry_curve
from flatbook.market.filtering import Gate, observe
from flatbook.market.universe import FIRST_SLOTS

_LEAST_VARIANCE = 1e-8
"""Of a log basis inferred and never observed."""

_LEAST_YEARS = 1e-4
"""Under an hour a basis is no rate."""


@dataclass(frozen=True, slots=True)
class ForwardModel:
    """How the basis is believed to move and be seen.

    basis_vol           standard deviation of the log basis over a year, from nothing else known
    rate_vol            standard deviation of an annual carry rate, from nothing else known
    rate_reach          over this much log tenor the correlation of carry rates falls by e
    gate                which observations are refused
    """

    basis_vol: float = 0.02
    rate_vol: float = 0.05
    rate_reach: float = 12.0
    gate: Gate = field(default_factory=Gate)


class CarryRate(NamedTuple):
    """An annual carry rate of the index to a date so many years ahead, with its standard error."""

    years: float
    rate: float
    error: float


class Forwards:
    """Index and filtered basis of each expiry slot.

    Invariant   `variance` is positive for each slot seen; `seen_ns` is the time of its last accepted observation, or 0
    """

    def __init__(self, model: ForwardModel) -> None:
        self._model = model
        self.index_usd = np.nan
        self.index_ns = 0
        self.basis: NDArray[np.float64] = np.zeros(FIRST_SLOTS)
        self.variance: NDArray[np.float64] = np.full(FIRST_SLOTS, np.inf)
        self.seen_ns: NDArray[np.int64] = np.zeros(FIRST_SLOTS, np.int64)
        self.refused: NDArray[np.int64] = np.zeros(FIRST_SLOTS, np.int64)

    def grow(self, slots: int) -> None:
        """Makes room for as many expiries."""
        more = slots - len(self.basis)
        self.basis = np.concatenate([self.basis, np.zeros(more)])
        self.variance = np.concatenate([self.variance, np.full(more, np.inf)])
        self.seen_ns = np.concatenate([self.seen_ns, np.zeros(more, np.int64)])
        self.refused = np.concatenate([self.refused, np.zeros(more, np.int64)])

    def set_index(self, index_usd: float, now_ns: int) -> None:
        """Takes a new index level."""
        self.index_usd = index_usd
        self.index_ns = now_ns

    def forward_usd(self, slot: int) -> float:
        """The forward of one expiry."""
        return float(self.index_usd * np.exp(self.basis[slot]))

    def deviation(self, slot: int, now_ns: int) -> float:
        """One standard deviation of the log forward about the index, aged to now; inf for an expiry never seen."""
        return math.sqrt(self._aged_variance(slot, now_ns))

    def observe(self, slot: int, forward_usd: float, relative_error: float, now_ns: int) -> bool:
        """Corrects the basis by an observed forward with a relative standard error; says whether it was accepted."""
        step = observe(
            self._model.gate,
            float(self.basis[slot]),
            self._aged_variance(slot, now_ns),
            int(self.refused[slot]),
            math.log(forward_usd / self.index_usd),
            relative_error * relative_error,
        )
        self.refused[slot] = step.refused
        if step.accepted:
            self.basis[slot], self.variance[slot], self.seen_ns[slot] = step.mean, step.variance, now_ns
        return step.accepted

    def open_slot(self, slot: int, expiry_ns: NDArray[np.int64], now_ns: int, beside: CarryRate | None = None) -> None:
        """Gives an expiry never observed the carry of those that were, with an error to match; see `carry`."""
        years = max(years_between(now_ns, int(expiry_ns[slot])), 0.0)
        _, rate, error = self.carry(years, expiry_ns, now_ns, beside)
        self.basis[slot] = rate * years
        self.variance[slot] = (error * years) ** 2 + _LEAST_VARIANCE

    def carry(
        self, years: float, expiry_ns: NDArray[np.int64], now_ns: int, beside: CarryRate | None = None
    ) -> CarryRate:
        """The carry rate to `years` ahead, from the expiries observed that are alive.

        `beside` is one that something else tells, as a perpetual's funding does of the next hours
        """
        known = np.flatnonzero((self.seen_ns > 0) & (expiry_ns[: len(self.seen_ns)] > now_ns))
        left = np.maximum((expiry_ns[known] - now_ns) / NS_PER_YEAR, _LEAST_YEARS)
        aged = self.variance[known] + self._model.basis_vol**2 * (now_ns - self.seen_ns[known]) / NS_PER_YEAR
        rates, noise = self.basis[known] / left, aged / (left * left)
        if beside is not None:
            left, rates = np.append(left, beside.years), np.append(rates, beside.rate)
            noise = np.append(noise, beside.error * beside.error)
        at = np.log(left)
        prior = self._model.rate_vol**2
        together = prior * np.exp(-np.abs(at[:, None] - at) / self._model.rate_reach) + np.diag(noise)
        here = prior * np.exp(-np.abs(at - math.log(max(years, _LEAST_YEARS))) / self._model.rate_reach)
        weight = np.linalg.solve(together, here)
        return CarryRate(years, float(weight @ rates), math.sqrt(max(prior - float(weight @ here), 0.0)))

    def funding_curve(self, expiry_ns: NDArray[np.int64], perpetual_usd: float, now_ns: int) -> CarryCurve | None:
        """The funding that holding the perpetual must pay until each observed expiry, by its forward.

        None where no forward was observed
        """
        known = np.flatnonzero((self.seen_ns > 0) & (expiry_ns[: len(self.seen_ns)] > now_ns))
        if not len(known):
            return None
        order = known[np.argsort(expiry_ns[known], kind="stable")]
        years = (expiry_ns[order] - now_ns) / NS_PER_YEAR
        return carry_curve(years, self.index_usd * np.exp(self.basis[order]), perpetual_usd)

    def _aged_variance(self, slot: int, now_ns: int) -> float:
        seen_ns = int(self.seen_ns[slot])
        age_years = (now_ns - seen_ns) / NS_PER_YEAR if seen_ns else 0.0
        return float(self.variance[slot]) + self._model.basis_vol**2 * age_years
