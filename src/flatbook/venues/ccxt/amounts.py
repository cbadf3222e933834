"""What ccxt calls a number, as the decimal that the venue printed. Pure.

ccxt parses a venue's text into floats, or leaves it text where its `number` is `str`. A float's shortest decimal is the
text again up to fifteen digits, so both give the same amounts, and nothing here multiplies floats.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import units_per_coin

NS_PER_MS = 1_000_000


def exact(value: Any, what: str) -> Decimal:
    """A number as printed.

    Errors      BadInputError where it is none, or not finite
    """
    number = maybe(value, what)
    if number is None:
        raise BadInputError(f"{what} is missing; the venue's answer cannot be used without it")
    return number


def maybe(value: Any, what: str) -> Decimal | None:
    """`exact`, None where nothing was printed."""
    if value is None or value == "":
        return None
    try:
        number = Decimal(value if isinstance(value, str | int) else repr(value))
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise BadInputError(f"{what} is {value!r}; it needs a finite number")
    return number


def as_float(value: Any, scale: Decimal = Decimal(1)) -> float:
    """A number for risk, times `scale`; NaN where nothing was printed."""
    number = maybe(value, "a market's number")
    return math.nan if number is None else float(number * scale)


def whole(amount: Decimal, step: Decimal, what: str) -> int:
    """How many steps an amount is.

    Errors      BadInputError where it is not a whole number of them
    """
    steps = Fraction(amount) / Fraction(step)
    if steps.denominator != 1:
        raise BadInputError(f"{what} is {amount}, which is no multiple of {step}; load the venue's markets anew")
    return steps.numerator


def paid_units(amount: Decimal, currency: str) -> int:
    """Ledger units of what was paid, a rebate negative; what is finer is rounded up, against us."""
    return math.ceil(Fraction(amount) * units_per_coin(currency))


def held_units(amount: Decimal, currency: str) -> int:
    """Ledger units of what is held; what is finer is left off."""
    return math.floor(Fraction(amount) * units_per_coin(currency))


def exch_ts_ns(row: Mapping[str, Any], local_ts_ns: int) -> int:
    """When the venue says it happened; where it does not say, when we learnt of it."""
    told_ms = row.get("lastUpdateTimestamp") or row.get("timestamp")
    return local_ts_ns if told_ms is None else int(told_ms) * NS_PER_MS
