"""What funding does to who holds a perpetual: reckoned from a rate, or in the units that the venue paid. Pure."""

from fractions import Fraction

from flatbook.domain.reference import Instrument
from flatbook.ledger import amounts, positions
from flatbook.ledger.changes import Change
from flatbook.ledger.entries import AccountKind
from flatbook.ledger.holdings import Holdings
from flatbook.ledger.positions import Position, PositionKey


def reckoned(
    holdings: Holdings, venue: str, instrument: Instrument, price_usd: Fraction, rate: Fraction
) -> list[Change]:
    """Everybody's share of what the rate pays on the net position."""
    held = holdings.held(venue, instrument.name)
    return _changes(instrument, held, amounts.lot_funding_units(instrument, price_usd, rate))


def told(holdings: Holdings, venue: str, instrument: Instrument, units: int, holder: str) -> list[Change]:
    """Everybody's share, by size, of `units` that were paid; all `holder`'s where the net is flat by now."""
    held = holdings.held(venue, instrument.name)
    net = sum(position.size_lots for _, position in held)
    if net:
        return _changes(instrument, held, Fraction(units, net))
    key = PositionKey(venue, holder, instrument.name)
    return [_change(key, instrument, holdings.get(key), units)]


def _changes(instrument: Instrument, held: list[tuple[PositionKey, Position]], per_lot_units: Fraction) -> list[Change]:
    shares = amounts.shares_of_net(per_lot_units, [position.size_lots for _, position in held])
    return [_change(key, instrument, before, paid) for (key, before), paid in zip(held, shares, strict=True)]


def _change(key: PositionKey, instrument: Instrument, before: Position, paid: int) -> Change:
    after = positions.apply_funding(before, paid)
    return Change(key, instrument, before, after, ((AccountKind.FUNDING, paid),))
