"""Deribit's portfolio margin: the worst of a grid of moves of price and vol, of an extended table, and of what rolls.

    risk matrix     worst loss + roll shock + delta shock
    initial         risk matrix + what MMP and open orders reserve; maintenance is `maintenance_share` of the matrix

What settles in coin loses coin, and is told in dollars at the index. Losses count fully; where another currency's
contracts on the same underlying gain in the same scenario, `gain_offset` of that counts against them. Several
underlyings add up. In the extended table futures stand still beyond the ends of the price range, a loss counts by the
range's share of the move, and the dampener comes off.

Sources: support.deribit.com, "Portfolio Margin"; docs.deribit.com, private/pme/simulate, whose example is a test to its
digits. Read between their lines: positions in the roll shock are the expiry's net delta, and the delta shock rises by
`delta_shock_per_coin` for each coin of delta beyond the threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from flatbook.domain.config import NonNegative, Section, Share
from flatbook.risk.margin.contracts import MarginContracts
from flatbook.risk.margin.model import MarginModel, listed
from flatbook.risk.margin.net_charge import NetCharge
from flatbook.risk.margin.requirement import Block, Margins, Requirement
from flatbook.risk.margin.shocks import Scenario, VolMove, VolShock, shocked_vols, spots, unit_pnl_usd

Floats = NDArray[np.float64]


class UnderlyingRange(Section):
    """How far one underlying moves, and what large deltas cost."""

    price_range: Annotated[float, Field(gt=0, lt=1)]
    vol: VolShock
    extended_share: NonNegative = 1.0
    delta_shock_per_coin: NonNegative = 0.0
    delta_shock_most: Share = 0.0
    delta_shock_from_usd: NonNegative = 0.0


class Currency(Section):
    """What a settlement currency's contracts are charged for rolling, and how their gains and tails count."""

    move_per_year: NonNegative
    least_move: NonNegative
    dampener_usd: NonNegative
    gain_offset: Share = 0.0


