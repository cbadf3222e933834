"""Nothing that arrives later touches what was published earlier, and nothing published earlier knew of it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.domain.events import AnyEvent, ChainQuotes, FundingRate, IndexTick, TopOfBook, TradePrint
from flatbook.domain.units import parse_utc
from flatbook.market.market import Market
from flatbook.sim.market import SimulatedVenue
from flatbook.store.session import open_session
from flatbook.valuation.chain import ChainValues

from .as_of import another_future
from .builders import REFERENCE, forwards_of, new_market

Published = tuple[NDArray[np.generic], ...]


def publish(market: Market, values: ChainValues, now_ns: int) -> Published:
    """Everything the market hands upward at a moment, as it is handed."""
    slots, surface, years = market.universe.slots, market.surface, market.years(now_ns)
    if market.universe.count and np.isfinite(market.forwards.index_usd):
        values.revalue(market, now_ns)
    ladders = market.universe.ladders()
    return (
        forwards_of(market.forwards, slots),
        surface.slots_at(years),
        *surface.levels_and_errors(slots, now_ns),
        np.array([market.forwards.deviation(slot, now_ns) for slot in range(slots)]),
        market.covariance.matrix(),
        market.covariance.standard_error(),
        np.array([market.perpetual.premium(now_ns), market.perpetual.deviation(now_ns), values.perp_usd]),
        np.array([market.perpetual.expected_funding(8.0, now_ns), market.perpetual.fair_premium]),
        ladders.order,
        ladders.later,
        values.greeks.copy(),
        values.loading.copy(),
    )


def digest(published: Published) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in published)).hexdigest()


def run(events: Sequence[AnyEvent]) -> tuple[list[int], list[str], list[Published]]:
    """Times, digests at the moment of publishing, and what was published, kept by whoever took it."""
    market, values = new_market(), ChainValues()
    times, digests, kept = [], [], []
    for event in events:
        match event:
            case IndexTick():
                market.take_index(event)
            case TopOfBook():
                market.take_top(event)
            case FundingRate():
                market.take_funding(event)
            case TradePrint():
                market.take_trade(event)
            case ChainQuotes():
                market.take_chain(event)
        times.append(event.local_ts_ns)
        kept.append(publish(market, values, event.local_ts_ns))
        digests.append(digest(kept[-1]))
    return times, digests, kept


def prove(events: Sequence[AnyEvent], cuts: Sequence[float]) -> None:
    times, digests, kept = run(events)
    assert [digest(published) for published in kept] == digests, "something published was changed afterwards"
    assert len(set(digests)) > 0.8 * len(digests), "the market hardly moves: this proves nothing"
    for cut in cuts:
        after_ns = times[int(cut * len(times))]
        other_times, other_digests, _ = run(another_future(events, after_ns))
        known = sum(ts <= after_ns for ts in times)
        assert other_times[:known] == times[:known]
        assert other_digests[:known] == digests[:known]
        assert other_digests[known] != digests[known], "the altered future changes nothing: this proves nothing"


def test_the_simulated_markets_past_does_not_know_its_future() -> None:
    venue = SimulatedVenue(REFERENCE, seed=5, hours=0.1, start_ns=parse_utc("2026-01-05T00:00"))
    prove(list(venue.events()), [0.3, 0.7])


def test_the_recorded_markets_past_does_not_know_its_future(tape_session: Path) -> None:
    session = open_session(tape_session)
    start = parse_utc("2025-03-31T17:30")
    events = list(session.market_events(start, start + 90 * 60 * 10**9, REFERENCE))
    assert any(isinstance(event, ChainQuotes) for event in events)
    prove(events, [0.25, 0.6])


@pytest.mark.parametrize("seed", [1, 2])
def test_futures_differ_only_after_the_moment_they_part(seed: int) -> None:
    venue = SimulatedVenue(REFERENCE, seed=6, hours=0.02, start_ns=parse_utc("2026-01-05T00:00"))
    events = list(venue.events())
    after_ns = events[len(events) // 2].local_ts_ns
    other = another_future(events, after_ns, seed)
    assert [event for event in other if event.local_ts_ns <= after_ns] == [
        event for event in events if event.local_ts_ns <= after_ns
    ]
    assert not set(map(repr, other)) & {repr(event) for event in events if event.local_ts_ns > after_ns}
