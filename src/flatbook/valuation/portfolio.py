"""A book that stands still: positions in anything, on several underlyings, settled in coin or dollars, and balances.

Vanilla options are columns by underlying, valued by one kernel call each; futures, perpetuals and spot a formula each;
contracts over the counter one by one. Every number is a function of the book and a market, so a stress is a value in
another market (`Markets.shocked`), and no shock is no profit to the last bit.

A position's value is what closing it now would bring on top of balances: an option's premium; of a future or perpetual
what it gained since its entry price, nothing where none is given; of a spot pair the coins held.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError, FlatbookError, UnpricedError
from flatbook.domain.instruments import Kind, Right
from flatbook.domain.reference import Instrument
from flatbook.domain.units import NS_PER_YEAR
from flatbook.kernels.black import FULL_ROWS, price_full
from flatbook.market.shock import Shock
from flatbook.market.snapshot import Markets, MarketSnapshot
from flatbook.valuation.chain import DELTA, GAMMA, PRICE, THETA, VANNA, VEGA, VOLGA
from flatbook.valuation.contracts import Style
from flatbook.valuation.linear import LinearMark, mark_linear
from flatbook.valuation.marks import Marks
from flatbook.valuation.otc import UNTOUCHED, OtcTerms, PathState

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BookPosition:
    """A holding in one contract.

    size        long positive, in what the venue counts: coins, or USD for inverse futures and perpetuals
    price       paid or received at entry, in the contract's own price; NaN where not known
    otc, path   of a contract over the counter: its terms, and what has happened on its way
    source      where it was read, for errors
    """

    instrument: Instrument
    size: float
    price: float = math.nan
    venue: str = ""
    strategy: str = ""
    otc: OtcTerms | None = None
    path: PathState = UNTOUCHED
    source: str = ""

    @property
    def underlying(self) -> str:
        """The (first) underlying."""
        return self.instrument.contract.base

    @property
    def is_vanilla(self) -> bool:
        """Whether Black's formula values it, by column."""
        if self.otc is not None:
            return self.otc.style is Style.EUROPEAN
        return self.instrument.contract.kind is Kind.OPTION

    @property
    def strike_and_sign(self) -> tuple[float, float]:
        """Of a vanilla."""
        if self.otc is not None:
            return self.otc.template.strike, float(self.otc.template.sign)
        contract = self.instrument.contract
        assert contract.strike is not None
        return float(contract.strike), 1.0 if contract.right is Right.CALL else -1.0


@dataclass(frozen=True, slots=True)
class Balance:
    """An amount of a currency held, perhaps at a venue."""

    currency: str
    amount: float
    source: str = ""
    venue: str = ""


@dataclass(frozen=True, eq=False)
class Vanillas:
    """Options of one underlying that settle in one currency, by column, (n,); `at` are their places in the book."""

    underlying: str
    settle: str
    at: Ints
    strike: Floats
    sign: Floats
    expiry_ns: Ints
    size: Floats

    @property
    def is_inverse(self) -> bool:
        """Whether they are paid in the underlying."""
        return self.settle == self.underlying


