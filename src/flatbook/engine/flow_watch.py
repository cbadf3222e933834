"""What the engine tells of order flow, and what its quotes are told of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.quoting import edge_usd
from flatbook.domain.events import Fill, TradePrint
from flatbook.domain.reference import Instrument
from flatbook.domain.units import NS_PER_SECOND
from flatbook.engine.policy import Policy
from flatbook.market.flow.intensities import Intensities
from flatbook.market.flow.markouts import ChainColumns
from flatbook.market.flow.order_flow import Contracts, FlowModel, OrderFlow, Regime
from flatbook.valuation.chain import THETA, VEGA, ChainValues
from flatbook.valuation.risk_price import Liquidity

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


_REGIME_EVERY_NS = 10 * NS_PER_SECOND
_USUAL_RANK, _BUSY = 0.8, 3.0


class FlowWatch:
    """Order flow as the engine has it, for policies that ask for it.

    takers      (3, rows) as in `kernels.quotes.quote_prices`: by how much farther than believed takers go, and what
                those cost who sell and who buy, in coin per contract; as of the last block's end
    widen       the factor that the flow's regime puts on spreads

    Invariant   nothing here is of a later event than the clock's
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.flow = OrderFlow(FlowModel(quote_size=policy.quoting.size_coin))
        self.takers: Floats = np.zeros((3, 0))
        self.widen = 1.0
        self._learnt_ns = self._widened_ns = 0
        self._filled: dict[tuple[str, int], tuple[int, int]] = {}

    @classmethod
    def of(cls, policy: Policy) -> FlowWatch | None:
        """None where the policy asks nothing of order flow: then nothing is spent on it."""
        quoting = policy.quoting
        is_asked = policy.flow.source == "estimate" or quoting.adverse_selection == "learned" or quoting.regime_widen
        return cls(policy) if is_asked else None

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

    def learn(self, values: ChainValues, sign: Floats, now_ns: int) -> None:
        """Takes what is due into `takers` and `widen`."""
        quoting = self._policy.quoting
        if quoting.regime_widen and now_ns - self._widened_ns >= _REGIME_EVERY_NS:
            self.widen = 1.0 + quoting.regime_widen * strain(self.flow.regime())
            self._widened_ns = now_ns
        block_ns = self.flow.model.intensities.block_s * NS_PER_SECOND
        if now_ns - self._learnt_ns < block_ns and self.takers.shape[1] == values.rows:
            return
        self._learnt_ns = now_ns
        self.takers = np.zeros((3, values.rows))
        self.takers[0] = 1.0
        flow = self.liquidity(values, sign)
        if flow is not None:
            believed_usd = edge_usd(self._policy.flow, values)
            self.takers[0] = np.nan_to_num(1.0 / (flow.decay_per_usd * believed_usd), nan=1.0)
        if quoting.adverse_selection == "learned":
            charged = self.flow.toxicity()
            bucket, unit_coin = self._bucket(values, sign), self._unit_coin(values)
            for side in range(2):
                self.takers[1 + side] = charged.charge_coin(bucket, unit_coin, side)

    def liquidity(self, values: ChainValues, sign: Floats) -> Liquidity | None:
        """The flow that each option meets as estimated, NaN where it is not alive.

        None while prints are few, and where the policy would rather believe.
        """
        if self._policy.flow.source != "estimate":
            return None
        found = self.flow.estimate()
        model = self.flow.model
        if not is_known(found, model.intensities.least_prints):
            return None
        arrivals, decay = found.of_rows(self._bucket(values, sign), self._unit_coin(values) * values.index_usd)
        return Liquidity(arrivals, decay, np.full(values.rows, self._policy.quoting.size_coin))

    def _bucket(self, values: ChainValues, sign: Floats) -> Ints:
        return self.flow.model.buckets.of(values.years, values.moneyness, sign, values.vol)

    def _unit_coin(self, values: ChainValues) -> Floats:
        return self.flow.model.unit.in_coin(np.nan_to_num(values.greeks[VEGA] / values.forward_usd))


def strain(regime: Regime) -> float:
    """How far flow is from calm, 0 to 1: the worse of its lopsidedness and its rate; 0 where they are not known."""
    lopsided = (regime.vpin_rank - _USUAL_RANK) / (1.0 - _USUAL_RANK)
    busy = (regime.activity - 1.0) / (_BUSY - 1.0)
    return max(float(np.clip(np.nan_to_num(each), 0.0, 1.0)) for each in (lopsided, busy))


def is_known(found: Intensities, least_prints: float) -> bool:
    """Whether the whole rests on as many prints as a bucket needs for itself: until then all of it is a belief."""
    return float(found.prints.sum()) >= least_prints
