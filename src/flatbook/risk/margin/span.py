"""A grid in the manner of SPAN: sixteen scenarios, spreads between expiries, and a minimum for short options.

    scan        the worst of price by 0, 1/3, 2/3 and 3/3 of its range either way, vols up and down, and of two extreme
                moves at a third of their loss
    initial     max(scan + spread charge, minimum of short options); maintenance is a share of it

A scan takes deltas of different expiries for one; the spread charge is for each coin of delta that is long in one
expiry against short in another. Source: CME's published description of SPAN; no venue here uses it, and the ranges are
a house's to choose. Credits between underlyings are not given: each adds its own requirement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from flatbook.domain.config import NonNegative, Positive, Section, Share
from flatbook.risk.margin.contracts import MarginContracts
from flatbook.risk.margin.model import MarginModel, listed
from flatbook.risk.margin.requirement import Margins, Requirement, ScenarioBlock
from flatbook.risk.margin.shocks import Scenario, VolMove, VolShock, shocked_vols, spots, unit_pnl_usd

Floats = NDArray[np.float64]

_THIRDS = (0.0, 1 / 3, -1 / 3, 2 / 3, -2 / 3, 1.0, -1.0)


class Scan(Section):
    """One underlying's ranges; charges are shares of the index a coin."""

    price_range: Annotated[float, Field(gt=0, lt=1)]
    extreme_ranges: Positive
    extreme_share: Share
    vol: VolShock
    spread_charge: NonNegative
    short_option_minimum: NonNegative


class SpanGrid(MarginModel):
    """Parameters of one edition, by underlying; `default` stands for what is not listed."""

    title: ClassVar[str] = "SPAN-like grid"
    counts_option_value: ClassVar[bool] = True
    orders: ClassVar[Literal["by_row", "by_side"]] = "by_side"

    maintenance_share: Share
    underlying: Mapping[str, Scan]

    def requirement(self, contracts: MarginContracts, collateral_coin: float = 0.0) -> Requirement:
        """See `MarginModel`; collateral has its haircut and moves with nothing here."""
        scan = listed(self.underlying, contracts.underlying, "underlying")
        scenarios = _scenarios(scan)
        vols = shocked_vols(contracts, scenarios, scan.vol)
        pnl = unit_pnl_usd(contracts, spots(scenarios), vols, in_coin_terms=False)
        expiries = len(contracts.expiry_years)
        deltas = np.zeros((len(contracts), expiries))
        deltas[np.arange(len(contracts)), contracts.expiry] = contracts.delta * contracts.is_alive
        columns = np.concatenate([pnl, deltas, np.zeros((len(contracts), 1))], axis=1)
        short = np.zeros_like(columns)
        short[:, -1] = contracts.is_option & contracts.is_alive
        block = _Grid(
            rows=np.arange(len(contracts)),
            columns=columns,
            short_columns=short,
            scan=scan,
            scenarios_=scenarios,
            index_usd=contracts.index_usd,
            maintenance_share=self.maintenance_share,
        )
        return Requirement(contracts.underlying, len(contracts), (block,))


def _scenarios(scan: Scan) -> tuple[Scenario, ...]:
    grid = [Scenario(share * scan.price_range, vol) for share in _THIRDS for vol in (VolMove.UP, VolMove.DOWN)]
    # An extreme fall is to above zero, however many ranges it is.
    far = min(scan.extreme_ranges * scan.price_range, 0.95)
    return (*grid, *(Scenario(side * far, VolMove.SAME, scan.extreme_share) for side in (1.0, -1.0)))


@dataclass(frozen=True, eq=False, kw_only=True)
class _Grid(ScenarioBlock):
    """Features: P&L by scenario, deltas by expiry in coins, and short options in coins."""

    scan: Scan
    index_usd: float
    maintenance_share: float

    def steepest_usd(self) -> Floats:
        """The worst scan and its delta spread as a whole, or the minimum where that is more."""
        count = len(self.scenarios_)
        weight = np.array([scenario.weight for scenario in self.scenarios_])
        moves = weight * self.columns[:, :count]
        scan = np.stack([np.maximum(-side * moves, 0.0).max(axis=1) for side in (1.0, -1.0)])
        spread = self.scan.spread_charge * np.abs(self.columns[:, count:-1]).sum(axis=1)
        assert self.short_columns is not None
        least = self.scan.short_option_minimum * np.stack([np.zeros(len(self.rows)), self.short_columns[:, -1]])
        return np.asarray(np.maximum(scan + spread * self.index_usd, least * self.index_usd))

    def parts(self, features: Floats) -> dict[str, Margins]:
        """Scan, spreads, and what the minimum adds to both."""
        scan = np.maximum(-self.pnl_usd(features).min(axis=-1), 0.0)
        deltas = features[..., len(self.scenarios_) : -1]
        spread = np.minimum(np.maximum(deltas, 0.0).sum(axis=-1), np.maximum(-deltas, 0.0).sum(axis=-1))
        spread = spread * self.scan.spread_charge * self.index_usd
        least = features[..., -1] * self.scan.short_option_minimum * self.index_usd
        parts = {"scan": scan, "spreads": spread, "minimum": np.maximum(least - scan - spread, 0.0)}
        return {name: Margins(part, self.maintenance_share * part) for name, part in parts.items()}

    def margins(self, features: Floats) -> Margins:
        """All parts."""
        scan, spread, minimum = self.parts(features).values()
        return scan.plus(spread).plus(minimum)
