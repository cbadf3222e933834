import re
from itertools import product

import pytest

from flatbook.domain.errors import ImpossibleTransitionError
from flatbook.execution import lifecycle
from flatbook.execution.lifecycle import TRANSITIONS, OrderSignal, OrderState, step

PAIRS = list(product(OrderState, OrderSignal))

POSSIBLE = """
sent       accepted     live
sent       part_filled  live
sent       filled       filled
sent       cancelled    cancelled
sent       rejected     rejected
live       accepted     live
live       part_filled  live
live       filled       filled
live       cancelled    cancelled
filled     accepted     filled
cancelled  accepted     cancelled
cancelled  part_filled  cancelled
cancelled  filled       filled
"""


@pytest.mark.parametrize(("state", "signal"), PAIRS, ids=[f"{state}-{signal}" for state, signal in PAIRS])
def test_a_pair_of_state_and_signal_is_in_the_table_or_raises(state: OrderState, signal: OrderSignal) -> None:
    rows = {(before, what): after for before, what, after in map(str.split, POSSIBLE.strip().splitlines())}
    wanted = rows.get((state.value, signal.value))
    if wanted is not None:
        assert step(state, signal, "h7") is OrderState(wanted)
    else:
        with pytest.raises(ImpossibleTransitionError, match=f"order h7 is {state} and cannot be {signal}"):
            step(state, signal, "h7")


def test_every_state_has_its_row() -> None:
    assert set(TRANSITIONS) == set(OrderState)


def test_every_state_is_reached_and_every_signal_used() -> None:
    reached = {after for row in TRANSITIONS.values() for after in row.values()} | {OrderState.SENT}
    assert reached == set(OrderState)
    assert {signal for row in TRANSITIONS.values() for signal in row} == set(OrderSignal)


def test_no_order_comes_back_to_life() -> None:
    working = {OrderState.SENT, OrderState.LIVE}
    for state in set(OrderState) - working:
        assert not working & set(TRANSITIONS[state].values())


def drawn_arrows(lines: list[str]) -> set[tuple[str, str, str]]:
    """State, signal and state of every arrow; one without a state before it starts where its corner points up to."""
    arrows = set()
    for n, line in enumerate(lines):
        source = ""
        for found in re.finditer(r"(?:(\w+) |([├└]))?──(\w+)──▶ (\w+)", line):
            if found[1]:
                source = found[1]
            elif found[2]:
                above = next(text for text in reversed(lines[:n]) if text[found.start() :][:1].isalpha())
                source = next(
                    word[0] for word in re.finditer(r"\w+", above) if word.start() <= found.start() < word.end()
                )
            arrows.add((source.lower(), found[3], found[4].lower()))
            source = found[4]
    return arrows


def test_the_diagram_draws_the_table() -> None:
    text = lifecycle.__doc__ or ""
    names = {"part": "part_filled"}
    drawn = {(before, names.get(signal, signal), after) for before, signal, after in drawn_arrows(text.splitlines())}
    table = {(str(a), str(signal), str(b)) for a, row in TRANSITIONS.items() for signal, b in row.items()}
    overtaking = re.search(r"└──([\w, ]+): the venue's answer overtook", text)
    assert overtaking is not None
    written = {("sent", names.get(signal, signal)) for signal in overtaking[1].split(", ")} | {("live", "accepted")}
    assert drawn == {row for row in table if row[0] in ("sent", "live") and row[:2] not in written}
