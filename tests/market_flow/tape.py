"""The recorded window as order flow sees it: the market stage goes before, flow is told of each event in its order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.events import ChainQuotes, IndexTick, MarketEvent, TradePrint
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import NS_PER_MINUTE, NS_PER_SECOND, parse_utc
from flatbook.market.flow.decays import Evidence, reach
from flatbook.market.flow.intensities import FlowIntensities, Intensities, IntensityModel
from flatbook.market.flow.markouts import ChainColumns
from flatbook.market.flow.order_flow import Contracts, FlowModel, OrderFlow
from flatbook.market.market import Market, MarketModel
from flatbook.valuation.chain import THETA, VEGA, ChainValues

Floats = NDArray[np.float64]

WARM_FROM_NS, FROM_NS, TO_NS = (
    parse_utc(moment) for moment in ("2025-03-30T04:00", "2025-03-30T18:25", "2025-04-03T11:54")
)
"""The window without holes, and some of the tape before it to know the market by."""

DAYS_NS = tuple(parse_utc(f"2025-{day}T11:54") for day in ("03-31", "04-01", "04-02", "04-03"))
"""Where the window's days end."""

_INDEX_CUTOFF, _VALUE_EVERY_NS = 1e-4, 10 * NS_PER_SECOND
"""The chain is valued anew much as the engine does: when the index moved, or its values are old."""


def columns_of(values: ChainValues, sign: Floats) -> tuple[ChainColumns, Contracts]:
    """A valued chain as flow takes it."""
    forward = values.forward_usd
    chain = ChainColumns(values.fair_coin, values.vol, values.greeks[VEGA] / forward, values.greeks[THETA] / forward)
    return chain, Contracts(values.years, values.moneyness, sign)


@dataclass
class Replay:
    """What was kept on the way.

    estimates, evidence     by day's end: the estimates then, and all that was seen until then
    minutes                 at each minute's first event: the mean rate of prints a minute, by how much busier the next
                            minute was expected to be, the prints so far, and VPIN
    """

    flow: OrderFlow
    seen: FlowIntensities
    estimates: list[Intensities] = field(default_factory=list)
    evidence: list[Floats] = field(default_factory=list)
    prints: int = 0
    minute_ns: int = 0
    minutes: list[tuple[float, float, int, float]] = field(default_factory=list)

    def day(self, number: int) -> Evidence:
        """What one day alone showed."""
        return Evidence(self.evidence[number] - (self.evidence[number - 1] if number else 0.0))


def replay(
    events: Iterable[MarketEvent],
    reference: ReferenceData,
    from_ns: int = FROM_NS,
    ends_ns: Sequence[int] = DAYS_NS,
) -> Replay:
    """Flow from a moment on, its estimates taken at each of `ends_ns`."""
    market, values = Market("BTC", reference, MarketModel()), ChainValues()
    flow = OrderFlow(FlowModel())
    kept = Replay(flow, FlowIntensities(flow.model.buckets, IntensityModel(half_life_hours=1e9, block_s=1e9)))
    ends = iter(ends_ns)
    end_ns = next(ends)
    for event in events:
        now_ns = event.local_ts_ns
        if now_ns >= end_ns:
            kept.estimates.append(kept.flow.estimate())
            kept.evidence.append(kept.seen.evidence().table)
            end_ns = next(ends, 2**62)
        if now_ns >= from_ns:
            _tell(kept, market, values, event)
        if isinstance(event, IndexTick):
            market.take_index(event)
        elif isinstance(event, TradePrint):
            market.take_trade(event)
        elif isinstance(event, ChainQuotes):
            market.take_chain(event)
    kept.estimates.append(kept.flow.estimate())
    kept.evidence.append(kept.seen.evidence().table)
    return kept


def _tell(kept: Replay, market: Market, values: ChainValues, event: MarketEvent) -> None:
    now_ns, flow = event.local_ts_ns, kept.flow
    flow.advance(now_ns)
    kept.seen.advance(now_ns)
    if now_ns >= kept.minute_ns:
        activity = flow.activity
        kept.minutes.append((activity.mean_rate() / 60, flow.regime().activity, kept.prints, flow.vpin.value))
        kept.minute_ns = now_ns - now_ns % NS_PER_MINUTE + NS_PER_MINUTE
    moved = abs(market.forwards.index_usd / values.index_usd - 1) > _INDEX_CUTOFF
    if moved or now_ns - values.ts_ns >= _VALUE_EVERY_NS:
        values.revalue(market, now_ns)
        flow.see_chain(*columns_of(values, market.universe.sign[: values.rows]))
        kept.seen.watch(flow.bucket)
    if isinstance(event, TradePrint) and not event.off_book:
        row = market.universe.row(event.instrument)
        if row is not None and row < values.rows:
            size = event.size_lots * float(market.universe.lot_coin[row])
            kept.prints += 1
            flow.take_print(row, event.taker_side, event.price, size)
            depth = event.taker_side * (event.price - flow.chain.fair_coin[row]) / flow.unit_coin()[row]
            kept.seen.observe_print(int(flow.bucket[row]), event.taker_side, float(depth), min(size, 1.0))


def log_likelihood(evidence: Evidence, grid: Floats, arrivals: Floats, decay: Floats) -> float:
    """Of prints by the interval they ended in, per print: Poisson counts of mean A x exposure x chance of interval."""
    ends = -np.diff(reach(grid, decay), axis=1, append=0.0)
    expected = (arrivals * evidence.exposure)[:, None] * ends
    seen = evidence.stopped > 0
    total = float((evidence.stopped[seen] * np.log(expected[seen])).sum() - expected.sum())
    return total / float(evidence.arrivals.sum())
