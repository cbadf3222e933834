"""The shape all margin models have: linear features of what is held, and a function of those.

Of sizes x a model takes the features x C + x⁻ D, x⁻ the short part, and turns them into a requirement; beside them it
may charge nets of groups of contracts, a strike's or an expiry's, by the side they are on. So a chain is shocked once,
and any number of accounts is a matrix product; and an order adds a row of C to features that are known already:
its marginal margin costs microseconds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.risk.margin.net_charge import NetCharge
from flatbook.risk.margin.shocks import Scenario

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HOURS_PER_YEAR = 8_760.0

_ACCOUNTS_AT_ONCE = 512


class Margins(NamedTuple):
    """Initial and maintenance requirement in USD, of one shape; more is stricter."""

    initial: Floats
    maintenance: Floats

    def plus(self, other: Margins) -> Margins:
        """Both requirements at once."""
        return Margins(self.initial + other.initial, self.maintenance + other.maintenance)

    def less(self, other: Margins) -> Margins:
        """What this asks for beyond the other."""
        return Margins(self.initial - other.initial, self.maintenance - other.maintenance)


class FillBound(NamedTuple):
    """What fills may bring initial margin to: no more than it is, `beside_usd`, and `steepest_usd` a coin filled.

    Shapes      steepest_usd (2, n) of each contract bought and sold
    """

    beside_usd: float
    steepest_usd: Floats


@dataclass(frozen=True, eq=False)
class Block(ABC):
    """A part of a model whose requirement adds to the others'.

    rows            (n,) places among the contracts
    columns         C, (n, m); short_columns D, (n, m) or None where nothing counts by side
    collateral      (m,) features of a coin of the underlying held as collateral; None where it moves with nothing
    """

    rows: Ints
    columns: Floats
    short_columns: Floats | None = None
    charges: tuple[NetCharge, ...] = ()
    collateral: Floats | None = None

    @abstractmethod
    def margins(self, features: Floats) -> Margins:
        """The requirement (...) of features (..., m), without `charges`."""

    def parts(self, features: Floats) -> dict[str, Margins]:
        """What the requirement without `charges` is made of."""
        return {"positions": self.margins(features)}

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """The scenarios that decide; none where the model has a formula."""
        return ()

    def pnl_usd(self, features: Floats) -> Floats:
        """P&L of each scenario as it counts, (..., s)."""
        return np.zeros((*features.shape[:-1], 0))

    def features(self, size: Floats) -> Floats:
        """Features (..., m) of sizes (..., n) in coins."""
        linear = size @ self.columns
        return linear if self.short_columns is None else linear + np.maximum(-size, 0.0) @ self.short_columns

    def features_of(self, accounts: csr_array) -> Floats:
        """`features` of accounts (a, n) that hold little each, (a, m)."""
        linear = np.asarray(accounts @ self.columns)
        if self.short_columns is None:
            return linear
        return np.asarray(linear + (-accounts).maximum(0) @ self.short_columns)

    def steepest_usd(self) -> Floats:
        """The most that a coin of each row, bought and sold, adds to the initial requirement whatever is held, (2, n).

        Here what it asks for alone, `charges` apart: true of what grows with size and falls by diversification only.
        """
        nothing, one = np.zeros(len(self.rows)), np.ones(len(self.rows))
        return np.stack([self.margins(self.step(nothing, side * one)).initial for side in (1.0, -1.0)])

    def fill_bound(self, features: Floats, coin: float) -> FillBound:
        """What fills may add to the initial requirement of `features` (m,), `charges` apart.

        Where there are several bounds it is the one that lets `coin` more coins fill for least.
        """
        return FillBound(0.0, self.steepest_usd())

    def step(self, held: Floats, more: Floats, rows: slice = slice(None)) -> Floats:
        """How features change, (k, m), when each of some rows alone goes from `held` to `held + more`, (k,) each."""
        change = more[:, None] * self.columns[rows]
        if self.short_columns is None:
            return np.asarray(change)
        shorter = np.maximum(-(held + more), 0.0) - np.maximum(-held, 0.0)
        return np.asarray(change + shorter[:, None] * self.short_columns[rows])


class ChargesOnly(Block):
    """A block that has no features: nets alone decide."""

    def margins(self, features: Floats) -> Margins:
        """Nothing."""
        nothing = np.zeros(features.shape[:-1])
        return Margins(nothing, nothing)

    def parts(self, features: Floats) -> dict[str, Margins]:
        """None of its own."""
        return {}


@dataclass(frozen=True, eq=False, kw_only=True)
class ScenarioBlock(Block):
    """One whose first features are P&L by scenario, in their order, each counted by its weight."""

    scenarios_: tuple[Scenario, ...]

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """See `Block`."""
        return self.scenarios_

    def pnl_usd(self, features: Floats) -> Floats:
        """See `Block`."""
        weight = np.array([scenario.weight for scenario in self.scenarios_])
        return np.asarray(weight * features[..., : len(weight)])


@dataclass(frozen=True, eq=False)
class Requirement:
    """What a model asks for of any holding of `count` contracts on one underlying, in one market."""

    underlying: str
    count: int
    blocks: tuple[Block, ...]

    def margins(self, size: Floats) -> Margins:
        """The requirement (...) of sizes (..., n) in coins: one account, or many at once."""
        total = Margins(np.zeros(size.shape[:-1]), np.zeros(size.shape[:-1]))
        for block in self.blocks:
            held = size[..., block.rows]
            total = total.plus(block.margins(block.features(held)))
            for charge in block.charges:
                total = total.plus(Margins(*charge.each(charge.nets(held)).sum(axis=-1)))
        return total

    def many(self, accounts: csr_array, collateral_coin: Floats | None = None) -> Margins:
        """The requirement (a,) of accounts (a, n) that hold few of the contracts each, by parts that fit the cache.

        `collateral_coin` (a,) coins of the underlying each account has beside, for a requirement made without any.
        """
        from scipy.sparse import csr_array

        found = np.zeros((2, accounts.shape[0]))
        for start in range(0, accounts.shape[0], _ACCOUNTS_AT_ONCE):
            part = slice(start, start + _ACCOUNTS_AT_ONCE)
            for block in self.blocks:
                held = csr_array(accounts[part][:, block.rows])
                features = block.features_of(held)
                if collateral_coin is not None and block.collateral is not None:
                    features += collateral_coin[part, None] * block.collateral
                found[:, part] += block.margins(features)
                for charge in block.charges:
                    found[:, part] += charge.of_accounts(held)
        return Margins(*found)

    def fill_bound(self, size: Floats, coin: float) -> FillBound:
        """What fills may bring the initial margin of one account's sizes (n,) to; see `Block.fill_bound`.

        Of nets that cost more a unit as they grow, what the first coin adds.
        """
        beside_usd, total = 0.0, np.zeros((2, self.count))
        for block in self.blocks:
            bound = block.fill_bound(block.features(size[block.rows]), coin)
            beside_usd += bound.beside_usd
            total[:, block.rows] += np.maximum(bound.steepest_usd, 0.0)
            for charge in block.charges:
                up, down = (rates[0, charge.group] for rates in (charge.long, charge.short))
                rises = charge.weight >= 0.0
                more = np.stack([np.where(rises, up, down), np.where(rises, down, up)])
                total[:, block.rows] += np.abs(charge.weight) * more
        return FillBound(beside_usd, total)

    def parts(self, size: Floats) -> dict[str, Margins]:
        """The requirement of one account by what it is for; its parts sum to it."""
        found: dict[str, Margins] = {}
        for block in self.blocks:
            held = size[block.rows]
            parts = block.parts(block.features(held))
            parts |= {charge.name: Margins(*charge.each(charge.nets(held)).sum(axis=-1)) for charge in block.charges}
            for name, part in parts.items():
                found[name] = found[name].plus(part) if name in found else part
        return found


@dataclass(frozen=True, eq=False)
class _Held:
    """A block, where each contract stands in it (-1: nowhere), and its features, nets and requirement as held."""

    block: Block
    place: Ints
    features: Floats
    nets: tuple[Floats, ...]
    margins: Margins

    @classmethod
    def of(cls, block: Block, size: Floats) -> _Held:
        place = np.full(size.shape, -1, dtype=np.int64)
        place[block.rows] = np.arange(len(block.rows))
        held = size[block.rows]
        features, nets = block.features(held), tuple(charge.nets(held) for charge in block.charges)
        return cls(block, place, features, nets, block.margins(features))


class MarginState:
    """One account's holding under one requirement, ready to answer what any order would add."""

    def __init__(self, requirement: Requirement, size: Floats) -> None:
        self.requirement = requirement
        self.size = np.array(size, dtype=np.float64)
        self.margins = requirement.margins(self.size)
        self._blocks = [_Held.of(block, self.size) for block in requirement.blocks]

    def marginal(self, row: int, size: float) -> Margins:
        """What trading `size` coins of contract `row` adds to the requirement; negative where it frees margin."""
        initial = maintenance = 0.0
        for part in self._blocks:
            at = int(part.place[row])
            if at < 0:
                continue
            if part.features.size:
                step = part.block.step(self.size[row : row + 1], np.array([size]), slice(at, at + 1))
                found = part.block.margins(part.features + step[0])
                initial += float(found.initial - part.margins.initial)
                maintenance += float(found.maintenance - part.margins.maintenance)
            for charge, nets in zip(part.block.charges, part.nets, strict=True):
                group = int(charge.group[at])
                net = float(nets[group])
                before, after = charge.of(net, group), charge.of(net + charge.weight[at] * size, group)
                initial += after[0] - before[0]
                maintenance += after[1] - before[1]
        return Margins(np.array(initial), np.array(maintenance))

    def marginals(self, size: Floats) -> Margins:
        """`marginal` of every contract, (n,), for orders of `size` (n,) coins of which one alone is filled."""
        total = np.zeros((2, *self.size.shape))
        for part in self._blocks:
            block, rows = part.block, part.block.rows
            held, more = self.size[rows], size[rows]
            if part.features.size:
                total[:, rows] += block.margins(part.features + block.step(held, more)).less(part.margins)
            for charge, nets in zip(block.charges, part.nets, strict=True):
                before = nets[charge.group]
                after = before + charge.weight * more
                total[:, rows] += charge.each(after, charge.group) - charge.each(before, charge.group)
        return Margins(*total)


def capital_cost_usd(margin_usd: Floats, rate_per_year: float, hours: float) -> Floats:
    """What it costs to tie up a margin: `rate_per_year` on it for `hours`."""
    return np.asarray(margin_usd * rate_per_year * hours / HOURS_PER_YEAR)
