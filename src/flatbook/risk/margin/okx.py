"""A portfolio margin in the manner of OKX: scans, charges beside them, and a minimum.

    maintenance     max(max(MR1 spot shock, MR2 time, MR6 extreme move) + MR3 vega between expiries + MR4 basis
                    + MR5 interest + MR9 stable coins, MR7 minimum charge)
    initial         `initial_ratio` times that

MR5 is a parallel move of the dollar rate at which values are discounted, forwards held: MR4 has moved those. MR7 is
what unwinding everything held would cost, its tranches multiplied the more the larger they are: so a book hedged
in every scenario still needs margin. MR9 charges what contracts quoted in one kind of dollar hedge of those quoted in
another, by tranches of its size and by how far the stable coin is off its peg: their deltas are set against each other
in the order USDT and USD, USDT and USDC, USDC and USD.

Sources: OKX's notice of 24 December 2021 for max(MR1, MR2, MR6) + MR3 + MR4 + MR5 against MR7, and for MR7's tranches,
with a worked example; its notices of 25 November 2024 and 2 January 2025 for MR1, MR4, MR6, and MR9's steps, order and
worked example. Remarks of an edition say which numbers are a house's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from flatbook.domain.config import NonNegative, Positive, Section, Share
from flatbook.kernels.black import black
from flatbook.risk.margin.contracts import MarginContracts
from flatbook.risk.margin.model import MarginModel, listed
from flatbook.risk.margin.requirement import Margins, Requirement, ScenarioBlock
from flatbook.risk.margin.shocks import (
    Scenario,
    VolMove,
    VolShock,
    option_values_usd,
    shocked_vols,
    spots,
    unit_pnl_usd,
)

Floats = NDArray[np.float64]

_ONE_DAY = 1.0 / 365.0

DOLLARS = ("USDT", "USDC", "USD")
"""Kinds of dollar that contracts are quoted in; coin-settled ones are quoted in USD."""

_PAIRS = (("USDT", "USD"), ("USDT", "USDC"), ("USDC", "USD"))


class RiskUnit(Section):
    """One underlying's parameters.

    spot                MR1's moves, either way; extreme MR6's, of whose loss `extreme_share` counts
    vega_points         MR3: vol points charged on vega that is long in one expiry against short in another
    basis_per_year      MR4: share of each expiry's delta a year
    rate_move           MR5: of the annual rate, either way
    unwind_option, unwind_linear    MR7: share of the index a coin held, whichever side
    """

    spot: tuple[Positive, ...]
    vol: VolShock
    extreme: Annotated[float, Field(gt=0, lt=1)]
    extreme_share: Share
    vega_points: NonNegative
    basis_per_year: NonNegative
    rate_move: NonNegative
    unwind_option: Positive
    unwind_linear: Positive


class OkxPortfolio(MarginModel):
    """Parameters of one edition; MR7 multiplies its tranche beyond `tranche_usd[i]` by `multiplier[i]`.

    depeg_rate      MR9: by price of the stable coin (`depeg_price`, rising, straight lines in between), of the tranche
                    of what is hedged beyond each of `depeg_tranche_usd`
    stable_usd      those prices
    """

    title: ClassVar[str] = "OKX-style portfolio margin"
    counts_option_value: ClassVar[bool] = True
    orders: ClassVar[Literal["by_row", "by_side"]] = "by_side"

    initial_ratio: Annotated[float, Field(ge=1)]
    tranche_usd: tuple[NonNegative, ...]
    multiplier: tuple[Positive, ...]
    depeg_tranche_usd: tuple[NonNegative, ...]
    depeg_price: tuple[Positive, ...]
    depeg_rate: tuple[tuple[Share, ...], ...]
    stable_usd: Mapping[str, Positive] = Field(default_factory=dict)
    underlying: Mapping[str, RiskUnit]

    def requirement(self, contracts: MarginContracts, collateral_coin: float = 0.0) -> Requirement:
        """See `MarginModel`; collateral has its haircut and moves with nothing here."""
        unit = listed(self.underlying, contracts.underlying, "underlying")
        scenarios = _scenarios(unit)
        vols = shocked_vols(contracts, scenarios, unit.vol)
        pnl = unit_pnl_usd(contracts, spots(scenarios), vols, in_coin_terms=False)
        count = len(contracts)
        by_expiry = np.zeros((2, count, len(contracts.expiry_years)))
        by_expiry[:, np.arange(count), contracts.expiry] = contracts.delta * contracts.is_alive, _vega_usd(contracts)
        cash = np.where(contracts.is_option, contracts.index_usd, contracts.mark_usd) * contracts.delta
        by_dollar = np.stack([np.where(contracts.dollars == kind, cash * contracts.is_alive, 0.0) for kind in DOLLARS])
        rho = -contracts.mark_usd * contracts.usd_per_mark * contracts.years * contracts.is_option
        unwind = np.where(contracts.is_option, unit.unwind_option, unit.unwind_linear) * contracts.index_usd
        ends = np.column_stack([rho, *by_dollar, unwind])
        columns = np.concatenate([pnl, _day_usd(contracts)[:, None], *by_expiry, ends], axis=1)
        short = np.zeros_like(columns)
        short[:, -1] = 2.0 * unwind  # x + 2 x⁻ is the size without its sign
        block = _Charges(
            rows=np.arange(count),
            columns=columns,
            short_columns=short,
            model=self,
            unit=unit,
            scenarios_=scenarios,
            basis_usd=unit.basis_per_year * contracts.expiry_years * contracts.index_usd,
        )
        return Requirement(contracts.underlying, count, (block,))

    def minimum_usd(self, raw: Floats) -> Floats:
        """MR7 of a cost of unwinding, any shape."""
        return _by_tranche(raw, self.tranche_usd, np.array(self.multiplier))

    def depeg_usd(self, cash: Floats) -> Floats:
        """MR9 (...) of deltas in dollars by kind of dollar, (..., `DOLLARS`)."""
        left, charged = {kind: cash[..., at] for at, kind in enumerate(DOLLARS)}, np.zeros(cash.shape[:-1])
        for one, other in _PAIRS:
            opposed = np.sign(left[one]) * np.sign(left[other]) < 0.0
            hedged = np.where(opposed, np.minimum(np.abs(left[one]), np.abs(left[other])), 0.0)
            for kind in (one, other):
                left[kind] = left[kind] - np.sign(left[kind]) * hedged
            charged = charged + _by_tranche(hedged, self.depeg_tranche_usd, self.depeg_rates(one, other))
        return charged

    def depeg_rates(self, one: str, other: str) -> Floats:
        """MR9's rates by tranche for two kinds of dollar, at the lower of their prices."""
        price = min(self.stable_usd.get(kind, 1.0) for kind in (one, other))
        return np.array([np.interp(price, self.depeg_price, column) for column in zip(*self.depeg_rate, strict=True)])


