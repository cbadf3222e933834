"""What came of a replay: paths by step, and what is read off them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.risk.loss_stop import Stage
from flatbook.sim.crises.path import CrisisPath
from flatbook.valuation.standing_explain import STANDING_PARTS

Floats = NDArray[np.float64]

CRISIS_PARTS = (*STANDING_PARTS, "hedge", "hedge_cost", "funding", "closing", "lost_venue")
"""What P&L is made of: the standing book's parts, what hedges gained by price and cost to trade, funding of book and
hedges, what forced closing cost, and claims on a lost venue."""


@dataclass(frozen=True, slots=True)
class Gap:
    """The worst stretch between two chances to hedge: when it began and ended, the lead's log move, and P&L.

    gamma_usd       what gamma at its beginning says of it: half of it times the square of the relative move
    """

    first: int
    last: int
    log_move: float
    pnl_usd: float
    gamma_usd: float


class Steps(NamedTuple):
    """What was so at the end of each step, all (n,).

    pnl_usd                     of positions and hedges since the start
    balances_usd                what the balances' currencies have done to them: collateral, and no part of P&L
    book_delta_usd              of positions; net_delta_usd with hedges; gamma_1pct_usd of positions
    pushed_log                  what our own trades move the lead's price by
    loop_gain                   of hedging, as a move of 1 % meets it: the largest of any coin
    balance, initial, maintenance   margin in USD, NaN where none is followed
    left                        share of what a venue closes that is still held
    stage                       of the loss stop, by number
    spot_vol                    the lead's, annual, as Σ has it; NaN where no Σ is followed
    """

    pnl_usd: Floats
    balances_usd: Floats
    book_delta_usd: Floats
    net_delta_usd: Floats
    gamma_1pct_usd: Floats
    pushed_log: Floats
    loop_gain: Floats
    balance_usd: Floats
    initial_usd: Floats
    maintenance_usd: Floats
    left: Floats
    stage: Floats
    spot_vol: Floats

    @property
    def usage(self) -> Floats:
        """Maintenance over margin balance; infinite where nothing is left to cover it."""
        with np.errstate(divide="ignore", invalid="ignore"):
            share = self.maintenance_usd / self.balance_usd
        none_left = (self.balance_usd <= 0.0) & (self.maintenance_usd > 0.0)
        return np.where(none_left, np.inf, share)


@dataclass(frozen=True, eq=False)
class Replayed:
    """A book after a crisis.

    parts           USD by `CRISIS_PARTS`; they sum to the last of `steps.pnl_usd`
    chances         steps at which hedging was possible, whatever the rule did
    outage          first and last step without the hedge venue
    spiral_gain     the greatest of any round of forced closing; NaN where there was none
    """

    path: CrisisPath
    steps: Steps
    chances: tuple[int, ...]
    parts: Mapping[str, float]
    hedges: int
    hedged_usd: float
    outage: tuple[int, int] | None
    lost_venue: str
    lost_at: int | None
    closing_rounds: int
    spiral_gain: float

    @property
    def worst(self) -> int:
        """The step of least P&L."""
        return int(np.argmin(self.steps.pnl_usd))

    @property
    def drawdown_usd(self) -> float:
        """The farthest fall from any earlier height, nothing before the first step being one."""
        return float(np.max(self._heights - self.steps.pnl_usd))

    @property
    def recovered_at(self) -> int | None:
        """The step at which the height before the greatest fall was seen again; None where it was not."""
        low = int(np.argmax(self._heights - self.steps.pnl_usd))
        again = np.flatnonzero(self.steps.pnl_usd[low:] >= self._heights[low])
        return low + int(again[0]) if again.size else None

    @property
    def _heights(self) -> Floats:
        return np.maximum(np.maximum.accumulate(self.steps.pnl_usd), 0.0)

    @property
    def margin_call_at(self) -> int | None:
        """The first step at which initial margin is not covered."""
        return _first(self.steps.initial_usd > self.steps.balance_usd)

    @property
    def closed_at(self) -> int | None:
        """The first step at which the venue closed a part."""
        return _first(self.steps.left < 1.0)

    @property
    def worst_gap(self) -> Gap | None:
        """The stretch between two chances to hedge, or after the last, that lost most; None where nothing lost."""
        ends = np.unique([*self.chances, len(self.path) - 1])
        if len(ends) < 2:
            return None
        gained = np.diff(self.steps.pnl_usd[ends])
        at = int(np.argmin(gained))
        if not gained[at] < 0.0:
            return None
        first, last = int(ends[at]), int(ends[at + 1])
        move = float(self.path.log_spot[last] - self.path.log_spot[first])
        gamma_usd = 50.0 * float(self.steps.gamma_1pct_usd[first]) * math.expm1(move) ** 2
        return Gap(first, last, move, float(gained[at]), gamma_usd)

    def stages(self) -> dict[str, int]:
        """The stages of the loss stop that were entered, with the first step of each."""
        reached = (int(one) for one in np.unique(self.steps.stage) if one > Stage.NORMAL)
        return {Stage(one).name.lower(): int(np.argmax(self.steps.stage == one)) for one in reached}

    def hours(self, step: int | None) -> float | None:
        """From the beginning to a step."""
        return None if step is None else float(self.path.ts_ns[step] - self.path.ts_ns[0]) / 3.6e12


def _first(flags: NDArray[np.bool_]) -> int | None:
    return int(np.argmax(flags)) if flags.any() else None
