"""Numbers as people read them; None and NaN are a dash, a negative sign is a real minus."""

import math
from datetime import UTC, datetime, timedelta

DASH = "–"


def number(value: float | None, places: int = 0, *, signed: bool = False) -> str:
    """With thousands separators and fixed places."""
    if value is None or not math.isfinite(value):
        return DASH
    rounded = round(value, places) + 0.0  # a negative zero reads as zero
    return f"{rounded:{'+' if signed and rounded else ''},.{places}f}".replace("-", "−")


def usd(value: float | None, places: int = 0, *, signed: bool = False) -> str:
    """In dollars: −$1,234."""
    text = number(value, places, signed=signed)
    if text == DASH:
        return text
    sign = text[0] if text[0] in "+−" else ""
    return f"{sign}${text.removeprefix(sign)}"


def coin(value: float | None, currency: str = "") -> str:
    """A coin amount or price: four significant digits at least, at most eight places."""
    if value is None or not math.isfinite(value):
        return DASH
    places = 2 if abs(value) >= 100 else 4
    text = number(value, places)
    return f"{text} {currency}".rstrip()


def share(value: float | None, places: int = 1) -> str:
    """A share from 0 to 1 as a percentage."""
    text = number(None if value is None else 100 * value, places)
    return text if text == DASH else f"{text} %"


def age(seconds: float | None) -> str:
    """An age in the unit that suits it: 0.4 s, 12 s, 5 min, 3 h, 2 d."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    for unit, size, limit in (("s", 1, 90), ("min", 60, 5_400), ("h", 3_600, 129_600)):
        if abs(seconds) < limit:
            return f"{seconds / size:.{1 if abs(seconds) < 10 and unit == 's' else 0}f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def span(nanoseconds: int) -> str:
    """A length of time: 3 d 17 h, 8 h 5 min, 42 s."""
    rest = timedelta(microseconds=nanoseconds // 1_000)
    hours, minutes = rest.seconds // 3_600, rest.seconds // 60 % 60
    if rest.days:
        return f"{rest.days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest.seconds % 60} s" if minutes else f"{rest.seconds} s"


def moment(ts_ns: int, *, seconds: bool = False) -> str:
    """A UTC time to the minute or the second: 30 Mar 2025 18:25."""
    time = datetime.fromtimestamp(ts_ns // 1_000_000_000, tz=UTC)
    return f"{time.day} {time:%b %Y %H:%M:%S}" if seconds else f"{time.day} {time:%b %Y %H:%M}"


def expiry(ts_ns: int) -> str:
    """An expiry as desks write it: 4APR25."""
    time = datetime.fromtimestamp(ts_ns // 1_000_000_000, tz=UTC)
    return f"{time.day}{time:%b%y}".upper()


def words(key: str) -> str:
    """A column's name as a label: `hedge_cost` is Hedge cost."""
    return key.replace("_", " ").capitalize()
