"""The stress loss as a live number: taken anew with whatever moves it.

A stress of some hundreds of options under the grid takes as long as a fifth of an engine's step, so it is taken when
something was booked, or the market has moved by a cutoff since: a tick in ten or so pays for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flatbook.valuation.scenarios import ShockGrid, scenario_pnl_usd, worst_loss_usd

if TYPE_CHECKING:
    from flatbook.engine.state import State

Floats = NDArray[np.float64]

GRID = ShockGrid()

INDEX_MOVE, LEVEL_MOVE = 10e-4, 0.01
"""Relative moves of the index, and of an expiry's vol at the forward, up to which the last stress stands."""


@dataclass(frozen=True, slots=True, eq=False)
class LiveStress:
    """The worst loss over the grid, when it was taken, and the market that it was taken in.

    Shapes      level (slots,) vols at the forward
    """

    loss_usd: float
    ts_ns: int
    index_usd: float
    level: Floats


NO_STRESS = LiveStress(0.0, 0, math.nan, np.zeros(0))
"""None taken yet, or none of the book as it is: to be taken at the next valuation."""


def refresh(state: State) -> None:
    """Takes the stress anew where the book, the market or the time since then ask for it."""
    if not _is_due(state):
        return
    pnl = scenario_pnl_usd(GRID, state.market.universe, state.values, state.inventory)
    if state.otc is not None:
        pnl += state.otc.scenario_pnl_usd(GRID)
    state.stress = LiveStress(worst_loss_usd(pnl), state.now_ns, state.values.index_usd, state.valued_level)


def _is_due(state: State) -> bool:
    last = state.stress
    if state.now_ns - last.ts_ns >= state.setup.stress_every_ns:
        return True
    if not abs(state.values.index_usd / last.index_usd - 1.0) <= INDEX_MOVE:
        return True
    if len(last.level) != len(state.valued_level):
        return True
    return bool((np.abs(state.valued_level - last.level) > LEVEL_MOVE * last.level).any())
