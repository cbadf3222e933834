"""One underlying's market at one instant as a frozen value: what valuations of a standing book are functions of.

A shock (`market.shock`) makes another snapshot of one: a shocked smile is a smile of the same kind, and a shock of
nothing gives the same numbers to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_DAY, NS_PER_YEAR, format_utc
from flatbook.market.analytics.funding import CarryCurve, carry_curve
from flatbook.market.market import Market
from flatbook.market.shock import Shock, shocked_slices
from flatbook.market.term import TermStructure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DOLLARS: Mapping[str, float] = {"USD": 1.0, "USDC": 1.0, "USDT": 1.0}
"""Currencies taken for a dollar where nothing else is said."""


@dataclass(frozen=True, eq=False)
class MarketSnapshot:
    """What one underlying's market said at `ts_ns`.

    Shapes      expiry_ns (n,) rising, forward_usd (n,), slices (n, 5) raw SVI of total variance, NaN where none
    Units       prices in USD per coin; `linear_usd` the marks of futures and perpetuals by name
    Domain      an expiry that has passed stays, and is worth its intrinsic value
    """

    underlying: str
    ts_ns: int
    index_usd: float
    expiry_ns: Ints
    forward_usd: Floats
    slices: Floats
    linear_usd: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.expiry_ns)
        if self.forward_usd.shape != (n,) or self.slices.shape != (n, 5) or not (np.diff(self.expiry_ns) > 0).all():
            raise BadInputError(f"{self.underlying}: {n} expiries must rise, each with a forward and a slice")
        if not (0.0 < self.index_usd < math.inf and np.all(self.forward_usd > 0.0)):
            raise BadInputError(
                f"{self.underlying} at {format_utc(self.ts_ns)}: an index of {self.index_usd:g} USD, and forwards of "
                f"{self.forward_usd.tolist()}; all must be known and above 0"
            )

    @classmethod
    def of(cls, market: Market, now_ns: int) -> MarketSnapshot:
        """A live market as of `now_ns`: the expiries to come whose forwards were seen, and their slices."""
        universe, surface = market.universe, market.surface
        slots = [slot for slot in universe.slots_by_expiry(now_ns).tolist() if market.forwards.seen_ns[slot]]
        years = market.years(now_ns)
        none = np.full(5, np.nan)
        slices = [surface.at(slot, float(years[slot])) if surface.is_known(slot) else none for slot in slots]
        return cls(
            underlying=market.underlying,
            ts_ns=now_ns,
            index_usd=market.forwards.index_usd,
            expiry_ns=universe.expiry_ns[slots].astype(np.int64),
            forward_usd=np.array([market.forwards.forward_usd(slot) for slot in slots]),
            slices=np.array(slices).reshape(len(slots), 5),
        )

    @cached_property
    def years(self) -> Floats:
        """To each expiry, (n,); negative once past."""
        return np.asarray((self.expiry_ns - self.ts_ns) / NS_PER_YEAR)

    def years_to(self, expiry_ns: int) -> float:
        """Years of 365 days to a moment; negative once past."""
        return (expiry_ns - self.ts_ns) / NS_PER_YEAR

    @cached_property
    def term(self) -> TermStructure:
        """The smiles, readable at any time."""
        return TermStructure.of(self.years, self.slices)

    @cached_property
    def _carry(self) -> CarryCurve | None:
        alive = self.years > 0.0
        return carry_curve(self.years[alive], self.forward_usd[alive], self.index_usd) if alive.any() else None

    def log_basis(self, years: ArrayLike) -> Floats:
        """ln(forward / index) at times ahead: linear between expiries, 0 at no time or where no forward is known."""
        time = np.maximum(np.asarray(years, np.float64), 0.0)
        return self._carry.log_basis(time) if self._carry is not None else np.zeros_like(time)

    def forward_at(self, years: ArrayLike) -> Floats:
        """The forward in USD at times ahead."""
        return np.asarray(self.index_usd * np.exp(self.log_basis(years)))

    def vol(self, strike_usd: ArrayLike, years: ArrayLike) -> Floats:
        """Implied vol of a strike at a time ahead, NaN where there is no smile; arguments broadcast."""
        k = np.log(np.asarray(strike_usd, np.float64) / self.forward_at(years))
        return self.term.vol(k, years)

    def in_units_of(self, usd: float) -> MarketSnapshot:
        """The same market with prices in a currency worth `usd` dollars."""
        if usd == 1.0:
            return self
        linear = {name: price / usd for name, price in self.linear_usd.items()}
        return replace(self, index_usd=self.index_usd / usd, forward_usd=self.forward_usd / usd, linear_usd=linear)

    def shocked(self, shock: Shock) -> MarketSnapshot:
        """The market right after `shock`."""
        later_ns = self.ts_ns + round(shock.days * NS_PER_DAY)
        left = np.where(self.years > 0.0, np.maximum(self.expiry_ns - later_ns, 0) / (self.expiry_ns - self.ts_ns), 1.0)
        carried = shock.carried
        return replace(
            self,
            ts_ns=later_ns,
            index_usd=self.index_usd * (1.0 + shock.spot),
            forward_usd=self.forward_usd * carried,
            slices=np.stack(np.broadcast_arrays(*shocked_slices(shock, self.slices, self.years, left)), axis=1),
            linear_usd={name: price * carried for name, price in self.linear_usd.items()},
        )


@dataclass(frozen=True)
class Markets:
    """Several underlyings' markets at one instant, and what money is worth.

    snapshots       by underlying
    dollars         price in USD of currencies that are no underlying
    correlations    of the log returns of two underlyings, keyed in alphabetical order
    """

    snapshots: Mapping[str, MarketSnapshot]
    dollars: Mapping[str, float] = field(default_factory=lambda: dict(DOLLARS))
    correlations: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def of(self, underlying: str) -> MarketSnapshot:
        """The market of one underlying.

        Errors      BadInputError where there is none
        """
        if underlying not in self.snapshots:
            known = ", ".join(self.snapshots) or "none"
            raise BadInputError(f"{underlying}: no market; known are those of {known}: give one that has it")
        return self.snapshots[underlying]

    def usd_per(self, currency: str) -> float:
        """Price of a currency in USD: a coin's is its index."""
        if currency in self.snapshots:
            return self.snapshots[currency].index_usd
        if currency not in self.dollars:
            known = ", ".join((*self.snapshots, *self.dollars))
            raise BadInputError(f"{currency}: no price in USD; known are {known}: give a market that has it")
        return self.dollars[currency]

    def correlation(self, one: str, other: str) -> float | None:
        """Of two underlyings' log returns; None where nobody knows."""
        first, second = sorted((one, other))
        return self.correlations.get((first, second))

    def shocked(self, shocks: Shock | Mapping[str, Shock]) -> Markets:
        """The markets right after a shock of all underlyings, or of each its own; those left out stand still."""
        still = Shock()

        def of(underlying: str) -> Shock:
            return shocks if isinstance(shocks, Shock) else shocks.get(underlying, still)

        return replace(self, snapshots={name: market.shocked(of(name)) for name, market in self.snapshots.items()})
