"""How fast market time passes: as fast as it can, as fast as it did, or a multiple of that."""

import re
import time
from collections.abc import Callable

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_SECOND

_LONGEST_SLEEP_S = 0.2


class Pacer:
    """Sleeps so that market time passes `speed` times as fast as the wall's; None never sleeps."""

    def __init__(self, speed: float | None) -> None:
        self._speed = speed
        self._origin: tuple[int, float] | None = None

    def wait(self, now_ns: int, is_interrupted: Callable[[], bool] = lambda: False) -> None:
        """Returns once the wall clock has reached what `now_ns` of market time means, or soon after an interrupt."""
        if self._speed is None:
            return
        if self._origin is None:
            self._origin = (now_ns, time.monotonic())
        start_ns, started = self._origin
        due = started + (now_ns - start_ns) / NS_PER_SECOND / self._speed
        while (left := due - time.monotonic()) > 0 and not is_interrupted():
            time.sleep(min(left, _LONGEST_SLEEP_S))


def parse_pace(text: str) -> float | None:
    """`max`, `real` or `Nx` as the speed of market time; None for as fast as it goes."""
    if text == "max":
        return None
    if text == "real":
        return 1.0
    found = re.fullmatch(r"(\d+(?:\.\d+)?)x", text)
    if found is None or float(found[1]) <= 0:
        raise BadInputError(f"--pace {text!r}: use max, real, or a multiple such as 60x")
    return float(found[1])
