"""A maker for tests: quotes every option it has heard of at the others' prices, or so many ticks inside them."""

import numpy as np

from flatbook.domain.events import AnyEvent, ChainQuotes
from flatbook.domain.reference import Instrument
from flatbook.engine.effects import Effects, QuoteChanges
from flatbook.sim import SimulatedVenue

from .builders import REFERENCE


class Joiner:
    """Answers a chain with quotes on all its rows, `inside` grid steps better than the others where there is room."""

    def __init__(self, venue: SimulatedVenue, *, inside: int = 0, size_lots: int = 50) -> None:
        self._venue = venue
        self._inside = inside
        self._size_lots = size_lots
        self._rows: dict[str, int] = {}
        self.instruments: list[Instrument] = []

    def __call__(self, event: AnyEvent) -> Effects | None:
        if not isinstance(event, ChainQuotes):
            return None
        rows, bids, asks = [], [], []
        for quote in event.rows:
            rows.append(self._row(quote.instrument))
            bid, ask = (0 if np.isnan(price) else round(price * 10_000) for price in (quote.bid, quote.ask))
            step = self._inside * (5 if max(bid, ask) > 50 else 1)
            if bid and ask and bid + step < ask - step:
                bid, ask = bid + step, ask - step
            bids.append(bid)
            asks.append(ask)
        order = np.argsort(rows)
        row, bid_ticks, ask_ticks = (np.array(column, np.int64)[order] for column in (rows, bids, asks))
        sizes = [self._size_lots * (ticks > 0) for ticks in (bid_ticks, ask_ticks)]
        return Effects(event.local_ts_ns, QuoteChanges(row, bid_ticks, sizes[0], ask_ticks, sizes[1]))

    def _row(self, name: str) -> int:
        if name not in self._rows:
            row = self._rows[name] = len(self._rows)
            self.instruments.append(REFERENCE.instrument(name))
            self._venue.list_instrument(row, self.instruments[-1])
        return self._rows[name]
