"""The best prices that others show, as they matter to one who would take them, each with its time.

An option's are kept as vols, which hold while the index moves; a dated future's as the spread about its mid, for its
price is its expiry's forward.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.events import QuoteRow, TopOfBook
from flatbook.domain.instruments import Kind
from flatbook.domain.reference import Instrument
from flatbook.market.universe import FIRST_SLOTS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DollarTouch:
    """The best prices of a contract that is paid in dollars: half their distance as a share of the mid, and when."""

    half_spread: float = math.nan
    seen_ns: int = 0


class Touches:
    """Touches by row of the universe, and dated futures by slot.

    bid_vol, ask_vol        (capacity,) decimal; both NaN unless both sides were shown
    seen_ns                 (capacity,) when a row was last shown, with sides or without
    future                  the dated future of each slot that showed one
    future_half_spread      (slots,) of its mid; NaN where it showed less than two sides
    future_ns               (slots,) when
    linear, spot            of the dollar-settled perpetual, and of the coin itself
    """

    def __init__(self, capacity: int) -> None:
        self.bid_vol: Floats = np.full(capacity, np.nan)
        self.ask_vol: Floats = np.full(capacity, np.nan)
        self.seen_ns: Ints = np.zeros(capacity, np.int64)
        self.future: dict[int, Instrument] = {}
        self.future_half_spread: Floats = np.full(FIRST_SLOTS, np.nan)
        self.future_ns: Ints = np.zeros(FIRST_SLOTS, np.int64)
        self.linear = DollarTouch()
        self.spot = DollarTouch()

    def see_options(self, shown: Sequence[tuple[int, QuoteRow]], capacity: int, now_ns: int) -> None:
        """Some rows are shown so from now on."""
        if capacity > len(self.seen_ns):
            self._grow(capacity)
        at = np.array([row for row, _ in shown], np.int64)
        bid = np.array([quote.bid_iv for _, quote in shown])
        ask = np.array([quote.ask_iv for _, quote in shown])
        has_both = (bid > 0.0) & (ask >= bid)
        self.bid_vol[at] = np.where(has_both, bid, np.nan)
        self.ask_vol[at] = np.where(has_both, ask, np.nan)
        self.seen_ns[at] = now_ns

    def see_future(self, slot: int, instrument: Instrument, event: TopOfBook) -> None:
        """The dated future of a slot is shown so from now on."""
        if slot >= len(self.future_ns):
            self._grow_slots(2 * slot)
        self.future[slot] = instrument
        self.future_half_spread[slot] = half_spread(event)
        self.future_ns[slot] = event.local_ts_ns

    def see_dollars(self, kind: Kind, event: TopOfBook) -> None:
        """The dollar-settled perpetual or spot is shown so from now on."""
        touch = DollarTouch(half_spread(event), event.local_ts_ns)
        if kind is Kind.SPOT:
            self.spot = touch
        else:
            self.linear = touch

    def _grow(self, capacity: int) -> None:
        more = capacity - len(self.seen_ns)
        self.bid_vol = np.concatenate([self.bid_vol, np.full(more, np.nan)])
        self.ask_vol = np.concatenate([self.ask_vol, np.full(more, np.nan)])
        self.seen_ns = np.concatenate([self.seen_ns, np.zeros(more, np.int64)])

    def _grow_slots(self, slots: int) -> None:
        more = slots - len(self.future_ns)
        self.future_half_spread = np.concatenate([self.future_half_spread, np.full(more, np.nan)])
        self.future_ns = np.concatenate([self.future_ns, np.zeros(more, np.int64)])


def half_spread(event: TopOfBook) -> float:
    """Half the distance of the best prices, as a share of their middle; NaN unless both are shown."""
    return 0.5 * (event.ask - event.bid) / event.mid
