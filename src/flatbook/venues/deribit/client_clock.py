"""How far our clock is from the venue's, from requests that went and came back. Pure.

Source      RFC 5905, section 8: offset and delay of one exchange; the exchange with the least delay is believed
"""

from collections import deque

_REMEMBERED = 16


class ClockOffset:
    """The venue's clock less ours, nanoseconds; the truth is within half the delay of it."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self._offset_ns: int | None = None

    def see(self, sent_ns: int, venue_in_ns: int, venue_out_ns: int, received_ns: int) -> None:
        """An exchange: two moments of ours about two of the venue's. One that took less than no time tells nothing."""
        delay_ns = (received_ns - sent_ns) - (venue_out_ns - venue_in_ns)
        if delay_ns >= 0:
            self._samples.append((delay_ns, (venue_in_ns - sent_ns + venue_out_ns - received_ns) // 2))
            # Asked for with every message, and changed by a few.
            self._offset_ns = min(self._samples)[1]

    @property
    def offset_ns(self) -> int | None:
        """None until something was exchanged."""
        return self._offset_ns

    @property
    def error_ns(self) -> int | None:
        """How far from the truth the offset may be."""
        return (min(self._samples)[0] + 1) // 2 if self._samples else None
