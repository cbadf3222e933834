"""P&L explained: every change of the book's equity is put under one name, and the names sum to the ledger's total.

Between trades the market moves and Taylor's theorem splits the revaluation. At a trade, an expiry or a funding payment
the books change at a held market, and the change of equity is that event's: against fair value for a fill, so that the
edge earned is `spread` and what the hedge paid over the mark is `hedge_cost`.

All of it by cell (a strategy's contracts of one expiry, see `kernels.explain`) and by UTC day, in USD and in coin. Coin
parts sum to the equity in coin: a step's part is its USD over the index at its end, and delta counts what spot moved
beyond what the equity, held in coin as it is, moved with it. So a book whose whole worth is coin has no delta in coin.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_DAY
from flatbook.kernels.explain import HEDGING, MAKING, PARTS, STRATEGIES, explain_step, value_cells
from flatbook.valuation.chain import PRICE, ChainValues
from flatbook.valuation.inventory import CELLS, Inventory

Floats = NDArray[np.float64]

PNL_PARTS = (
    "spread",
    "adverse_selection",
    "delta",
    "gamma",
    "theta",
    "vega",
    "vanna",
    "volga",
    "funding",
    "basis",
    "other_coins",
    "fees",
    "hedge_cost",
    "settlement",
    "unexplained",
)
"""Names in the order of the report. `fees` are all venue fees; `hedge_cost` is what hedges paid over the mark;
`other_coins` what hedges in other coins' perpetuals gained by the index of those."""

_COLUMNS = (*PARTS, "spread", "funding", "fees", "hedge_cost", "settlement", "other_coins")
"""The parts in the order in which they are kept: those of a step first, as the kernel fills them."""

_COLUMN_OF = {name: column for column, name in enumerate(_COLUMNS)}
_IN_ORDER = np.array([_COLUMN_OF[name] for name in PNL_PARTS])


class OtcStep(NamedTuple):
    """What contracts over the counter gained over a step, by `PNL_PARTS`, and what they are worth after it."""

    parts_usd: Floats
    value_usd: float


class Gains(NamedTuple):
    """P&L by cell and part: shapes (cells, len(PNL_PARTS)), parts in the order of `PNL_PARTS`."""

    usd: Floats
    coin: Floats


class DayGains(NamedTuple):
    """What one UTC day brought; a step counts for the day in which it ends."""

    day_ns: int
    gains: Gains


