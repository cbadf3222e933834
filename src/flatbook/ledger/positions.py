"""A position at average cost, and what trades, settlements and deliveries make of it. Pure, in integers.

Cost is what the open lots were bought for, signed like money paid; so a short option's is negative, and a long inverse
perpetual's too (it owes coin). A partial close takes its share of the cost rounded up, against us, and leaves the rest:
what is realised early is never too much, and the last close realises exactly proceeds minus what is left. Whatever the
path, `realised_units - cost_units` is minus the sum of all trades' values.
"""

from typing import NamedTuple

import msgspec
from msgspec.structs import replace


class PositionKey(NamedTuple):
    """Whose position it is, and in what."""

    venue: str
    strategy: str
    instrument: str


class Position(msgspec.Struct, frozen=True, array_like=True):
    """What one strategy holds of one instrument at one venue, and what it has made there.

    Units       lots; smallest units of the settlement currency
    Signs       size long positive; `cost_units` and `fees_units` paid positive; `realised_units` (before fees and
                funding; daily settlement and delivery included) and `funding_units` gained positive
    """

    size_lots: int = 0
    cost_units: int = 0
    realised_units: int = 0
    fees_units: int = 0
    funding_units: int = 0

    @property
    def net_units(self) -> int:
        """Realised P&L and funding, less fees."""
        return self.realised_units + self.funding_units - self.fees_units


def apply_trade(position: Position, size_lots: int, value_units: int, fee_units: int) -> Position:
    """The position after buying `size_lots` (negative: selling) for `value_units` (negative: received) and a fee.

    A trade through zero closes all there was and opens the rest; its value is split in proportion, the closing part
    rounded up.
    """
    held, cost, realised = position.size_lots, position.cost_units + value_units, position.realised_units
    if held * size_lots < 0:
        closed = min(abs(held), abs(size_lots))
        closing_value = _share_up(value_units, closed, abs(size_lots))
        closing_cost = _share_up(position.cost_units, closed, abs(held))
        cost -= closing_value + closing_cost
        realised -= closing_value + closing_cost
    return Position(held + size_lots, cost, realised, position.fees_units + fee_units, position.funding_units)


def apply_settlement(position: Position, value_units: int) -> Position:
    """The position after its P&L up to `value_units`, which is its new cost, was paid."""
    gained = value_units - position.cost_units
    return replace(position, cost_units=value_units, realised_units=position.realised_units + gained)


def apply_delivery(position: Position, proceeds_units: int, fee_units: int) -> Position:
    """The position after all of it was delivered for `proceeds_units` (negative: paid) and a fee: flat."""
    settled = apply_settlement(position, proceeds_units)
    return replace(settled, size_lots=0, cost_units=0, fees_units=position.fees_units + fee_units)


def apply_funding(position: Position, received_units: int) -> Position:
    """The position after `received_units` of funding (negative: paid)."""
    return replace(position, funding_units=position.funding_units + received_units)


def _share_up(units: int, part: int, whole: int) -> int:
    """`part` of `whole` of `units`, rounded up."""
    return -(-units * part // whole)
