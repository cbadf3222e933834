"""What a number stood at, at most, within a window that ends now: a step function's extremes in bounded memory."""

from collections import deque

_BUCKETS = 60


class _Extreme:
    """The least (sign +1) or the most (sign -1) over a window, which is up to a sixtieth longer than asked for."""

    def __init__(self, window_ns: int, sign: float, value: float) -> None:
        self._sign, self._bucket_ns = sign, max(window_ns // _BUCKETS, 1)
        self._held: deque[tuple[int, float]] = deque()
        self._last, self._now = value, -1

    def take(self, now_ns: int, value: float) -> float:
        now, kept, sign = now_ns // self._bucket_ns, self._held, self._sign
        if now == self._now and value == self._last:
            return kept[0][1]
        for held in (self._last, value):  # what was last seen has held until now
            while kept and sign * (kept[-1][1] - held) >= 0.0:
                kept.pop()
            if not kept or kept[-1][0] < now:
                kept.append((now, held))
        while kept[0][0] < now - _BUCKETS:
            kept.popleft()
        self._last, self._now = value, now
        return kept[0][1]


class TrailingHigh:
    """The most that a number stood at for `stand_ns` without a break, within the last `window_ns`.

    Invariant   not more than the greatest value seen, or than the one it began with
    """

    def __init__(self, window_ns: int, stand_ns: int, value: float) -> None:
        self._stood = _Extreme(stand_ns, 1.0, value)
        self._high = _Extreme(window_ns, -1.0, value)

    def over(self, window_ns: int, value: float) -> "TrailingHigh":
        """The same over another window, that begins with `value`: how long it stood is found out once for both."""
        other = TrailingHigh(window_ns, 1, value)
        other._stood = self._stood
        return other

    def take(self, value: float, now_ns: int) -> float:
        """Takes the number as of now, which holds until the next."""
        return self._high.take(now_ns, self._stood.take(now_ns, value))
