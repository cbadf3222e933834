"""What may happen to an underlying's market at once, and what it makes of a smile.

Raw SVI takes a move of spot, of all vols and of time exactly, as moves of its parameters. A twist is taken inside the
family, too: one more slope and one more bend around the forward, so that a shocked smile prices every strike, has the
straight wings of the first, and can be interpolated, shocked again, and given to any pricer. As a stress may ask for
more than a smile can bend, a twist stops where variance would be negative or a wing steeper than Lee's bound allows;
that a stressed smile has no butterfly in between is not made sure of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError

Floats = NDArray[np.float64]

TERM_DAYS = 30.0
"""The tenor at which `Shock.vol` is the whole move of vols, whatever the twist of terms."""

_SHORTEST_DAYS = 1.0
_STEEPEST = 2.0  # a wing of total variance over log-moneyness: Lee (2004)
_MOST_DAYS = 36_525.0
_LEAST_VARIANCE = 0.01  # of the variance at the forward


@dataclass(frozen=True, slots=True)
class Shock:
    """What happens to an underlying at once. A strike keeps its vol when spot moves.

    spot        relative move of index, forwards, futures and perpetuals alike: -0.2 is a fall of 20 %
    vol         relative move of every vol: 0.5 makes 0.90 of 0.60
    days        time that passes; vols and forwards stay as they are, by expiry
    term        twist of terms: vols move by a factor (30 / days to expiry)^term besides; 0.2 makes a week's a third
                higher and a year's two fifths lower, a day's as that of anything nearer
    skew        vol added at strikes one standard deviation above the forward and taken from those below, on average,
                the forward being that of before: -0.05 makes puts dearer
    convexity   vol added one standard deviation from that forward on either side, on average
    basis       relative move of forwards, futures and perpetuals against the index, beside spot's
    """

    spot: float = 0.0
    vol: float = 0.0
    days: float = 0.0
    term: float = 0.0
    skew: float = 0.0
    convexity: float = 0.0
    basis: float = 0.0

    def __post_init__(self) -> None:
        if not (-1.0 < self.spot < math.inf and -1.0 <= self.vol < math.inf):
            raise BadInputError(f"{self._given}: spot must stay above 0, and vols 0 or more")
        if not 0.0 <= self.days <= _MOST_DAYS:
            raise BadInputError(f"{self._given}: time must not run backwards, nor on for more than a century")
        if not (-1.0 < self.basis < math.inf and all(map(math.isfinite, (self.term, self.skew, self.convexity)))):
            raise BadInputError(f"{self._given}: forwards must stay above 0, and twists must be numbers")

    @property
    def _given(self) -> str:
        return ", ".join(f"{name} {value:g}" for name, value in asdict(self).items() if value) or "nothing"

    @property
    def carried(self) -> float:
        """What forwards, futures and perpetuals are multiplied by."""
        return (1.0 + self.spot) * (1.0 + self.basis)


NOTHING = Shock()
"""No shock at all."""


@dataclass(frozen=True, slots=True, eq=False)
class Shocks:
    """Many shocks by column, each (scenarios, 1), so that they broadcast against expiries; as in `Shock`."""

    spot: Floats
    vol: Floats
    days: Floats
    term: Floats
    skew: Floats
    convexity: Floats
    basis: Floats

    @classmethod
    def of(cls, shocks: Sequence[Shock]) -> Shocks:
        """Those, in order."""
        return cls(*(np.array([[getattr(one, column.name)] for one in shocks]) for column in fields(Shock)))

    @classmethod
    def made(cls, count: int, **columns: Floats) -> Shocks:
        """So many, of columns by name, (count,) each; those left out are nothing."""
        still = np.zeros(count)
        return cls(*(columns.get(column.name, still)[:, None] for column in fields(Shock)))

    def __len__(self) -> int:
        return len(self.spot)

    def at(self, number: int) -> Shock:
        """One of them."""
        return Shock(*(float(getattr(self, column.name)[number, 0]) for column in fields(Shock)))

    def after_nothing(self, padding: int) -> Shocks:
        """The same after no shock at all, and before `padding` more of none."""
        return Shocks(*(np.pad(getattr(self, column.name), ((1, padding), (0, 0))) for column in fields(Shock)))

    @property
    def carried(self) -> Floats:
        """What forwards, futures and perpetuals are multiplied by."""
        return (1.0 + self.spot) * (1.0 + self.basis)


class Slices(NamedTuple):
    """Raw SVI total variance by parameter, shapes that broadcast."""

    a: Floats
    b: Floats
    rho: Floats
    m: Floats
    s: Floats


def shocked_slices(shock: Shock | Shocks, slices: Floats, years: Floats, left: Floats) -> Slices:
    """Slices right after a shock, shape (n,); after many, (scenarios, n).

    Shapes      slices (n, 5) raw SVI total variance (a, b, rho, m, s), NaN where none; years (n,) to expiry before;
                left the share of them that is left after, (n,), or (scenarios, n)
    """
    a, b, rho, m, s = slices.T
    days = np.maximum(years * 365.0, _SHORTEST_DAYS)
    factor = ((1.0 + shock.vol) * (TERM_DAYS / days) ** shock.term) ** 2
    a, b = a * factor, b * factor
    is_twisted = (np.asarray(shock.skew) != 0.0) | (np.asarray(shock.convexity) != 0.0)
    if is_twisted.any():
        with np.errstate(divide="ignore", invalid="ignore"):
            twisted = _twisted(Slices(a, b, rho, m, s), years, shock)
        to_come = is_twisted & (years > 0.0)
        a, b, rho = (np.where(to_come, new, old) for new, old in zip(twisted, (a, b, rho), strict=True))
    return Slices(a * left, b * left, rho, m - np.log(shock.carried), s)


def _twisted(slices: Slices, years: Floats, shock: Shock | Shocks) -> tuple[Floats, Floats, Floats]:
    """a, b and rho with slope and bend added, the variance at the forward kept."""
    a, b, rho, m, s = slices
    radius = np.hypot(m, s)
    level = a + b * (radius - rho * m)
    width = np.sqrt(np.maximum(level, 0.0))
    below, above = (np.sqrt((a + b * (rho * (k - m) + np.hypot(k - m, s))) / years) for k in (-width, width))
    # To first order a vol's move is its variance's over twice itself; half the sum and difference over both sides.
    per_vol = 4.0 * years / (1.0 / below + 1.0 / above)
    rise = 0.5 * (np.hypot(width - m, s) + np.hypot(width + m, s)) - radius
    more = np.where(rise > 0.0, shock.convexity * per_vol / rise, 0.0)
    tilt = np.where(width > 0.0, shock.skew * per_vol / width, 0.0)
    bend = np.clip(b + more, 1e-9, _STEEPEST)
    most = np.minimum(0.999 * bend, np.maximum(_STEEPEST - bend, 0.0))
    slope = np.clip(b * rho + tilt, -most, most)
    base = level - bend * radius + slope * m
    lowest = base + s * np.sqrt(bend**2 - slope**2)
    return base + np.maximum(_LEAST_VARIANCE * level - lowest, 0.0), bend, slope / bend
