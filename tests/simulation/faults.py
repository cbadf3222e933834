"""What goes wrong, and when, drawn from one seed."""

import random
from dataclasses import dataclass
from enum import StrEnum

from flatbook.domain.units import NS_PER_SECOND


class Kind(StrEnum):
    """A sort of fault."""

    BREAK_BEFORE = "the line breaks before a request arrives"
    BREAK_AFTER = "the line breaks when a request has been taken, before its answer"
    SILENT_BREAK = "the line is dead and nobody is told"
    UNREACHABLE = "the venue cannot be reached for a while"
    LOST_REQUEST = "a request is lost"
    LOST_ANSWER = "an answer is lost"
    LATE_ANSWER = "an answer comes after its time"
    DUPLICATE = "a notification comes twice"
    REORDER = "two notifications change places"
    GAP = "a notification is lost"
    STALL = "the feed stands still, then all of it comes at once"
    CLOCK_FORWARD = "our clock is stepped forward"
    CLOCK_BACK = "our clock is stepped back"
    TOKEN_EXPIRED = "the venue forgets who we are"


OF_REQUESTS = frozenset({Kind.BREAK_BEFORE, Kind.BREAK_AFTER, Kind.LOST_REQUEST, Kind.LOST_ANSWER, Kind.LATE_ANSWER})
"""Faults that wait for the next request that matters."""

OF_NOTIFICATIONS = frozenset({Kind.DUPLICATE, Kind.REORDER, Kind.GAP})
"""Faults that wait for the next notification."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `size` from [0, 1) is how bad it is, where that can differ."""

    kind: Kind
    at_ns: int
    size: float


def plan(seed: int, kinds: tuple[Kind, ...], *, from_ns: int, bursts: int, apart_s: float) -> list[list[Fault]]:
    """Bursts of one to three faults within five seconds, the bursts `apart_s` apart.

    The first of each burst goes through `kinds` in turn with the seeds, so that no kind is left to chance.
    """
    chance = random.Random(f"faults {seed}")
    planned = []
    for burst in range(bursts):
        start_ns = from_ns + round(burst * apart_s * NS_PER_SECOND)
        drawn = [kinds[(seed * bursts + burst) % len(kinds)], *chance.choices(kinds, k=chance.randrange(3))]
        faults = [Fault(kind, start_ns + chance.randrange(5 * NS_PER_SECOND), chance.random()) for kind in drawn]
        planned.append(sorted(faults, key=lambda fault: fault.at_ns))
    return planned
