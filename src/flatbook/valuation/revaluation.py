"""Options under many shocks at once: tables by expiry and scenario, which `kernels.stress` walks.

The same market and smile as `MarketSnapshot.shocked` makes, a table of all scenarios instead of a snapshot each: two
thousand positions under two hundred shocks take a millisecond and not a hundred. Linear contracts are a formula of
the shocks' columns. What is left, contracts over the counter first of all, is valued snapshot by snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.stress import BASE, CELLS, LANES, stress_totals, stress_values
from flatbook.market.shock import NOTHING, Shock, Shocks, shocked_slices
from flatbook.market.snapshot import Markets
from flatbook.valuation.linear import linear_gains_usd
from flatbook.valuation.portfolio import Portfolio, Vanillas

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

Happening = Shock | Mapping[str, Shock]
"""A shock of all underlyings, or of each its own."""


@dataclass(frozen=True, eq=False)
class Scenarios:
    """Shocks of one underlying as the kernel takes them: after none at all, and padded with more of those."""

    count: int
    shocks: Shocks

    @classmethod
    def of(cls, shocks: Shocks) -> Scenarios:
        """Those, in order."""
        return cls(len(shocks), shocks.after_nothing(-(len(shocks) + 1) % LANES))


@dataclass(frozen=True, eq=False)
class Expiries:
    """What options are valued by, before any shock.

    Shapes      forward_usd, years (n,), years negative once past; slices (n, 5) raw SVI total variance
    """

    index_usd: float
    forward_usd: Floats
    years: Floats
    slices: Floats


@dataclass(frozen=True, eq=False)
class Options:
    """Options by expiry: `first` (expiries + 1,) is where each expiry's begin; strike, sign (n,)."""

    first: Ints
    strike: Floats
    sign: Floats

    @classmethod
    def by_expiry(cls, expiry: Ints, expiries: int, strike: Floats, sign: Floats) -> tuple[Options, Ints]:
        """Options sorted by the number of their expiry, and their order."""
        order = np.argsort(expiry, kind="stable")
        first = np.zeros(expiries + 1, np.int64)
        np.cumsum(np.bincount(expiry, minlength=expiries), out=first[1:])
        return cls(first, strike[order], sign[order]), order


class ScenarioTable:
    """All scenarios of some expiries: what options on them gain. `base` and `cells` are as in `kernels.stress`.

    `quote_usd` is the worth of what prices are quoted in, None for coin-settled options, which are worth their price
    over the forward in coin.
    """

    def __init__(self, expiries: Expiries, scenarios: Scenarios, quote_usd: float | None = None) -> None:
        shocks, years = scenarios.shocks, expiries.years
        self._count = scenarios.count
        alive = years > 0.0
        # What has passed has no time left; the quotient of what has not is exactly 1 where no time passes.
        left = np.maximum(years - shocks.days / 365.0, 0.0) / np.where(alive, years, 1.0)
        slices = shocked_slices(shocks, expiries.slices, years, left)
        index = expiries.index_usd * (1.0 + shocks.spot)
        forward = np.where(left > 0.0, expiries.forward_usd * shocks.carried, index)
        cells = np.empty((len(years), len(CELLS), len(shocks.spot)))
        cells[:, 0], cells[:, 1] = forward.T, np.log(forward / expiries.forward_usd).T
        cells[:, 2] = np.where(left > 0.0, slices.a, 0.0).T
        cells[:, 3] = np.where(left > 0.0, slices.b, 0.0).T
        cells[:, 4] = cells[:, 3] * np.broadcast_to(slices.rho, left.shape).T
        cells[:, 5] = (index / forward).T if quote_usd is None else 1.0
        self.base = np.empty((len(years), len(BASE)))
        self.base[:, 0], self.base[:, 1:] = expiries.forward_usd, expiries.slices[:, 3:]
        if quote_usd is not None:
            cells[:, 0] /= quote_usd
            cells[:, 5] = quote_usd
            self.base[:, 0] /= quote_usd
        self.cells = cells.reshape(-1, len(shocks.spot))

    def gains_usd(self, options: Options) -> Floats:
        """What one contract of each gains, (n, scenarios)."""
        value = np.empty((len(options.strike), self.cells.shape[1]))
        stress_values(options.first, self.base, options.strike, options.sign, self.cells, value)
        return value[:, 1 : self._count + 1] - value[:, :1]

    def book_gains_usd(self, options: Options, held: Floats) -> Floats:
        """What all of them gain, (scenarios,); `held` (n,) contracts, signed."""
        total = np.empty(self.cells.shape[1])
        stress_totals(options.first, self.base, options.strike, options.sign, held, self.cells, total)
        return np.asarray(total[1 : self._count + 1] - total[0])


