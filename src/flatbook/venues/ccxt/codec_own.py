"""What a venue tells an account of itself, by ccxt: fills with their fees, orders, positions, cash. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import Fill, FundingPaid
from flatbook.domain.units import DECIMALS
from flatbook.ledger import Ledger, VenueFee
from flatbook.venues.ccxt.accounts import Account
from flatbook.venues.ccxt.amounts import exact, exch_ts_ns, held_units, maybe, paid_units, whole
from flatbook.venues.ccxt.codec import lots_of
from flatbook.venues.ccxt.listing import Listed, Listing

Row = Mapping[str, Any]

_NO_TRADES = frozenset({"Funding", "Settle", "Delivery"})
"""Rows of Bybit's executions that moved money and no position."""


class OwnTrade(NamedTuple):
    """A fill, and fees of it that are in another currency than its contract's."""

    fill: Fill
    fees: tuple[VenueFee, ...]


def is_trade(row: Row) -> bool:
    """Whether a row of the account's trades is one."""
    return (row.get("info") or {}).get("execType") not in _NO_TRADES


def own_trade(row: Row, listed: Listed, order_id: str, venue: str, local_ts_ns: int) -> OwnTrade:
    """A trade of ours. Its id has the venue's name of the contract, for some venues count trades a contract each.

    Errors      BadInputError where it names no fee, or is off the tick or lot: it is not booked by guesswork
    """
    name, settle = listed.instrument.name, listed.instrument.contract.settle
    trade_id, ts_ns = f"{listed.market_id}-{row['id']}", exch_ts_ns(row, local_ts_ns)
    paid = _fees(row, f"{name}: trade {trade_id}")
    fill = Fill(
        exch_ts_ns=ts_ns,
        local_ts_ns=local_ts_ns,
        venue=venue,
        trade_id=trade_id,
        order_id=order_id,
        instrument=name,
        side=1 if row["side"] == "buy" else -1,
        price_ticks=whole(exact(row["price"], "price"), listed.instrument.spec.ticks.finest, f"{name}: price"),
        size_lots=lots_of(listed, exact(row["amount"], f"{name}: amount")),
        fee_units=paid_units(paid.pop(settle, Decimal(0)), settle),
        is_maker=row.get("takerOrMaker") == "maker",
    )
    fees = tuple(
        VenueFee(venue=venue, trade_id=trade_id, currency=currency, units=paid_units(cost, currency), exch_ts_ns=ts_ns)
        for currency, cost in paid.items()
        if cost
    )
    return OwnTrade(fill, fees)


def funding_paid(row: Row, listed: Listed, account: Account, local_ts_ns: int) -> FundingPaid:
    """A payment of funding as the venue made it; what is finer than a unit is rounded against us.

    Errors      BadInputError where it names no amount
    """
    name, settle = listed.instrument.name, listed.instrument.contract.settle
    received = account.funding_sign * exact(row.get("amount"), f"{name}: funding")
    return FundingPaid(
        exch_ts_ns=exch_ts_ns(row, local_ts_ns),
        local_ts_ns=local_ts_ns,
        instrument=name,
        payment_id=f"{listed.market_id}-{row['id']}",
        units=held_units(received, settle),
    )


def _fees(row: Row, what: str) -> dict[str, Decimal]:
    rows = row.get("fees") or [row.get("fee") or {}]
    # By stream the library hands on OKX's own sign, by which what is paid is negative.
    paid_is = -1 if "fillFee" in (row.get("info") or {}) else 1
    paid: dict[str, Decimal] = {}
    for fee in rows:
        currency, cost = fee.get("currency"), maybe(fee.get("cost"), f"{what}: fee")
        if currency is None or cost is None:
            raise BadInputError(f"{what} names no fee; ask the venue for its trades anew")
        if currency not in DECIMALS:
            raise BadInputError(
                f"{what} paid its fee in {currency}, which the ledger does not know; have the venue take fees in one "
                f"of {', '.join(DECIMALS)}"
            )
        paid[currency] = paid.get(currency, Decimal(0)) + paid_is * cost
    return paid


@dataclass(frozen=True, slots=True)
class Statement:
    """What an account holds by its venue's own word.

    lots        of every open contract, signed; units of every currency that the ledger knows, without unrealised P&L
    others      what it cannot hold: contracts that were set aside, and other currencies
    """

    lots: dict[str, int]
    units: dict[str, int]
    others: dict[str, Decimal] = field(default_factory=dict)


def statement(account: Account, listing: Listing, positions: Iterable[Row], balance: Row) -> Statement:
    """Positions and cash; both sides of a hedged position are one net.

    Errors      BadInputError where a size is no whole number of lots, or has no side
    """
    lots: dict[str, int] = {}
    others: dict[str, Decimal] = {}
    for row in positions:
        size = abs(maybe(row.get("contracts"), "contracts") or Decimal(0))
        if not size:
            continue
        if row.get("side") not in ("long", "short"):
            raise BadInputError(f"{account.name}: position in {row['symbol']} is neither long nor short")
        signed = size if row["side"] == "long" else -size
        listed = listing.of(row["symbol"])
        if listed is None:
            others[row["symbol"]] = others.get(row["symbol"], Decimal(0)) + signed
            continue
        name = listed.instrument.name
        lots[name] = lots.get(name, 0) + lots_of(listed, signed)
    units: dict[str, int] = {}
    for currency, amount in account.cash(balance["info"]):
        if currency in DECIMALS:
            units[currency] = units.get(currency, 0) + held_units(amount, currency)
        elif amount:
            others[currency] = others.get(currency, Decimal(0)) + amount
    return Statement({name: held for name, held in lots.items() if held}, units, others)


class Difference(NamedTuple):
    """Where the books and a venue's statement part: of an instrument in lots, of a currency in units."""

    what: str
    booked: int
    stated: int


def differences(ledger: Ledger, account: Account, stated: Statement, tolerance_units: int = 0) -> list[Difference]:
    """Every contract and currency in which the ledger is not the venue's statement, by name."""
    held: dict[str, int] = {}
    for key, position in ledger.positions().items():
        if key.venue == account.name:
            held[key.instrument] = held.get(key.instrument, 0) + position.size_lots
    found = [
        Difference(name, held.get(name, 0), stated.lots.get(name, 0)) for name in sorted(held.keys() | stated.lots)
    ]
    found = [one for one in found if one.booked != one.stated]
    for currency in sorted(ledger.balances().keys() | stated.units):
        money = Difference(currency, ledger.balance(account.name, currency), stated.units.get(currency, 0))
        if abs(money.booked - money.stated) > tolerance_units:
            found.append(money)
    return found