class Portfolio:
    """Positions and balances, frozen."""

    def __init__(self, positions: Iterable[BookPosition], balances: Iterable[Balance] = ()) -> None:
        self.positions: tuple[BookPosition, ...] = tuple(positions)
        self.balances: tuple[Balance, ...] = tuple(balances)

    @cached_property
    def underlyings(self) -> tuple[str, ...]:
        """Whose markets the book needs."""
        needed = {position.underlying for position in self.positions}
        needed |= {terms.underlying2 for p in self.positions if (terms := p.otc) is not None and terms.underlying2}
        return tuple(sorted(needed))

    @cached_property
    def vanillas(self) -> tuple[Vanillas, ...]:
        """Options by column, a group for each underlying and settlement."""
        groups: dict[tuple[str, str], list[int]] = {}
        for number, position in enumerate(self.positions):
            if position.is_vanilla:
                groups.setdefault((position.underlying, position.instrument.contract.settle), []).append(number)
        return tuple(self._columns(*key, at) for key, at in groups.items())

    def _columns(self, underlying: str, settle: str, at: list[int]) -> Vanillas:
        held = [self.positions[number] for number in at]
        strike, sign = np.array([position.strike_and_sign for position in held]).T.copy()
        expiry_ns = np.array([position.instrument.contract.expiry_ns for position in held])
        size = np.array([position.size for position in held])
        return Vanillas(underlying, settle, np.array(at), strike, sign, expiry_ns, size)

    @cached_property
    def _others(self) -> tuple[tuple[int, BookPosition], ...]:
        return tuple((at, position) for at, position in enumerate(self.positions) if not position.is_vanilla)

    def mark(self, markets: Markets) -> Marks:
        """Every position's value and sensitivities.

        Errors      BadInputError for a position that the market does not price, with where it was read
        """
        marks = Marks.blank(len(self.positions))
        for group in self.vanillas:
            self._mark_vanillas(group, markets, marks)
        for at, position in self._others:
            if position.otc is None:
                _put_linear(marks, at, _linear(position, markets))
            else:
                self._mark_otc(at, position, markets, marks)
        return marks

    def worth_usd(self, markets: Markets) -> Floats:
        """Every position's value in USD, (n,), without sensitivities: the fast half of `mark`, to the same bits."""
        worth = np.zeros(len(self.positions))
        for group in self.vanillas:
            greeks, scale, _ = self._priced(group, markets)
            worth[group.at] = group.size * greeks[PRICE] * scale
        for at, position in self._others:
            if position.otc is None:
                worth[at] = _linear(position, markets).value_usd
            else:
                worth[at] = _otc_worth_usd(position, markets)
        return worth

    def balances_usd(self, markets: Markets) -> float:
        """All balances in USD."""
        return sum(balance.amount * markets.usd_per(balance.currency) for balance in self.balances)

    def entered(self, markets: Markets) -> Portfolio:
        """The same book as of this market: what has no entry price was entered at its marks, averages count until it.

        Two markets are compared on such a book: else each would take its own mark for the entry, and its own day for
        that of an average.
        """
        return Portfolio((_entered(position, markets) for position in self.positions), self.balances)

    def revalue(self, markets: Markets, shocks: Shock | Mapping[str, Shock]) -> Floats:
        """What each position gains in USD by a shock, (n,), by full revaluation; balances apart."""
        book = self.entered(markets)
        return book.worth_usd(markets.shocked(shocks)) - book.worth_usd(markets)

    def _priced(self, group: Vanillas, markets: Markets) -> tuple[Floats, Floats, _Where]:
        """Black's full set in the quote currency, (11, n); dollars per unit of it; and where each option was valued."""
        try:
            usd = markets.usd_per(group.settle) if not group.is_inverse else 1.0
            where = _where(markets.of(group.underlying).in_units_of(usd), group)
        except BadInputError as error:
            raise _refused(self.positions[int(group.at[0])], error) from None
        unpriced = np.flatnonzero(np.isnan(where.vol))
        if unpriced.size:
            position = self.positions[int(group.at[unpriced[0]])]
            raise _refused(position, UnpricedError(f"the market of {group.underlying} has no smile for its expiry"))
        greeks = np.empty((len(FULL_ROWS), len(group.at)))
        price_full(where.forward, group.strike, where.vol, where.years, group.sign, greeks)
        scale = where.index / where.forward if group.is_inverse else np.full(len(group.at), usd)
        return greeks, scale, where

    def _mark_vanillas(self, group: Vanillas, markets: Markets, marks: Marks) -> None:
        greeks, scale, where = self._priced(group, markets)
        at, size, forward = group.at, group.size, where.forward
        unit_usd = size * scale
        coin = greeks[PRICE] / forward if group.is_inverse else 0.0
        marks.price[at] = greeks[PRICE] / forward if group.is_inverse else greeks[PRICE]
        marks.value[at] = size * marks.price[at]
        marks.value_usd[at] = size * greeks[PRICE] * scale
        marks.delta_coin[at] = size * greeks[DELTA]
        marks.net_delta_coin[at] = size * (greeks[DELTA] - coin)
        marks.delta_usd[at] = unit_usd * greeks[DELTA] * forward
        marks.gamma_1pct_usd[at] = unit_usd * greeks[GAMMA] * forward * forward / 100
        marks.vega_usd[at] = unit_usd * greeks[VEGA] / 100
        marks.theta_usd[at] = unit_usd * greeks[THETA] / 365
        marks.vanna_usd[at] = unit_usd * greeks[VANNA] * forward / 100
        marks.volga_usd[at] = unit_usd * greeks[VOLGA] / 10_000
        marks.basis_usd[at] = marks.delta_usd[at] - (marks.value_usd[at] if group.is_inverse else 0.0)
        marks.index_usd[at], marks.log_basis[at] = where.index, np.log(forward / where.index)
        marks.vol[at], marks.years[at] = where.vol, where.years
        for number in at.tolist():
            marks.method[number] = "black"

    def _mark_otc(self, at: int, position: BookPosition, markets: Markets, marks: Marks) -> None:
        # Loaded here, for a book of listed contracts needs no QuantLib and should not wait for it.
        from flatbook.valuation.otc_value import mark_otc

        assert position.otc is not None
        try:
            mark_otc(marks, at, position.otc, position.path, position.size, markets)
        except FlatbookError as error:
            raise _refused(position, error) from None


