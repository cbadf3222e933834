"""Takers of perpetuals, futures and spot in the simulated market, and how quotes lean away from what was traded."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from flatbook.domain.units import NS_PER_SECOND
from flatbook.sim.perpetual import BASIS_POINT, PerpetualTerms


@dataclass(frozen=True, slots=True)
class LinearTakerParameters:
    """How takers behave.

    every_s          mean time between them
    perpetual_share  of them, who trade the first of the instruments
    informed_share   who know the index `horizon_s` ahead, and trade its way if it moves more than `edge_bp`
    median_usd       of their sizes, which are lognormal with `log_deviation`, no more than `most_usd`
    reach_bp         how far beyond the best price they go
    """

    every_s: float = 3.0
    perpetual_share: float = 0.7
    informed_share: float = 0.15
    horizon_s: float = 30.0
    edge_bp: float = 3.0
    median_usd: float = 3_000.0
    log_deviation: float = 1.6
    most_usd: float = 2e6
    reach_bp: float = 5.0


class LinearTaker(NamedTuple):
    """One of them: `usd` of `instrument` at up to `reach` (a fraction) beyond the best price."""

    instrument: str
    side: int
    usd: float
    reach: float


class LinearFlow:
    """Takers one after the other, and the memory of what they and others traded."""

    def __init__(
        self,
        terms: PerpetualTerms,
        random: np.random.Generator,
        start_ns: int,
        parameters: LinearTakerParameters | None = None,
    ) -> None:
        self.terms = terms
        self._p = parameters or LinearTakerParameters()
        self.horizon_ns = round(self._p.horizon_s * NS_PER_SECOND)
        self._random = random
        self.next_ns = start_ns
        self._pressure: dict[str, tuple[float, int]] = {}
        self._wait()

    def pop(self, instruments: list[str], coming_return: float) -> LinearTaker:
        """The next taker, among `instruments`; `coming_return` is what the informed know."""
        p = self._p
        which, other, knows, side = self._random.random(4).tolist()
        at = 0 if which < p.perpetual_share else int(other * len(instruments))
        direction = 1 if side < 0.5 else -1
        if knows < p.informed_share and abs(coming_return) > p.edge_bp * BASIS_POINT:
            direction = 1 if coming_return > 0 else -1
        usd = p.median_usd * math.exp(p.log_deviation * self._random.standard_normal())
        self._wait()
        return LinearTaker(instruments[at], direction, min(usd, p.most_usd), p.reach_bp * BASIS_POINT)

    def press(self, instrument: str, usd: float, now_ns: int) -> None:
        """Somebody bought (sold, negative) for so much."""
        self._pressure[instrument] = (self._relaxed(instrument, now_ns) + usd, now_ns)

    def lean(self, instrument: str, now_ns: int) -> float:
        """How far quotes stand off the fair price for what was traded lately: the square-root law, as a fraction."""
        usd, terms = self._relaxed(instrument, now_ns), self.terms
        size = terms.impact_y * terms.daily_vol * math.sqrt(abs(usd) / terms.daily_volume_usd)
        return math.copysign(size, usd)

    def _relaxed(self, instrument: str, now_ns: int) -> float:
        usd, since_ns = self._pressure.get(instrument, (0.0, now_ns))
        return usd * math.exp(-(now_ns - since_ns) / NS_PER_SECOND / self.terms.impact_memory_s)

    def _wait(self) -> None:
        self.next_ns += max(round(self._random.exponential(self._p.every_s) * NS_PER_SECOND), 1)
