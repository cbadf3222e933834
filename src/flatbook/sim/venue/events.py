"""What the venue says happened, for those who listen: drained by whoever drives it, in order."""

from typing import NamedTuple

from flatbook.sim.venue.orders import Execution, Order, Print


class Printed(NamedTuple):
    """A trade is on the tape."""

    trade: Print


class Executed(NamedTuple):
    """An account's order traded."""

    execution: Execution


class OrderChanged(NamedTuple):
    """An account's order is not as it was."""

    account: str
    order: Order


class MmpTriggered(NamedTuple):
    """A group's protection took its quotes away until `frozen_until_ns`; NEVER_NS where it waits for a reset."""

    account: str
    index_name: str
    group: str
    frozen_until_ns: int


class IndexMoved(NamedTuple):
    """The index of `base` has a new price."""

    base: str


class CashMoved(NamedTuple):
    """An account's cash in `currency` changed other than by a trade, by `units`, for `cause`; `funding_units` of them
    are a session's funding, which is paid when it ends."""

    account: str
    currency: str
    cause: str
    instrument: str
    units: int
    ts_ns: int
    funding_units: int = 0


class ListingChanged(NamedTuple):
    """An instrument was listed (`state` created) or is over (settled)."""

    instrument: str
    state: str


class RfqChanged(NamedTuple):
    """A block RFQ, or a quote of it, is not as it was."""

    rfq: int


VenueEvent = RfqChanged | Printed | Executed | OrderChanged | MmpTriggered | IndexMoved | CashMoved | ListingChanged
