"""What the engine wants done in the world after an event. The shell carries it out; the engine never does."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.intents import OrderIntent


@dataclass(frozen=True, slots=True)
class QuoteChanges:
    """Our resting quotes that change, a row each; the whole new quote, not a difference.

    Shapes      all (m,); `row` is the instrument's row in the engine's universe, rising
    Units       prices in finest ticks, sizes in lots; zero lots is no quote on that side
    number      of the message, by which the venue acknowledges it; 0 where nobody asks for that
    """

    row: NDArray[np.int64]
    bid_ticks: NDArray[np.int64]
    bid_lots: NDArray[np.int64]
    ask_ticks: NDArray[np.int64]
    ask_lots: NDArray[np.int64]
    number: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """An intent that the gate let through, with the id by which the venue's answers name it."""

    order_id: str
    intent: OrderIntent


@dataclass(frozen=True, slots=True)
class RfqQuote:
    """Our answer to a request: the whole new quote, not a difference; no price on either side takes it back.

    bid, ask        per package in the settlement currency, None on a side that we do not quote
    size            packages, on each side
    expires_ns      from when on the price stands no more, whatever we say
    """

    rfq_id: str
    bid: float | None
    ask: float | None
    size: float
    expires_ns: int

    def price(self, side: int) -> float | None:
        """At which we buy (`side` +1) or sell (-1)."""
        return self.bid if side > 0 else self.ask


@dataclass(frozen=True, slots=True)
class Effects:
    """All that one event caused, stamped with the engine's clock; `cancels` are ids of resting orders to be pulled."""

    ts_ns: int
    quotes: QuoteChanges | None = None
    orders: tuple[Order, ...] = ()
    cancels: tuple[str, ...] = ()
    rfqs: tuple[RfqQuote, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be done."""
        return self.quotes is None and not self.orders and not self.cancels and not self.rfqs
