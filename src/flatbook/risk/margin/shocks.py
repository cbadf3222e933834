"""The scenarios of margin models and what a unit of each contract makes in each: the one core that all models share.

A scenario moves every forward by one ratio and every vol by a multiple of its own, which grows for short expiries by a
power of thirty days over the time left. Rates and time stand still.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.config import NonNegative, Positive, Section
from flatbook.kernels.black import price_greeks
from flatbook.risk.margin.contracts import MarginContracts

Floats = NDArray[np.float64]

_POWER_DAYS = 30.0


class VolMove(StrEnum):
    """Which way a scenario takes vols."""

    DOWN = "down"
    SAME = "same"
    UP = "up"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One move: `spot` relative, -0.16 a fall of 16 %; `weight` the share of a loss in it that counts."""

    spot: float
    vol: VolMove = VolMove.SAME
    weight: float = 1.0


class VolShock(Section):
    """How far vols move: by `range` (30 d / days)^power, the power by whether the expiry is nearer than 30 days.

    floor_up        a vol that moved up is this at least
    least_days      nearer expiries count as this far
    """

    range_up: Positive
    range_down: NonNegative
    short_power: float
    long_power: float
    floor_up: NonNegative = 0.0
    least_days: Positive = 1.0

    def moved(self, contracts: MarginContracts, move: VolMove) -> Floats:
        """Every contract's vol after the move, (n,)."""
        if move is VolMove.SAME:
            return contracts.vol
        days = np.maximum(365.0 * contracts.years, self.least_days)
        power = np.where(days <= _POWER_DAYS, self.short_power, self.long_power)
        scale = (_POWER_DAYS / days) ** power
        if move is VolMove.DOWN:
            return np.asarray(contracts.vol * np.maximum(1.0 - self.range_down * scale, 0.0))
        return np.maximum(contracts.vol * (1.0 + self.range_up * scale), self.floor_up)


def shocked_vols(contracts: MarginContracts, scenarios: tuple[Scenario, ...], shock: VolShock) -> Floats:
    """Vols in every scenario, (n, s)."""
    moved = {move: shock.moved(contracts, move) for move in VolMove}
    return np.stack([moved[scenario.vol] for scenario in scenarios], axis=1)


def spots(scenarios: tuple[Scenario, ...]) -> Floats:
    """Relative moves of spot, (s,)."""
    return np.array([scenario.spot for scenario in scenarios])


def option_values_usd(contracts: MarginContracts, spot: Floats, vol: Floats) -> Floats:
    """Black's values of the options on their shocked forwards, (n, s) USD a coin; 0 where it is no option.

    Shapes      spot (s,) relative moves; vol (n, s)
    """
    values = np.zeros(vol.shape)
    options = contracts.is_option
    shape = vol[options].shape
    if not shape[0]:
        return values

    def spread(column: Floats) -> Floats:
        return np.ascontiguousarray(np.broadcast_to(column, shape)).ravel()

    forward = contracts.forward_usd[options, None] * (1.0 + spot)
    price, *unused = np.empty((5, forward.size))
    price_greeks(
        spread(forward),
        spread(contracts.strike_usd[options, None]),
        spread(vol[options]),
        spread(contracts.years[options, None]),
        spread(contracts.sign[options, None]),
        price,
        *unused,
    )
    values[options] = price.reshape(shape)
    return values


def unit_pnl_usd(
    contracts: MarginContracts, spot: Floats, vol: Floats, *, in_coin_terms: bool, linear_spot: Floats | None = None
) -> Floats:
    """What one coin of each contract gains in each scenario, (n, s), in dollars.

    in_coin_terms   coin-settled contracts gain coins, told at the index before the move, as a venue counts that margins
                    in coin: 1 - 1/(1 + spot) of a delta-one contract; else every contract counts as settled in dollars
    linear_spot     (s,) the moves of what is no option, where they are others than `spot`
    """
    unmoved = option_values_usd(contracts, np.zeros(1), contracts.vol[:, None])
    values = option_values_usd(contracts, spot, vol)
    of_linear = spot if linear_spot is None else linear_spot
    dollars = np.where(contracts.is_option[:, None], values - unmoved, contracts.mark_usd[:, None] * of_linear)
    if in_coin_terms:
        coins = np.where(
            contracts.is_option[:, None],
            (values / (1.0 + spot) - unmoved) / contracts.forward_usd[:, None],
            1.0 - 1.0 / (1.0 + of_linear),
        )
        dollars = np.where(contracts.in_coin[:, None], contracts.index_usd * coins, dollars)
    return np.where(contracts.is_alive[:, None], dollars, 0.0)
