"""What the venue says an account holds, beside what our books say: differences in lots and units. Pure.

Books and venue may cost a partial close another way, and ours keep strategies apart. What does not depend on that is
cash less the open cost of futures and perpetuals: on both sides it moves by the same whole units with every trade,
payment and settlement. So that is what is compared.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from flatbook.domain.instruments import Kind
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.domain.units import book_amount
from flatbook.ledger import Ledger
from flatbook.ledger.amounts import lot_value_units, printed_price
from flatbook.venues.deribit.codec_account import OwnPosition, OwnSummary

_NOTHING: Mapping[str, int] = MappingProxyType({})
_MARGINED = (Kind.FUTURE, Kind.PERPETUAL)


@dataclass(frozen=True, slots=True)
class Statement:
    """An account at a moment of ours.

    lots            by instrument, long positive; what is flat is left out
    carried_units   by currency: cash less the open cost of futures and perpetuals, as `Ledger.carried_units` without
                    the capital
    positions       as the venue lists them
    """

    ts_ns: int
    lots: Mapping[str, int]
    carried_units: Mapping[str, int]
    positions: tuple[OwnPosition, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """Something our books and the venue do not agree on: `what` is an instrument, in lots, or a currency, in units."""

    what: str
    ours: int
    theirs: int

    def __str__(self) -> str:
        return f"{self.what}: the books have {self.ours}, the venue {self.theirs}"


def statement_of(
    reference: ReferenceData,
    positions: Iterable[OwnPosition],
    summaries: Iterable[OwnSummary],
    ts_ns: int,
    pending_units: Mapping[str, int] = _NOTHING,
) -> Statement:
    """The statement of these answers, all of one moment.

    pending_units   by currency: what is in the equity and is told to the books later, a session's funding
    """
    lots: dict[str, int] = {}
    carried = {each.currency: each.cash_units - pending_units.get(each.currency, 0) for each in summaries}
    held = tuple(position for position in positions if position.size)
    for position in held:
        instrument = reference.instrument(position.instrument_name)
        lots[instrument.name] = instrument.size_lots(position.size)
        currency = instrument.contract.settle
        if instrument.contract.kind in _MARGINED and currency in carried:
            carried[currency] -= cost_units(instrument, lots[instrument.name], position)
    return Statement(ts_ns, lots, carried, held)


def cost_units(instrument: Instrument, lots: int, position: OwnPosition) -> int:
    """What a future or perpetual was settled or bought at, from its worth and its profit since: to the unit, for the
    venue rounds the profit to the nearest."""
    price = printed_price(position.mark_price, f"{instrument.name}: mark price")
    worth: Fraction = lot_value_units(instrument, price) * lots
    return round(worth - book_amount(position.floating_profit_loss, instrument.contract.settle))


def compare(ledger: Ledger, venue: str, statement: Statement) -> list[Difference]:
    """Where the books at `venue` differ from the statement, instruments first; empty where they agree.

    Currencies are those that our books have: what else lies in the account is not ours to judge.
    """
    ours: dict[str, int] = {}
    for key, position in ledger.positions().items():
        if key.venue == venue:
            ours[key.instrument] = ours.get(key.instrument, 0) + position.size_lots
    names = sorted(set(ours) | set(statement.lots))
    found = [Difference(name, ours.get(name, 0), statement.lots.get(name, 0)) for name in names]
    for currency in sorted(ledger.balances()):
        carried = ledger.balance(venue, currency) - ledger.open_basis_units(currency)
        found.append(Difference(currency, carried, statement.carried_units.get(currency, 0)))
    return [each for each in found if each.ours != each.theirs]
