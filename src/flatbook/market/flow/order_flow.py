"""A chain's order flow in one place: what an engine tells it of every event, and what quoting asks of it.

Before an event's news reaches the chain, `advance`; then `take_print` or `take_fill` where the event is one; and
`see_chain` whenever the chain was valued anew. `estimate` is for the pace at which the price of risk is made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_HOUR, NS_PER_SECOND
from flatbook.market.flow.buckets import NOWHERE, DepthUnit, FlowBuckets
from flatbook.market.flow.hawkes import Activity, Hawkes
from flatbook.market.flow.imbalance import Imbalance
from flatbook.market.flow.intensities import FlowIntensities, Intensities, IntensityModel
from flatbook.market.flow.markouts import ChainColumns, MarkoutModel, Markouts, Trade
from flatbook.market.flow.toxicity import AdverseSelection, ToxicityModel, adverse_selection
from flatbook.market.flow.vpin import Vpin

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FlowModel:
    """Everything that is believed of flow, and by what it is counted.

    quote_size          contracts of our quotes: a smaller print fills its part of one
    rebucket_s          how often options are put into buckets anew
    imbalance_half_life_s   of the trade imbalance
    vpin_bucket_coin    vega volume of a VPIN bucket: coin per 1.00 of vol
    crowd               clustering of prints, per hour
    activity_half_life_hours    of the mean rate of prints
    """

    buckets: FlowBuckets = field(default_factory=FlowBuckets)
    unit: DepthUnit = field(default_factory=DepthUnit)
    intensities: IntensityModel = field(default_factory=IntensityModel)
    markouts: MarkoutModel = field(default_factory=MarkoutModel)
    toxicity: ToxicityModel = field(default_factory=ToxicityModel)
    quote_size: float = 1.0
    rebucket_s: float = 60.0
    imbalance_half_life_s: float = 300.0
    vpin_bucket_coin: float = 20.0
    crowd: Hawkes = field(default_factory=lambda: Hawkes(mu=60.0, alpha=95.0, beta=112.0))
    activity_half_life_hours: float = 48.0


@dataclass(frozen=True, slots=True)
class Regime:
    """How flow is now, against how it is usually.

    vpin, vpin_rank     lopsidedness of vega volume, and its rank in the past; NaN until enough volume was seen
    activity            rate of prints to be expected over the next minute over the mean one
    imbalance           (tenors,) takers' net vega in standard deviations of coin tosses, NaN where none was traded
    """

    vpin: float
    vpin_rank: float
    activity: float
    imbalance: Floats


@dataclass(frozen=True, slots=True)
class Contracts:
    """What tells an option's bucket, a row each; as `FlowBuckets.of` takes them. Shapes (n,)."""

    years: Floats
    moneyness: Floats
    sign: Floats


