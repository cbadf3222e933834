"""A book as one account under a margin model: what it has, what is asked of it, and what its orders reserve.

    margin balance      collateral less haircuts, what positions have gained, and options' worth where a model counts it
    requirement         positions, then open orders, then what market maker protection reserves

Collateral nets nothing but debts. A book of several venues is one account here: exposures on two venues net, margins do
not, so ask of each venue's positions by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.instruments import Kind
from flatbook.market.snapshot import Markets
from flatbook.risk.margin.contracts import MarginContracts, contracts_of
from flatbook.risk.margin.model import MarginModel
from flatbook.risk.margin.requirement import Margins, MarginState, Requirement
from flatbook.valuation.portfolio import BookPosition, Portfolio

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class UnderlyingMargin:
    """One underlying's share of an account: contracts, sizes in coins, bids and asks that rest, (n,) each."""

    contracts: MarginContracts
    size: Floats
    bids: Floats
    asks: Floats
    requirement: Requirement

    @cached_property
    def state(self) -> MarginState:
        """Ready for orders."""
        return MarginState(self.requirement, self.size)

    def orders(self, model: MarginModel) -> Margins:
        """What working orders add: the worse side of each contract, or of all together; nothing where they reduce."""
        if model.orders == "by_row":
            bids, asks = self.state.marginals(self.bids), self.state.marginals(-self.asks)
            if not model.counts_option_value:
                bids = bids.plus(Margins(self._premiums_usd(), np.zeros(len(self.size))))
            worse = [np.maximum(np.maximum(bid, ask), 0.0).sum() for bid, ask in zip(bids, asks, strict=True)]
            return Margins(*worse)
        held = self.state.margins
        sides = [self.requirement.margins(self.size + self.bids), self.requirement.margins(self.size - self.asks)]
        return Margins(*(np.maximum(0.0, max(side[at] - held[at] for side in sides)) for at in (0, 1)))

    def _premiums_usd(self) -> Floats:
        """What bids would pay, at the marks, for options that are no credit once held, (n,)."""
        bought = np.maximum(self.size + self.bids, 0.0) - np.maximum(self.size, 0.0)
        contracts = self.contracts
        return np.where(contracts.is_option, bought * contracts.mark_usd * contracts.usd_per_mark, 0.0)


@dataclass(frozen=True)
class AccountMargin:
    """What an account has and needs, USD.

    initial_balance, balance    with initial and with maintenance haircuts; `equity` with none and all options counted
    positions, orders           requirements; `mmp` what protection reserves, initial alone
    parts                       positions' requirement by what it is for
    """

    underlyings: tuple[UnderlyingMargin, ...]
    equity: float
    initial_balance: float
    balance: float
    positions: Margins
    orders: Margins
    mmp: float
    parts: dict[str, Margins]

    @property
    def initial(self) -> float:
        """Initial margin with orders and protection."""
        return float(self.positions.initial + self.orders.initial) + self.mmp

    @property
    def maintenance(self) -> float:
        """Maintenance margin: of positions alone, for orders are cancelled before anything is liquidated."""
        return float(self.positions.maintenance)

    @property
    def surplus(self) -> float:
        """Balance over maintenance; below zero the account is liquidated."""
        return self.balance - self.maintenance

    @property
    def is_sufficient(self) -> bool:
        """Whether maintenance is covered."""
        return self.surplus >= 0.0


