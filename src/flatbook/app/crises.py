"""A book in a file replayed through crises of the library."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from flatbook.app.crisis_paths import read_crisis
from flatbook.app.value_book import BookInMarkets
from flatbook.domain.errors import BadInputError
from flatbook.policies.crises import Crisis, chosen_crises
from flatbook.sim.crises.account import Margining
from flatbook.sim.crises.outcome import Replayed
from flatbook.sim.crises.path import CrisisPath
from flatbook.sim.crises.replay import HEDGE_VENUE, ReplayTerms, replay
from flatbook.sim.crises.rules import Rule, all_of_it, band, no_hedge, price_of_risk
from flatbook.sim.crises.venue import HedgeMarket
from flatbook.valuation.stress import WINNING
from flatbook.venues.deribit import load_reference
from flatbook.venues.margin import edition_at

PRICE_OF_RISK: Final = "price-of-risk"
HEDGES: Final = ("none", "all", "band", PRICE_OF_RISK)
"""Rules by name."""

DATA: Final = Path("../shared/data")
"""Where recordings are looked for if nobody says."""


@dataclass(frozen=True)
class CrisisRequest:
    """What is asked, of one crisis or `all`.

    hedge_minutes       least time between hedges; 0 for each step
    risk_aversion       absolute, per USD, of `band` and `price-of-risk`; risks are held for `horizon_hours`
    lost_venue          by a position's venue, `HEDGE_VENUE` or `WINNING`; empty for none
    margin_model        by name
    """

    name: str
    data: Path = DATA
    hedge: str = PRICE_OF_RISK
    hedge_minutes: float = 0.0
    outage_hours: float = 0.0
    depth_factor: float = 1.0
    lost_venue: str = ""
    margin_model: str = "deribit_pm"
    risk_aversion: float = 1e-5
    horizon_hours: float = 24.0

    def __post_init__(self) -> None:
        if self.hedge not in HEDGES:
            raise BadInputError(f"--hedge {self.hedge}: no such rule; there are {', '.join(HEDGES)}")
        for option, value in (("hedge-every", self.hedge_minutes), ("outage-hours", self.outage_hours)):
            if not 0.0 <= value < math.inf:
                raise BadInputError(f"--{option} {value:g}: is no length of time; give 0 or more")
        if not 0.0 < self.depth_factor < math.inf:
            raise BadInputError(f"--depth-factor {self.depth_factor:g}: leaves no market; give more than 0")

    @property
    def crises(self) -> tuple[Crisis, ...]:
        """Those asked for."""
        return chosen_crises(self.name)


@dataclass(frozen=True, eq=False)
class CrisisResults:
    """Each crisis and what came of the book in it; what a reader should know of all.

    replays     Σ learning on the way
    static      the same hedged by the Σ of before each crisis; None where the rule asks for none
    """

    request: CrisisRequest
    replays: tuple[tuple[Crisis, Replayed], ...]
    static: tuple[Replayed | None, ...]
    notes: tuple[str, ...]


def crises_of(opened: BookInMarkets, request: CrisisRequest) -> CrisisResults:
    """The book of today, in the market it stands in, through what each crisis did.

    Errors      BadInputError where a recording cannot be used, or the book has no such venue
    """
    edition_at(request.margin_model, 0)  # Its name before anything slow is read.
    book = opened.portfolio
    venues = sorted({position.venue for position in book.positions if position.venue})
    if request.lost_venue not in ("", WINNING, HEDGE_VENUE, *venues):
        known = ", ".join((WINNING, HEDGE_VENUE, *venues))
        raise BadInputError(f"--lose-venue {request.lost_venue}: the book has no such venue; there are {known}")
    margining, notes = _margining(opened, request)
    found, static = [], []
    for crisis in request.crises:
        path = read_crisis(crisis, request.data)
        notes += _followers(opened, path)
        terms = _terms(opened, request, path, margining)
        found.append((crisis, replay(book, opened.markets, path, terms)))
        held = replay(book, opened.markets, path, replace(terms, learns=False)) if terms.beliefs else None
        static.append(held)
    return CrisisResults(request, tuple(found), tuple(static), tuple(dict.fromkeys(notes)))


def _terms(opened: BookInMarkets, request: CrisisRequest, path: CrisisPath, margining: Margining | None) -> ReplayTerms:
    return ReplayTerms(
        market=HedgeMarket(path.daily_volume_usd, depth_factor=request.depth_factor),
        rule=_rule(request),
        every_s=60.0 * request.hedge_minutes,
        outage_hours=request.outage_hours,
        lost_venue=request.lost_venue,
        margining=margining,
        beliefs=opened.found.beliefs if request.hedge == PRICE_OF_RISK else {},
    )


def _rule(request: CrisisRequest) -> Rule:
    match request.hedge:
        case "none":
            return no_hedge
        case "all":
            return all_of_it
        case "band":
            return band(request.risk_aversion)
        case _:
            return price_of_risk(request.risk_aversion, request.horizon_hours)


def _margining(opened: BookInMarkets, request: CrisisRequest) -> tuple[Margining | None, list[str]]:
    """None, and why, where the book says of no money that could be margin."""
    book, reference = opened.portfolio, load_reference()
    if not book.balances:
        return None, ["the book has no balances: margin is not followed in crises, and nothing is closed by force"]
    notes = []
    if any(position.otc is not None for position in book.positions):
        notes.append("contracts over the counter are margined by no venue: in crises they are valued and not margined")
    at_ns = max(market.ts_ns for market in opened.markets.snapshots.values())
    edition, dated = edition_at(request.margin_model, at_ns)
    hedges = {coin: reference.instrument(f"{coin}_USDC-PERPETUAL") for coin in book.underlyings}
    return Margining(edition.model, hedges), [*notes, *([dated] if dated else [])]


def _followers(opened: BookInMarkets, path: CrisisPath) -> list[str]:
    followers = [coin for coin in opened.portfolio.underlyings if coin not in path.shocks]
    return [f"{path.name}: {', '.join(followers)} moves as {path.lead} did"] if followers else []
