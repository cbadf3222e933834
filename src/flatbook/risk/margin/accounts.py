"""All accounts of a venue at once: balances by column, requirements by parts that many processes can share.

The market is shocked once and every account is a row of a sparse matrix against it. What an account comes to is what
`account.MarginAccount` says of its book alone, without orders.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.instruments import Kind
from flatbook.domain.reference import Instrument
from flatbook.market.snapshot import DOLLARS, Markets
from flatbook.risk.margin.contracts import contracts_of
from flatbook.risk.margin.model import MarginModel
from flatbook.risk.margin.requirement import Requirement
from flatbook.valuation.portfolio import BookPosition, Portfolio

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Accounts:
    """What a venue's accounts hold, a row a line of its table.

    names, instruments, currencies  what the numbers below are places in
    account, instrument  (r,) of each position; `size` as the venue counts, `price` of entry, NaN where unknown
    owner, currency, amount  (b,) of each balance
    """

    names: tuple[str, ...]
    instruments: tuple[Instrument, ...]
    currencies: tuple[str, ...]
    account: Ints
    instrument: Ints
    size: Floats
    price: Floats
    owner: Ints
    currency: Ints
    amount: Floats

    def __len__(self) -> int:
        return len(self.names)

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Whose markets are needed: of contracts and of coins held."""
        coins = set(self.currencies) - set(DOLLARS)
        return tuple(sorted({one.contract.base for one in self.instruments} | coins))


class AccountMargins(NamedTuple):
    """Of every account (a,), USD: as in `AccountMargin`, without orders."""

    equity: Floats
    initial_balance: Floats
    balance: Floats
    initial: Floats
    maintenance: Floats

    @property
    def surplus(self) -> Floats:
        """Balance over maintenance; below zero an account is liquidated."""
        return np.asarray(self.balance - self.maintenance)


@dataclass(frozen=True, eq=False)
class _Underlying:
    """A requirement, which of all instruments are its contracts, and coins a unit of a venue's size of them."""

    requirement: Requirement
    columns: Ints
    coins: Floats


@dataclass(frozen=True, eq=False)
class Rules:
    """A model in a market: what every part of the accounts is asked about."""

    underlyings: tuple[_Underlying, ...]


@dataclass(frozen=True, eq=False)
class Part:
    """Some accounts: sizes (k, instruments), and coins of each underlying that they have beside, (k, u)."""

    sizes: csr_array
    collateral_coin: Floats


def requirements(rules: Rules, part: Part) -> Floats:
    """Initial and maintenance requirement of a part's accounts, (2, k) USD."""
    total = np.zeros((2, part.sizes.shape[0]))
    for at, one in enumerate(rules.underlyings):
        held = (part.sizes[:, one.columns] * one.coins[None, :]).tocsr()
        # As for one account: where nothing is held on an underlying, its coins are collateral and no more.
        coins = np.where(np.diff(held.indptr) > 0, part.collateral_coin[:, at], 0.0)
        total += np.stack(one.requirement.many(held, coins))
    return total


