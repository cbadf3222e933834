"""The life of a request: its table, what is impossible, and histories that a machine makes up."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from flatbook.domain.errors import ImpossibleTransitionError
from flatbook.execution.rfq_lifecycle import RFQ_TRANSITIONS, STANDING, RfqSignal, RfqState, step_rfq

LIVES = """
received -quote-> quoted -win-> won
received -quote-> quoted -amend-> amended -amend-> amended -lose-> lost -expire-> lost
received -quote-> quoted -expire-> expired -win-> won
received -quote-> quoted -cancel-> cancelled -lose-> cancelled
received -quote-> quoted -cancel-> cancelled -win-> won -expire-> won
received -decline-> declined -expire-> declined
received -expire-> declined
received -cancel-> declined
"""


@pytest.mark.parametrize("life", LIVES.strip().splitlines())
def test_lives(life: str) -> None:
    first, *steps = life.split(" -")
    state = RfqState(first)
    for one in steps:
        signal, _, after = one.partition("-> ")
        state = step_rfq(state, RfqSignal(signal), "r1")
        assert state == after


@pytest.mark.parametrize(
    ("state", "signal"),
    [
        (RfqState.RECEIVED, RfqSignal.WIN),
        (RfqState.RECEIVED, RfqSignal.AMEND),
        (RfqState.DECLINED, RfqSignal.QUOTE),
        (RfqState.DECLINED, RfqSignal.WIN),
        (RfqState.QUOTED, RfqSignal.QUOTE),
        (RfqState.EXPIRED, RfqSignal.AMEND),
        (RfqState.WON, RfqSignal.LOSE),
        (RfqState.WON, RfqSignal.WIN),
        (RfqState.LOST, RfqSignal.WIN),
        (RfqState.CANCELLED, RfqSignal.AMEND),
    ],
)
def test_what_cannot_be_raises(state: RfqState, signal: RfqSignal) -> None:
    with pytest.raises(ImpossibleTransitionError, match=f"request r1 is {state} and cannot take {signal}"):
        step_rfq(state, signal, "r1")


def test_every_state_is_in_the_table_and_reached() -> None:
    assert set(RFQ_TRANSITIONS) == set(RfqState)
    reached = {after for row in RFQ_TRANSITIONS.values() for after in row.values()}
    assert reached == set(RfqState) - {RfqState.RECEIVED}


class Lives(RuleBasedStateMachine):
    """Signals at random: a request is won at most once, never unquoted, and what has ended is not quoted again."""

    def __init__(self) -> None:
        super().__init__()
        self.state = RfqState.RECEIVED
        self.taken: list[RfqSignal] = []

    @rule(signal=st.sampled_from(RfqSignal))
    def signal(self, signal: RfqSignal) -> None:
        before = self.state
        if signal not in RFQ_TRANSITIONS[before]:
            with pytest.raises(ImpossibleTransitionError):
                step_rfq(before, signal, "r")
            return
        self.state = step_rfq(before, signal, "r")
        self.taken.append(signal)
        assert before in STANDING | {RfqState.RECEIVED} or self.state not in STANDING

    @invariant()
    def only_what_was_quoted_is_won_or_lost(self) -> None:
        assert self.taken.count(RfqSignal.WIN) <= 1
        if self.state in (RfqState.WON, RfqState.LOST):
            assert RfqSignal.QUOTE in self.taken
        assert (self.state is RfqState.WON) == (RfqSignal.WIN in self.taken)


TestLives = Lives.TestCase
