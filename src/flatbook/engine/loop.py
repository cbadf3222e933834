"""The engine's loop: one event in, through every stage in order, effects out.

    market → execution (answers) → ledger → valuation → decide → risk gate → execution → effects

It reads no clock and draws no number: the same events give the same effects, bit for bit.
"""

from dataclasses import replace

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import AnyEvent
from flatbook.domain.units import format_utc
from flatbook.engine import answering, booking, deciding, hedging, listening, monitoring, opening, valuing
from flatbook.engine.effects import Effects
from flatbook.engine.setup import Setup
from flatbook.engine.state import State


class Engine:
    """A maker's book on one underlying, taken through time by `step`."""

    def __init__(self, setup: Setup) -> None:
        self.state = State.start(setup)

    def step(self, event: AnyEvent) -> Effects:
        """Takes one event; says what should be done in the world.

        Errors      BadInputError for an event older than the one before
        """
        state = self.state
        _advance(state, event)
        monitoring.watch(state, event)
        moved = listening.take_market(state, event)
        if not state.is_trading:
            valuing.watch_warm_up(state)
            return Effects(state.now_ns)
        due = valuing.is_due(state)
        if not state.values.ts_ns:
            valuing.mark(state)
        if not state.is_opened and not opening.open_book(state):
            return Effects(state.now_ns)
        booked = booking.take_own(state, event) or answering.take_package(state, event)
        if not (moved or booked or due):
            return Effects(state.now_ns, rfqs=answering.answers(state, event))
        valuing.mark(state)
        valuing.measure_risk(state)
        grid = deciding.wanted_quotes(state)
        hedges = hedging.wanted_hedges(state)
        effects = deciding.through_the_gate(state, grid, hedges)
        if rfqs := answering.answers(state, event):
            effects = replace(effects, rfqs=rfqs)
        state.recorder.sample(state)
        return effects


def _advance(state: State, event: AnyEvent) -> None:
    if event.local_ts_ns < state.now_ns:
        raise BadInputError(
            f"the clock runs backwards: an event at {format_utc(event.local_ts_ns)} follows one at "
            f"{format_utc(state.now_ns)}; sort the session by local_ts_ns"
        )
    state.now_ns = event.local_ts_ns
    state.events += 1
    if state.flow is not None:
        state.flow.advance(state.now_ns)