class MarginAccount:
    """A book, its working orders and a model: an account that any market can be asked about.

    Sizes       of `orders` signed, bids positive; `mmp_coin` the greatest quote quantity by underlying, in coins
    Errors      BadInputError for a contract over the counter, which no venue margins
    """

    def __init__(
        self,
        book: Portfolio,
        model: MarginModel,
        orders: Iterable[BookPosition] = (),
        mmp_coin: dict[str, float] | None = None,
    ) -> None:
        self.model = model
        self.book = book
        self._mmp_coin = mmp_coin or {}
        working = tuple(orders)
        for position in (*book.positions, *working):
            if position.otc is not None:
                raise BadInputError(
                    f"{position.source}: {position.instrument.name} is a contract over the counter, which no venue "
                    "margins; take it out of the book"
                )
        instruments = {one.instrument.name: one.instrument for one in (*book.positions, *working)}
        names = tuple(instruments)
        # Lines of one instrument are one position of the account, whatever strategy they are booked under.
        self._size = _summed(book.positions, names)
        self._bids = _summed((order for order in working if order.size > 0.0), names)
        self._asks = -_summed((order for order in working if order.size < 0.0), names)
        sources = {p.instrument.name: p.source for p in (*working, *book.positions)}
        units = (BookPosition(instruments[name], 1.0, source=sources[name]) for name in names)
        self._units = Portfolio(units)

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Whose markets it needs, for its contracts."""
        return self._units.underlyings

    def entered(self, markets: Markets) -> MarginAccount:
        """The same account with entry prices where none were given, so that several markets can be compared."""
        account = copy(self)
        account.book = self.book.entered(markets)
        return account

    def margin(self, markets: Markets) -> AccountMargin:
        """What the account has and needs in a market.

        Errors      BadInputError for a position that the market does not price
        """
        parts = self._underlyings(markets)
        totals: dict[str, Margins] = {}
        for part in parts:
            for name, found in part.requirement.parts(part.size).items():
                totals[name] = totals[name].plus(found) if name in totals else found
        nothing = Margins(np.array(0.0), np.array(0.0))
        positions, orders = nothing, nothing
        for part in parts:
            positions = positions.plus(part.state.margins)
            orders = orders.plus(part.orders(self.model))
        mmp = self.model.mmp_share * sum(coins * markets.usd_per(name) for name, coins in self._mmp_coin.items())
        equity, initial, balance = self._balances(markets)
        return AccountMargin(parts, equity, initial, balance, positions, orders, mmp, totals)

    def surplus(self, markets: Markets) -> tuple[float, Margins]:
        """Margin balance and what positions alone ask for: the fast half of `margin`."""
        total = Margins(np.array(0.0), np.array(0.0))
        for part in self._underlyings(markets):
            total = total.plus(part.requirement.margins(part.size))
        return self._balances(markets)[2], total

    def _underlyings(self, markets: Markets) -> tuple[UnderlyingMargin, ...]:
        marks = self._units.mark(markets)
        instruments = [position.instrument for position in self._units.positions]
        found = []
        for underlying in self._units.underlyings:
            contracts, at, coins = contracts_of(instruments, marks, markets, underlying)
            if not len(contracts):
                continue
            requirement = self.model.requirement(contracts, self._held_coin(underlying))
            size, bids, asks = (coins * column[at] for column in (self._size, self._bids, self._asks))
            found.append(UnderlyingMargin(contracts, size, bids, asks, requirement))
        return tuple(found)

    def _held_coin(self, currency: str) -> float:
        """Of a currency, as balance and through spot pairs."""
        balances = sum(balance.amount for balance in self.book.balances if balance.currency == currency)
        return balances + sum(p.size for p in self._spot if p.instrument.contract.base == currency)

    @property
    def _spot(self) -> Sequence[BookPosition]:
        return [p for p in self.book.positions if p.instrument.contract.kind is Kind.SPOT]

    def _balances(self, markets: Markets) -> tuple[float, float, float]:
        """Equity without haircuts, and the margin balance with initial and with maintenance haircuts."""
        equity = initial = balance = 0.0
        currencies = {balance.currency for balance in self.book.balances}
        for currency in sorted(currencies | {p.instrument.contract.base for p in self._spot}):
            worth = self._held_coin(currency) * markets.usd_per(currency)
            haircuts = self.model.haircuts(currency) if worth > 0.0 else (0.0, 0.0)
            equity += worth
            initial, balance = initial + worth * (1.0 - haircuts[0]), balance + worth * (1.0 - haircuts[1])
        for position, worth in zip(self.book.positions, self.book.worth_usd(markets).tolist(), strict=True):
            kind = position.instrument.contract.kind
            if kind is not Kind.SPOT:
                equity += worth
                counted = worth if kind is not Kind.OPTION or self.model.counts_option_value else 0.0
                initial, balance = initial + counted, balance + counted
        return equity, initial, balance


def usage(required: float, balance: float) -> float:
    """Share of the balance that a requirement takes; infinite where there is no balance to take it from."""
    return required / balance if balance > 0.0 else math.inf if required > 0.0 else 0.0


def _summed(positions: Iterable[BookPosition], names: tuple[str, ...]) -> Floats:
    sizes = dict.fromkeys(names, 0.0)
    for position in positions:
        sizes[position.instrument.name] += position.size
    return np.array(list(sizes.values()))
