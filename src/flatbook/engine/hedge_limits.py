"""Hedges near bounds on what is held and on margin: an axis more of R's space for each that a hedge moves.

An axis that each side moves by its own amount, as margin is, moves by d n + k |n| with a trade n: d is half the
difference of its sides, an axis as any other; k half their sum, which is a cost of trading either way. So the search
for the best hedge is the same in a larger space.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.hedge.scene import Listed
from flatbook.engine.hedge_scene import hedge_risk
from flatbook.engine.leaning_holdings import PurseAxis
from flatbook.risk.holding_axes import HoldingAxes
from flatbook.valuation.limit_price import LimitCharge, LimitPrice
from flatbook.valuation.risk_price import RiskPrice

if TYPE_CHECKING:
    from flatbook.engine.state import State

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class HedgeSpace:
    """What hedges are decided in: R's factors and the rests of other coins, then the axes of bounds that some
    hedge moves.

    core            R but for what bounds add; charge what they add, None where none is felt
    exposure        of the book
    """

    listed: Listed
    core: RiskPrice
    charge: LimitCharge | None
    exposure: Floats

    @property
    def price(self) -> RiskPrice:
        """R at the book."""
        return self.core if self.charge is None else self.charge.in_factors(self.core)


class _Moves:
    """Axes that hedges move, and what a unit of each hedge bought and sold adds, gathered one by one."""

    def __init__(self, hedges: int) -> None:
        self.names: list[str] = []
        self.parts: list[tuple[float, float, bool]] = []
        self.value: list[float] = []
        self.adds: list[Floats] = []
        self.share, self._hedges = 0.0, hedges

    def add(self, axes: HoldingAxes, at: int, adds: Floats) -> None:
        barrier, self.share = axes.barrier, axes.barrier.share
        self.names.append(axes.name)
        self.parts.append((float(barrier.bound[at]), float(barrier.marginal_usd[at]), bool(barrier.is_loss[at])))
        self.value.append(float(axes.value[at]))
        self.adds.append(adds)

    def price(self) -> LimitPrice:
        bound, marginal, is_loss = (np.array(column) for column in zip(*self.parts, strict=True))
        return LimitPrice(bound, marginal, is_loss.astype(np.bool_), self.share, tuple(self.names))


def space_of(state: State, listed: Listed, core: RiskPrice) -> HedgeSpace:
    """The space in which `listed` hedges are decided: R's own where no bound on what is held is near."""
    risk = hedge_risk(state, core)
    core, charge, exposure = risk.core, risk.charge, risk.exposure
    moves = _moves(state, listed)
    if not moves.names:
        return HedgeSpace(listed, core, charge, exposure)
    bought, sold = np.stack(moves.adds).transpose(1, 0, 2)
    price, value = moves.price(), np.array(moves.value)
    beside = np.maximum(0.5 * (bought + sold), 0.0).T @ price.slopes_usd(value)
    wider = _widened(listed, 0.5 * (bought - sold).T, beside)
    return HedgeSpace(wider, _padded(core, len(value)), _joined(charge, price, value, exposure), _with(exposure, value))


def _moves(state: State, listed: Listed) -> _Moves:
    """What a unit of each hedge adds to each axis that is near and that it moves."""
    hedges, size = len(listed.row), state.setup.policy.quoting.size_coin
    moves, options = _Moves(hedges), np.flatnonzero(listed.row >= 0)
    for axes in state.leaning.holdings.felt:
        if isinstance(axes, PurseAxis):
            adds = _margin_moves(state, listed, axes, size)
            if adds.any():
                moves.add(axes, 0, adds)
            continue
        known = options[listed.row[options] < len(axes.axis)]
        rows = listed.row[known]
        if not rows.size:
            continue
        by_row = axes.row_moves(size)[:, rows] / size
        for at in np.unique(axes.axis[rows]).tolist():
            adds = np.zeros((2, hedges))
            adds[:, known] = np.where(axes.axis[rows] == at, by_row, 0.0)
            moves.add(axes, at, adds)
    return moves


def _margin_moves(state: State, listed: Listed, axes: PurseAxis, size: float) -> Floats:
    """By what trading `size` coins does to the margin as it stands, a unit of each hedge, (2, m)."""
    limit = state.margin_limit
    assert limit is not None
    adds = np.zeros((2, len(listed.row)))
    for at, instrument in enumerate(listed.instruments):
        place = limit.place(state, instrument.name)
        if place is not None:
            coin = 1.0 if listed.row[at] >= 0 else float(listed.unit_usd[at]) / state.values.index_usd
            adds[:, at] = np.array(axes.hedge_moves(place, size)) * coin / size
    return np.where(np.isfinite(adds), adds, 0.0)


def _with(exposure: Floats, value: Floats) -> Floats:
    return np.concatenate([exposure, value])


def _widened(listed: Listed, direction: Floats, beside_usd: Floats) -> Listed:
    """Hedges with their moves of the axes, (m, axes), and what those cost on either side, (m,)."""
    hedge_set = listed.hedge_set
    wider = replace(
        hedge_set,
        loading=np.concatenate([hedge_set.loading, direction], axis=1),
        carry_buy_usd=hedge_set.carry_buy_usd + beside_usd,
        carry_sell_usd=hedge_set.carry_sell_usd + beside_usd,
    )
    return replace(listed, hedge_set=wider)


def _padded(core: RiskPrice, more: int) -> RiskPrice:
    slope = None if core.slope is None else np.pad(core.slope, (0, more))
    return RiskPrice(np.pad(core.curvature, (0, more)), slope)


def _joined(charge: LimitCharge | None, price: LimitPrice, value: Floats, exposure: Floats) -> LimitCharge:
    """B of the factors' axes, where it is felt, and of these."""
    more = len(value)
    here = np.concatenate([np.zeros((more, len(exposure))), np.eye(more)], axis=1)
    if charge is None:
        return LimitCharge(price, value, here, _with(exposure, value))
    first = charge.price
    joined = LimitPrice(
        np.concatenate([first.bound, price.bound]),
        np.concatenate([first.marginal_usd, price.marginal_usd]),
        np.concatenate([first.is_loss, price.is_loss]),
        price.share,
        (*first.names, *price.names),
    )
    direction = np.concatenate([np.pad(charge.direction, ((0, 0), (0, more))), here])
    return LimitCharge(joined, np.concatenate([charge.value, value]), direction, _with(exposure, value))
