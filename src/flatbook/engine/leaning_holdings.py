"""Soft bounds on what is held, on margin and on capital in a run: what they add to R for quotes, hedges and packages.

None is a sum of risk factors. What a contract adds is known row by row, so a quote is charged exactly for each; a hedge
by an axis more to R's space for each bound that is near, and for what an axis asks of either side by a cost of trading;
a package by what it does to all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flatbook.engine.margin_limit import HEDGES, MADE, WHOLE, Margined, MarginLimit
from flatbook.engine.setup import HEDGING, MAKING
from flatbook.risk.holding_axes import HoldingAxes, HoldingPrice
from flatbook.risk.holdings import Holdings
from flatbook.risk.margin.requirement import MarginState
from flatbook.valuation.risk_price import Liquidity

if TYPE_CHECKING:
    from flatbook.engine.state import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PurseAxis(HoldingAxes):
    """Margin, and losses, against what is set aside for them.

    whose           positions count of those `held`: quotes change all but hedges, hedges all but what was made
    """

    rows: int
    held: Margined
    whose: int

    @property
    def margin(self) -> MarginState:
        """Of the positions that count."""
        return self.held.state(self.whose)

    def row_moves(self, size: float) -> Floats:
        """See `HoldingAxes`; of a contract whose margin is not known, nothing."""
        if self.whose == HEDGES:
            return np.zeros((2, self.rows))
        orders = np.zeros(len(self.margin.size))
        orders[: self.rows] = size
        adds = np.stack([self.margin.marginals(side * orders).initial[: self.rows] for side in (1.0, -1.0)])
        return np.where(np.isfinite(adds), adds, 0.0)

    def package_moves(self, rows: Ints, coin: Floats) -> tuple[Ints, Floats]:
        """See `HoldingAxes`."""
        added, one = 0.0, np.zeros(1, np.int64)
        if self.whose != HEDGES:
            held = self.margin.size.copy()
            held[rows] += coin
            added = float(self.margin.requirement.margins(held).initial) - float(self.margin.margins.initial)
        return one, np.array([added if np.isfinite(added) else 0.0])

    def hedge_moves(self, place: int, coin: float) -> tuple[float, float]:
        """What buying and what selling `coin` of contract `place` as a hedge adds."""
        if self.whose == MADE:
            return 0.0, 0.0
        bought, sold = (float(self.margin.marginal(place, side * coin).initial) for side in (1.0, -1.0))
        return bought, sold


@dataclass(slots=True, eq=False)
class LeaningHoldings:
    """What a contract costs at these bounds as of the last refresh of R, and those that are felt at the book.

    felt            axes that charge some option for a quote
    charges_usd     (2, rows) by name, USD a contract bought and sold
    """

    price: HoldingPrice | None = None
    felt: tuple[HoldingAxes, ...] = ()
    charges_usd: dict[str, Floats] = field(default_factory=dict)
    _seen: tuple[object, ...] = ()
    _sure_vega_usd: float = 0.0
    _every: tuple[HoldingAxes, ...] = ()

    def refresh(self, state: State, flow: Liquidity, at_once_coin: float) -> None:
        """Takes anew what a contract costs at its bounds: `soft_edges` times the distance at which its flow falls by
        e."""
        limits, holdings = state.setup.policy.limits, state.held.holdings
        if holdings is None:
            return
        edge_usd = limits.soft_edges * np.nan_to_num(1.0 / flow.decay_per_usd)
        size = state.setup.policy.quoting.size_coin
        self.price = HoldingPrice.of(limits, (flow.arrivals_per_year, edge_usd), holdings, at_once_coin, size)

    def look(self, state: State) -> None:
        """Charges every row anew where the book, its margin or the price has changed."""
        holdings, limit = state.held.holdings, state.margin_limit
        seen = (holdings, self.price, None if limit is None else limit.held)
        if self.price is None or holdings is None or _same(seen, self._seen):
            return
        self._seen, size = seen, state.setup.policy.quoting.size_coin
        self._sure_vega_usd, self._every = state.gate.reservation.sure_vega_usd, ()
        near = self.price.near_axes(holdings, self._sure_vega_usd)
        for purse, reach in [] if limit is None else _purses(self.price, limit, holdings):
            near += [purse] if purse.is_near(reach) else []
        charges = {one.name: one.charges_usd(size) for one in near}
        self.felt = tuple(one for one in near if charges[one.name].any() or one.is_near(0.0))
        self.charges_usd = {one.name: charges[one.name] for one in self.felt}

    def axes(self, state: State) -> tuple[HoldingAxes, ...]:
        """Of every kind that has a bound, near or not, as of the last look."""
        holdings, limit = state.held.holdings, state.margin_limit
        if self.price is not None and holdings is not None and not self._every:
            purses = [] if limit is None else [purse for purse, _ in _purses(self.price, limit, holdings)]
            self._every = (*self.price.axes(holdings, self._sure_vega_usd), *purses)
        return self._every

    def package_usd(self, state: State, rows: Ints, coin: Floats) -> tuple[float, float]:
        """What buying and what selling `coin` (n,) contracts of `rows` together adds to B, USD."""
        charges = [one.package_charges_usd(rows, coin) for one in self.axes(state)]
        return sum(bought for bought, _ in charges), sum(sold for _, sold in charges)


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return len(one) == len(other) and all(here is there for here, there in zip(one, other, strict=True))


def _purses(price: HoldingPrice, limit: MarginLimit, holdings: Holdings) -> Iterator[tuple[PurseAxis, float]]:
    """The purses, and what a quote can add to any at most."""
    assert limit.held is not None
    rows = len(holdings.held_coin)
    steepest = np.where(np.isfinite(limit.steepest_usd), limit.steepest_usd, 0.0).max(axis=0)[:rows]
    typical, heaviest = price.mean_of(steepest), float(steepest.max(initial=0.0))
    whose = {f"capital_{MAKING}": MADE, f"capital_{HEDGING}": HEDGES}
    for purse in limit.purses:
        if not (purse.bound_usd > 0.0 and typical > 0.0 and np.isfinite(purse.used_usd)):
            continue
        # What a quote asks for spreads farther about its mean than Greeks do: the gate counts the heaviest.
        barrier = price.barrier(
            np.array([purse.bound_usd]),
            price.at_once_coin * heaviest,
            np.array([price.mean_edge_usd / typical]),
            is_loss=True,
        )
        value, axis = np.array([purse.used_usd]), np.zeros(rows, np.int64)
        yield (
            PurseAxis(purse.name, barrier, value, axis, rows, limit.held, whose.get(purse.name, WHOLE)),
            price.quote_coin * heaviest,
        )


def of_rows_coin(state: State) -> dict[str, Floats]:
    """What buying and selling a contract of each row adds by name, coin a contract, (2, rows)."""
    charges = state.leaning.holdings.charges_usd
    return {name: usd / state.values.index_usd for name, usd in charges.items() if usd.shape[1] == state.values.rows}
