"""Soft bounds on what is held: what one contract more of each option does to axes that are no sums of risk factors.

An axis of its own for each option, one for each expiry, one for all: each row moves one axis of each kind, so a chain
is charged by looking its axis up. What a row adds may depend on the side, as contracts in all do and margin does.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.risk.holdings import BY_EXPIRY, VEGA, Holdings, sums_by
from flatbook.risk.limits import UNBOUNDED_COIN, LimitPolicy
from flatbook.valuation.limit_price import Barrier

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class HoldingAxes(ABC):
    """Axes of one kind, and where the book stands on them.

    value           (axes,) the book on each
    axis            (rows,) which of them each row moves
    """

    name: str
    barrier: Barrier
    value: Floats
    axis: Ints

    @abstractmethod
    def row_moves(self, size: float) -> Floats:
        """What buying and what selling `size` contracts of each row alone adds to its axis, (2, rows)."""

    @abstractmethod
    def package_moves(self, rows: Ints, coin: Floats) -> tuple[Ints, Floats]:
        """Which axes trading `coin` (n,) contracts of `rows` together moves, and what it adds to each, (k,)."""

    def is_near(self, reach: float) -> bool:
        """Whether a move by `reach` could take any axis beyond its soft bound."""
        size = np.where(self.barrier.is_loss, self.value, np.abs(self.value))
        return bool((size + reach > self.barrier.share * self.barrier.bound).any())

    def charges_usd(self, size: float) -> Floats:
        """What buying and what selling `size` contracts adds to B exactly, USD a contract, (2, rows)."""
        barrier, here = self.barrier.of(self.axis), self.value[self.axis]
        return np.asarray((barrier.costs_usd(here + self.row_moves(size)) - barrier.costs_usd(here)) / size)

    def package_charges_usd(self, rows: Ints, coin: Floats) -> tuple[float, float]:
        """What buying and what selling all of a package adds to B, USD."""
        bought, sold = (self._package_charge_usd(rows, side * coin) for side in (1.0, -1.0))
        return bought, sold

    def _package_charge_usd(self, rows: Ints, coin: Floats) -> float:
        at, moves = self.package_moves(rows, coin)
        barrier, here = self.barrier.of(at), self.value[at]
        return float((barrier.costs_usd(here + moves) - barrier.costs_usd(here)).sum())


@dataclass(frozen=True, slots=True, eq=False)
class SumAxes(HoldingAxes):
    """Sums over rows of what is held times `unit` (rows,)."""

    unit: Floats

    def row_moves(self, size: float) -> Floats:
        """See `HoldingAxes`."""
        return np.stack([size * self.unit, -size * self.unit])

    def package_moves(self, rows: Ints, coin: Floats) -> tuple[Ints, Floats]:
        """See `HoldingAxes`."""
        at, group = np.unique(self.axis[rows], return_inverse=True)
        return at, sums_by(group, coin * self.unit[rows], len(at))


@dataclass(frozen=True, slots=True, eq=False)
class ContractsAxis(HoldingAxes):
    """Contracts in all options, long and short added."""

    held_coin: Floats

    def row_moves(self, size: float) -> Floats:
        """See `HoldingAxes`."""
        held = self.held_coin
        return np.stack([np.abs(held + size), np.abs(held - size)]) - np.abs(held)

    def package_moves(self, rows: Ints, coin: Floats) -> tuple[Ints, Floats]:
        """See `HoldingAxes`."""
        held = self.held_coin[rows]
        return np.zeros(1, np.int64), np.array([np.abs(held + coin).sum() - np.abs(held).sum()])


@dataclass(frozen=True, slots=True, eq=False)
class HoldingPrice:
    """What a contract more costs at the bounds, by the flow that would bring it, and what may fill at once.

    edge_usd        (rows,) charge of a contract of each row at its own bounds
    weight          (rows,) each row's share of the flow
    mean_edge_usd   the mean over the flow; expiry_edge_usd (slots,) over that of each expiry
    typical         (BY_EXPIRY, slots) what a contract adds to its expiry, in the mean over its flow
    at_once_coin    contracts that may fill before we hear of it, where the venue stops us; 0 where it would not
    quote_coin      contracts of a quote
    """

    limits: LimitPolicy
    edge_usd: Floats
    weight: Floats
    mean_edge_usd: float
    expiry_edge_usd: Floats
    typical: Floats
    at_once_coin: float
    quote_coin: float

    @classmethod
    def of(
        cls,
        limits: LimitPolicy,
        flow: tuple[Floats, Floats],
        holdings: Holdings,
        at_once_coin: float,
        quote_coin: float,
    ) -> "HoldingPrice":
        """`flow` is arrivals and the charge of a contract at its bound, (rows,) each."""
        arrivals, edge_usd = flow
        slots, slot = holdings.nets.shape[1], holdings.slot[: len(arrivals)]
        adds = np.abs(holdings.unit[:BY_EXPIRY, : len(arrivals)])
        sums = [sums_by(slot, arrivals * one, slots) for one in (np.ones(len(arrivals)), edge_usd, *adds)]
        share = np.divide(1.0, sums[0], out=np.zeros(slots), where=sums[0] > 0.0)
        weight, typical = arrivals / max(float(arrivals.sum()), 1e-300), np.stack(sums[2:]) * share
        mean_edge_usd = float(weight @ edge_usd)
        return cls(limits, edge_usd, weight, mean_edge_usd, sums[1] * share, typical, at_once_coin, quote_coin)

    def mean_of(self, adds: Floats) -> float:
        """What a contract adds in the mean over the flow, of `adds` (rows,)."""
        known = min(len(adds), len(self.weight))
        return float(self.weight[:known] @ adds[:known])

    def near_axes(self, holdings: Holdings, sure_vega_usd: float) -> list[HoldingAxes]:
        """Those of `axes` of which a quote could take one beyond its soft bound.

        None has its soft bound below half of its share of the bound: where the fullest of each kind is farther from
        that than any quote reaches, as on most days, no more is asked.
        """
        reach = self.quote_coin * np.abs(holdings.unit[:BY_EXPIRY]).max(axis=1, initial=0.0)
        reaches = dict(zip(("expiry_delta", "expiry_gamma", "expiry_vega"), reach.tolist(), strict=True))
        reaches |= {"position": self.quote_coin, "contracts": self.quote_coin}
        reaches |= dict.fromkeys(("concentration_option", "concentration_expiry"), float(reach[VEGA]))
        gross_usd = max(holdings.gross_vega_usd, self.limits.concentration_free_usd)
        least = 0.5 * self.limits.soft_share
        for name, value, bound in holdings.standings(self.limits):
            share = min(sure_vega_usd / gross_usd, 1.0) if name.startswith("concentration") else 1.0
            if name in reaches and not value + reaches[name] <= least * share * bound:
                found = self.axes(holdings, sure_vega_usd)
                most = [float(np.abs(one.row_moves(self.quote_coin)).max(initial=0.0)) for one in found]
                return [one for one, moves in zip(found, most, strict=True) if one.is_near(moves)]
        return []

    def axes(self, holdings: Holdings, sure_vega_usd: float) -> list[HoldingAxes]:
        """Every kind that has a bound; shares are of `sure_vega_usd`, as the gate takes them."""
        limits, rows = self.limits, len(holdings.held_coin)
        found: list[HoldingAxes] = [self._position("position", np.full(rows, limits.position_coin), holdings)]
        if limits.concentration_option < 1.0:
            most_usd = limits.concentration_option * sure_vega_usd
            most = most_usd / np.maximum(np.abs(holdings.unit[VEGA]), most_usd / UNBOUNDED_COIN)
            found.append(self._position("concentration_option", most, holdings))
        bounds = (limits.expiry_delta_coin, limits.expiry_gamma_1pct_usd, limits.expiry_vega_usd)
        for axis, (name, bound) in enumerate(zip(("delta", "gamma", "vega"), bounds, strict=True)):
            found.append(self._expiry(f"expiry_{name}", axis, bound, holdings))
        if limits.concentration_expiry < 1.0:
            most_usd = limits.concentration_expiry * sure_vega_usd
            found.append(self._expiry("concentration_expiry", VEGA, most_usd, holdings))
        gross = self.barrier(
            np.array([limits.gross_coin]), self.at_once_coin, np.array([self.mean_edge_usd]), is_loss=True
        )
        value = np.array([holdings.gross_coin])
        found.append(ContractsAxis("contracts", gross, value, np.zeros(rows, np.int64), holdings.held_coin))
        return found

    def barrier(self, bound: Floats, at_once: Floats | float, marginal_usd: Floats, *, is_loss: bool) -> Barrier:
        """What may fill at once is taken off a bound, and no more than half of it: the gate counts that too."""
        bound = np.maximum(bound - at_once, 0.5 * bound)
        return Barrier(bound, marginal_usd, np.full(len(bound), is_loss), self.limits.soft_share)

    def _position(self, name: str, most_coin: Floats, holdings: Holdings) -> SumAxes:
        rows = len(most_coin)
        edge = np.zeros(rows)
        edge[: len(self.edge_usd)] = self.edge_usd
        # A quote that changes counts as it was and as it will be.
        barrier = self.barrier(most_coin, 2.0 * self.quote_coin, edge, is_loss=False)
        return SumAxes(name, barrier, holdings.held_coin, np.arange(rows), np.ones(rows))

    def _expiry(self, name: str, axis: int, bound: float, holdings: Holdings) -> SumAxes:
        slots = holdings.nets.shape[1]
        typical, edge = np.zeros((2, slots))
        known = self.typical.shape[1]
        typical[:known], edge[:known] = self.typical[axis], self.expiry_edge_usd
        marginal = edge / np.maximum(typical, bound / UNBOUNDED_COIN)
        barrier = self.barrier(np.full(slots, bound), self.at_once_coin * typical, marginal, is_loss=False)
        return SumAxes(name, barrier, holdings.nets[axis], holdings.slot, holdings.unit[axis])