class OrderFlow:
    """Flow of one chain.

    Invariant   `chain` and `bucket` have the same rows, and are as of the last `see_chain`, never later than the clock;
                a trade is measured against them before its own news is in them
    """

    def __init__(self, model: FlowModel) -> None:
        self.model = model
        self.intensities = FlowIntensities(model.buckets, model.intensities)
        self.prints = Markouts(model.buckets, model.markouts)
        self.fills = Markouts(model.buckets, model.markouts)
        self.imbalance = Imbalance(model.buckets.tenors, model.imbalance_half_life_s)
        self.vpin = Vpin(model.vpin_bucket_coin)
        self.activity = Activity(model.crowd, model.activity_half_life_hours)
        self.chain = ChainColumns(*(np.zeros(0) for _ in range(4)))
        self.bucket: Ints = np.zeros(0, np.int64)
        self._now_ns = 0
        self._has_fills = False
        self._bucketed_ns = -(2**62)

    def advance(self, now_ns: int) -> None:
        """The clock goes on; call it with every event, before the event's news is taken.

        Errors      BadInputError where the clock runs backwards
        """
        self.intensities.advance(now_ns)
        self._now_ns = now_ns

    def see_chain(self, chain: ChainColumns, contracts: Contracts) -> None:
        """The chain was valued anew at the clock's time: its columns are copied; rows may be added, never moved."""
        self._mature()
        if len(chain.fair_coin) != len(self.chain.fair_coin):
            self.chain = ChainColumns(
                *(column.copy() for column in (chain.fair_coin, chain.vol, chain.vega_coin, chain.theta_coin))
            )
            self._bucketed_ns = -(2**62)
        else:
            self.chain.fair_coin[:], self.chain.vol[:] = chain.fair_coin, chain.vol
            self.chain.vega_coin[:], self.chain.theta_coin[:] = chain.vega_coin, chain.theta_coin
        if self._now_ns - self._bucketed_ns >= self.model.rebucket_s * NS_PER_SECOND:
            self.bucket = self.model.buckets.of(contracts.years, contracts.moneyness, contracts.sign, chain.vol)
            self.intensities.watch(self.bucket)
            self._bucketed_ns = self._now_ns

    def take_print(
        self, row: int, taker_side: int, price_coin: float, size: float, *, at_our_quote: bool = False
    ) -> None:
        """A print of others' or ours, at the clock's time, taker +1 bought; `at_our_quote`: our quote made its price.

        An option that no chain has valued yet is passed over, and so are blocks and combos if the caller leaves them
        out, as it should: they say nothing of what meets a quote.
        """
        trade = self._trade(row, -taker_side, price_coin, size)
        if trade is None:
            return
        fair, vega = float(self.chain.fair_coin[row]), float(self.chain.vega_coin[row])
        depth = taker_side * (price_coin - fair) / trade.unit_coin
        share = min(size / self.model.quote_size, 1.0)
        self.intensities.observe_print(trade.bucket, taker_side, depth, share, at_our_quote=at_our_quote)
        self.prints.observe(trade, self.chain, self._now_ns)
        self.activity.arrive(self._now_ns / NS_PER_HOUR)
        if vega > 0:
            self.imbalance.add(trade.bucket // self.model.buckets.strikes, taker_side * size * vega, self._now_ns)
            self.vpin.observe(size * vega, 1.0 if taker_side > 0 else 0.0)

    def take_fill(self, row: int, side: int, price_coin: float, size: float) -> None:
        """One of our quotes traded at the clock's time: side +1 where we bought. Its markouts are kept apart."""
        trade = self._trade(row, side, price_coin, size)
        if trade is not None:
            self.fills.observe(trade, self.chain, self._now_ns)
            self._has_fills = True

    def estimate(self) -> Intensities:
        """A and k as of the clock: how the flow is in the mean; `regime().activity` says how busy it is now."""
        return self.intensities.estimate()

    def toxicity(self) -> AdverseSelection:
        """What takers cost: the tape's, and once our quotes trade, our own fills' about them; as of the clock."""
        self._mature()
        tape = adverse_selection(self.prints, self.model.toxicity, self._now_ns)
        return adverse_selection(self.fills, self.model.toxicity, self._now_ns, tape) if self._has_fills else tape

    def regime(self) -> Regime:
        """How flow is now."""
        return Regime(
            self.vpin.value,
            self.vpin.rank,
            self.activity.factor(self._now_ns / NS_PER_HOUR, 1 / 60),
            self.imbalance.score(),
        )

    def unit_coin(self) -> Floats:
        """(rows,) one unit of depth of each option, in coin per contract."""
        return self.model.unit.in_coin(self.chain.vega_coin)

    def _mature(self) -> None:
        for markouts in (self.prints, self.fills):
            markouts.mature(self.chain, self._now_ns)

    def _trade(self, row: int, maker_side: int, price_coin: float, size: float) -> Trade | None:
        if row >= len(self.bucket) or self.bucket[row] == NOWHERE:
            return None
        unit = float(self.model.unit.in_coin(self.chain.vega_coin[row]))
        if not (math.isfinite(unit) and math.isfinite(self.chain.fair_coin[row])):
            return None
        return Trade(row, int(self.bucket[row]), maker_side, price_coin, size, unit)
