"""Makers in the same markets: what is measured of each, and how sure it is.

What is said of a maker is the mean of its runs; how sure that is, its hours say by the bootstrap.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.report import bootstrap, formats
from flatbook.report.bootstrap import Interval, Statistic
from flatbook.report.summary import Summary

CONFIDENCE = 0.95
DRAWS = 2000
BLOCK_HOURS = 6.0


class Trial(NamedTuple):
    """One run: the market it was in, its summary, and its P&L of each whole hour, USD."""

    market: str
    summary: Summary
    hourly_usd: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Contender:
    """A maker and its runs, one a market; every contender of a comparison was in the same markets, in one order."""

    label: str
    trials: tuple[Trial, ...]

    @property
    def hourly_usd(self) -> NDArray[np.float64]:
        """P&L of all its hours, market after market."""
        return np.concatenate([trial.hourly_usd for trial in self.trials])


class Measure(NamedTuple):
    """A row of the comparison: where it stands in a summary, how it reads, and which end is better (0: neither)."""

    name: str
    unit: str
    section: str
    key: str
    better: int = 0
    kind: str = "usd"

    def of(self, contender: Contender) -> float | None:
        """The mean of its runs, None where it does not apply to one."""
        values: list[float | None] = [trial.summary[self.section][self.key] for trial in contender.trials]
        known = [value for value in values if value is not None]
        return math.fsum(known) / len(known) if len(known) == len(values) else None

    def shown(self, value: float | None) -> str:
        """The value as people read it."""
        if self.kind == "share":
            return formats.share(value)
        if self.kind == "count":
            return formats.number(value)
        if self.kind == "vol_pt":
            return formats.number(value, 2)
        return formats.usd(value, signed=self.section == "pnl")


MEASURES = (
    Measure("Total P&L", "USD", "pnl", "total", 1),
    Measure("P&L std per hour", "USD", "risk", "pnl_std_per_hour", -1),
    Measure("Greatest drawdown", "USD", "risk", "max_drawdown", -1),
    Measure("Delta rms", "USD", "risk", "delta_rms", -1),
    Measure("Gamma rms", "USD per 1 %", "risk", "gamma_1pct_rms", -1),
    Measure("Vega rms", "USD per vol pt", "risk", "vega_rms", -1),
    Measure("Stress loss, worst", "USD", "risk", "stress_loss_max", -1),
    Measure("Limit breaches", "", "risk", "limit_breaches", -1, "count"),
    Measure("Spread earned", "USD", "pnl", "spread"),
    Measure("Adverse selection", "USD", "pnl", "adverse_selection"),
    Measure("Delta", "USD", "pnl", "delta"),
    Measure("Gamma", "USD", "pnl", "gamma"),
    Measure("Theta", "USD", "pnl", "theta"),
    Measure("Vega", "USD", "pnl", "vega"),
    Measure("Fees", "USD", "pnl", "fees"),
    Measure("Hedge cost", "USD", "pnl", "hedge_cost"),
    Measure("Unexplained", "USD", "pnl", "unexplained"),
    Measure("Fills", "", "flow", "fills", 0, "count"),
    Measure("Volume", "USD", "flow", "volume_usd"),
    Measure("Share of the tape", "", "flow", "fill_share", 0, "share"),
    Measure("Markout 1 h", "USD", "flow", "markout_1h"),
    Measure("Quoting", "of the time", "quotes", "uptime", 1, "share"),
    Measure("Half spread", "vol pt", "quotes", "median_half_spread_vol_pt", 0, "vol_pt"),
    Measure("Hedges", "", "hedges", "count", 0, "count"),
    Measure("Hedge volume", "USD", "hedges", "volume_usd"),
)
"""The rows, in order. Better is said only of what a maker wants more or less of by itself: profit, risk, presence."""

RISKS = tuple(
    measure for measure in MEASURES if measure.key in ("pnl_std_per_hour", "max_drawdown", "vega_rms", "delta_rms")
)


class Estimate(NamedTuple):
    """A number that the hours of all runs estimate, with an interval."""

    name: str
    key: str
    of_hours: Statistic
    is_ratio: bool = False
    is_size: bool = False

    def shown(self, interval: Interval, *, is_difference: bool = False) -> str:
        """The number and its bounds as people read them."""
        signed = is_difference or not self.is_size
        written = [
            formats.number(value, 2, signed=signed) if self.is_ratio else formats.usd(value, signed=signed)
            for value in interval
        ]
        return f"{written[0]} ({written[1]} to {written[2]})"


ESTIMATES = (
    Estimate("P&L a day", "pnl_usd_per_day", bootstrap.pnl_per_day),
    Estimate("P&L std per hour", "pnl_std_usd_per_hour", bootstrap.std_per_hour, is_size=True),
    Estimate("P&L a day over its std", "pnl_per_risk", bootstrap.pnl_per_risk, is_ratio=True),
)
"""The last is how makers compare at the same risk."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """Of every contender, in order, by estimate: its own interval, and the one of what it has over the first."""

    hours: int
    own: tuple[Mapping[str, Interval], ...]
    over_first: tuple[Mapping[str, Interval], ...]


def intervals(contenders: Sequence[Contender], rng: np.random.Generator) -> Intervals:
    """Bootstrap intervals from the same resampled hours for all; what `rng` draws is all that is left to chance."""
    check_contenders(contenders)
    lengths = [trial.hourly_usd.size for trial in contenders[0].trials]
    hours = [contender.hourly_usd for contender in contenders]
    known = [length for length in lengths if length]
    draws = bootstrap.stationary_draws(known or [0], DRAWS, BLOCK_HOURS, rng)
    own = tuple(
        {made.key: bootstrap.interval(made.of_hours, mine, draws, CONFIDENCE) for made in ESTIMATES} for mine in hours
    )
    over_first = tuple(
        {made.key: bootstrap.difference(made.of_hours, mine, hours[0], draws, CONFIDENCE) for made in ESTIMATES}
        for mine in hours
    )
    return Intervals(sum(lengths), own, over_first)


def best_of(measure: Measure, contenders: Sequence[Contender]) -> int | None:
    """Who is best by `measure`; None where better means nothing, a value is missing, or all are equal."""
    values = [measure.of(contender) for contender in contenders]
    known = [value for value in values if value is not None]
    if measure.better == 0 or len(known) < len(values) or len(set(known)) == 1:
        return None
    return values.index(max(known) if measure.better > 0 else min(known))


def check_contenders(contenders: Sequence[Contender]) -> None:
    """Refuses a comparison that would not be one.

    Errors      BadInputError for a single maker, a name that comes twice, or makers that saw different markets
    """
    if len(contenders) < 2:
        raise BadInputError(f"a comparison needs two makers or more, not {len(contenders)}; name another policy")
    labels = [contender.label for contender in contenders]
    if len(set(labels)) < len(labels):
        raise BadInputError(f"a comparison needs different names, but one comes twice: {', '.join(labels)}")
    if len({tuple(_place(trial) for trial in contender.trials) for contender in contenders}) > 1:
        raise BadInputError("a comparison needs the same markets, over the same span, for every maker")


def _place(trial: Trial) -> tuple[Any, ...]:
    """Which market it was; not when the run's last event was, for that may be an answer to the maker."""
    run = trial.summary["run"]
    return (trial.market, run["session"], run["seed"], run["from_ns"], trial.hourly_usd.size)