class PnlBook:
    """Cumulative P&L by cell and cause.

    worth_coin  (cells,) what each cell is worth
    Invariant   a cell's parts sum to its worth, in USD and in coin, up to float rounding, after every call
    """

    def __init__(self) -> None:
        self.worth_coin: Floats = np.zeros(CELLS)
        self.equity_usd = 0.0
        self.gross_usd = 0.0
        self._usd: Floats = np.zeros((CELLS, len(_COLUMNS)))
        self._coin: Floats = np.zeros((CELLS, len(_COLUMNS)))
        self._fees_coin: Floats = np.zeros(CELLS)
        self._day_ns = 0
        # What had been gained by the end of each day that is over.
        self._ended: list[DayGains] = []

    def by_name(self) -> dict[str, float]:
        """The parts so far, USD."""
        return dict(zip(PNL_PARTS, self._usd.sum(axis=0)[_IN_ORDER].tolist(), strict=True))

    def usd_by_strategy(self) -> Floats:
        """(STRATEGIES,) what each has gained so far, USD."""
        return np.asarray(self._usd.sum(axis=1).reshape(-1, STRATEGIES).sum(axis=0))

    def coin_by_name(self) -> dict[str, float]:
        """The parts so far, coin."""
        return dict(zip(PNL_PARTS, self._coin.sum(axis=0)[_IN_ORDER].tolist(), strict=True))

    def days(self) -> tuple[DayGains, ...]:
        """What every day brought, the one under way too; they sum to what there is."""
        until = [*self._ended, DayGains(self._day_ns, self._so_far())]
        before = [Gains(*np.zeros((2, CELLS, len(PNL_PARTS)))), *(day.gains for day in self._ended)]
        return tuple(
            DayGains(day.day_ns, Gains(day.gains.usd - was.usd, day.gains.coin - was.coin))
            for day, was in zip(until, before, strict=True)
            if day.day_ns
        )

    def market_moved(
        self, before: ChainValues, after: ChainValues, inventory: Inventory, otc: OtcStep | None = None
    ) -> None:
        """The market moved from `before` to `after` under positions that stood still."""
        self._begin_day(after.ts_ns)
        n, used = before.rows, _used(after)
        if otc is not None:
            self._add_otc(otc, after.index_usd)
        if inventory.holds_others:
            self._add_others(inventory.others_gained_usd(before, after)[0], after.index_usd)
        self.gross_usd += explain_step(
            np.array([before.index_usd, after.index_usd]),
            inventory.size_coin[:n],
            inventory.hedged_coin[:n],
            inventory.fresh_coin[:n],
            before.slot,
            before.forward_usd,
            before.vol,
            before.years,
            before.greeks,
            after.forward_usd[:n],
            after.vol[:n],
            after.years[:n],
            after.greeks[PRICE, :n],
            inventory.held_coin(used),
            inventory.basis_gained_usd(before, after, used),
            inventory.beside_coin(after, 0.0 if otc is None else otc.value_usd, used),
            self.worth_coin[:used],
            self._usd[:used],
            self._coin[:used],
        )
        self.equity_usd = float(self.worth_coin[:used].sum()) * after.index_usd

    def _add_otc(self, otc: OtcStep, index_usd: float) -> None:
        """Contracts over the counter are making's, and have no expiry of the chain."""
        self._usd[MAKING, _IN_ORDER] += otc.parts_usd
        self._coin[MAKING, _IN_ORDER] += otc.parts_usd / index_usd
        self.gross_usd += float(np.abs(otc.parts_usd).sum())

    def _add_others(self, gained_usd: float, index_usd: float) -> None:
        """Other coins are hedging's, and have no expiry of the chain."""
        column = _COLUMN_OF["other_coins"]
        self._usd[HEDGING, column] += gained_usd
        self._coin[HEDGING, column] += gained_usd / index_usd
        self.gross_usd += abs(gained_usd)

    def booked(self, cause: str, values: ChainValues, inventory: Inventory, otc_usd: float = 0.0) -> float:
        """The books changed at a held market; what fees took of it is under `fees`.

        Returns     what was put under `cause`, in USD
        """
        self._begin_day(values.ts_ns)
        n, used, worth = values.rows, _used(values), np.empty(CELLS)
        value_cells(
            inventory.size_coin[:n],
            inventory.hedged_coin[:n],
            values.slot,
            values.greeks[PRICE],
            values.forward_usd,
            inventory.held_coin(used),
            inventory.beside_coin(values, otc_usd, used),
            worth[:used],
        )
        worth[used:] = 0.0
        fees = inventory.fees_coin - self._fees_coin
        change = worth - self.worth_coin + fees
        for parts, unit in ((self._usd, values.index_usd), (self._coin, 1.0)):
            parts[:, _COLUMN_OF[cause]] += change * unit
            parts[:, _COLUMN_OF["fees"]] -= fees * unit
        self._fees_coin, self.worth_coin = inventory.fees_coin.copy(), worth
        self.equity_usd = float(worth.sum()) * values.index_usd
        changed_usd, fees_usd = float(change.sum()) * values.index_usd, float(fees.sum()) * values.index_usd
        self.gross_usd += abs(changed_usd) + abs(fees_usd)
        return changed_usd

    def _begin_day(self, now_ns: int) -> None:
        day_ns = now_ns - now_ns % NS_PER_DAY
        if day_ns != self._day_ns:
            if self._day_ns:
                self._ended.append(DayGains(self._day_ns, self._so_far()))
            self._day_ns = day_ns

    def _so_far(self) -> Gains:
        return Gains(self._usd[:, _IN_ORDER], self._coin[:, _IN_ORDER])


def _used(values: ChainValues) -> int:
    """How many cells the chain has, from the first."""
    return STRATEGIES * (1 + len(values.factor_map))
