"""What one lot is worth, pays or owes at a price, exactly; and how a venue's one amount is shared among strategies.

A venue knows one net position an instrument and rounds once. So amounts are computed on the net and handed to the
strategies such that their shares sum to it to the unit.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor, isfinite

from flatbook.domain.errors import BadInputError
from flatbook.domain.instruments import Kind
from flatbook.domain.reference import Instrument
from flatbook.domain.units import units_per_coin


def printed_decimal(value: float, what: str) -> Fraction:
    """The number a venue printed, which its float stands for: 82000.1 is 820001/10, not the float's binary value.

    Errors      BadInputError where it is not finite
    """
    if not isfinite(value):
        raise BadInputError(f"{what} is {value}; it needs a finite number")
    return Fraction(Decimal(repr(float(value))))


def printed_price(price_usd: float, what: str) -> Fraction:
    """`printed_decimal` of a price, which is positive."""
    price = printed_decimal(price_usd, what)
    if price <= 0:
        raise BadInputError(f"{what} is {price_usd}; it needs a positive price")
    return price


def lot_value_units(instrument: Instrument, price_usd: Fraction) -> Fraction:
    """Settlement units that holding one lot is worth at the underlying's price: at delivery, or a future's at any time.

    Convention  option: its payoff, in coin (S - K)+/S where it is inverse. Future and perpetual: S per coin, or minus
                one over S per USD where it is reciprocal. Linear in lots, so a short is worth minus this.
    """
    contract = instrument.contract
    size_units = _lot_units(instrument)
    if instrument.is_reciprocal:
        return -size_units / price_usd
    if contract.kind is not Kind.OPTION or contract.right is None or contract.strike is None:
        return size_units * price_usd
    payoff_usd = max(Fraction(0), contract.right.sign * (price_usd - Fraction(contract.strike)))
    return size_units * (payoff_usd / price_usd if contract.is_inverse else payoff_usd)


def lot_payoff_units(instrument: Instrument, amount: Fraction) -> Fraction:
    """Settlement units that one lot of a contract over the counter pays, from its amount per contract."""
    return _lot_units(instrument) * amount


def lot_delivery_fee_units(instrument: Instrument, price_usd: Fraction) -> Fraction:
    """Delivery fee of one lot: the rate on the underlying's notional, an option's capped by a share of its payoff."""
    fees = instrument.spec.fees
    payoff_units = lot_value_units(instrument, price_usd)
    fee_units = Fraction(fees.delivery) * _lot_notional_units(instrument, price_usd)
    return fee_units if fees.cap_of_premium is None else min(fee_units, Fraction(fees.cap_of_premium) * payoff_units)


def lot_funding_units(instrument: Instrument, price_usd: Fraction, rate: Fraction) -> Fraction:
    """Funding that holding one lot receives: longs pay where the rate is positive."""
    return -rate * _lot_notional_units(instrument, price_usd)


def shares_of_net(per_lot_units: Fraction, lots: Sequence[int]) -> list[int]:
    """Each holder's share of what the net position receives, `per_lot_units` on the sum of `lots` rounded down.

    The running total is rounded after each holder, so the shares sum to the venue's amount and each is within a unit
    of its own exact one.
    """
    shares, held, received = [], 0, 0
    for size_lots in lots:
        held += size_lots
        total = floor(per_lot_units * held)
        shares.append(total - received)
        received = total
    return shares


def shares_of_fee(per_lot_units: Fraction, lots: Sequence[int]) -> list[int]:
    """Each holder's share, by size, of the fee on the net position, rounded up."""
    whole = sum(map(abs, lots))
    fee_units = ceil(per_lot_units * abs(sum(lots)))
    shares, seen = [], 0
    for size in map(abs, lots):
        shares.append(fee_units * (seen + size) // whole - fee_units * seen // whole if whole else 0)
        seen += size
    return shares


def _lot_units(instrument: Instrument) -> Fraction:
    """One lot (coins, or USD where it is reciprocal) in the settlement currency's smallest unit."""
    return Fraction(instrument.spec.lot) * units_per_coin(instrument.contract.settle)


def _lot_notional_units(instrument: Instrument, price_usd: Fraction) -> Fraction:
    size_units = _lot_units(instrument)
    if instrument.is_reciprocal:
        return size_units / price_usd
    return size_units if instrument.contract.is_inverse else size_units * price_usd
