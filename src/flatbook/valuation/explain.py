"""P&L explained: every change of the book's USD equity is put under one name, and the names sum to the ledger's total.

Between trades the market moves and Taylor's theorem splits the revaluation. At a trade, an expiry or a funding payment
the books change at a held market, and the change of equity is that event's: against fair value for a fill, so that the
edge earned is `spread` and what the hedge paid over the mark is `hedge_cost`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels import explain
from flatbook.valuation.chain import ChainValues
from flatbook.valuation.inventory import Inventory

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
    "fees",
    "hedge_cost",
    "settlement",
    "unexplained",
)
"""Names in the order of the report. `fees` are all venue fees; `hedge_cost` is what hedges paid over the mark."""

_AT = {name: i for i, name in enumerate(PNL_PARTS)}
_STEP_AT = np.array([_AT[name] for name in explain.PARTS])


class OtcStep(NamedTuple):
    """What contracts over the counter gained over a step, by `PNL_PARTS`, and what they are worth after it."""

    parts_usd: Floats
    value_usd: float


class PnlBook:
    """Cumulative P&L by cause, in USD.

    Invariant   sum(parts) == equity_usd up to float rounding, after every call
    """

    def __init__(self) -> None:
        self.parts: Floats = np.zeros(len(PNL_PARTS))
        self.equity_usd = 0.0
        self.gross_usd = 0.0
        self._step: Floats = np.zeros(len(explain.PARTS))

    def by_name(self) -> dict[str, float]:
        """The parts so far."""
        return dict(zip(PNL_PARTS, self.parts.tolist(), strict=True))

    def market_moved(
        self,
        before: ChainValues,
        after: ChainValues,
        inventory: Inventory,
        perp_before_usd: float,
        perp_after_usd: float,
        otc: OtcStep | None = None,
    ) -> None:
        """The market moved from `before` to `after` under positions that stood still."""
        n = before.rows
        explain.explain_step(
            inventory.size_coin[:n],
            inventory.fresh_coin[:n],
            np.array([before.index_usd, after.index_usd]),
            before.forward_usd,
            before.vol,
            before.years,
            before.greeks,
            after.forward_usd[:n],
            after.vol[:n],
            after.years[:n],
            after.greeks[0, :n],
            self._step,
        )
        self.parts[_STEP_AT] += self._step
        self.gross_usd += float(np.abs(self._step).sum())
        self._linear_moved(before.index_usd, after.index_usd, inventory, perp_before_usd, perp_after_usd)
        if (slots := inventory.future_slots).size:
            ratio = before.index_usd / before.delivery_usd[slots] - after.index_usd / after.delivery_usd[slots]
            self.parts[_AT["basis"]] += float(inventory.future_usd[slots] @ ratio)
        equity_usd = inventory.equity_coin(after, perp_after_usd) * after.index_usd
        if otc is not None:
            self.parts += otc.parts_usd
            self.gross_usd += float(np.abs(otc.parts_usd).sum())
            equity_usd += otc.value_usd
        self._settle_rounding(equity_usd)

    def _linear_moved(
        self, index_before: float, index_after: float, inventory: Inventory, perp_before: float, perp_after: float
    ) -> None:
        """Carried coin gains with the index; the perpetual's notional only by its premium over the index."""
        delta = inventory.carried_coin * (index_after - index_before)
        self.parts[_AT["delta"]] += delta
        self.parts[_AT["basis"]] += inventory.perp_usd * (index_before / perp_before - index_after / perp_after)
        self.gross_usd += abs(delta)

    def booked(self, cause: str, equity_usd: float, fee_usd: float = 0.0) -> float:
        """The books changed at a held market: equity is now `equity_usd`, of which `fee_usd` went to fees.

        Returns     what was put under `cause`, in USD
        """
        change = equity_usd - self.equity_usd + fee_usd
        self.parts[_AT[cause]] += change
        self.parts[_AT["fees"]] -= fee_usd
        self.gross_usd += abs(change) + abs(fee_usd)
        self.equity_usd = equity_usd
        return change

    def _settle_rounding(self, equity_usd: float) -> None:
        """What neither Taylor nor its remainder holds: nothing but float rounding, so it belongs to the unexplained."""
        self.parts[_AT["unexplained"]] += equity_usd - float(self.parts.sum())
        self.equity_usd = equity_usd
