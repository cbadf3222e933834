"""What an account must hold: the venue's standard margin, on positions and on the worst side of open orders.

One position at a time and in coin, for the venue asks at every order; the rates, dated data, and the formula are those
of `risk.margin.deribit_standard`, which a test holds this to.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from flatbook.domain.instruments import Kind, Right
from flatbook.domain.units import risk_amount
from flatbook.risk.margin.deribit_standard import DeribitStandard
from flatbook.sim.venue.account import Account
from flatbook.sim.venue.listing import Listing, Mark


class Margin(NamedTuple):
    """An account's state in one currency, in coins of it.

    equity      balance, session profit of futures and value of options
    available   margin balance, which leaves out options' value, less the initial margin
    """

    balance: float
    session_profit: float
    options_value: float
    initial: float
    maintenance: float

    @property
    def equity(self) -> float:
        """What the account is worth."""
        return self.balance + self.session_profit + self.options_value

    @property
    def margin_balance(self) -> float:
        """What margin is held against: options are worth nothing here, and a short's value is in its margin."""
        return self.balance + self.session_profit

    @property
    def available(self) -> float:
        """What new margin may use."""
        return self.margin_balance - self.initial


def requirement(model: DeribitStandard, listing: Listing, lots: int) -> tuple[float, float]:
    """Initial and maintenance margin of a net position, in coins of the settlement currency."""
    mark, instrument = listing.mark, listing.instrument
    contract = instrument.contract
    if not lots or contract.kind is Kind.SPOT or math.isnan(mark.price):
        return 0.0, 0.0
    coins = abs(listing.coins(lots, mark.price))
    unit = 1.0 if contract.is_inverse else mark.underlying_usd
    if contract.kind is not Kind.OPTION:
        future, beyond = model.future, max(coins - model.future.free_coin, 0.0)
        notional = coins * (1.0 if contract.is_inverse else mark.price)
        return (
            notional * (future.initial + future.steepness_per_coin * beyond),
            notional * (future.maintenance + future.maintenance_steepness_per_coin * beyond),
        )
    if lots > 0:
        return 0.0, 0.0
    price, strike, spot = mark.price / unit, float(contract.strike or 0), mark.underlying_usd
    is_call = contract.right is Right.CALL
    out_of_money = max(strike - spot if is_call else spot - strike, 0.0) / spot
    option = model.option
    initial = max(option.base - out_of_money, option.least) + price
    if is_call:
        return coins * unit * initial, coins * unit * (option.maintenance + price)
    maintenance = max(option.maintenance, option.maintenance * price) + price
    return coins * unit * max(initial, maintenance), coins * unit * maintenance


def margin_of(
    account: Account,
    listings: Mapping[str, Listing],
    currency: str,
    extra: tuple[str, int, int] | None = None,
    traded: Mapping[str, int] = MappingProxyType({}),
) -> Margin:
    """The account's margin in `currency`, with one more order (instrument, side, lots) where given.

    `traded` are lots that are taken as held beside what is: their margin counts, not their price.
    """
    position_lots = account.ledger.open_lots()
    names = {*position_lots, *traded, *(name for name, lots in account.working.items() if any(lots))}
    if extra is not None:
        names.add(extra[0])
    initial = maintenance = profit = options = 0.0
    for name in sorted(names):
        listing = listings[name]
        if listing.instrument.contract.settle != currency:
            continue
        lots = position_lots.get(name, 0)
        buys, sells = account.working.get(name, (0, 0))
        if extra is not None and extra[0] == name:
            buys, sells = (buys + extra[2], sells) if extra[1] > 0 else (buys, sells + extra[2])
        after = lots + traded.get(name, 0)
        row = _requirements(account, listing, (listing.mark, after, buys, sells))
        initial, maintenance = initial + row[0], maintenance + row[1]
        if lots and listing.is_option:
            options += lots * listing.instrument.lot_size * _finite(listing.mark.price)
        elif lots:
            profit += open_profit(account, listing)
    initial += sum(
        account.margin.mmp_share * group.config.max_quote_coin
        for (index, _), group in account.mmp.items()
        if index == f"{currency.lower()}_usd"
    )
    return Margin(account.balance(currency), profit, options, initial, maintenance)


def _requirements(account: Account, listing: Listing, asked: tuple[Mark, int, int, int]) -> tuple[float, float]:
    """Initial and maintenance margin of a position with its open orders. An account with a thousand orders changes one
    of them, and all the others' rows are as they were: the last answer of each instrument is kept."""
    known = account.margin_rows.get(listing.name)
    if known is not None and known[0] == asked:
        return known[1]
    _, after, buys, sells = asked
    initial = _initial(account.margin, listing, after, buys, sells)
    row = (initial, requirement(account.margin, listing, after)[1])
    account.margin_rows[listing.name] = (asked, row)
    return row


def open_profit(account: Account, listing: Listing) -> float:
    """A position's profit at the mark since its cost was set: by its trades, or by the last daily settlement."""
    instrument, position = listing.instrument, account.position(listing.name)
    price = listing.mark.price
    if not position.size_lots or math.isnan(price):
        return 0.0
    settle = instrument.contract.settle
    amount = position.size_lots * instrument.lot_size
    value = -amount / price if instrument.is_reciprocal else amount * price
    return value - risk_amount(position.cost_units, settle)


def _initial(model: DeribitStandard, listing: Listing, lots: int, buys: int, sells: int) -> float:
    """Margin of a position with its open orders: the worst of the three ways they may go, and premiums to be paid."""
    if listing.instrument.contract.kind is Kind.SPOT:
        return 0.0
    worst = max(requirement(model, listing, end)[0] for end in (lots, lots + buys, lots - sells))
    if not listing.is_option:
        return worst
    # A long position must be paid for; what it pays for is worth nothing as margin.
    paid = max(lots + buys, 0) - max(lots, 0)
    return worst + paid * listing.instrument.lot_size * _finite(listing.mark.price)


def _finite(price: float) -> float:
    return 0.0 if math.isnan(price) else price
