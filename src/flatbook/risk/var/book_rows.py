"""A standing book as the rows that scenarios are valued in: options by column, all else one by one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError, FlatbookError, UnpricedError
from flatbook.domain.instruments import Kind
from flatbook.domain.units import NS_PER_YEAR
from flatbook.market.snapshot import Markets
from flatbook.valuation.linear import mark_linear
from flatbook.valuation.portfolio import BookPosition, Portfolio

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class OptionColumns:
    """Vanilla options of one underlying by column, (n,) each; `at` are their rows in the book.

    usd     dollars per unit of the quote currency; 1 for a coin-settled option, whose price is in coin
    """

    underlying: str
    at: Ints
    strike: Floats
    sign: Floats
    expiry_ns: Ints
    size: Floats
    is_inverse: bool
    usd: float = 1.0


@dataclass(frozen=True, slots=True)
class LinearRow:
    """A future, perpetual, spot pair or balance of coin.

    size        USD where `is_reciprocal`, else coins
    entry       price from which gains count; NaN for what is held outright
    years       to expiry, along which carry acts; 0 where it has none
    usd         dollars per unit of what it gains in: its quote currency, or the coin where `is_reciprocal`
    """

    underlying: str
    at: int
    size: float
    price: float
    entry: float = math.nan
    years: float = 0.0
    is_reciprocal: bool = False
    is_perpetual: bool = False
    usd: float = 1.0


@dataclass(frozen=True)
class RiskBook:
    """A book as rows that are revalued: its positions in order, then its balances.

    names       of the rows; `lots` (n,) the smallest size of each, NaN for a balance; `sizes` (n,)
    otc         rows over the counter, each with its place
    """

    names: tuple[str, ...]
    sizes: Floats
    lots: Floats
    options: tuple[OptionColumns, ...]
    linear: tuple[LinearRow, ...]
    otc: tuple[tuple[int, BookPosition], ...]


def risk_book(portfolio: Portfolio, markets: Markets) -> RiskBook:
    """The rows of a portfolio, entered at this market where it has no entry price.

    Errors      BadInputError for a position that the market does not price, with where it was read
    """
    positions = portfolio.entered(markets).positions
    groups: dict[tuple[str, str], list[int]] = {}
    linear, otc = [], []
    for at, position in enumerate(positions):
        if position.is_vanilla:
            groups.setdefault((position.underlying, position.instrument.contract.settle), []).append(at)
        elif position.otc is not None:
            otc.append((at, position))
        else:
            linear.append(_linear(at, position, markets))
    for number, balance in enumerate(portfolio.balances, start=len(positions)):
        underlying = balance.currency if balance.currency in markets.snapshots else ""
        usd = 1.0 if underlying else markets.usd_per(balance.currency)
        price = markets.of(underlying).index_usd if underlying else 1.0
        linear.append(LinearRow(underlying, number, balance.amount, price, usd=usd))
    return RiskBook(
        names=(
            *(position.instrument.name for position in positions),
            *(f"balance {balance.currency}" for balance in portfolio.balances),
        ),
        sizes=np.array([p.size for p in positions] + [b.amount for b in portfolio.balances]),
        lots=np.array([p.instrument.lot_size for p in positions] + [math.nan] * len(portfolio.balances)),
        options=tuple(_options(*key, at, positions, markets) for key, at in groups.items()),
        linear=tuple(linear),
        otc=tuple(otc),
    )


def _options(
    underlying: str, settle: str, at: list[int], positions: tuple[BookPosition, ...], markets: Markets
) -> OptionColumns:
    held = [positions[number] for number in at]
    is_inverse = settle == underlying
    strike, sign = np.array([position.strike_and_sign for position in held]).T.copy()
    columns = OptionColumns(
        underlying=underlying,
        at=np.array(at),
        strike=strike,
        sign=sign,
        expiry_ns=np.array([position.instrument.contract.expiry_ns for position in held]),
        size=np.array([position.size for position in held]),
        is_inverse=is_inverse,
        usd=1.0 if is_inverse else markets.usd_per(settle),
    )
    market = markets.of(underlying)
    unpriced = np.isnan(market.term.vol(0.0, (columns.expiry_ns - market.ts_ns) / NS_PER_YEAR))
    if unpriced.any():
        first = held[int(np.argmax(unpriced))]
        place = f"{first.source}: " if first.source else ""
        name = first.instrument.name
        raise UnpricedError(f"{place}{name}: the market of {underlying} has no smile for its expiry; give one that has")
    return columns


def _linear(at: int, position: BookPosition, markets: Markets) -> LinearRow:
    contract, instrument = position.instrument.contract, position.instrument
    try:
        mark = mark_linear(instrument, position.size, position.price, markets)
    except FlatbookError as error:
        place = f"{position.source}: " if position.source else ""
        raise BadInputError(f"{place}{instrument.name}: {error}") from None
    market = markets.of(contract.base)
    return LinearRow(
        contract.base,
        at,
        position.size,
        mark.price,
        math.nan if contract.kind is Kind.SPOT else position.price,
        market.years_to(contract.expiry_ns) if contract.expiry_ns is not None else 0.0,
        is_reciprocal=instrument.is_reciprocal,
        is_perpetual=contract.kind is Kind.PERPETUAL,
        usd=market.index_usd if instrument.is_reciprocal else markets.usd_per(contract.quote),
    )
