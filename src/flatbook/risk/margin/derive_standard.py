"""Derive's standard manager: each expiry's options by the lesser of two requirements, perpetuals by their notional.

    isolated    shorts one by one, by a formula of how far they are out of the money
    worst loss  what the expiry's options lose at settlement at zero or at any strike held, and more for each call that
                is short without another against it

Source: derivexyz/v2-core, StandardManager.sol, and its parameters at docs.derive.xyz. Everything is in dollars; a
coin-settled contract is margined as its dollar-settled sibling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.config import Positive, Section
from flatbook.risk.margin.contracts import MarginContracts
from flatbook.risk.margin.model import MarginModel, charges_only, listed
from flatbook.risk.margin.net_charge import NetCharge
from flatbook.risk.margin.requirement import Block, FillBound, Margins, Requirement

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class StandardRates(Section):
    """Shares of spot, or of the mark where it says so."""

    base: Positive
    least: Positive
    call_maintenance: Positive
    put_maintenance: Positive
    put_maintenance_of_mark: Positive
    put_over_maintenance: Positive
    unpaired_initial: Positive
    unpaired_maintenance: Positive
    perpetual_initial: Positive
    perpetual_maintenance: Positive


class DeriveStandard(MarginModel):
    """Parameters of one edition, by underlying; `default` stands for what is not listed."""

    title: ClassVar[str] = "Derive standard margin"
    counts_option_value: ClassVar[bool] = False
    orders: ClassVar[Literal["by_row", "by_side"]] = "by_row"
    steepest_by_book: ClassVar[bool] = True

    underlying: Mapping[str, StandardRates]

    def requirement(self, contracts: MarginContracts, collateral_coin: float = 0.0) -> Requirement:
        """See `MarginModel`; collateral has its haircut and moves with nothing here."""
        rates = listed(self.underlying, contracts.underlying, "underlying")
        options = contracts.is_option & contracts.is_alive
        blocks: list[Block] = [
            _expiry_block(contracts, rates, np.flatnonzero(options & (contracts.expiry == expiry)))
            for expiry in np.unique(contracts.expiry[options])
        ]
        futures = np.flatnonzero(~contracts.is_option)
        count = len(futures)
        shares = np.array([[rates.perpetual_initial], [rates.perpetual_maintenance]])
        each = shares * contracts.mark_usd[futures]
        blocks.append(charges_only(futures, NetCharge("perpetuals", np.arange(count), np.ones(count), each, each)))
        return Requirement(contracts.underlying, len(contracts), tuple(blocks))


def short_option_usd(options: MarginContracts, rates: StandardRates) -> Floats:
    """Initial and maintenance of one short contract by itself, (2, n) USD."""
    spot, mark, is_call = options.index_usd, options.mark_usd, options.sign > 0.0
    otm = np.maximum(options.sign * (options.strike_usd - spot), 0.0) / spot
    by_spot = np.maximum(rates.base - otm, rates.least) * spot + mark
    put = np.maximum(rates.put_maintenance * spot, rates.put_maintenance_of_mark * mark) + mark
    maintenance = np.where(is_call, rates.call_maintenance * spot + mark, put)
    initial = np.where(is_call, by_spot, np.maximum(by_spot, rates.put_over_maintenance * maintenance))
    return np.stack([initial, maintenance])


def _expiry_block(contracts: MarginContracts, rates: StandardRates, rows: Ints) -> Block:
    """Features: payoffs at zero and at each strike, net calls, what is held at each strike, both isolated margins."""
    options = contracts.rows(rows)
    strikes, at = np.unique(options.strike_usd, return_inverse=True)
    prices = np.concatenate([[0.0], strikes])
    payoffs = np.maximum(options.sign[:, None] * (prices - options.strike_usd[:, None]), 0.0)
    count, points = len(rows), len(prices)
    columns = np.zeros((count, points + 1 + len(strikes) + 2))
    columns[:, :points] = payoffs
    columns[:, points] = options.sign > 0.0
    short = np.zeros_like(columns)
    # What is held at a strike is x + 2 x⁻, the sum of sizes without their signs.
    held = points + 1 + at
    columns[np.arange(count), held], short[np.arange(count), held] = 1.0, 2.0
    short[:, -2:] = short_option_usd(options, rates).T
    return _Expiry(rows, columns, short, rates=rates, points=points, forward_usd=float(options.forward_usd[0]))


@dataclass(frozen=True, eq=False, kw_only=True)
class _Expiry(Block):
    """The options of one expiry; `points` prices of settlement come first among the features."""

    rates: StandardRates
    points: int
    forward_usd: float

    def margins(self, features: Floats) -> Margins:
        """The lesser of isolated and worst loss, initial and maintenance each."""
        points = self.points
        # A strike where nothing is held is no kink, and beyond the last one net short calls are charged apart.
        held = np.ones((*features.shape[:-1], points), dtype=np.bool_)
        held[..., 1:] = features[..., points + 1 : -2] > 0.0
        payoff = np.where(held, np.minimum(features[..., :points], 0.0), 0.0)
        loss = -payoff.min(axis=-1)
        unpaired = self.forward_usd * np.maximum(-features[..., points], 0.0)
        initial = np.minimum(features[..., -2], loss + self.rates.unpaired_initial * unpaired)
        maintenance = np.minimum(features[..., -1], loss + self.rates.unpaired_maintenance * unpaired)
        return Margins(initial, maintenance)

    def fill_bound(self, features: Floats, coin: float) -> FillBound:
        """Of either requirement by itself, for the lesser of two is below both.

        Isolated, a coin sold adds its own margin and one bought nothing. The worst loss at every strike listed, held or
        not, is no less than at those held and adds for no fill more than that fill loses alone: such a maximum of
        linear functions is subadditive. At the strikes held it is not: a fill can be the first to show how far calls
        that are short without another lose.
        """
        points, rates = self.points, self.rates
        anywhere = max(-float(features[:points].min()), 0.0)
        unpaired = rates.unpaired_initial * self.forward_usd
        anywhere += unpaired * max(-float(features[points]), 0.0)
        payoffs, is_call = self.columns[:, :points], self.columns[:, points]
        sold = payoffs.max(axis=1) + unpaired * is_call
        assert self.short_columns is not None
        alone = self.short_columns[:, -2]
        now = float(self.margins(features).initial)
        bounds = [(float(features[-2]), alone), (anywhere, sold)]
        held, steepest = min(bounds, key=lambda bound: bound[0] + coin * float(bound[1].max()))
        return FillBound(held - now, np.stack([np.zeros(len(steepest)), steepest]))

    def parts(self, features: Floats) -> dict[str, Margins]:
        """As one."""
        return {"options": self.margins(features)}
