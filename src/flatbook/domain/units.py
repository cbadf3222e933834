"""Money, time and the one crossing between exact and risk amounts.

Balances are integers of a currency's smallest unit (a satoshi, a micro-dollar). Risk is float. `risk_amount` and
`book_amount` are the only two doors between them.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from math import isfinite

from flatbook.domain.errors import BadInputError

NS_PER_SECOND = 1_000_000_000
NS_PER_MINUTE = 60 * NS_PER_SECOND
NS_PER_HOUR = 60 * NS_PER_MINUTE
NS_PER_DAY = 24 * NS_PER_HOUR
NS_PER_YEAR = 365 * NS_PER_DAY

DECIMALS = {"BTC": 8, "ETH": 8, "SOL": 8, "USD": 6, "USDC": 6, "USDT": 6}
"""Decimal places of each currency's smallest unit."""

_BEYOND_MICROS = re.compile(r":[0-9]{2}[.,][0-9]{6}([0-9]+)")
_SCALE = {currency: 10.0**places for currency, places in DECIMALS.items()}


def units_per_coin(currency: str) -> int:
    """How many smallest units make one of `currency`."""
    try:
        return int(10 ** DECIMALS[currency])
    except KeyError:
        known = ", ".join(DECIMALS)
        raise BadInputError(f"currency {currency!r} is not known; use one of {known}") from None


def exact_units(amount: Decimal, currency: str) -> int:
    """`amount` in smallest units; refuses an amount finer than the currency's smallest unit."""
    scaled = Fraction(amount) * units_per_coin(currency)
    if scaled.denominator != 1:
        raise BadInputError(f"{amount} {currency} is finer than 1e-{DECIMALS[currency]}; round it first")
    return scaled.numerator


def risk_amount(units: int, currency: str) -> float:
    """Exact ledger units as a float amount of `currency`, for risk and reports."""
    return units / _SCALE[currency]


def book_amount(amount: float, currency: str) -> int:
    """A float amount of `currency` as ledger units, half to even: the only way a float enters the books."""
    if not isfinite(amount):
        raise BadInputError(f"{amount} {currency} is no amount; nothing is booked")
    return round(Fraction(amount) * units_per_coin(currency))


def years_between(now_ns: int, then_ns: int) -> float:
    """Years of 365 days from `now_ns` to `then_ns`, to the nanosecond; negative when `then` has passed."""
    return (then_ns - now_ns) / NS_PER_YEAR


def parse_utc(text: str) -> int:
    """ISO-8601 as nanoseconds since 1970, UTC, to the ninth decimal; a time without a zone is read as UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInputError(f"time {text!r} is not ISO-8601; write it as 2025-03-30T18:25") from None
    beyond_micros = _BEYOND_MICROS.search(text)
    digits = beyond_micros[1] if beyond_micros else ""
    if len(digits) > 3:
        raise BadInputError(f"time {text!r} is finer than a nanosecond; give at most nine decimals")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    whole_micros = (delta.days * 86_400 + delta.seconds) * NS_PER_SECOND + delta.microseconds * 1_000
    return whole_micros + int(digits.ljust(3, "0"))


def parse_until(text: str) -> int:
    """The end of what `text` names, exclusive: a time written to the minute includes that minute."""
    start_ns = parse_utc(text)
    return start_ns + NS_PER_MINUTE if re.search(r"T\d{2}:\d{2}(Z|[+-]\d{2}:\d{2})?$", text) else start_ns


def format_day(ts_ns: int) -> str:
    """The UTC day of nanoseconds since 1970: 2025-03-30."""
    return f"{datetime.fromtimestamp(ts_ns // NS_PER_SECOND, tz=UTC):%Y-%m-%d}"


def format_utc(ts_ns: int) -> str:
    """Nanoseconds since 1970 as ISO-8601 UTC to the millisecond."""
    seconds, rest = divmod(ts_ns, NS_PER_SECOND)
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"
