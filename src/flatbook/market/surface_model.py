"""What is believed of smiles before any is seen, and what can become of one."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MONTH_YEARS, _DAY_YEARS = 30 / 365, 1 / 365


class SliceStatus(IntEnum):
    """What became of an expiry's last observation or fit: what is held keeps the last good slice."""

    NEVER_FITTED = 0
    FITTED = 1
    SEEDED = 2
    HELD_TOO_FEW_POINTS = 3
    HELD_RESIDUAL = 4
    HELD_JUMP = 5
    HELD_BUTTERFLY = 6
    HELD_BAD_INPUT = 7
    HELD_CALENDAR = 8

    @property
    def is_held(self) -> bool:
        """Whether something was refused."""
        return self >= SliceStatus.HELD_TOO_FEW_POINTS


REASONS: Mapping[SliceStatus, str] = {
    SliceStatus.NEVER_FITTED: "no slice yet",
    SliceStatus.FITTED: "fitted",
    SliceStatus.SEEDED: "read between its neighbours, no fit of its own yet",
    SliceStatus.HELD_TOO_FEW_POINTS: "kept the last: too few points for a fit",
    SliceStatus.HELD_RESIDUAL: "kept the last: a fit explains too little of what was seen",
    SliceStatus.HELD_JUMP: "kept the last: a jump waits for others to agree",
    SliceStatus.HELD_BUTTERFLY: "kept the last: no fit is free of butterfly arbitrage",
    SliceStatus.HELD_BAD_INPUT: "kept the last: what was seen is no smile",
    SliceStatus.HELD_CALENDAR: "kept the last: no fit is in calendar order with its neighbours",
}
"""In words."""


@dataclass(frozen=True, slots=True)
class SurfaceModel:
    """How smiles are believed to move and be seen.

    vol_of_vol          relative standard deviation of a 30-day vol over a year; other tenors by `tenor_power`
    tenor_power         vol of vol goes with (30 days / tenor) to this power, tenors under a day counting as a day
    tenor_correlation   of two levels, per unit of log tenor between them
    shape_share         standard deviation of a smile's shape against its level's, at one deviation of moneyness
    quote_error         standard error of a seen vol beside its band, in vol
    shape_error         standard error of a slice's vol per deviation of moneyness, in vol: what of a surprise in a
                        wing is the wing's and not the level's
    prior_error         standard error with which the last good shape still holds, in vol
    residual_limit      a fit whose residual is a larger share of its level than this is refused
    jump_deviations     an observation beyond this many standard deviations of its expectation is refused ...
    jump_confirmations  ... until this many in a row on one side ask for it
    pressed_ratio       a fit whose residual is this many times that of the last asks its neighbours to give way
    """

    vol_of_vol: float = 1.0
    tenor_power: float = 0.45
    tenor_correlation: float = 0.9
    shape_share: float = 1.0
    quote_error: float = 0.0015
    shape_error: float = 0.006
    prior_error: float = 0.006
    residual_limit: float = 0.05
    jump_deviations: float = 6.0
    jump_confirmations: int = 3
    pressed_ratio: float = 1.2

    def wander(self, years: Floats) -> Floats:
        """Relative standard deviation per square root of a year of a vol level at each tenor."""
        power: Floats = (_MONTH_YEARS / np.maximum(years, _DAY_YEARS)) ** self.tenor_power
        return self.vol_of_vol * power

    def wander_at(self, years: float) -> float:
        """The same at one tenor."""
        power: float = (_MONTH_YEARS / max(years, _DAY_YEARS)) ** self.tenor_power
        return self.vol_of_vol * power
