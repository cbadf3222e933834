"""Contracts as margin models see them: columns of one underlying in one market, without what is held of them.

Sizes are in coins throughout. An inverse future of n dollars at a mark F counts n/F coins, as venues' margin pages do,
so a size turns from dollars into coins once, where a book is read.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.instruments import Kind
from flatbook.kernels.black import black
from flatbook.market.snapshot import Markets
from flatbook.valuation.marks import Marks
from flatbook.valuation.portfolio import BookPosition

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class MarginContracts:
    """Contracts on one underlying, (n,) each.

    Units       USD per coin; `mark_usd` is Black's value of an option on the forward and the mark of a linear contract
                `strike_usd` NaN and `sign` 0 where it is no option; `years` 0 where it has no expiry; `rate` annual,
                continuous, at which a venue discounts
    Convention  an inverse contract (`in_coin`) pays `mark_usd` over the forward, in coin
    """

    underlying: str
    index_usd: float
    names: tuple[str, ...]
    is_option: Flags
    is_perpetual: Flags
    in_coin: Flags
    strike_usd: Floats
    sign: Floats
    years: Floats
    forward_usd: Floats
    vol: Floats
    mark_usd: Floats
    delta: Floats
    rate: Floats

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, chosen: Ints) -> MarginContracts:
        """Some of them, in the order asked for."""
        columns = {
            field.name: getattr(self, field.name)[chosen]
            for field in fields(self)
            if field.name not in ("underlying", "index_usd", "names")
        }
        return replace(self, names=tuple(self.names[row] for row in chosen.tolist()), **columns)

    @cached_property
    def is_alive(self) -> Flags:
        """Not settled yet: an option at or past its expiry is cash and needs no margin."""
        return ~self.is_option | (self.years > 0.0)

    @cached_property
    def expiry(self) -> Ints:
        """Number of the expiry each belongs to, from 0 by time; what has none shares the first with what is due."""
        return np.unique(self.years, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def expiry_years(self) -> Floats:
        """Years to each expiry of `expiry`."""
        return np.unique(self.years)

    @cached_property
    def usd_per_mark(self) -> Floats:
        """Dollars now of one dollar of `mark_usd`: a coin-settled option pays coins, over its forward."""
        return np.where(self.in_coin & self.is_option, self.index_usd / self.forward_usd, 1.0)

    @cached_property
    def net_delta(self) -> Floats:
        """Coins of underlying per unit, the coin price of a coin-settled option taken off: a venue's delta total."""
        return self.delta - np.where(self.in_coin & self.is_option, self.mark_usd / self.forward_usd, 0.0)


def contracts_of(
    positions: tuple[BookPosition, ...], marks: Marks, markets: Markets, underlying: str
) -> tuple[MarginContracts, Floats, Ints]:
    """The listed derivatives on `underlying` among `positions`, the size of each in coins, and their places.

    Spot pairs are left out: they are collateral.

    Errors      BadInputError for a contract over the counter, which no venue margins
    """
    at = np.array([number for number, one in enumerate(positions) if _is_margined(one, underlying)], dtype=np.int64)
    held = [positions[number] for number in at.tolist()]
    terms = [position.instrument.contract for position in held]
    is_option = np.array([contract.kind is Kind.OPTION for contract in terms], dtype=np.bool_)
    in_coin = np.array([contract.is_inverse for contract in terms], dtype=np.bool_)
    usd = np.array([1.0 if contract.is_inverse else markets.usd_per(contract.quote) for contract in terms])
    index = markets.of(underlying).index_usd
    years = np.nan_to_num(marks.years[at], nan=0.0)
    per_coin = index * np.exp(marks.log_basis[at])
    # A quote currency off its peg moves index and forward alike: both are of its units, the mark is brought to dollars.
    mark_usd = marks.price[at] * np.where(is_option & in_coin, per_coin, usd)
    forward_usd = np.where(is_option, per_coin, mark_usd)
    size = np.array([position.size for position in held], dtype=np.float64)
    coins = np.where(in_coin & ~is_option, size / mark_usd, size)
    strikes = [
        position.strike_and_sign if option else (np.nan, 0.0) for position, option in zip(held, is_option, strict=True)
    ]
    strike, sign = np.array(strikes, dtype=np.float64).reshape(-1, 2).T
    vol = np.where(is_option, marks.vol[at], 0.0)
    delta = np.ones(len(held))
    delta[is_option] = black(*(column[is_option] for column in (forward_usd, strike * usd, vol, years, sign))).delta
    contracts = MarginContracts(
        underlying=underlying,
        index_usd=index,
        names=tuple(position.instrument.name for position in held),
        is_option=is_option,
        is_perpetual=np.array([contract.kind is Kind.PERPETUAL for contract in terms], dtype=np.bool_),
        in_coin=in_coin,
        strike_usd=strike * usd,
        sign=sign.copy(),
        years=years,
        forward_usd=forward_usd,
        vol=vol,
        mark_usd=mark_usd,
        delta=delta,
        rate=np.zeros(len(held)),
    )
    return contracts, coins, at


def _is_margined(position: BookPosition, underlying: str) -> bool:
    if position.underlying != underlying:
        return False
    if position.otc is not None:
        raise BadInputError(
            f"{position.source}: {position.instrument.name} is a contract over the counter, which no venue margins; "
            "take it out of the book"
        )
    return position.instrument.contract.kind is not Kind.SPOT