class AccountsInMarket:
    """Accounts under a model in a market, as work for `requirements` and what is known without it.

    Errors      BadInputError for an instrument that the market does not price
    """

    def __init__(self, accounts: Accounts, model: MarginModel, markets: Markets) -> None:
        self._accounts, self._model, self._markets = accounts, model, markets
        units = Portfolio(BookPosition(instrument, 1.0) for instrument in accounts.instruments)
        self._marks = units.mark(markets)
        names, found = [], []
        for underlying in units.underlyings:
            contracts, at, coins = contracts_of(accounts.instruments, self._marks, markets, underlying)
            if len(contracts):
                names.append(underlying)
                found.append(_Underlying(model.requirement(contracts), at, coins))
        self._names = tuple(names)
        self.rules = Rules(tuple(found))

    def parts(self, accounts_each: int) -> Iterator[Part]:
        """The accounts in order, so many at a time."""
        from scipy.sparse import csr_array

        held = self._accounts
        shape = (len(held), len(held.instruments))
        sizes = csr_array((held.size, (held.account, held.instrument)), shape=shape)
        currencies, coins = self._held_coins()
        beside = (
            np.stack(
                [
                    coins[:, currencies.index(name)] if name in currencies else np.zeros(len(held))
                    for name in self._names
                ],
                axis=1,
            )
            if self._names
            else np.zeros((len(held), 0))
        )
        for start in range(0, len(held), accounts_each):
            rows = slice(start, start + accounts_each)
            yield Part(sizes[rows], beside[rows])

    def margins(self, needed: Floats) -> AccountMargins:
        """All of it, with the requirements (2, a) of all parts in order."""
        equity, initial, balance = self._balances()
        return AccountMargins(equity, initial, balance, needed[0], needed[1])

    def _held_coins(self) -> tuple[tuple[str, ...], Floats]:
        """Currencies, and what each account has of them as balance and through spot pairs, (a, k)."""
        held = self._accounts
        kinds = [one.contract.kind for one in held.instruments]
        spot = {at: one.contract.base for at, one in enumerate(held.instruments) if kinds[at] is Kind.SPOT}
        currencies = tuple(dict.fromkeys([*held.currencies, *spot.values()]))
        coins = np.zeros((len(held), len(currencies)))
        np.add.at(coins, (held.owner, held.currency), held.amount)
        for at, base in spot.items():
            rows = held.instrument == at
            np.add.at(coins, (held.account[rows], currencies.index(base)), held.size[rows])
        return currencies, coins

    def _balances(self) -> tuple[Floats, Floats, Floats]:
        """Equity, and the margin balance with initial and with maintenance haircuts, (a,) each."""
        held, count = self._accounts, len(self._accounts)
        currencies, coins = self._held_coins()
        equity, initial, balance = np.zeros(count), np.zeros(count), np.zeros(count)
        for at, name in enumerate(currencies):
            worth = coins[:, at] * self._markets.usd_per(name)
            cuts = self._model.haircuts(name)
            equity += worth
            initial += worth - cuts[0] * np.maximum(worth, 0.0)
            balance += worth - cuts[1] * np.maximum(worth, 0.0)
        worth, is_option = self._worth_usd()
        equity += np.bincount(held.account, worth, minlength=count)
        counted = worth if self._model.counts_option_value else np.where(is_option, 0.0, worth)
        gained = np.bincount(held.account, counted, minlength=count)
        return equity, initial + gained, balance + gained

    def _worth_usd(self) -> tuple[Floats, NDArray[np.bool_]]:
        """Each position's worth (r,), nothing of spot pairs, which are collateral; and whether it is an option."""
        held, marks, markets = self._accounts, self._marks, self._markets
        contracts = [one.contract for one in held.instruments]
        kind = np.array([contract.kind for contract in contracts], dtype=object)[held.instrument]
        is_option, is_spot = kind == Kind.OPTION, kind == Kind.SPOT
        if (held.price[~is_option] <= 0.0).any():
            raise BadInputError("price: an entry price of a future is not above 0; give it, or leave it out")
        reciprocal = np.array([one.is_reciprocal for one in held.instruments], dtype=np.bool_)[held.instrument]
        usd = np.array([1.0 if one.is_inverse else markets.usd_per(one.quote) for one in contracts])[held.instrument]
        index, mark = marks.index_usd[held.instrument], marks.price[held.instrument]
        entry = np.where(np.isnan(held.price), mark, held.price)
        gained = np.where(reciprocal, (mark - entry) / (mark * entry) * index, (mark - entry) * usd)
        unit = np.where(is_option, marks.value_usd[held.instrument], np.where(is_spot, 0.0, gained))
        return held.size * unit, np.asarray(is_option, dtype=np.bool_)
