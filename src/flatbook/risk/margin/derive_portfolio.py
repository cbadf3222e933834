"""Derive's second portfolio manager (PMRM_2): the worst of damped scenarios of discounted expiries; contingencies.

Each expiry is revalued by Black with its own discount; a shocked expiry that is worth something counts for less, one
that is owed for more (static discounts); tails are damped; two scenarios tilt each smile and count an expiry's change
as a loss whichever way it goes; a move of the basis competes as one more. On top come contingencies for perpetuals and
for strikes that are short on balance, and collateral's haircuts. Maintenance takes 0.8 of the worst loss.

Source: derivexyz/v2-core, PMRMLib_2.sol; docs.derive.xyz, "Portfolio Manager". The repository's vectors are tests, to
their digits. Feeds are taken for certain, and the stable coin for its peg but where `stable_usd` says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.config import NonNegative, Positive, Section
from flatbook.risk.margin.contracts import MarginContracts
from flatbook.risk.margin.model import MarginModel, listed
from flatbook.risk.margin.net_charge import NetCharge
from flatbook.risk.margin.requirement import Block, Margins, Requirement
from flatbook.risk.margin.shocks import Scenario, VolMove, VolShock, option_values_usd, shocked_vols, spots

Floats = NDArray[np.float64]


class Moves(Section):
    """Spot moves of the scenarios by what vols do in them, all undamped; and tails as (spot, weight), vols up."""

    up: tuple[float, ...]
    same: tuple[float, ...]
    down: tuple[float, ...]
    tails: tuple[tuple[float, float], ...]

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """All of them."""
        named = {VolMove.UP: self.up, VolMove.SAME: self.same, VolMove.DOWN: self.down}
        regular = [Scenario(spot, move) for move, moves in named.items() for spot in moves]
        return (*regular, *(Scenario(spot, VolMove.UP, weight) for spot, weight in self.tails))


class Skew(Section):
    """How far smiles tilt: by up to `cap` + `cap_per_root_year` √T, in full at k* of log moneyness."""

    cap: float
    cap_per_root_year: float
    least_width: Positive
    width_scale: Positive
    vol: float
    vol_per_root_year: float

    def multipliers(self, contracts: MarginContracts) -> tuple[Floats, Floats]:
        """Of every option's vol, (n,) each: linear in log moneyness, and in its size."""
        root = np.sqrt(contracts.years)
        width = np.maximum(self.least_width, root * self.width_scale * (self.vol + root * self.vol_per_root_year))
        cap = self.cap + self.cap_per_root_year * root
        k = np.nan_to_num(np.log(contracts.strike_usd / contracts.forward_usd))

        def tilt(moneyness: Floats) -> Floats:
            return np.asarray(1.0 + np.clip(moneyness * cap / width, -np.abs(cap), np.abs(cap)))

        return tilt(k), tilt(np.abs(k))


class Discounts(Section):
    """Of a shocked expiry's value, on top of the market's own discount, by its sign."""

    positive: Positive
    negative: Positive
    long_rate_scale: float
    short_rate_scale: float
    long_rate_add: float
    short_rate_add: float


class Contingencies(Section):
    """Shares of spot; `_more` is what initial margin has beyond maintenance."""

    perpetual: NonNegative
    perpetual_more: NonNegative
    option: NonNegative
    option_more: NonNegative
    basis_move: Positive
    basis: NonNegative
    basis_per_year: NonNegative
    depeg_below: NonNegative
    depeg_factor: NonNegative


class Universe(Section):
    """One underlying's parameters."""

    moves: Moves
    vol: VolShock
    skew: Skew
    discounts: Discounts
    contingencies: Contingencies


class DerivePortfolio(MarginModel):
    """Parameters of one edition, by underlying; `default` stands for what is not listed."""

    title: ClassVar[str] = "Derive portfolio margin (PMRM_2)"
    counts_option_value: ClassVar[bool] = True
    orders: ClassVar[Literal["by_row", "by_side"]] = "by_side"

    loss_share: Positive
    maintenance_loss_share: Positive
    stable_usd: Positive = 1.0
    universe: Mapping[str, Universe]

    def requirement(self, contracts: MarginContracts, collateral_coin: float = 0.0) -> Requirement:
        """See `MarginModel`; coins held as collateral gain and lose with spot in every scenario."""
        universe = listed(self.universe, contracts.underlying, "universe")
        terms = universe.contingencies
        scenarios = universe.moves.scenarios
        values = _values_usd(contracts, universe, scenarios)
        expiries = np.unique(contracts.expiry[contracts.is_option & contracts.is_alive])
        in_expiry = contracts.expiry[:, None] == expiries
        columns = (values[:, None, :] * in_expiry[:, :, None]).reshape(len(contracts), -1)
        dollars = np.where(contracts.is_option, 0.0, contracts.mark_usd)
        depeg = max(terms.depeg_below - self.stable_usd, 0.0) * terms.depeg_factor
        block = _Scenarios(
            rows=np.arange(len(contracts)),
            columns=np.concatenate([columns, dollars[:, None]], axis=1),
            charges=_contingencies(contracts, terms),
            collateral=np.append(np.zeros(columns.shape[1]), contracts.index_usd / self.stable_usd),
            scenarios_=scenarios,
            basis=terms.basis + terms.basis_per_year * contracts.expiry_years[expiries],
            static=_static(contracts, universe.discounts)[:, expiries],
            collateral_usd=collateral_coin * contracts.index_usd / self.stable_usd,
            shares=(self.loss_share + depeg, self.maintenance_loss_share),
        )
        return Requirement(contracts.underlying, len(contracts), (block,))


