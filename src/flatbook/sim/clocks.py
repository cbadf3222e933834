"""The two clocks of an event."""

from typing import NamedTuple


class Clocks(NamedTuple):
    """When something happens at the venue and when we learn of it, nanoseconds."""

    exch_ns: int
    local_ns: int
