"""What goes wrong, and when, drawn from one seed."""

import random
from dataclasses import dataclass
from enum import StrEnum


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
    FILL_UNTOLD = "one of our orders trades and no channel says so"
    STALL = "the feed stands still, then all of it comes at once"
    CLOCK_FORWARD = "our clock is stepped forward"
    CLOCK_BACK = "our clock is stepped back"
    TOKEN_EXPIRED = "the venue forgets who we are"
    MANUAL_TRADE = "somebody trades on our account by hand"
    MMP_FREEZE = "takers come for all our quotes at once"
    PART_FILL_UNHEARD = "part of an order trades and the line breaks before we hear of it"
    EXPIRY = "an expiry with a position, and takers for all our quotes at that moment"
    KILL = "our process is killed"


OF_REQUESTS = frozenset({Kind.BREAK_BEFORE, Kind.BREAK_AFTER, Kind.LOST_REQUEST, Kind.LOST_ANSWER, Kind.LATE_ANSWER})
"""Faults that wait for the next request that matters."""

OF_NOTIFICATIONS = frozenset({Kind.DUPLICATE, Kind.REORDER, Kind.GAP, Kind.FILL_UNTOLD})
"""Faults that wait for the next notification."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, so long after its burst begins. `size` from [0, 1) is how bad it is, where that can differ."""

    kind: Kind
    after_s: float
    size: float


def plan(seed: int, bursts: int) -> list[list[Fault]]:
    """Bursts of one to three faults within four seconds.

    The first of each burst goes through all kinds in turn with the seeds, so that none is left to chance.
    """
    chance, kinds = random.Random(f"faults {seed}"), tuple(Kind)
    planned = []
    for burst in range(bursts):
        drawn = [kinds[(seed * bursts + burst) % len(kinds)], *chance.choices(kinds, k=chance.randrange(3))]
        faults = [Fault(kind, 4 * chance.random(), chance.random()) for kind in drawn]
        planned.append(sorted(faults, key=lambda fault: fault.after_s))
    return planned
