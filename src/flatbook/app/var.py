"""VaR and ES of a book in a file: market, history, scenarios, P&L by row, measures, and how forecasts held."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.app.value_book import BookInMarkets, MarketChoice, open_book, prior_note
from flatbook.app.var_document import Liquidity, MethodResult, RollingResult, VarResults
from flatbook.app.var_history import HistoryPath, RecordedHistory, read_history
from flatbook.app.var_spreads import spreads_usd
from flatbook.domain.errors import BadInputError
from flatbook.kernels.chain import FACTORS
from flatbook.market.covariance import CovarianceModel
from flatbook.risk.var.book_rows import RiskBook, risk_book
from flatbook.risk.var.history import FactorHistory
from flatbook.risk.var.liquidity import exit_cost, exit_scale
from flatbook.risk.var.measures import RiskMeasures, check_confidence, measure
from flatbook.risk.var.revaluation import full_pnl_usd, taylor_pnl_usd
from flatbook.risk.var.rolling import Forecaster, Recording, judge, roll
from flatbook.risk.var.sources import (
    FactorScenarios,
    JumpModel,
    VolFilter,
    covariance_of,
    filtered,
    historical,
    monte_carlo,
)
from flatbook.venues.deribit import load_reference

Floats = NDArray[np.float64]

METHODS: Final = ("historical", "filtered", "monte_carlo", "delta_gamma_vega")
NEEDS_HISTORY: Final = ("historical", "filtered")
CONFIDENCES: Final = (0.95, 0.975, 0.99)

_CORRELATION: Final = 0.8
"""Of two coins' factors, before a history says otherwise."""

_HALF_LIFE_HOURS: Final = VolFilter().half_life_hours
_STALE_DAYS: Final = 3.0
_BACKTEST_SCENARIOS: Final = 2_000
_HOURS: Final = {"h": 1.0, "d": 24.0}
_MOST_HOURS: Final = 24.0 * 365.0
_FEWEST_SCENARIOS: Final = 100
_MOST_SCENARIOS: Final = 1_000_000


def parse_horizon(text: str, option: str = "--horizon") -> float:
    """Hours of `1h`, `1d`, `10d`.

    Errors      BadInputError for anything else, and beyond a year
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([hd])", text.strip())
    hours = float(found[1]) * _HOURS[found[2]] if found else math.nan
    if not 0.0 < hours <= _MOST_HOURS:
        raise BadInputError(f"{option} {text!r}: write hours or days up to a year, as 1h, 1d or 10d")
    return hours


@dataclass(frozen=True)
class VarRequest:
    """What is asked.

    exit_hours      time to wind the book down in after the horizon; None is the horizon's own length
    """

    book: Path
    choice: MarketChoice
    history: tuple[HistoryPath, ...] = ()
    methods: tuple[str, ...] = METHODS
    horizon_hours: float = 24.0
    confidence: float = 0.99
    scenarios: int = 10_000
    seed: int = 1
    exit_hours: float | None = None
    backtest: bool = False
    vol_filter: VolFilter = field(default_factory=VolFilter)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if not _FEWEST_SCENARIOS <= self.scenarios <= _MOST_SCENARIOS:
            raise BadInputError(
                f"--scenarios {self.scenarios}: give {_FEWEST_SCENARIOS} at least and {_MOST_SCENARIOS:,} at most"
            )
        unknown = [name for name in self.methods if name not in METHODS]
        if unknown:
            raise BadInputError(f"--method {unknown[0]!r} is not known; use one of {', '.join(METHODS)}, or all")
        needy = [name for name in self.methods if name in NEEDS_HISTORY]
        if needy and not self.history and len(self.methods) == 1:
            raise BadInputError(f"--method {needy[0]} needs a history; add --history with chains, prices or a session")
        if self.backtest and not self.history:
            raise BadInputError("--backtest needs a history; add --history with chains, prices or a session")
        if self.backtest and self.methods == ("delta_gamma_vega",):
            raise BadInputError("--backtest judges forecasts by full revaluation; ask for another --method")


@dataclass(frozen=True)
class _Desk:
    """A request with all that its numbers are made of."""

    request: VarRequest
    opened: BookInMarkets
    history: RecordedHistory | None

    @cached_property
    def book(self) -> RiskBook:
        return risk_book(self.opened.portfolio, self.opened.markets)

    @cached_property
    def underlyings(self) -> tuple[str, ...]:
        return tuple(sorted(self.opened.markets.snapshots))

    @cached_property
    def models(self) -> dict[str, CovarianceModel]:
        model = CovarianceModel(half_life_hours=_HALF_LIFE_HOURS)
        return dict.fromkeys(self.underlyings, model)

    @property
    def tenor_years(self) -> Floats:
        return np.array(CovarianceModel().tenor_days) / 365

    @cached_property
    def sigma(self) -> Floats:
        """Per year: what the history says where there is one, else what the market's session does, else the prior."""
        if self.history is not None:
            return covariance_of(self.history.factors, self.models, _CORRELATION)
        sigma = self.prior
        for at, name in enumerate(self.underlyings):
            own = self.opened.found.beliefs[name].covariance
            block = slice(at * FACTORS, (at + 1) * FACTORS)
            # The blocks across keep the prior's correlations: they go with both sides' roots.
            mix = np.eye(len(sigma))
            mix[block, block] = np.linalg.cholesky(own) @ np.linalg.inv(np.linalg.cholesky(sigma[block, block]))
            sigma = mix @ sigma @ mix.T
        return sigma

    @cached_property
    def prior(self) -> Floats:
        nothing = FactorHistory(self.underlyings, np.zeros(0, np.int64), np.zeros((0, len(self.underlyings), FACTORS)))
        return covariance_of(nothing, self.models, _CORRELATION)

    def rng(self, purpose: int) -> np.random.Generator:
        """Chance for one purpose: what is asked for beside does not change it."""
        return np.random.default_rng((self.request.seed, purpose))

    @cached_property
    def drawn(self) -> FactorScenarios:
        request = self.request
        return monte_carlo(
            self.underlyings, self.sigma, request.horizon_hours, request.scenarios, _jumps(), self.rng(2)
        )

    def scenarios(self, method: str) -> FactorScenarios:
        request = self.request
        if method not in NEEDS_HISTORY:
            return self.drawn
        assert self.history is not None
        factors = self.history.factors
        if method == "historical":
            return historical(factors, self.sigma, request.horizon_hours, self.rng(0))
        return filtered(factors, self.sigma, request.horizon_hours, request.scenarios, request.vol_filter, self.rng(1))


