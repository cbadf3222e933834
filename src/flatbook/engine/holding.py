"""What is held, by option, by expiry and in all: looked at with every stress of the book."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flatbook.engine.stressing import LiveStress
from flatbook.kernels.fill_units import LINEAR
from flatbook.risk.holdings import Holdings

if TYPE_CHECKING:
    from flatbook.engine.state import State


@dataclass(slots=True, eq=False)
class LiveHoldings:
    """What was held at the last look, which bounds that was beyond, and the least that was ever left of each."""

    stress: LiveStress | None = None
    holdings: Holdings | None = None
    beyond: tuple[str, ...] = ()
    least_left: dict[str, float] = field(default_factory=dict)


def look(state: State) -> LiveHoldings:
    """Taken anew where the stress was: the book has changed, or the market moved, or a minute has passed."""
    live, values = state.held, state.values
    if live.stress is state.stress and live.holdings is not None and len(live.holdings.held_coin) == values.rows:
        return live
    # Both go on in place: they are kept as of this look.
    held = state.inventory.size_coin[: values.rows].copy()
    unit = state.gate.reservation.units(values)[: len(LINEAR)].copy()
    live.holdings = Holdings.of(held, unit, values.slot, state.market.universe.slots)
    live.stress = state.stress
    standings = live.holdings.standings(state.setup.policy.limits)
    live.beyond = tuple(one.name for one in standings if not one.value <= one.bound)
    for one in standings:
        live.least_left[one.name] = min(one.bound - one.value, live.least_left.get(one.name, math.inf))
    return live
