"""What our quotes taught of each counterparty: how often he trades at which distance, and what he gains on us after.

The win curve is a Bayesian logistic regression, online. With x = (1, distance / typical) and an offset for how many
others quoted, the log odds against winning are level + slope x distance. A pool learns from everybody; a counterparty's
own quotes are set against the pool's curve as his prior, loosened by how much counterparties differ. Each answer is
taken by one Newton step about the belief as it stood, so that its order matters little and nothing is kept but sums.

Markouts, what fair moved the taker's way after a trade in typical half-spreads, are shrunk likewise: a mean of n trades
counts as n against the pool's, which counts as `markout_trades`.

Source      Spiegelhalter and Lauritzen (1990), Networks 20, sequential Bayesian logistic updates; Efron and Morris
            (1975) for shrinkage to a pool
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.rfq.policy import RfqPolicy
from flatbook.decide.rfq.winning import TakerView, prior_view

Floats = NDArray[np.float64]

_LEAST_SLOPE = 0.1
"""A worse price never wins more often, whatever few answers say."""


@dataclass(frozen=True, slots=True)
class LearningModel:
    """What is believed before any answer.

    level_sd, slope_sd          of the pool's curve about the prior
    level_between, slope_between   how much counterparties differ from the pool
    no_markout_trades           trades that the belief of no toxicity counts as, for the pool
    markout_trades              trades that the pool's mean counts as, for a counterparty
    horizons_s                  at which trades are marked out; the longest is charged
    """

    level_sd: float = 1.0
    slope_sd: float = 1.0
    level_between: float = 0.7
    slope_between: float = 0.5
    no_markout_trades: float = 5.0
    markout_trades: float = 10.0
    horizons_s: tuple[float, ...] = (60.0, 600.0, 3600.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a quote.

    distance        of our price from fair, typical half-spreads; negative is through fair
    log_others      ln(competitors + walk-away odds), as the quote was made
    won             whether the taker traded with us
    """

    distance: float
    log_others: float
    won: bool


@dataclass(slots=True)
class _Curve:
    """A Gaussian in natural form: the likelihood's part of it, each answer quadratic about the belief then."""

    precision: Floats = field(default_factory=lambda: np.zeros((2, 2)))
    pull: Floats = field(default_factory=lambda: np.zeros(2))

    def take(self, answer: Answer, belief: Floats) -> None:
        x = np.array([1.0, answer.distance])
        against = float(belief @ x) + answer.log_others
        p = 0.5 + 0.5 * math.tanh(0.5 * against)
        weight = max(p * (1.0 - p), 1e-6)
        step = ((0.0 if answer.won else 1.0) - p) / weight
        self.precision += weight * np.outer(x, x)
        self.pull += weight * (float(belief @ x) + step) * x


@dataclass(slots=True)
class _Record:
    curve: _Curve = field(default_factory=_Curve)
    quotes: int = 0
    wins: int = 0
    trades: dict[float, int] = field(default_factory=dict)
    gained: dict[float, float] = field(default_factory=dict)

    def mark(self, horizon_s: float, gained: float) -> None:
        self.trades[horizon_s] = self.trades.get(horizon_s, 0) + 1
        self.gained[horizon_s] = self.gained.get(horizon_s, 0.0) + gained


@dataclass(frozen=True, slots=True)
class CounterpartyRow:
    """One line of the table.

    win_rate        of quotes, shrunk by nothing; NaN before the first
    markouts        what he gains on us per trade by horizon, shrunk, typical half-spreads; positive hurts us
    trades          marked out at each horizon
    """

    name: str
    quotes: int
    wins: int
    win_rate: float
    level: float
    slope: float
    markouts: tuple[float, ...]
    trades: tuple[int, ...]


class Counterparties:
    """What is known of everyone who has asked.

    Invariant   nothing depends on the order in which markouts come; an unknown name is seen as the pool
    """

    def __init__(self, policy: RfqPolicy, model: LearningModel | None = None) -> None:
        self.model = model or LearningModel()
        prior = prior_view(policy.dispersion)
        self._prior = np.array([prior.level, prior.slope])
        self._pool = _Record()
        self._own: dict[str, _Record] = {}

    def answered(self, name: str, answer: Answer) -> None:
        """Takes what became of a quote."""
        own = self._own.setdefault(name, _Record())
        own.curve.take(answer, self._belief(name)[0])
        self._pool.curve.take(answer, self._pool_belief()[0])
        for record in (own, self._pool):
            record.quotes += 1
            record.wins += answer.won

    def marked_out(self, name: str, horizon_s: float, gained: float) -> None:
        """Takes what a trade gained him at a horizon, typical half-spreads."""
        self._own.setdefault(name, _Record()).mark(horizon_s, gained)
        self._pool.mark(horizon_s, gained)

    def view(self, name: str) -> TakerView:
        """What to believe of him now; the longest horizon is charged."""
        level, slope = self._belief(name)[0].tolist()
        return TakerView(level, max(slope, _LEAST_SLOPE), self.markout(name, self.model.horizons_s[-1]))

    def deviations(self, name: str) -> tuple[float, float]:
        """Standard deviations of his level and slope."""
        level, slope = np.sqrt(np.diag(self._belief(name)[1])).tolist()
        return level, slope

    def markout(self, name: str, horizon_s: float) -> float:
        """His mean gain on us per trade, shrunk to the pool's, that to none; typical half-spreads."""
        own = self._own.get(name, _Record())
        pool = _shrunk(self._pool, horizon_s, 0.0, self.model.no_markout_trades)
        return _shrunk(own, horizon_s, pool, self.model.markout_trades)

    def table(self) -> Sequence[CounterpartyRow]:
        """Everyone who has asked, the busiest first."""
        names = sorted(self._own, key=lambda name: (-self._own[name].quotes, name))
        return [self._row(name, self._own[name]) for name in names]

    def _row(self, name: str, own: _Record) -> CounterpartyRow:
        view, horizons = self.view(name), self.model.horizons_s
        return CounterpartyRow(
            name,
            own.quotes,
            own.wins,
            own.wins / own.quotes if own.quotes else math.nan,
            view.level,
            view.slope,
            tuple(self.markout(name, horizon) for horizon in horizons),
            tuple(own.trades.get(horizon, 0) for horizon in horizons),
        )

    def _pool_belief(self) -> tuple[Floats, Floats]:
        prior = np.diag([self.model.level_sd**2, self.model.slope_sd**2])
        return _posterior(self._prior, prior, self._pool.curve)

    def _belief(self, name: str) -> tuple[Floats, Floats]:
        mean, covariance = self._pool_belief()
        between = np.diag([self.model.level_between**2, self.model.slope_between**2])
        own = self._own.get(name, _Record())
        return _posterior(mean, covariance + between, own.curve)


def _posterior(mean: Floats, covariance: Floats, curve: _Curve) -> tuple[Floats, Floats]:
    held = np.linalg.inv(covariance)
    posterior = np.linalg.inv(held + curve.precision)
    return np.asarray(posterior @ (held @ mean + curve.pull)), np.asarray(posterior)


def _shrunk(record: _Record, horizon_s: float, towards: float, trades: float) -> float:
    count = record.trades.get(horizon_s, 0)
    return (record.gained.get(horizon_s, 0.0) + trades * towards) / (count + trades)
