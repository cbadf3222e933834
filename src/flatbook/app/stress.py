"""A book in a file under stress: a grid of spot, vol and time, named scenarios, the smallest moves that break it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.app.value_book import BookInMarkets, MarketChoice, open_book, prior_note
from flatbook.domain.errors import BadInputError
from flatbook.market.shock import Shock, Shocks
from flatbook.policies.stress import ScenarioSet, read_scenarios
from flatbook.valuation.revaluation import gains_by_shocks, valued_one_by_one
from flatbook.valuation.reverse_stress import Breaking, DayMoves, reverse_stress
from flatbook.valuation.stress import Scenario, Stressed, stress

Floats = NDArray[np.float64]

SPOTS: Final = (-0.6, -0.5, -0.4, -0.3, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
VOLS: Final = (-0.5, -0.25, 0.0, 0.25, 0.5, 1.0)
DAYS: Final = (0.0, 1.0, 7.0)

_STEPS = 121
"""Of a ladder's spots."""


@dataclass(frozen=True)
class StressRequest:
    """What is asked.

    scenarios       a set's name, or a file
    loss_usd        that the reverse stress looks for; None for all that the book is worth
    limit_usd       on the worst loss; None for none
    """

    book: Path
    choice: MarketChoice
    scenarios: str = "standard"
    spots: tuple[float, ...] = SPOTS
    vols: tuple[float, ...] = VOLS
    days: tuple[float, ...] = DAYS
    loss_usd: float | None = None
    limit_usd: float | None = None

    def __post_init__(self) -> None:
        for name, given in (("spot", self.spots), ("vol", self.vols), ("days", self.days)):
            if not given or list(given) != sorted(set(given)):
                raise BadInputError(f"--{name}: must rise, each once; give for example -0.2,0,0.2")
            for one in given:
                try:
                    Shock(**{name: one})
                except BadInputError as error:
                    raise BadInputError(f"--{error}") from None
        for name, usd in (("loss", self.loss_usd), ("limit", self.limit_usd)):
            if usd is not None and not 0.0 < usd < math.inf:
                raise BadInputError(f"--{name} {usd:g}: must be a loss in USD above 0")


@dataclass(frozen=True, eq=False)
class StressResults:
    """What was found.

    Shapes      grid_usd (days, vols, spots), of positions and balances; ladder_usd (vols, ladder spots), at once
    worst       the scenario that loses most, the grid's worst cell being one of them
    breaks      as `reverse_stress` gives them; empty where the book has nothing to lose
    """

    request: StressRequest
    opened: BookInMarkets
    chosen: ScenarioSet
    worth_usd: float
    stressed: tuple[Stressed, ...]
    worst: Stressed
    grid_usd: Floats
    ladder_spots: Floats
    ladder_usd: Floats
    loss_usd: float
    breaks: tuple[Breaking | None, ...]

    @property
    def holds(self) -> bool:
        """Whether no loss is beyond the limit."""
        limit = self.request.limit_usd
        return limit is None or -self.worst.pnl_usd <= limit

    @property
    def notes(self) -> list[str]:
        """What the smallest moves are counted in, and where they were not looked for."""
        if not self.breaks:
            return []
        slow = valued_one_by_one(self.opened.portfolio, self.opened.markets)
        far = f"{', '.join(slow)}: valued one by one, too slow for all directions; along spot and vol alone"
        return [*prior_note(self.request.choice, self.opened, "deviations are"), *([far] if slow else [])]


def stress_of(request: StressRequest) -> StressResults:
    """The book in its market, stressed.

    Errors      BadInputError where the book or its market cannot be used; ConfigurationError for the scenarios
    """
    chosen = read_scenarios(request.scenarios)
    opened = open_book(request.book, request.choice)
    book, markets = opened.portfolio, opened.markets
    worth = float(book.worth_usd(markets).sum()) + book.balances_usd(markets)
    stressed = stress(book, markets, chosen.scenarios)
    grid = _grid(opened, request.spots, request.vols, request.days)
    spots = np.unique(np.concatenate([np.linspace(request.spots[0], request.spots[-1], _STEPS), request.spots]))
    ladder = _grid(opened, spots.tolist(), request.vols, (0.0,))[0]
    (cell,) = stress(book, markets, [_worst_cell(request, grid)])
    loss = request.loss_usd if request.loss_usd is not None else worth
    return StressResults(
        request,
        opened,
        chosen,
        worth,
        stressed,
        min((*stressed, cell), key=lambda one: one.pnl_usd),
        grid,
        spots,
        ladder,
        loss,
        _breaks(opened, loss) if loss > 0.0 else (),
    )


def _grid(opened: BookInMarkets, spots: Sequence[float], vols: Sequence[float], days: Sequence[float]) -> Floats:
    """P&L of positions and balances, (days, vols, spots)."""
    shape = len(days), len(vols), len(spots)
    day, vol, spot = (one.ravel() for one in np.meshgrid(days, vols, spots, indexing="ij"))
    markets = opened.markets
    shocks = Shocks.made(len(spot), spot=spot, vol=vol, days=day)
    gained = gains_by_shocks(opened.portfolio, markets, dict.fromkeys(markets.snapshots, shocks), len(spot)).sum(axis=1)
    coins_usd = sum(
        one.amount * markets.usd_per(one.currency)
        for one in opened.portfolio.balances
        if one.currency in markets.snapshots
    )
    return np.asarray((gained + coins_usd * spot).reshape(shape))


def _worst_cell(request: StressRequest, grid: Floats) -> Scenario:
    day, vol, spot = np.unravel_index(int(np.argmin(grid)), grid.shape)
    shock = Shock(request.spots[spot], request.vols[vol], request.days[day])
    parts = (f"spot {100 * shock.spot:+g} %", f"vols {100 * shock.vol:+g} %", f"{shock.days:g} d")
    return Scenario(f"grid: {', '.join(parts)}", shock, note="the grid's worst cell")


def _breaks(opened: BookInMarkets, loss_usd: float) -> tuple[Breaking | None, ...]:
    moves = {
        name: DayMoves.of(market, opened.found.beliefs[name].covariance, opened.found.beliefs[name].tenor_days)
        for name, market in opened.markets.snapshots.items()
    }
    return reverse_stress(opened.portfolio, opened.markets, moves, loss_usd)