def _scenarios(unit: RiskUnit) -> tuple[Scenario, ...]:
    moves = sorted({0.0, *unit.spot, *(-move for move in unit.spot)})
    grid = [Scenario(move, vol) for move in moves for vol in VolMove]
    return (*grid, *(Scenario(side * unit.extreme, VolMove.SAME, unit.extreme_share) for side in (-1.0, 1.0)))


def _by_tranche(usd: Floats, begins_usd: tuple[float, ...], rate: Floats) -> Floats:
    """Each tranche of an amount of any shape, by its own rate."""
    steps = np.diff(rate, prepend=0.0)
    return np.asarray(np.maximum(usd[..., None] - np.array(begins_usd), 0.0) @ steps)


def _day_usd(contracts: MarginContracts) -> Floats:
    """What a unit gains in a day in which nothing moves, (n,)."""
    still, vol = np.zeros(1), contracts.vol[:, None]
    later = replace(contracts, years=np.maximum(contracts.years - _ONE_DAY, 0.0))
    change = option_values_usd(later, still, vol) - option_values_usd(contracts, still, vol)
    return np.where(contracts.is_alive, change[:, 0], 0.0)


def _vega_usd(contracts: MarginContracts) -> Floats:
    """Dollars a vol point, (n,)."""
    vega, options = np.zeros(len(contracts)), contracts.is_option & contracts.is_alive
    held = contracts.rows(np.flatnonzero(options))
    vega[options] = black(held.forward_usd, held.strike_usd, held.vol, held.years, held.sign).vega / 100.0
    return vega


@dataclass(frozen=True, eq=False, kw_only=True)
class _Charges(ScenarioBlock):
    """Features: P&L by scenario, of a day, deltas and vegas by expiry, rho, dollars of delta, and cost of unwinding."""

    model: OkxPortfolio
    unit: RiskUnit
    basis_usd: Floats

    def steepest_usd(self) -> Floats:
        """The worst scan, vega apart as a whole and all charges, or the last tranche of unwinding where that is more.

        What a coin adds to hedges between dollars is no more than its delta.
        """
        count = len(self.scenarios_)
        weight = np.array([*(scenario.weight for scenario in self.scenarios_), 1.0])
        _, _, deltas, vegas, rho, cash, unwind = self._split(self.columns)
        moves = weight * self.columns[:, : count + 1]
        scan = np.stack([np.maximum(-side * moves, 0.0).max(axis=1) for side in (1.0, -1.0)])
        beside = np.abs(deltas) @ self.basis_usd + self.unit.vega_points * np.abs(vegas).sum(axis=1)
        beside += self.unit.rate_move * np.abs(rho) + np.max(self.model.depeg_rate) * np.abs(cash).sum(axis=1)
        minimum = max(self.model.multiplier) * unwind
        return np.asarray(self.model.initial_ratio * np.maximum(scan + beside, minimum))

    def parts(self, features: Floats) -> dict[str, Margins]:
        """Each charge, and what the minimum adds to all."""
        pnl, day, deltas, vegas, rho, cash, unwind = self._split(features)
        apart = np.minimum(np.maximum(vegas, 0.0).sum(axis=-1), np.maximum(-vegas, 0.0).sum(axis=-1))
        parts = {
            "scan": np.maximum(-np.minimum(pnl.min(axis=-1), day), 0.0),
            "vega between expiries": self.unit.vega_points * apart,
            "basis": np.abs(deltas) @ self.basis_usd,
            "interest": self.unit.rate_move * np.abs(rho),
            "stable coins": self.model.depeg_usd(cash),
        }
        parts["minimum charge"] = np.maximum(self.model.minimum_usd(unwind) - sum(parts.values()), 0.0)
        return {name: Margins(self.model.initial_ratio * part, part) for name, part in parts.items()}

    def _split(self, features: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats, Floats]:
        """Of features: weighted P&L by scenario, of a day, deltas and vegas by expiry, rho, by dollar, unwinding."""
        count, expiries = len(self.scenarios_), len(self.basis_usd)
        by_expiry = count + 1 + 2 * expiries
        return (
            self.pnl_usd(features),
            features[..., count],
            features[..., count + 1 : count + 1 + expiries],
            features[..., count + 1 + expiries : by_expiry],
            features[..., by_expiry],
            features[..., by_expiry + 1 : -1],
            features[..., -1],
        )

    def margins(self, features: Floats) -> Margins:
        """All parts."""
        total, *rest = self.parts(features).values()
        for part in rest:
            total = total.plus(part)
        return total
