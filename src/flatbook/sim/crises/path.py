"""A crisis as a path: what happened to each coin since it began, step by step, as shocks of whatever stood before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_DAY, NS_PER_HOUR, format_utc
from flatbook.market.shock import Shocks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class CrisisPath:
    """What happened, counted from the first step.

    Shapes      ts_ns (n,) rising, the crisis' own clock; `shocks` n of each coin, the first nothing, `days` included
    funding     (n,) rate that longs of perpetuals paid since the step before
    daily_volume_usd    traded a day in the market that hedges are taken to trade in
    smiles_seen         (n,) steps with a smile of their own, between which smiles are interpolated; None where each has
    Convention  the first coin leads: one that is not there moves as the first does
    """

    name: str
    ts_ns: Ints
    shocks: Mapping[str, Shocks]
    funding: Floats
    daily_volume_usd: float
    smiles_seen: Flags | None = None

    def __post_init__(self) -> None:
        n = len(self.ts_ns)
        sized = self.funding.shape == (n,) and all(len(moves) == n for moves in self.shocks.values())
        sized &= self.smiles_seen is None or self.smiles_seen.shape == (n,)
        if n < 2 or not sized or not self.shocks or not (np.diff(self.ts_ns) > 0).all():
            raise BadInputError(f"crisis {self.name}: {n} steps must rise, 2 or more, each with shocks and funding")
        if not self.daily_volume_usd > 0.0:
            raise BadInputError(
                f"crisis {self.name}: a day's volume of {self.daily_volume_usd:g} USD; give one above 0"
            )
        for coin, moves in self.shocks.items():
            bad = ~(np.isfinite(moves.spot) & (moves.spot > -1.0) & np.isfinite(moves.vol) & (moves.vol >= -1.0))
            if bad.any():
                at = format_utc(int(self.ts_ns[int(bad.argmax())]))
                raise BadInputError(f"crisis {self.name}: {coin} has no price or vol at {at}; mend its source")

    def __len__(self) -> int:
        return len(self.ts_ns)

    @property
    def lead(self) -> str:
        """The coin that others follow."""
        return next(iter(self.shocks))

    def of(self, coin: str) -> Shocks:
        """A coin's moves, or the lead's."""
        return self.shocks.get(coin, self.shocks[self.lead])

    @property
    def log_spot(self) -> Floats:
        """The lead's log move since the beginning, (n,)."""
        return np.asarray(np.log1p(self.shocks[self.lead].spot.ravel()))

    @property
    def farthest(self) -> int:
        """The step at which the lead is farthest from where it began."""
        return int(np.argmax(np.abs(self.log_spot)))

    def worst_window(self, hours: float) -> tuple[int, int]:
        """First and last step of the `hours` in which the lead moved farthest, or of the whole path."""
        last = np.searchsorted(self.ts_ns, self.ts_ns + round(hours * NS_PER_HOUR), side="right") - 1
        whole = self.ts_ns + round(hours * NS_PER_HOUR) <= self.ts_ns[-1]
        if not whole.any():
            return 0, len(self) - 1
        moved = np.where(whole, np.abs(self.log_spot[last] - self.log_spot), -1.0)
        first = int(np.argmax(moved))
        return first, int(last[first])


def days_since_first(ts_ns: Ints) -> Floats:
    """Days from the first of some times to each, (n,)."""
    return np.asarray((ts_ns - ts_ns[0]) / NS_PER_DAY)