def gains_usd(portfolio: Portfolio, markets: Markets, happenings: Sequence[Happening]) -> Floats:
    """What each position gains in each of many happenings, (happenings, n), in USD; balances apart.

    Errors      BadInputError for a position that a market does not price
    """

    def of(name: str) -> Shocks:
        return Shocks.of([one if isinstance(one, Shock) else one.get(name, NOTHING) for one in happenings])

    return gains_by_shocks(portfolio, markets, {name: of(name) for name in markets.snapshots}, len(happenings))


def gains_by_shocks(portfolio: Portfolio, markets: Markets, shocks: Mapping[str, Shocks], count: int) -> Floats:
    """What each position gains, (count, n), in USD; `shocks` of every underlying, `count` of each, by column.

    Errors      BadInputError for a position that a market does not price
    """
    book = portfolio.entered(markets)
    gained = np.zeros((count, len(book.positions)))
    if not count:
        return gained
    rest = np.ones(len(book.positions), np.bool_)
    for group in book.vanillas:
        place, listed = _listed(group, markets)
        if listed.any():
            rest[group.at[listed]] = False
            gained[:, group.at[listed]] = _group_gains(group, markets, shocks[group.underlying], place, listed)
    for number in np.flatnonzero(rest).tolist():
        position = book.positions[number]
        at = shocks[position.underlying]
        if position.is_vanilla or position.otc is not None or at.days.any():
            continue
        rest[number] = False
        gained[:, number] = linear_gains_usd(position.instrument, position.size, position.price, markets, at)
    slow = np.flatnonzero(rest)
    if slow.size:
        others = Portfolio(book.positions[number] for number in slow.tolist())
        before = others.worth_usd(markets)
        for number in range(count):
            after = markets.shocked({name: columns.at(number) for name, columns in shocks.items()})
            gained[number, slow] = others.worth_usd(after) - before
    return gained


def valued_one_by_one(portfolio: Portfolio, markets: Markets) -> list[str]:
    """Names of what `gains_by_shocks` values market by market, thousands of times slower than by column: contracts over
    the counter, and options of an expiry that has no slice of its own."""
    slow = [one.instrument.name for one in portfolio.positions if one.otc is not None and not one.is_vanilla]
    for group in portfolio.vanillas:
        _, listed = _listed(group, markets)
        slow += [portfolio.positions[at].instrument.name for at in group.at[~listed].tolist()]
    return slow


def _listed(group: Vanillas, markets: Markets) -> tuple[Ints, Flags]:
    """Where in its market's expiries each option's is; and whether it is there, with a smile, still to come."""
    market = markets.of(group.underlying)
    if not len(market.expiry_ns):
        return np.zeros(len(group.at), np.int64), np.zeros(len(group.at), np.bool_)
    place = np.minimum(np.searchsorted(market.expiry_ns, group.expiry_ns), len(market.expiry_ns) - 1)
    known = np.isfinite(market.slices).all(axis=1) & (market.years > 0.0)
    return place, (market.expiry_ns[place] == group.expiry_ns) & known[place]


def _group_gains(group: Vanillas, markets: Markets, shocks: Shocks, place: Ints, listed: Flags) -> Floats:
    market = markets.of(group.underlying)
    options, order = Options.by_expiry(place[listed], len(market.years), group.strike[listed], group.sign[listed])
    expiries = Expiries(market.index_usd, market.forward_usd, market.years, market.slices)
    quote_usd = None if group.is_inverse else markets.usd_per(group.settle)
    gained = np.empty((len(shocks), len(order)))
    gained[:, order] = ScenarioTable(expiries, Scenarios.of(shocks), quote_usd).gains_usd(options).T
    return gained * group.size[listed]
