"""Scenarios: what a standing book gains or loses when markets, money and venues do their worst, by full revaluation.

A scenario is a value: shocks of underlyings, what money and correlations become, and what venues do. The markets after
it are markets like any other, so every contract is valued in them by the pricer that values it today, and a scenario
in which nothing happens is exactly no profit, position by position.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.instruments import Kind
from flatbook.market.shock import NOTHING, Shock
from flatbook.market.snapshot import Markets, MarketSnapshot
from flatbook.valuation.linear import mark_linear
from flatbook.valuation.portfolio import BookPosition, Portfolio

Floats = NDArray[np.float64]

WINNING = "winning"
"""As a lost venue: whichever one gained most, in so far as any did."""

_FUNDING_HOURS = 8.0


@dataclass(frozen=True, slots=True)
class Unhedged:
    """Hours in which nothing can be hedged, and every underlying moves by so many of its own standard deviations.

    A hedge venue that is down is some hours of it; all underlyings moving alike, at correlation one, is a day.
    """

    hours: float
    deviations: float

    def __post_init__(self) -> None:
        if not (0.0 < self.hours < math.inf and math.isfinite(self.deviations)):
            raise BadInputError(f"{self}: hours must be above 0, and deviations a number")

    def move(self, market: MarketSnapshot) -> float:
        """The relative move of spot.

        Errors      BadInputError where there is no smile to say what a deviation is
        """
        years = self.hours / 8760.0
        vol = float(market.vol(market.forward_at(years), years))
        if math.isnan(vol):
            raise BadInputError(f"{market.underlying}: no smile says what a deviation is; give a market with options")
        return math.expm1(self.deviations * vol * math.sqrt(years))


@dataclass(frozen=True)
class Scenario:
    """What happens, all at once.

    shock           to every underlying that has none of its own in `own`
    unhedged        hours that pass without a hedge; their move comes on top of the shocks'
    correlation     of any two underlyings; None where it stays
    dollars         price in USD of currencies that are no underlying, where it changes
    funding_8h      rate of perpetuals' funding per eight hours, paid by longs where above 0, for `funding_hours`
    lost_venue      a venue that pays nobody any more, or `WINNING`: of what it owes us, `recovery` is got back; what we
                    owe it is owed
    note            where it is from, or what it stands for
    """

    name: str
    shock: Shock = NOTHING
    own: Mapping[str, Shock] = field(default_factory=dict)
    unhedged: Unhedged | None = None
    correlation: float | None = None
    dollars: Mapping[str, float] = field(default_factory=dict)
    funding_8h: float = 0.0
    funding_hours: float = 0.0
    lost_venue: str = ""
    recovery: float = 0.0
    note: str = ""

    def __post_init__(self) -> None:
        if self.correlation is not None and not -1.0 < self.correlation < 1.0:
            raise BadInputError(
                f"scenario {self.name}: a correlation of {self.correlation:g}; give one within -1 and 1"
            )
        if not all(0.0 < usd < math.inf for usd in self.dollars.values()):
            raise BadInputError(f"scenario {self.name}: a currency must keep a price in USD above 0")
        if not (math.isfinite(self.funding_8h) and 0.0 <= self.funding_hours < math.inf and 0.0 <= self.recovery <= 1):
            raise BadInputError(
                f"scenario {self.name}: funding must be a rate, its hours 0 or more, and recovery from 0 to 1"
            )

    def shock_of(self, market: MarketSnapshot) -> Shock:
        """What happens to one underlying."""
        shock = self.own.get(market.underlying, self.shock)
        if self.unhedged is None:
            return shock
        spot = (1.0 + shock.spot) * (1.0 + self.unhedged.move(market)) - 1.0
        return replace(shock, spot=spot, days=shock.days + self.unhedged.hours / 24.0)

    def markets_after(self, markets: Markets) -> Markets:
        """The markets once it has happened."""
        after = markets.shocked({name: self.shock_of(one) for name, one in markets.snapshots.items()})
        correlations = markets.correlations
        if self.correlation is not None:
            names = sorted(markets.snapshots)
            correlations = {(a, b): self.correlation for at, a in enumerate(names) for b in names[at + 1 :]}
        return replace(after, dollars={**markets.dollars, **self.dollars}, correlations=correlations)


@dataclass(frozen=True, eq=False)
class Stressed:
    """What a scenario does to a book, in USD; below 0 a loss.

    Shapes      (n,) a position each: `revalued_usd` by the markets, `funding_usd`, and `lost_usd` of claims on a venue
    balances_usd    what the balances' currencies do to them
    lost_venue      the venue that was lost; empty where none was
    """

    scenario: Scenario
    revalued_usd: Floats
    funding_usd: Floats
    lost_usd: Floats
    balances_usd: float
    lost_venue: str

    @property
    def by_position_usd(self) -> Floats:
        """All of it that is a position's, (n,)."""
        return self.revalued_usd + self.funding_usd + self.lost_usd

    @property
    def pnl_usd(self) -> float:
        """Of the whole book."""
        return float(self.by_position_usd.sum()) + self.balances_usd