def var_of(request: VarRequest) -> VarResults:
    """Every number that is asked for.

    Errors      BadInputError where book, market or history cannot be used
    """
    opened = open_book(request.book, request.choice)
    desk = _Desk(request, opened, _history(request, opened))
    if not desk.underlyings:
        raise BadInputError(f"{request.book}: holds dollars alone, which lose nothing; give a book with positions")
    missing = [name for name in request.methods if name in NEEDS_HISTORY and desk.history is None]
    methods = [name for name in request.methods if name not in missing]
    liquidity = _liquidity(desk)
    results = {name: _method(desk, name) for name in methods}
    notes = [*opened.notes, *(desk.history.notes if desk.history else ()), *_assumptions(desk, missing)]
    return VarResults(
        names=desk.book.names,
        sizes=desk.book.sizes,
        portfolio=opened.portfolio,
        markets=opened.markets,
        source=opened.found.source,
        horizon_hours=request.horizon_hours,
        confidence=request.confidence,
        seed=request.seed,
        sigma=desk.sigma,
        history=(desk.history.source, desk.history.factors) if desk.history else None,
        methods=results,
        liquidity=liquidity,
        backtest=_backtest(desk, [name for name in methods if name != "delta_gamma_vega"]),
        notes=tuple(notes),
    )


def _history(request: VarRequest, opened: BookInMarkets) -> RecordedHistory | None:
    if not request.history:
        return None
    snapshots = opened.markets.snapshots
    until_ns = max((market.ts_ns for market in snapshots.values()), default=0)
    tenor_years = np.array(CovarianceModel().tenor_days) / 365
    return read_history(request.history, sorted(snapshots), until_ns, tenor_years, load_reference())


def _method(desk: _Desk, method: str) -> MethodResult:
    scenarios = desk.scenarios(method)
    opened = desk.opened
    if method == "delta_gamma_vega":
        entered = opened.portfolio.entered(opened.markets)
        pnl = taylor_pnl_usd(desk.book, entered, opened.markets, scenarios, desk.tenor_years)
    else:
        pnl = full_pnl_usd(desk.book, opened.markets, scenarios, desk.tenor_years)
    levels = sorted({*CONFIDENCES, desk.request.confidence})
    return MethodResult(pnl, {level: _measured(desk, pnl, level, scenarios.overlap) for level in levels})


