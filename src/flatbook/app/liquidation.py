"""What a venue's accounts come to owe in a crash, against how late and how wrong its margin engine is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.app.workers import Workers
from flatbook.domain.errors import BadInputError
from flatbook.report.book_value import Document
from flatbook.risk.liquidation.auction import AuctionRules
from flatbook.risk.liquidation.insolvency import Curve, Outcome, Study, curve_of, endured
from flatbook.risk.liquidation.waterfall import WaterfallRules
from flatbook.venues.margin import MarginEdition, editions

Floats = NDArray[np.float64]

WATERFALLS: Final = {
    "ranked": WaterfallRules(),
    "water_filling": WaterfallRules(deleveraging="water_filling"),
    "socialised": WaterfallRules(deleveraging=None),
    "auction": WaterfallRules(auction=AuctionRules()),
}
"""What follows the insurance fund: auto-deleveraging by rank or by least leverage, or nothing; or Derive's auctions."""


_OPTIONS: Final = {
    "jumps_per_hour": "jumps",
    "fund_share": "fund",
    "depth_per_minute": "depth",
    "option_share": "options",
}


@dataclass(frozen=True)
class LiquidationQuestion:
    """A venue, a crash, and the engines to compare.

    late_s, misvalued  seconds, and shares that collateral is taken for too much: every one with every other
    fund_share, depth_per_minute  shares of open interest; `vol` per √year and `jumps_per_hour` of the crash
    option_share  of accounts that hold options; 0 for a venue of a perpetual alone
    """

    model: str = "deribit_sm"
    waterfall: str = "ranked"
    late_s: tuple[float, ...] = Study.late_s
    misvalued: tuple[float, ...] = Study.misvalued
    paths: int = 32
    seed: int = 1
    accounts: int = 500
    hours: float = 1.0
    vol: float = 1.5
    jumps_per_hour: float = 6.0
    fund_share: float = 0.005
    depth_per_minute: float = 0.05
    option_share: float = 0.4
    workers: Workers = field(default_factory=Workers)

    def __post_init__(self) -> None:
        if self.waterfall not in WATERFALLS:
            raise BadInputError(f"--waterfall {self.waterfall}: is not known; use one of {', '.join(WATERFALLS)}")
        for name, least, most in (("hours", 0.01, 240.0), ("vol", 0.0, 50.0), ("jumps_per_hour", 0.0, 1e4),
                                  ("fund_share", 0.0, 1.0), ("depth_per_minute", 0.0, 1e4),
                                  ("option_share", 0.0, 1.0)):  # fmt: skip
            value = getattr(self, name)
            if not least <= value <= most:
                option = _OPTIONS.get(name, name)
                raise BadInputError(f"--{option} {value:g}: is out of range; give from {least:g} to {most:g}")
        for option, values in (("late", self.late_s), ("misvalue", self.misvalued)):
            if not values or not all(0.0 <= value < math.inf for value in values):
                raise BadInputError(f"--{option}: has a value below 0, or none; give numbers from 0 on, with commas")


def insolvency_of(question: LiquidationQuestion, told: Callable[[], None] = lambda: None) -> Document:
    """The curve with its standard errors, and all that it was made from; `told` is called after each path.

    Errors      BadInputError for a model that nobody knows
    """
    edition = editions(question.model)[-1]
    study = _study(question, edition)
    seeds = [(question.seed, number) for number in range(question.paths)]
    done = list(_told(question.workers.carry_out(one_path, study, seeds), told))
    return _document(question, edition, study, curve_of(study, done))


def one_path(study: Study, seed: tuple[int, int]) -> Floats:
    """`endured` of one path by its seed and number, so that any process draws the same."""
    return endured(study, np.random.default_rng(seed))


def _told(results: Iterator[Floats], told: Callable[[], None]) -> Iterator[Floats]:
    for result in results:
        told()
        yield result


def _study(question: LiquidationQuestion, edition: MarginEdition) -> Study:
    study = Study(edition.model, question.late_s, question.misvalued)
    return replace(
        study,
        population=replace(study.population, accounts=question.accounts, option_share=question.option_share),
        crash=replace(
            study.crash,
            hours=question.hours,
            vol_per_root_year=question.vol,
            jumps_per_hour=question.jumps_per_hour,
        ),
        design=replace(
            study.design,
            rules=WATERFALLS[question.waterfall],
            fund_share=question.fund_share,
            depth_per_minute=question.depth_per_minute,
        ),
    )


def _document(question: LiquidationQuestion, edition: MarginEdition, study: Study, curve: Curve) -> Document:
    rules = study.design.rules
    return {
        "model": {"name": edition.name, "title": edition.model.title, "since": edition.since},
        "waterfall": question.waterfall,
        "seed": question.seed,
        "paths": curve.paths,
        "population": asdict(study.population),
        "menu": asdict(study.menu),
        "crash": asdict(study.crash),
        "design": {name: value for name, value in asdict(study.design).items() if name != "rules"},
        "rules": {**asdict(rules.incremental), "takeover_usage": rules.takeover_usage},
        "engines": [
            {"late_s": late, "misvalued": share, **_engine(curve, row, column)}
            for row, late in enumerate(curve.late_s)
            for column, share in enumerate(curve.misvalued)
        ],
        "notes": [],
    }


_UNITS: Final = {"debts_share": "", "uncovered": ""}


def _engine(curve: Curve, row: int, column: int) -> Document:
    """Means and standard errors of one engine; an error is None of a single path."""
    found: Document = {}
    for name in Outcome._fields:
        unit = _UNITS.get(name, "_usd")
        found[f"{name}{unit}"] = float(curve.mean[name][row, column])
        found[f"{name}{unit}_error"] = _known(curve.error[name][row, column])
    more, error = curve.more[row, column], curve.more_error[row, column]
    return {**found, "more_debts_share": float(more), "more_debts_share_error": _known(error)}


def _known(error: float) -> float | None:
    return float(error) if math.isfinite(error) else None