def _values_usd(contracts: MarginContracts, universe: Universe, scenarios: tuple[Scenario, ...]) -> Floats:
    """Discounted values (n, s + 5): now, in each scenario, tilted two ways, and with the basis up and down."""
    still, moved = np.zeros(1), universe.contingencies.basis_move
    tilted = np.stack([contracts.vol * tilt for tilt in universe.skew.multipliers(contracts)], axis=1)
    spot = np.concatenate([still, spots(scenarios), np.zeros(2), [moved, -moved]])
    own = contracts.vol[:, None]
    vol = np.concatenate([own, shocked_vols(contracts, scenarios, universe.vol), tilted, own, own], axis=1)
    discount = np.exp(-contracts.rate * contracts.years)
    alive = (contracts.is_option & contracts.is_alive)[:, None]
    return np.where(alive, option_values_usd(contracts, spot, vol) * discount[:, None], 0.0)


def _static(contracts: MarginContracts, terms: Discounts) -> Floats:
    """Factors (2, expiries) of a shocked expiry's value where it is positive and where it is negative."""
    years = contracts.expiry_years
    rate = np.zeros(len(years))
    rate[contracts.expiry] = contracts.rate
    gain = terms.positive * np.exp(-years * (rate * terms.long_rate_scale + terms.long_rate_add))
    owed = terms.negative * np.exp(years * (rate * terms.short_rate_scale + terms.short_rate_add))
    # Without a rate there is no discount to undo, and what is owed counts as it is.
    return np.stack([gain, np.minimum(np.exp(rate * years), owed)])


def _contingencies(contracts: MarginContracts, terms: Contingencies) -> tuple[NetCharge, NetCharge]:
    options, spot, count = contracts.is_option & contracts.is_alive, contracts.index_usd, len(contracts)
    # A strike is one of its expiry: calls and puts there net, long against short.
    strikes = np.stack([contracts.expiry, np.nan_to_num(contracts.strike_usd)], axis=1)
    group = np.unique(strikes, axis=0, return_inverse=True)[1].reshape(count)
    groups = int(group.max()) + 1 if count else 0
    short = np.array([[terms.option + terms.option_more], [terms.option]]) * np.full(groups, spot)
    each = np.array([[terms.perpetual + terms.perpetual_more], [terms.perpetual]]) * np.full(count, spot)
    return (
        NetCharge("short strikes", group, options.astype(np.float64), np.zeros_like(short), short),
        NetCharge("perpetuals", np.arange(count), (~contracts.is_option).astype(np.float64), each, each),
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Scenarios(Block):
    """Features: values of each expiry by scenario, (e, s + 5) flattened, and the dollars of futures and perpetuals."""

    scenarios_: tuple[Scenario, ...]
    basis: Floats
    static: Floats
    collateral_usd: float
    shares: tuple[float, float]

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """Without the tilts and the basis, which are not moves of spot and vol."""
        return self.scenarios_

    def _all_pnl_usd(self, features: Floats) -> Floats:
        """Each scenario as it counts, then both tilts and the basis, (..., s + 3)."""
        count = len(self.scenarios_)
        values = features[..., :-1].reshape(*features.shape[:-1], self.static.shape[1], count + 5)
        now, shocked = values[..., :1], values[..., 1:]
        counted = np.where(shocked >= 0.0, self.static[0, :, None], self.static[1, :, None]) * shocked
        change = counted - now
        # The basis moves what an expiry is worth in the market: static discounts are not in it.
        moved = np.minimum((shocked[..., -2:] - now).min(axis=-1), 0.0)
        weight = np.array([scenario.weight for scenario in self.scenarios_])
        linear = (features[..., -1:] + self.collateral_usd) * spots(self.scenarios_)
        moves = weight * (change[..., :count].sum(axis=-2) + linear)
        tilts = -np.abs(change[..., count : count + 2]).sum(axis=-2)
        basis = (self.basis * moved).sum(axis=-1, keepdims=True)
        return np.concatenate([moves, tilts, basis], axis=-1)

    def pnl_usd(self, features: Floats) -> Floats:
        """Of `scenarios`."""
        return self._all_pnl_usd(features)[..., : len(self.scenarios_)]

    def margins(self, features: Floats) -> Margins:
        """The worst, if it is a loss at all."""
        worst = np.maximum(-self._all_pnl_usd(features).min(axis=-1), 0.0)
        return Margins(self.shares[0] * worst, self.shares[1] * worst)

    def parts(self, features: Floats) -> dict[str, Margins]:
        """As one."""
        return {"worst scenario": self.margins(features)}