def _measured(desk: _Desk, pnl: Floats, confidence: float, overlap: int) -> RiskMeasures:
    sizes = desk.book.sizes
    with np.errstate(divide="ignore", invalid="ignore"):
        units = np.where(sizes != 0.0, desk.book.lots / np.abs(sizes), np.nan)
    return measure(pnl, confidence, units, overlap)


def _liquidity(desk: _Desk) -> Liquidity:
    request = desk.request
    exit_hours = request.horizon_hours if request.exit_hours is None else request.exit_hours
    scale = exit_scale(request.horizon_hours, exit_hours)
    spreads = spreads_usd(desk.opened.portfolio, desk.opened.markets, request.choice.chain)
    return Liquidity(exit_cost(desk.book.sizes, spreads), exit_hours, scale)


def _backtest(desk: _Desk, methods: Sequence[str]) -> RollingResult | None:
    if not desk.request.backtest or desk.history is None:
        return None
    request, recording = desk.request, Recording(desk.history.factors, desk.history.markets)
    forecasters = {name: one for name, one in _forecasters(desk, recording).items() if name in methods}
    if not forecasters:
        raise BadInputError(
            "--backtest along prices alone forecasts by history: ask for --method historical or filtered"
        )
    made = roll(desk.book, desk.opened.markets, recording, request.horizon_hours, desk.tenor_years, forecasters)
    levels = sorted({*CONFIDENCES, request.confidence})
    return RollingResult(
        made, {name: [judge(one, level, desk.rng(3)) for level in levels] for name, one in made.items()}
    )


def _forecasters(desk: _Desk, recording: Recording) -> Mapping[str, Forecaster]:
    """Each from what was known then: Σ, too, is of the past, and what was not seen is drawn from the prior."""
    hours, rng, prior = desk.request.horizon_hours, desk.rng(4), desk.prior
    by_history: dict[str, Forecaster] = {
        "historical": lambda known: historical(known, prior, hours, rng),
        "filtered": lambda known: filtered(known, prior, hours, _BACKTEST_SCENARIOS, desk.request.vol_filter, rng),
    }
    if recording.is_spot_alone:
        # Σ of thousands of prices anew for each forecast would take minutes.
        return by_history
    return by_history | {
        "monte_carlo": lambda known: monte_carlo(
            known.underlyings,
            covariance_of(known, desk.models, _CORRELATION),
            hours,
            _BACKTEST_SCENARIOS,
            _jumps(),
            rng,
        )
    }


def _jumps() -> JumpModel:
    return JumpModel.of(CovarianceModel())


def _assumptions(desk: _Desk, missing: Sequence[str]) -> list[str]:
    notes = []
    if missing:
        notes.append(f"no --history: {', '.join(missing)} left out")
    if desk.history is None:
        notes += prior_note(desk.request.choice, desk.opened, "scenarios are drawn") or ["Σ is what the session taught"]
    if desk.history is not None and "historical" in desk.request.methods:
        windows = desk.history.factors.over(round(desk.request.horizon_hours * 3.6e12))
        if windows.is_scaled:
            hours = desk.history.factors.step_ns / 3.6e12
            notes.append(
                f"the history has too few windows of {desk.request.horizon_hours:g} hours: historical scales its steps "
                f"of {hours:.3g} hours by the root of time"
            )
    if desk.history is not None:
        ended_ns = int(desk.history.factors.times_ns[-1])
        late = (max(market.ts_ns for market in desk.opened.markets.snapshots.values()) - ended_ns) / 8.64e13
        if late > _STALE_DAYS:
            notes.append(f"the history ends {late:,.0f} days before the market: its vol is not that of now")
    two = [p.instrument.name for _, p in desk.book.otc if p.otc is not None and p.otc.underlying2 is not None]
    if desk.book.otc:
        notes.append("over the counter: valued on a grid of spot and vol, skew and convexity of smiles held")
    if two:
        notes.append(f"{', '.join(two)}: two assets, by delta, gamma and vega of each")
    if desk.request.backtest and desk.book.otc:
        notes.append("backtest: contracts over the counter are left out of it")
    return notes
