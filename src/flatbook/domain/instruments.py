"""Instruments by Deribit's names, parsed and printed without loss.

    BTC-27SEP24-60000-C      inverse option          BTC_USDC-27SEP24-60000-C   linear option
    BTC-27SEP24              inverse dated future    BTC_USDC-PERPETUAL         linear perpetual
    BTC-PERPETUAL            inverse perpetual       BTC_USDC                   spot
    XRP_USDC-27SEP24-0d48-C  strike 0.48             BTC-CS-27SEP24-60000_65000 combo (see `combos`)

A name says what a contract is; how it trades (tick, lot, size) is dated reference data, joined in `reference`. A
contract over the counter is in no venue's language: see `otc`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from flatbook.domain.errors import UnknownInstrumentError
from flatbook.domain.units import DECIMALS, NS_PER_SECOND

EXPIRY_HOUR_UTC = 8
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DATE = re.compile(r"([1-9]|[12][0-9]|3[01])([A-Z]{3})([0-9]{2})")
_STRIKE = re.compile(r"(0|[1-9][0-9]*)(?:d([0-9]+))?")
_UNDERLYING = re.compile(r"([A-Z0-9]+)(?:_(USDC|USDT|USDE|EURR))?")


DOLLAR = "USDC"
"""What linear contracts and spot that we trade are paid in."""


class Kind(StrEnum):
    """What sort of contract it is."""

    OPTION = "option"
    FUTURE = "future"
    PERPETUAL = "perpetual"
    SPOT = "spot"
    OTC = "otc"


class Right(StrEnum):
    """Which way an option pays."""

    CALL = "C"
    PUT = "P"

    @property
    def sign(self) -> int:
        """+1 for a call, -1 for a put."""
        return 1 if self is Right.CALL else -1


@dataclass(frozen=True, slots=True)
class ContractName:
    """What a name says: underlying, currencies, and by kind the expiry, strike and right."""

    kind: Kind
    base: str
    quote: str
    settle: str
    expiry_ns: int | None = None
    strike: Decimal | None = None
    right: Right | None = None

    @property
    def is_inverse(self) -> bool:
        """Whether premium and P&L are paid in the base coin."""
        return self.kind is not Kind.SPOT and self.settle == self.base

    def __str__(self) -> str:
        head = self.base if self.is_inverse else f"{self.base}_{self.quote}"
        match self.kind:
            case Kind.SPOT:
                return head
            case Kind.PERPETUAL:
                return f"{head}-PERPETUAL"
            case Kind.FUTURE:
                return f"{head}-{format_expiry(self.expiry_ns or 0)}"
            case Kind.OPTION:
                strike = format(self.strike or Decimal(0), "f").replace(".", "d")
                return f"{head}-{format_expiry(self.expiry_ns or 0)}-{strike}-{self.right}"
            case Kind.OTC:
                return f"{head}-{format_expiry(self.expiry_ns or 0)} over the counter"


def parse_expiry(text: str) -> int | None:
    """`27SEP24` as nanoseconds of its 08:00 UTC, or None where `text` is no such date."""
    found = _DATE.fullmatch(text)
    if found is None or found[2] not in _MONTHS:
        return None
    try:
        day = datetime(2000 + int(found[3]), _MONTHS.index(found[2]) + 1, int(found[1]), EXPIRY_HOUR_UTC, tzinfo=UTC)
    except ValueError:
        return None
    return int(day.timestamp()) * NS_PER_SECOND


def format_expiry(expiry_ns: int) -> str:
    """The inverse of `parse_expiry`: day without a leading zero, month in capitals, two-digit year."""
    day = datetime.fromtimestamp(expiry_ns // NS_PER_SECOND, tz=UTC)
    return f"{day.day}{_MONTHS[day.month - 1]}{day.year % 100:02d}"


def parse_name(name: str) -> ContractName:
    """What `name` says.

    Errors      UnknownInstrumentError for a name that no convention explains, a combo's among them
    """
    head, *rest = name.split("-")
    underlying = _UNDERLYING.fullmatch(head)
    if underlying is None:
        raise _unknown(name)
    base, quote = underlying[1], underlying[2]
    settle = quote or base
    if settle not in DECIMALS:
        raise UnknownInstrumentError(f"instrument {name!r} settles in {settle!r}; known are {', '.join(DECIMALS)}")
    shared = (base, quote or "USD", settle)
    match rest:
        case [] if quote:
            return ContractName(Kind.SPOT, *shared)
        case ["PERPETUAL"]:
            return ContractName(Kind.PERPETUAL, *shared)
        case [date] if (expiry_ns := parse_expiry(date)) is not None:
            return ContractName(Kind.FUTURE, *shared, expiry_ns)
        case [date, strike, ("C" | "P") as right] if (expiry_ns := parse_expiry(date)) is not None:
            parsed = _STRIKE.fullmatch(strike)
            if parsed is not None:
                number = Decimal(f"{parsed[1]}.{parsed[2]}" if parsed[2] else parsed[1])
                if number > 0:
                    return ContractName(Kind.OPTION, *shared, expiry_ns, number, Right(right))
    raise _unknown(name)


def _unknown(name: str) -> UnknownInstrumentError:
    return UnknownInstrumentError(
        f"instrument {name!r} is not a Deribit name; expected such as BTC-27SEP24-60000-C, BTC-27SEP24, BTC-PERPETUAL"
    )
