"""Deribit's standard margin: each short option by a formula of how far it is out of the money, each future by its size.

    short call      IM = max(base - OTM/S, least) + mark      MM = maintenance + mark
    short put       IM = max(the same, MM)                    MM = max(maintenance, maintenance mark) + mark
    future          (rate + steepness max(|size| - free, 0)) |size|

in coin a contract, OTM and S in USD, mark in coin. A long option needs nothing. Source: support.deribit.com, "Standard
Margin". Linear contracts have the same form in dollars.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.config import NonNegative, Positive, Section
from flatbook.risk.margin.contracts import MarginContracts
from flatbook.risk.margin.model import MarginModel, charges_only
from flatbook.risk.margin.net_charge import NetCharge
from flatbook.risk.margin.requirement import Requirement

Floats = NDArray[np.float64]


class OptionRates(Section):
    """Shares of the underlying."""

    base: Positive
    least: Positive
    maintenance: Positive


class FutureRates(Section):
    """Shares of the position, and how they rise with its size in coins beyond `free_coin`."""

    initial: Positive
    maintenance: Positive
    steepness_per_coin: NonNegative
    maintenance_steepness_per_coin: NonNegative
    free_coin: NonNegative = 0.0


class DeribitStandard(MarginModel):
    """Parameters of one edition."""

    title: ClassVar[str] = "Deribit standard margin"
    counts_option_value: ClassVar[bool] = False
    orders: ClassVar[Literal["by_row", "by_side"]] = "by_row"

    option: OptionRates
    future: FutureRates

    def requirement(self, contracts: MarginContracts, collateral_coin: float = 0.0) -> Requirement:
        """See `MarginModel`; collateral is coin and moves with nothing here."""
        options = np.flatnonzero(contracts.is_option)
        futures = np.flatnonzero(~contracts.is_option)
        short = self.short_option_usd(contracts.rows(options))
        blocks = (
            charges_only(options, _own("short options", np.zeros_like(short), short)),
            charges_only(futures, self._futures(contracts.rows(futures))),
        )
        return Requirement(contracts.underlying, len(contracts), blocks)

    def short_option_usd(self, options: MarginContracts) -> Floats:
        """Initial and maintenance of one short contract, (2, n) USD."""
        index, rates = options.index_usd, self.option
        mark = options.mark_usd * options.usd_per_mark / index
        otm = np.maximum(options.sign * (options.strike_usd - index), 0.0) / index
        is_call = options.sign > 0.0
        own = np.where(is_call, rates.maintenance, np.maximum(rates.maintenance, rates.maintenance * mark))
        maintenance = own + mark
        initial = np.maximum(rates.base - otm, rates.least) + mark
        initial = np.where(is_call, initial, np.maximum(initial, maintenance))
        return np.where(options.is_alive, index * np.stack([initial, maintenance]), 0.0)

    def _futures(self, futures: MarginContracts) -> NetCharge:
        rates = self.future
        # An inverse position of n coins stays n coins: it is told in dollars at the index.
        worth = np.where(futures.in_coin, futures.index_usd, futures.mark_usd)
        flat = np.stack([rates.initial * worth, rates.maintenance * worth])
        steep = np.array([rates.steepness_per_coin, rates.maintenance_steepness_per_coin]) * futures.index_usd
        return _own("futures", flat, flat, steep, rates.free_coin)


def _own(name: str, long: Floats, short: Floats, steep: Floats | None = None, free: float = 0.0) -> NetCharge:
    """A charge on each contract by itself."""
    count = long.shape[1]
    return NetCharge(name, np.arange(count), np.ones(count), long, short, np.zeros(2) if steep is None else steep, free)