@dataclass(frozen=True, eq=False)
class _Where:
    """Where options of one underlying are valued, (n,) each; the index is one."""

    index: float
    forward: Floats
    years: Floats
    vol: Floats


def _where(market: MarketSnapshot, group: Vanillas) -> _Where:
    """An expired option has no time and no vol, and is worth its intrinsic value at the index."""
    years = np.maximum((group.expiry_ns - market.ts_ns) / NS_PER_YEAR, 0.0)
    vol = np.where(years > 0.0, market.vol(group.strike, years), 0.0)
    return _Where(market.index_usd, market.forward_at(years), years, vol)


def _linear(position: BookPosition, markets: Markets) -> LinearMark:
    try:
        return mark_linear(position.instrument, position.size, position.price, markets)
    except BadInputError as error:
        raise _refused(position, error) from None


def _entered(position: BookPosition, markets: Markets) -> BookPosition:
    if position.otc is not None:
        seen_ns = markets.of(position.underlying).ts_ns if position.path.seen_ns is None else position.path.seen_ns
        return replace(position, path=replace(position.path, seen_ns=seen_ns))
    is_margined = position.instrument.contract.kind in (Kind.FUTURE, Kind.PERPETUAL)
    if not (is_margined and math.isnan(position.price)):
        return position
    return replace(position, price=_linear(position, markets).price)


def _otc_worth_usd(position: BookPosition, markets: Markets) -> float:
    from flatbook.valuation.otc_value import otc_worth_usd

    assert position.otc is not None
    try:
        return position.size * otc_worth_usd(position.otc, position.path, markets)
    except FlatbookError as error:
        raise _refused(position, error) from None


def _put_linear(marks: Marks, at: int, mark: LinearMark) -> None:
    marks.price[at], marks.value[at], marks.value_usd[at] = mark.price, mark.value, mark.value_usd
    marks.delta_coin[at], marks.net_delta_coin[at] = mark.delta_coin, mark.net_delta_coin
    marks.delta_usd[at], marks.basis_usd[at] = mark.delta_usd, mark.basis_usd
    marks.index_usd[at], marks.log_basis[at] = mark.index_usd, mark.log_basis
    marks.years[at], marks.method[at] = mark.years, mark.method


def _refused(position: BookPosition, error: FlatbookError) -> BadInputError:
    """The error told of the position, and still of its kind where it says that the market does not price it."""
    place = f"{position.source}: " if position.source else ""
    kind = UnpricedError if isinstance(error, UnpricedError) else BadInputError
    return kind(f"{place}{position.instrument.name}: {error}")
