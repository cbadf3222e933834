"""The forward of each expiry: the index times a basis that is filtered from what options and futures imply.

One scalar Kalman filter per expiry, on the log basis ln(F / index). The basis wanders slowly and the index is known, so
a tick of the index moves every forward at once, and an observation only corrects the basis. An observation too far out
for its own error and the filter's is refused; refusals in a row mean that the filter is wrong, and reopen it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_YEAR, years_between
from flatbook.market.universe import MAX_SLOTS


@dataclass(frozen=True, slots=True)
class ForwardModel:
    """How the basis is believed to move and be seen.

    basis_vol           standard deviation of the log basis over a year, from nothing else known
    rate_vol            standard deviation of the annual carry rate across expiries: the prior of a new expiry
    gate_deviations     an observation farther than this many standard deviations is refused
    reopen_after        this many refusals in a row on one side reopen the filter
    """

    basis_vol: float = 0.02
    rate_vol: float = 0.05
    gate_deviations: float = 5.0
    reopen_after: int = 5


class Forwards:
    """Index and filtered basis of each expiry slot.

    Invariant   `variance` is positive for each slot seen; `seen_ns` is the time of its last accepted observation, or 0
    """

    def __init__(self, model: ForwardModel) -> None:
        self._model = model
        self.index_usd = np.nan
        self.index_ns = 0
        self.basis: NDArray[np.float64] = np.zeros(MAX_SLOTS)
        self.variance: NDArray[np.float64] = np.full(MAX_SLOTS, np.inf)
        self.seen_ns: NDArray[np.int64] = np.zeros(MAX_SLOTS, np.int64)
        self.refused: NDArray[np.int64] = np.zeros(MAX_SLOTS, np.int64)

    def set_index(self, index_usd: float, now_ns: int) -> None:
        """Takes a new index level."""
        self.index_usd = index_usd
        self.index_ns = now_ns

    def forward_usd(self, slot: int) -> float:
        """The forward of one expiry."""
        return float(self.index_usd * np.exp(self.basis[slot]))

    def forwards_usd(self, slots: int) -> NDArray[np.float64]:
        """Forwards of the first `slots` expiries."""
        return np.asarray(self.index_usd * np.exp(self.basis[:slots]))

    def deviation(self, slot: int, now_ns: int) -> float:
        """One standard deviation of the log forward about the index, aged to now; inf for an expiry never seen."""
        return float(np.sqrt(self._aged_variance(slot, now_ns)))

    def observe(self, slot: int, forward_usd: float, relative_error: float, now_ns: int) -> bool:
        """Corrects the basis by an observed forward with a relative standard error; says whether it was accepted."""
        seen = np.log(forward_usd / self.index_usd)
        noise = relative_error * relative_error
        prior = self._aged_variance(slot, now_ns)
        surprise = seen - self.basis[slot]
        if surprise * surprise > self._model.gate_deviations**2 * (prior + noise):
            step = 1 if surprise > 0 else -1
            self.refused[slot] = self.refused[slot] + step if self.refused[slot] * step >= 0 else step
            if abs(self.refused[slot]) < self._model.reopen_after:
                return False
            prior = surprise * surprise
        gain = prior / (prior + noise)
        self.basis[slot] += gain * surprise
        self.variance[slot] = (1 - gain) * prior
        self.seen_ns[slot] = now_ns
        self.refused[slot] = 0
        return True

    def open_slot(self, slot: int, expiry_ns: NDArray[np.int64], now_ns: int) -> None:
        """Gives an expiry never seen the carry rate of the nearest one seen, with an error to match."""
        years = max(years_between(now_ns, int(expiry_ns[slot])), 0.0)
        known = np.flatnonzero(self.seen_ns > 0)
        if len(known):
            there = np.array([max(years_between(now_ns, int(expiry_ns[other])), 1e-4) for other in known])
            nearest = int(np.argmin(np.abs(np.log(there / max(years, 1e-4)))))
            self.basis[slot] = self.basis[known[nearest]] * min(years / there[nearest], 10.0)
        self.variance[slot] = (self._model.rate_vol * years) ** 2 + 1e-8

    def _aged_variance(self, slot: int, now_ns: int) -> float:
        age_years = (now_ns - int(self.seen_ns[slot])) / NS_PER_YEAR if self.seen_ns[slot] else 0.0
        return float(self.variance[slot] + self._model.basis_vol**2 * age_years)


def parity_forward(
    strike_usd: NDArray[np.float64],
    call_coin: NDArray[np.float64],
    put_coin: NDArray[np.float64],
    spread_coin: NDArray[np.float64],
) -> tuple[float, float] | None:
    """Forward and its relative standard error from coin parity, C - P = 1 - K/F, by weighted least squares.

    Shapes      all (n,): one pair of mids a strike; `spread_coin` is the pair's summed bid-ask spread
    Returns     None where no pair is left; strikes farther than four weighted deviations from the median are left out
    Source      pricing_surface: coin parity without discounting
    """
    usable = np.isfinite(call_coin) & np.isfinite(put_coin) & (spread_coin > 0)
    implied = strike_usd[usable] / (1.0 - (call_coin[usable] - put_coin[usable]))
    error = implied * implied / strike_usd[usable] * spread_coin[usable] / 2
    if not len(implied):
        return None
    inside = np.abs(implied - np.median(implied)) <= 4 * np.maximum(error, 1e-12)
    if not inside.any():
        return None
    weight = 1.0 / np.square(error[inside])
    forward = float(np.sum(weight * implied[inside]) / np.sum(weight))
    return forward, float(1.0 / np.sqrt(np.sum(weight)) / forward)
