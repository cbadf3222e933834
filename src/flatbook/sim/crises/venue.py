"""The market that hedges trade in: what a clip costs, how far it moves the price, and what of that stays.

A clip moves the price by the square-root law, or in proportion; both agree where a clip is a hundredth of a day's
volume. Depth is volume times a factor. Afterwards a share lasts and the rest fades.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from flatbook.decide.hedge.impact import WORKED_SHARE, SquareRootLaw
from flatbook.domain.errors import BadInputError

_AGREE_AT = 0.01
"""Of a day's volume: the clip at which the linear law moves the price as far as the square-root law."""


@dataclass(frozen=True, slots=True)
class HedgeMarket:
    """What trading costs and does, relative to notional and price.

    daily_volume_usd    before `depth_factor`
    y                   of the square-root law; 0 where nothing moves the price
    lasting_share       of a move; the rest fades with the time constant `fade_s`
    """

    daily_volume_usd: float
    depth_factor: float = 1.0
    law: Literal["square_root", "linear"] = "square_root"
    y: float = 1.0
    fee_rate: float = 0.0005
    half_spread_rate: float = 0.00005
    lasting_share: float = 0.4
    fade_s: float = 60.0

    def __post_init__(self) -> None:
        if not self.daily_volume_usd * self.depth_factor > 0.0:
            raise BadInputError(
                f"depth factor {self.depth_factor:g} of {self.daily_volume_usd:g} USD a day: no market is left; use "
                "more than 0"
            )
        if not (self.y >= 0.0 and 0.0 <= self.lasting_share <= 1.0 and self.fade_s > 0.0):
            raise BadInputError(f"{self}: y must be 0 or more, the share from 0 to 1, and the time above 0")

    @property
    def cost_rate(self) -> float:
        """Of notional, one side, impact apart."""
        return self.fee_rate + self.half_spread_rate

    @property
    def paid_share(self) -> float:
        """Of a clip's move, what the clip itself pays on average."""
        return WORKED_SHARE if self.law == "square_root" else 0.5

    def log_move(self, clip_usd: float, daily_vol: float) -> float:
        """Of the price at once, the way of the clip."""
        law = SquareRootLaw(self.y, daily_vol, self.daily_volume_usd * self.depth_factor)
        if self.law == "square_root":
            return math.copysign(law.peak_rate(clip_usd), clip_usd)
        agreed_usd = _AGREE_AT * law.daily_volume_usd
        return clip_usd / agreed_usd * law.peak_rate(agreed_usd)

    def per_usd(self, clip_usd: float, daily_vol: float) -> float:
        """Move per USD of a clip of that size; 0 of none."""
        return self.log_move(clip_usd, daily_vol) / clip_usd if clip_usd != 0.0 else 0.0

    def kept(self, seconds: float) -> float:
        """What of a fading move is there so much later."""
        return math.exp(-seconds / self.fade_s)


@dataclass(slots=True)
class Pushed:
    """How far our own trades hold a price from where it would be, as a log; what lasts of it, and what fades."""

    lasting: float = 0.0
    fading: float = 0.0

    @property
    def log(self) -> float:
        """Both."""
        return self.lasting + self.fading

    def fade(self, market: HedgeMarket, seconds: float) -> None:
        """Lets time pass."""
        self.fading *= market.kept(seconds)

    def push(self, market: HedgeMarket, move: float) -> None:
        """Takes a clip's move."""
        self.lasting += market.lasting_share * move
        self.fading += (1.0 - market.lasting_share) * move
