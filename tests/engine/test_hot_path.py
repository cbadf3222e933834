"""What one tick costs must not grow with the chain, but for the arrays that hold it."""

import cProfile
import pstats
import tracemalloc

import pytest

from flatbook.domain.events import AnyEvent, QuotesAcknowledged
from flatbook.engine.loop import Engine
from tests.engine.builders import engine, policy
from tests.market.builders import World, chain, index, options

MOST_CALLS = 430
"""Of Python and of arrays together, in a step that requotes a whole chain: some 400, of which 13 are kernels."""


def quoting(strikes: int) -> Engine:
    """A maker that quotes two expiries of so many strikes, and has seen a few ticks."""
    world, maker = World(), engine(policy("advanced"))
    maker.step(world.index(0))
    names = [
        n for date in ("11APR25", "25APR25") for n in options(date, 80_000 - 250 * strikes, 80_000 + 250 * strikes, 500)
    ]
    maker.step(chain(0.5, [world.quote(0.5, name) for name in names]))
    for tick in range(5):
        maker.step(index(1.0 + tick, 80_000.0 + 40 * (tick % 2)))
    return maker


def calls_of_a_tick(maker: Engine, price_usd: float) -> int:
    sent = maker.state.table.sent
    count = calls(maker, index(10.0, price_usd))
    assert maker.state.table.sent == sent + 1
    return count


def test_a_tick_calls_as_much_for_a_long_chain_as_for_a_short_one() -> None:
    short, long = quoting(20), quoting(120)
    assert long.state.values.rows == 6 * short.state.values.rows
    assert calls_of_a_tick(long, 80_100.0) == pytest.approx(calls_of_a_tick(short, 80_100.0), abs=10)


def calls(maker: Engine, event: AnyEvent) -> int:
    profile = cProfile.Profile()
    profile.enable()
    maker.step(event)
    profile.disable()
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


def acknowledgement(maker: Engine) -> QuotesAcknowledged:
    at_ns = maker.state.now_ns
    return QuotesAcknowledged(exch_ts_ns=at_ns, local_ts_ns=at_ns, number=maker.state.table.sent)


def test_what_has_not_changed_is_not_done_again() -> None:
    maker = quoting(40)
    maker.step(index(10.0, 80_100.0))
    maker.step(acknowledgement(maker))
    # Half a second later no look of the monitors, no stress and no sample is due.
    requoted = calls(maker, index(10.5, 80_140.0))
    assert maker.state.table.waited_ns(maker.state.now_ns + 1) == 1, "it told the venue"
    assert requoted <= MOST_CALLS
    assert calls(maker, acknowledgement(maker)) <= 45
    assert calls(maker, index(10.6, 80_140.5)) <= 65, "a move within the cutoff is no reason to requote"


def test_ticks_leave_nothing_behind() -> None:
    maker = quoting(40)

    def ticks(start: int) -> int:
        for tick in range(200):
            event = index(20.0 + 0.01 * (start + tick), 80_000.0 + 40 * (tick % 2))
            maker.step(event)
            at_ns, number = event.local_ts_ns, maker.state.table.sent
            maker.step(QuotesAcknowledged(exch_ts_ns=at_ns, local_ts_ns=at_ns, number=number))
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        first, second = ticks(0), ticks(200)
    finally:
        tracemalloc.stop()
    assert second - first < 20_000
