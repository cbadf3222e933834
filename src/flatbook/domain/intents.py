"""What we would like to do, before the risk gate has said yes."""

from enum import StrEnum

import msgspec


class Purpose(StrEnum):
    """Why an order is wanted."""

    HEDGE = "hedge"
    FLATTEN = "flatten"


class TimeInForce(StrEnum):
    """How long an order lives."""

    IOC = "ioc"
    GTC = "gtc"


class OrderIntent(msgspec.Struct, frozen=True, kw_only=True):
    """One order wanted. `side` +1 buys; `limit_ticks` is the worst price in finest ticks."""

    instrument: str
    side: int
    limit_ticks: int
    size_lots: int
    time_in_force: TimeInForce
    purpose: Purpose
    reason: str
