"""What the engine tells of order flow, and what its quotes are told of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.events import Fill, TradePrint
from flatbook.domain.reference import Instrument
from flatbook.engine.policy import Policy
from flatbook.market.flow.intensities import Intensities
from flatbook.market.flow.markouts import ChainColumns
from flatbook.market.flow.order_flow import Contracts, FlowModel, OrderFlow
from flatbook.valuation.chain import THETA, VEGA, ChainValues
from flatbook.valuation.risk_price import Liquidity

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class FlowWatch:
    """Order flow as the engine has it, for policies that ask for it.

    Invariant   nothing here is of a later event than the clock's; estimates are as of the last `estimate`
    """

    def __init__(self, quote_size_coin: float) -> None:
        self.flow = OrderFlow(FlowModel(quote_size=quote_size_coin))
        self._filled: dict[tuple[str, int], tuple[int, int]] = {}

    @classmethod
    def of(cls, policy: Policy) -> FlowWatch | None:
        """None where the policy asks nothing of order flow: then nothing is spent on it."""
        return cls(policy.quoting.size_coin) if policy.flow.source == "estimate" else None

    def advance(self, now_ns: int) -> None:
        """The clock goes on."""
        self.flow.advance(now_ns)

    def take_print(self, event: TradePrint, row: int, instrument: Instrument, resting_ticks: int | None) -> None:
        """A print against the book; `resting_ticks` is our quote on the side that was taken, None without one.

        Where our quote made the price, its taker might have gone farther. That is so where it rests at that price, or
        was just filled there: the fill may be heard before the print or after it.
        """
        ticks = round(event.price / instrument.tick_size)
        was_filled = self._filled.get((event.instrument, event.taker_side)) == (event.exch_ts_ns, ticks)
        self.flow.take_print(
            row,
            event.taker_side,
            event.price,
            event.size_lots * instrument.lot_size,
            at_our_quote=was_filled or resting_ticks == ticks,
        )

    def take_fill(self, fill: Fill, row: int, instrument: Instrument) -> None:
        """One of our quotes traded."""
        self._filled[fill.instrument, -fill.side] = (fill.exch_ts_ns, fill.price_ticks)
        price, size = fill.price_ticks * instrument.tick_size, fill.size_lots * instrument.lot_size
        self.flow.take_fill(row, fill.side, price, size)

    def see(self, values: ChainValues, sign: Floats) -> None:
        """The chain was valued anew; `sign` is +1 for a call, -1 for a put, (rows,)."""
        forward = values.forward_usd
        greeks = values.greeks
        chain = ChainColumns(values.fair_coin, values.vol, greeks[VEGA] / forward, greeks[THETA] / forward)
        self.flow.see_chain(chain, Contracts(values.years, values.moneyness, sign))

    def liquidity(self, values: ChainValues, sign: Floats, size_coin: float) -> Liquidity | None:
        """The flow that each option meets as estimated, NaN where it is not alive; None while prints are few."""
        found = self.flow.estimate()
        model = self.flow.model
        if not is_known(found, model.intensities.least_prints):
            return None
        bucket = model.buckets.of(values.years, values.moneyness, sign, values.vol)
        unit_coin = model.unit.in_coin(np.nan_to_num(values.greeks[VEGA] / values.forward_usd))
        arrivals, decay = found.of_rows(bucket, unit_coin * values.index_usd)
        return Liquidity(arrivals, decay, np.full(values.rows, size_coin))


def is_known(found: Intensities, least_prints: float) -> bool:
    """Whether the whole rests on as many prints as a bucket needs for itself: until then all of it is a belief."""
    return float(found.prints.sum()) >= least_prints
