"""Contracts as margin models see them: columns of one underlying in one market, without what is held of them.

Sizes are in coins throughout. An inverse future of n dollars at a mark F counts n/F coins, as venues' margin pages do,
so a size turns from dollars into coins once, where a book is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.instruments import Kind
from flatbook.domain.reference import Instrument
from flatbook.kernels.black import black
from flatbook.market.snapshot import Markets
from flatbook.valuation.marks import Marks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Names = NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class MarginContracts:
    """Contracts on one underlying, (n,) each.

    Units       USD per coin; `mark_usd` is Black's value of an option on the forward and the mark of a linear contract
                `strike_usd` NaN and `sign` 0 where it is no option; `years` 0 where it has no expiry; `rate` annual,
                continuous, at which a venue discounts
    Convention  an inverse contract (`in_coin`) pays `mark_usd` over the forward, in coin
    quoted          the dollars that each is quoted in; None for USD where it pays coin, else USDC
    """

    underlying: str
    index_usd: float
    names: tuple[str, ...]
    is_option: Flags
    in_coin: Flags
    strike_usd: Floats
    sign: Floats
    years: Floats
    forward_usd: Floats
    vol: Floats
    mark_usd: Floats
    delta: Floats
    rate: Floats
    quoted: Names | None = None

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, chosen: Ints) -> MarginContracts:
        """Some of them, in the order asked for."""
        columns = {
            field.name: getattr(self, field.name)[chosen]
            for field in fields(self)
            if field.name not in ("underlying", "index_usd", "names", "quoted")
        }
        return replace(
            self, names=tuple(self.names[row] for row in chosen.tolist()), quoted=self.dollars[chosen], **columns
        )

    @cached_property
    def dollars(self) -> Names:
        """The dollars that each is quoted in, (n,)."""
        return np.where(self.in_coin, "USD", "USDC") if self.quoted is None else self.quoted

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
    instruments: Sequence[Instrument], marks: Marks, markets: Markets, underlying: str
) -> tuple[MarginContracts, Ints, Floats]:
    """The derivatives on `underlying` among listed instruments, their places, and coins per unit of a venue's size.

    `marks` are those of one position in each instrument; spot pairs are left out, for they are collateral.
    """
    at = np.array([row for row, one in enumerate(instruments) if _is_margined(one, underlying)], dtype=np.int64)
    terms = [instruments[row].contract for row in at.tolist()]
    is_option = np.array([contract.kind is Kind.OPTION for contract in terms], dtype=np.bool_)
    in_coin = np.array([contract.is_inverse for contract in terms], dtype=np.bool_)
    usd = np.array([1.0 if contract.is_inverse else markets.usd_per(contract.quote) for contract in terms])
    strike_usd = np.array([float(contract.strike or "nan") for contract in terms]) * usd
    sign = np.array([0.0 if contract.right is None else float(contract.right.sign) for contract in terms])
    index_usd = markets.of(underlying).index_usd
    by_index = index_usd * np.exp(marks.log_basis[at])
    # An inverse option's price is coin over its forward; all others' are of their quote currency.
    mark_usd = marks.price[at] * np.where(is_option & in_coin, by_index, usd)
    forward_usd = np.where(is_option, by_index, mark_usd)
    years, vol = np.nan_to_num(marks.years[at]), np.where(is_option, marks.vol[at], 0.0)
    delta = np.ones(len(at))
    options = (column[is_option] for column in (forward_usd, strike_usd, vol, years, sign))
    delta[is_option] = black(*options).delta
    contracts = MarginContracts(
        underlying=underlying,
        index_usd=index_usd,
        names=tuple(instruments[row].name for row in at.tolist()),
        is_option=is_option,
        in_coin=in_coin,
        strike_usd=strike_usd,
        sign=sign,
        years=years,
        forward_usd=forward_usd,
        vol=vol,
        mark_usd=mark_usd,
        delta=delta,
        rate=np.zeros(len(at)),
        quoted=np.array(["USD" if contract.is_inverse else contract.quote for contract in terms], dtype=np.str_),
    )
    return contracts, at, 1.0 / np.where(in_coin & ~is_option, mark_usd, 1.0)


def _is_margined(instrument: Instrument, underlying: str) -> bool:
    return instrument.contract.base == underlying and instrument.contract.kind is not Kind.SPOT