class DeribitPortfolio(MarginModel):
    """Parameters of one edition; `default` stands for what is not listed."""

    title: ClassVar[str] = "Deribit portfolio margin"
    counts_option_value: ClassVar[bool] = True
    orders: ClassVar[Literal["by_row", "by_side"]] = "by_side"

    buckets: Annotated[int, Field(gt=0)]
    extended: tuple[float, ...]
    maintenance_share: Share
    underlying: Mapping[str, UnderlyingRange]
    currency: Mapping[str, Currency]

    def requirement(self, contracts: MarginContracts, collateral_coin: float = 0.0) -> Requirement:
        """See `MarginModel`; coins held as collateral lose no coin."""
        moves = listed(self.underlying, contracts.underlying, "underlying")
        standard, extended = self.scenarios_of(moves)
        spot = spots(standard + extended)
        # Beyond the standard range a future neither loses nor gains more.
        at_ends = np.clip(spot, -moves.price_range, moves.price_range)
        vols = shocked_vols(contracts, standard + extended, moves.vol)
        pnl = unit_pnl_usd(contracts, spot, vols, in_coin_terms=True, linear_spot=at_ends)
        sides = [np.where(coin[:, None], pnl, 0.0) for coin in (contracts.in_coin, ~contracts.in_coin)]
        block = _Matrix(
            rows=np.arange(len(contracts)),
            columns=np.concatenate([*sides, contracts.net_delta[:, None] * contracts.is_alive[:, None]], axis=1),
            charges=(self._roll(contracts),),
            model=self,
            moves=moves,
            index_usd=contracts.index_usd,
            currencies=(self._currency(contracts.underlying), self._currency("USD")),
        )
        return Requirement(contracts.underlying, len(contracts), (block,))

    def _currency(self, name: str) -> Currency:
        return listed(self.currency, name, "currency")

    def scenarios_of(self, moves: UnderlyingRange) -> tuple[tuple[Scenario, ...], tuple[Scenario, ...]]:
        """The standard table and the extended one."""
        shocks = np.linspace(-moves.price_range, moves.price_range, 2 * self.buckets + 1)
        standard = tuple(Scenario(float(spot), vol) for spot in shocks for vol in VolMove)
        share = moves.extended_share * moves.price_range
        extended = tuple(Scenario(spot, VolMove.UP, min(1.0, share / abs(spot))) for spot in self.extended)
        return standard, extended

    def _roll(self, contracts: MarginContracts) -> NetCharge:
        """Each expiry's delta, coin- and dollar-settled apart, by how far that expiry may move against the others."""
        group = 2 * contracts.expiry + ~contracts.in_coin
        rates = np.zeros(2 * len(contracts.expiry_years))
        for side, name in enumerate((contracts.underlying, "USD")):
            currency = self._currency(name)
            move = np.maximum(currency.least_move, currency.move_per_year * contracts.expiry_years)
            rates[side::2] = contracts.index_usd * move
        both = np.stack([rates, self.maintenance_share * rates])
        weight = np.where(contracts.is_alive, contracts.net_delta, 0.0)
        return NetCharge("roll shock", group, weight, both, both)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Matrix(Block):
    """The risk matrix of one underlying: features are P&L of coin-settled contracts by scenario, of dollar-settled ones
    by scenario, and the total delta in coins."""

    model: DeribitPortfolio
    moves: UnderlyingRange
    index_usd: float
    currencies: tuple[Currency, Currency]

    @cached_property
    def _tables(self) -> tuple[tuple[Scenario, ...], tuple[Scenario, ...]]:
        return self.model.scenarios_of(self.moves)

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """The standard table, price by price, then the extended."""
        standard, extended = self._tables
        return standard + extended

    def pnl_usd(self, features: Floats) -> Floats:
        """What counts of each scenario: losses, damped in the extended table, and offsets of gains."""
        count, standard = len(self.scenarios), len(self._tables[0])
        weight = np.array([scenario.weight for scenario in self.scenarios])
        total = np.zeros((*features.shape[:-1], count))
        for side, currency in enumerate(self.currencies):
            pnl = weight * features[..., side * count : (side + 1) * count]
            damp = np.where(np.arange(count) < standard, 0.0, currency.dampener_usd)
            total += np.minimum(pnl + damp, 0.0) + currency.gain_offset * np.maximum(pnl, 0.0)
        return total

    def steepest_usd(self) -> Floats:
        """Its worst loss, never damped, and the delta shock where it is steepest: as its rate comes to its most."""
        count, moves = len(self.scenarios), self.moves
        weight = np.array([scenario.weight for scenario in self.scenarios])
        pnl = weight * self.columns[:, :-1].reshape(len(self.rows), len(self.currencies), count)
        worst = np.stack([np.maximum(-side * pnl, 0.0).sum(axis=1).max(axis=1) for side in (1.0, -1.0)])
        from_coin = moves.delta_shock_from_usd / self.index_usd
        rate = 2.0 * moves.delta_shock_most + moves.delta_shock_per_coin * from_coin
        return np.asarray(worst + rate * np.abs(self.columns[:, -1]) * self.index_usd)

    def parts(self, features: Floats) -> dict[str, Margins]:
        """The worst scenario, and the delta shock."""
        worst = np.maximum(-self.pnl_usd(features).min(axis=-1), 0.0)
        delta = np.abs(features[..., -1])
        beyond = np.maximum(delta - self.moves.delta_shock_from_usd / self.index_usd, 0.0)
        rate = np.minimum(self.moves.delta_shock_per_coin * beyond, self.moves.delta_shock_most)
        share = self.model.maintenance_share
        return {
            "worst scenario": Margins(worst, share * worst),
            "delta shock": Margins(rate * delta * self.index_usd, share * rate * delta * self.index_usd),
        }

    def margins(self, features: Floats) -> Margins:
        """Both parts."""
        worst, delta = self.parts(features).values()
        return worst.plus(delta)
