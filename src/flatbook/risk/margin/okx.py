"""A portfolio margin in the manner of OKX: scans, a charge for basis and for vega between expiries, and a minimum.

    maintenance     max(max(MR1 spot shock, MR2 time, MR6 extreme move) + MR3 vega + MR4 basis, MR7 minimum charge)
    initial         `initial_ratio` times that

MR7 is what unwinding everything held would cost, its tranches multiplied the more the larger they are: so a book that
is hedged in every scenario still needs margin. Sources: OKX's help pages on portfolio margin and on its parameters of
January 2025, for the form, MR1, MR4, MR6 and MR7's tranches; the rates that MR7 starts from, and MR3's, are not
published there and are a house's to choose. MR5 (interest) and MR9 (stable coins) are left out.
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


class RiskUnit(Section):
    """One underlying's parameters.

    spot                MR1's moves, either way; extreme MR6's, of whose loss `extreme_share` counts
    vega_points         MR3: vol points charged on vega that is long in one expiry against short in another
    basis_per_year      MR4: share of each expiry's delta a year
    unwind_option, unwind_linear    MR7: share of the index a coin held, whichever side
    """

    spot: tuple[Positive, ...]
    vol: VolShock
    extreme: Annotated[float, Field(gt=0, lt=1)]
    extreme_share: Share
    vega_points: NonNegative
    basis_per_year: NonNegative
    unwind_option: Positive
    unwind_linear: Positive


class OkxPortfolio(MarginModel):
    """Parameters of one edition; MR7 multiplies its tranche beyond `tranche_usd[i]` by `multiplier[i]`."""

    title: ClassVar[str] = "OKX-style portfolio margin"
    counts_option_value: ClassVar[bool] = True
    orders: ClassVar[Literal["by_row", "by_side"]] = "by_side"

    initial_ratio: Annotated[float, Field(ge=1)]
    tranche_usd: tuple[NonNegative, ...]
    multiplier: tuple[Positive, ...]
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
        unwind = np.where(contracts.is_option, unit.unwind_option, unit.unwind_linear) * contracts.index_usd
        columns = np.concatenate([pnl, _day_usd(contracts)[:, None], *by_expiry, unwind[:, None]], axis=1)
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
        steps = np.diff(np.array(self.multiplier), prepend=0.0)
        return np.asarray(np.maximum(raw[..., None] - np.array(self.tranche_usd), 0.0) @ steps)


def _scenarios(unit: RiskUnit) -> tuple[Scenario, ...]:
    moves = sorted({0.0, *unit.spot, *(-move for move in unit.spot)})
    grid = [Scenario(move, vol) for move in moves for vol in VolMove]
    return (*grid, *(Scenario(side * unit.extreme, VolMove.SAME, unit.extreme_share) for side in (-1.0, 1.0)))


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
    """Features: P&L by scenario, of a day, deltas and vegas by expiry, and the cost of unwinding."""

    model: OkxPortfolio
    unit: RiskUnit
    basis_usd: Floats

    def steepest_usd(self) -> Floats:
        """The worst scan, vega apart as a whole and basis, or the last tranche of unwinding where that is more."""
        count, expiries = len(self.scenarios_), len(self.basis_usd)
        weight = np.array([*(scenario.weight for scenario in self.scenarios_), 1.0])
        moves = weight * self.columns[:, : count + 1]
        scan = np.stack([np.maximum(-side * moves, 0.0).max(axis=1) for side in (1.0, -1.0)])
        basis = np.abs(self.columns[:, count + 1 : count + 1 + expiries]) @ self.basis_usd
        vega = self.unit.vega_points * np.abs(self.columns[:, count + 1 + expiries : -1]).sum(axis=1)
        unwind = max(self.model.multiplier) * self.columns[:, -1]
        return np.asarray(self.model.initial_ratio * np.maximum(scan + basis + vega, unwind))

    def parts(self, features: Floats) -> dict[str, Margins]:
        """Each charge, and what the minimum adds to all."""
        count, expiries = len(self.scenarios_), len(self.basis_usd)
        scan = np.maximum(-np.minimum(self.pnl_usd(features).min(axis=-1), features[..., count]), 0.0)
        deltas = features[..., count + 1 : count + 1 + expiries]
        vegas = features[..., count + 1 + expiries : -1]
        apart = np.minimum(np.maximum(vegas, 0.0).sum(axis=-1), np.maximum(-vegas, 0.0).sum(axis=-1))
        basis, vega = np.abs(deltas) @ self.basis_usd, self.unit.vega_points * apart
        lacking = np.maximum(self.model.minimum_usd(features[..., -1]) - scan - basis - vega, 0.0)
        parts = {"scan": scan, "vega between expiries": vega, "basis": basis, "minimum charge": lacking}
        return {name: Margins(self.model.initial_ratio * part, part) for name, part in parts.items()}

    def margins(self, features: Floats) -> Margins:
        """All parts."""
        total, *rest = self.parts(features).values()
        for part in rest:
            total = total.plus(part)
        return total
