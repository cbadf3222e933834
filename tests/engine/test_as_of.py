"""What went out at a moment does not know what came after it, and nothing that came after changed it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from flatbook.domain.events import (
    AnyEvent,
    Fill,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    ProtectionTriggered,
    QuotesAcknowledged,
)
from flatbook.domain.units import parse_utc
from flatbook.engine.effects import Effects
from flatbook.store.session import open_session
from tests.market.as_of import another_future
from tests.market.builders import REFERENCE

from .builders import engine, policy, replayed, simulated

OWN = (Fill, OrderAccepted, OrderCancelled, OrderRejected, ProtectionTriggered, QuotesAcknowledged)


def digest(effects: Effects) -> str:
    whole = hashlib.sha256(repr((effects.ts_ns, effects.orders)).encode())
    if effects.quotes is not None:
        quotes = effects.quotes
        for column in (quotes.row, quotes.bid_ticks, quotes.bid_lots, quotes.ask_ticks, quotes.ask_lots):
            whole.update(column.tobytes())
    return whole.hexdigest()


def without_answers_after(events: Sequence[AnyEvent], after_ns: int) -> list[AnyEvent]:
    """In another future our orders meet other fates: the venue's answers after the moment are left out."""
    return [event for event in events if event.local_ts_ns <= after_ns or not isinstance(event, OWN)]


@pytest.mark.parametrize("name", ["intermediate", "advanced"])
def test_quotes_and_orders_of_a_simulated_run_do_not_know_its_future(name: str) -> None:
    heard, did, _ = simulated(policy(name), 0.08)
    at_once, kept = [], []
    maker = engine(policy(name), trade_from_ns=heard[0].local_ts_ns)
    for event in heard:
        kept.append(maker.step(event))
        at_once.append(digest(kept[-1]))
    assert [digest(effects) for effects in kept] == at_once, "something sent was changed afterwards"
    after_ns = heard[len(heard) // 2].local_ts_ns
    other = another_future(without_answers_after(heard, after_ns), after_ns)
    known = sum(event.local_ts_ns <= after_ns for event in heard)
    others, _ = replayed(policy(name), other)
    assert [digest(effects) for effects in others[:known]] == [digest(effects) for effects in did[:known]]
    assert digest(others[known]) != digest(did[known])
    assert sum(not effects.is_empty for effects in did[:known]) > 10


def test_quotes_on_recorded_days_do_not_know_the_next(tape_session: Path) -> None:
    start_ns = parse_utc("2025-03-31T17:45")
    session = open_session(tape_session)
    events = list(session.market_events(start_ns, start_ns + 60 * 60 * 10**9, REFERENCE))
    after_ns = events[int(0.6 * len(events))].local_ts_ns
    runs = []
    for stream in (events, another_future(events, after_ns)):
        maker = engine(policy("advanced"), trade_from_ns=start_ns + 5 * 60 * 10**9)
        runs.append([digest(maker.step(event)) for event in stream])
    known = sum(event.local_ts_ns <= after_ns for event in events)
    assert runs[0][:known] == runs[1][:known]
    assert len(set(runs[0][:known])) > 50
    assert runs[0][known] != runs[1][known]
