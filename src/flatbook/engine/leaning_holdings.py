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

from flatbook.engine.margin_limit import MarginLimit
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

    margin          the positions that count; quotes change them unless the purse is hedging's, hedges unless making's
    """

    rows: int
    margin: MarginState
    is_quoted: bool
    is_hedged: bool

    def row_moves(self, size: float) -> Floats:
        """See `HoldingAxes`; of a contract whose margin is not known, nothing."""
        if not self.is_quoted:
            return np.zeros((2, self.rows))
        orders = np.zeros(len(self.margin.size))
        orders[: self.rows] = size
        adds = np.stack([self.margin.marginals(side * orders).initial[: self.rows] for side in (1.0, -1.0)])
        return np.where(np.isfinite(adds), adds, 0.0)

    def package_moves(self, rows: Ints, coin: Floats) -> tuple[Ints, Floats]:
        """See `HoldingAxes`."""
        added, one = 0.0, np.zeros(1, np.int64)
        if self.is_quoted:
            held = self.margin.size.copy()
            held[rows] += coin
            added = float(self.margin.requirement.margins(held).initial) - float(self.margin.margins.initial)
        return one, np.array([added if np.isfinite(added) else 0.0])

    def hedge_moves(self, place: int, coin: float) -> tuple[float, float]:
        """What buying and what selling `coin` of contract `place` as a hedge adds."""
        if not self.is_hedged:
            return 0.0, 0.0
        bought, sold = (float(self.margin.marginal(place, side * coin).initial) for side in (1.0, -1.0))
        return bought, sold


@dataclass(slots=True, eq=False)
class LeaningHoldings:
    """What a contract costs at these bounds as of the last refresh of R, and those that are felt at the book.

    axes            of every kind that has a bound; those that are `felt` charge some option for a quote
    charges_usd     (2, rows) by name, USD a contract bought and sold
    """

    price: HoldingPrice | None = None
    axes: tuple[HoldingAxes, ...] = ()
    felt: tuple[HoldingAxes, ...] = ()
    charges_usd: dict[str, Floats] = field(default_factory=dict)
    _seen: tuple[object, ...] = ()

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
        seen = (holdings, self.price, None if limit is None else limit.book)
        if self.price is None or holdings is None or _same(seen, self._seen):
            return
        self._seen, size = seen, state.setup.policy.quoting.size_coin
        axes = self.price.axes(holdings, state.gate.reservation.sure_vega_usd)
        near = [one for one in axes if one.is_near(float(np.abs(one.row_moves(size)).max(initial=0.0)))]
        for purse, reach in [] if limit is None else _purses(self.price, limit, holdings):
            axes.append(purse)
            near += [purse] if purse.is_near(reach) else []
        charges = {one.name: one.charges_usd(size) for one in near}
        felt = [one for one in near if charges[one.name].any() or one.is_near(0.0)]
        self.axes, self.felt = tuple(axes), tuple(felt)
        self.charges_usd = {one.name: charges[one.name] for one in felt}

    def package_usd(self, rows: Ints, coin: Floats) -> tuple[float, float]:
        """What buying and what selling `coin` (n,) contracts of `rows` together adds to B, USD."""
        charges = [one.package_charges_usd(rows, coin) for one in self.axes]
        return sum(bought for bought, _ in charges), sum(sold for _, sold in charges)


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return len(one) == len(other) and all(here is there for here, there in zip(one, other, strict=True))


def _purses(price: HoldingPrice, limit: MarginLimit, holdings: Holdings) -> Iterator[tuple[PurseAxis, float]]:
    """The purses, and what a quote can add to any at most."""
    assert limit.book is not None
    assert limit.hedges is not None
    assert limit.making is not None
    rows = len(holdings.held_coin)
    steepest = np.where(np.isfinite(limit.steepest_usd), limit.steepest_usd, 0.0).max(axis=0)[:rows]
    typical, heaviest = price.mean_of(steepest), float(steepest.max(initial=0.0))
    whose = {f"capital_{MAKING}": (limit.making, True, False), f"capital_{HEDGING}": (limit.hedges, False, True)}
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
            PurseAxis(purse.name, barrier, value, axis, rows, *whose.get(purse.name, (limit.book, True, True))),
            price.quote_coin * heaviest,
        )


def of_rows_coin(state: State) -> dict[str, Floats]:
    """What buying and selling a contract of each row adds by name, coin a contract, (2, rows)."""
    charges = state.leaning.holdings.charges_usd
    return {name: usd / state.values.index_usd for name, usd in charges.items() if usd.shape[1] == state.values.rows}