def stress(portfolio: Portfolio, markets: Markets, scenarios: Iterable[Scenario]) -> tuple[Stressed, ...]:
    """What each scenario does to the book.

    Errors      BadInputError for a position that a market does not price
    """
    book = portfolio.entered(markets)
    before, held = book.worth_usd(markets), book.balances_usd(markets)
    return tuple(_stressed(book, markets, before, held, scenario) for scenario in scenarios)


def _stressed(book: Portfolio, markets: Markets, before: Floats, held: float, scenario: Scenario) -> Stressed:
    after = scenario.markets_after(markets)
    worth = _correlated(book, scenario.correlation).worth_usd(after)
    revalued, funding = worth - before, _funding_usd(book, after, scenario)
    venue = _lost_venue(book, revalued + funding, scenario)
    return Stressed(
        scenario,
        revalued,
        funding,
        _lost_usd(book, worth + funding, venue, scenario.recovery),
        book.balances_usd(after) - held,
        venue,
    )


def _correlated(book: Portfolio, correlation: float | None) -> Portfolio:
    """The book with contracts on two underlyings at this correlation: one that was agreed for marks is no refuge."""
    if correlation is None:
        return book

    def of(position: BookPosition) -> BookPosition:
        terms = position.otc
        if terms is None or terms.underlying2 is None:
            return position
        return replace(position, otc=replace(terms, correlation=correlation))

    return Portfolio(map(of, book.positions), book.balances)


def _funding_usd(book: Portfolio, after: Markets, scenario: Scenario) -> Floats:
    """Paid on perpetuals' worth in the markets after."""
    paid = np.zeros(len(book.positions))
    periods = scenario.funding_hours / _FUNDING_HOURS
    if scenario.funding_8h == 0.0 or periods == 0.0:
        return paid
    for at, position in enumerate(book.positions):
        if position.otc is None and position.instrument.contract.kind is Kind.PERPETUAL:
            mark = mark_linear(position.instrument, position.size, position.price, after)
            paid[at] = -scenario.funding_8h * periods * mark.basis_usd
    return paid


def _lost_venue(book: Portfolio, gained: Floats, scenario: Scenario) -> str:
    if scenario.lost_venue != WINNING:
        return scenario.lost_venue
    by_venue: dict[str, float] = {}
    for position, usd in zip(book.positions, gained.tolist(), strict=True):
        if position.venue:
            by_venue[position.venue] = by_venue.get(position.venue, 0.0) + usd
    best = max(by_venue, key=by_venue.__getitem__, default="")
    return best if best and by_venue[best] > 0.0 else ""


def _lost_usd(book: Portfolio, worth: Floats, venue: str, recovery: float) -> Floats:
    """Of a net claim on the venue what is not got back, position by position; nothing where we owe it."""
    there = np.array([bool(venue) and position.venue == venue for position in book.positions], dtype=np.bool_)
    claims = np.where(there, worth, 0.0)
    return -(1.0 - recovery) * claims if claims.sum() > 0.0 else np.zeros(len(worth))
