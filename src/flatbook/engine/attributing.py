"""Whose gains are whose: what positions earned and paid by strategy and expiry, exact until it is P&L."""

import numpy as np

from flatbook.domain.instruments import Kind
from flatbook.domain.reference import Instrument
from flatbook.domain.units import format_day
from flatbook.kernels.explain import HEDGING, STRATEGIES
from flatbook.ledger.holdings import FLAT
from flatbook.ledger.positions import Position, PositionKey
from flatbook.market.universe import Universe
from flatbook.report.tables import NO_EXPIRY, PnlRow
from flatbook.valuation.explain import PNL_PARTS, PnlBook
from flatbook.valuation.inventory import CELLS, STRATEGY_NAMES


class CellBooks:
    """Coin carried and fees paid by cell (see `kernels.explain`), summed from the ledger's positions and exchanges.

    dollar_fees_coin    fees that hedging paid in dollars, each as coin at its time; they are in no cell
    Invariant   carried units sum to the ledger's own, whenever every changed position has been taken
    """

    def __init__(self) -> None:
        self.carried_units = [0] * CELLS
        self.fees_units = [0] * CELLS
        self.dollar_fees_coin = 0.0
        self._taken: dict[PositionKey, Position] = {}
        self._exchanged_units = 0
        self._dollar_fees_usd = 0.0

    def take(self, key: PositionKey, position: Position, cell: int) -> None:
        """A position is now as given."""
        before = self._taken.get(key, FLAT)
        self.carried_units[cell] += _carried_units(position) - _carried_units(before)
        self.fees_units[cell] += position.fees_units - before.fees_units
        self._taken[key] = position

    def exchange(self, units: int) -> None:
        """So much coin has come in for dollars in all: it is hedging's, and of no expiry."""
        self.carried_units[HEDGING] += units - self._exchanged_units
        self._exchanged_units = units

    def pay_dollars(self, fees_usd: float, index_usd: float) -> None:
        """So much was paid in fees in dollars in all; what is new of it counts as coin at the index of now."""
        self.dollar_fees_coin += (fees_usd - self._dollar_fees_usd) / index_usd
        self._dollar_fees_usd = fees_usd


def _carried_units(position: Position) -> int:
    """What it added to coin carried: premiums are cash, a perpetual's cost is a debt; either way cost is taken off."""
    return position.net_units - position.cost_units


def cell_of(universe: Universe, instrument: Instrument, strategy: str) -> int:
    """The cell of a strategy's position in an instrument; what the chain has no expiry for has none."""
    contract = instrument.contract
    slot = None
    if contract.kind in (Kind.OPTION, Kind.FUTURE) and contract.expiry_ns is not None:
        slot = universe.slot_of.get(contract.expiry_ns)
    return STRATEGIES * (0 if slot is None else slot + 1) + STRATEGY_NAMES.index(strategy)


def pnl_rows(pnl: PnlBook, universe: Universe) -> list[PnlRow]:
    """P&L by day, strategy, expiry and part, each that there was any of."""
    rows = []
    for day_ns, gains in pnl.days():
        for cell, part in np.argwhere((gains.usd != 0.0) | (gains.coin != 0.0)).tolist():
            slot, strategy = cell // STRATEGIES - 1, cell % STRATEGIES
            rows.append(
                PnlRow(
                    day=format_day(day_ns),
                    strategy=STRATEGY_NAMES[strategy],
                    expiry=NO_EXPIRY if slot < 0 else format_day(int(universe.expiry_ns[slot])),
                    part=PNL_PARTS[part],
                    usd=float(gains.usd[cell, part]),
                    coin=float(gains.coin[cell, part]),
                )
            )
    return rows
