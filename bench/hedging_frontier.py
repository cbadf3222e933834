"""What hedging rules cost and what risk they remove: `python -m bench.hedging_frontier --out hedging.html`.

On simulated paths of two laws and, where recorded bars are at hand (`--bars`, a folder of five-minute klines in CSV),
on those. Takes a minute or two.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flatbook.decide.hedge.stability import StabilityPolicy
from flatbook.report.hedging_page import (
    FeedbackRow,
    FeedbackRun,
    FrontierCurve,
    FrontierMarket,
    render_hedging,
)
from flatbook.sim.hedging.book import SHORT_STRANGLE, along
from flatbook.sim.hedging.contest import curve, path_draws, run
from flatbook.sim.hedging.feedback import AnsweringMarket, amplified_variance, hedge_in
from flatbook.sim.hedging.paths import GEOMETRIC, STEP_MINUTES, STOCHASTIC_VOL, Paths, side_by_side, simulated, windows
from flatbook.sim.hedging.rules import CLASSICAL, OURS, stage_of
from flatbook.sim.hedging.with_options import OptionTerms, run_with_options
from flatbook.sim.world import WorldParameters

HOURS = 144
WARM_UP_HOURS = 240
COST_RATE = 5.5e-4
RESAMPLES = 400
OPTION_AVERSIONS = (1e-7, 3e-7, 1e-6, 3e-6, 1e-5, 3e-5)
BOOK = "A week's strangle, short 50 BTC a leg, half a deviation out, hedged for six days at 5.5 bp a side. "


def main() -> int:
    """Runs the contest and writes the page."""
    parser = argparse.ArgumentParser(prog="bench.hedging_frontier", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("hedging.html"), help="the page to write")
    parser.add_argument("--bars", type=Path, help="folder of five-minute klines (open_time, close), a CSV a month")
    parser.add_argument("--paths", type=int, default=200, help="simulated paths of each law")
    arguments = parser.parse_args()
    markets = [
        contest("Black's world", "Simulated: one vol, a flat smile. " + BOOK, paths_of(GEOMETRIC, arguments.paths)),
        contest(
            "Stochastic vol with jumps",
            "Simulated by the market's own law: variance, skew and index jump and wander. " + BOOK,
            paths_of(STOCHASTIC_VOL, arguments.paths),
        ),
    ]
    if arguments.bars:
        recorded = side_by_side(*(windows(bars, HOURS, WARM_UP_HOURS) for bars in stretches(arguments.bars)))
        note = (
            f"{len(recorded.index_usd)} windows of recorded BTC bars that do not overlap; options are marked flat at "
            "what variance was. " + BOOK
        )
        markets.append(contest("Recorded paths", note, recorded))
    arguments.out.write_text(render_hedging(markets, feedback_runs(), feedback_rows()), encoding="utf-8")
    print(f"wrote {arguments.out}", file=sys.stderr)
    return 0


def paths_of(law: WorldParameters, count: int) -> Paths:
    """Simulated paths of a law, seeds from 0 up."""
    return simulated(law, range(count), HOURS)


def contest(name: str, note: str, paths: Paths) -> FrontierMarket:
    """All rules along some paths, told as they go."""
    started = time.perf_counter()
    stage = stage_of(paths, along(paths, SHORT_STRANGLE), COST_RATE)
    classical = [run(stage, rule) for rule in CLASSICAL]
    ours = [*(run(stage, rule) for rule in OURS), run_with_options(stage, OPTION_AVERSIONS, OptionTerms())]
    draws = path_draws(len(paths.index_usd), RESAMPLES, np.random.default_rng(0))
    curves = tuple(curve(stage, contestant, classical, draws) for contestant in [*classical, *ours])
    print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    for drawn in curves:
        show(drawn)
    return FrontierMarket(name, note, curves)


def show(drawn: FrontierCurve) -> None:
    """One rule's points, a line each."""
    for point in drawn.points:
        excess = point.excess_risk
        against = f"{100 * excess.value:+6.1f} % [{100 * excess.low:+.1f}, {100 * excess.high:+.1f}]" if excess else "-"
        print(
            f"  {drawn.rule:28s} {point.value:9.3g} {point.cost_usd_per_day.value:8,.0f} USD a day "
            f"{100 * point.variance_removed.value:7.2f} % removed {against}"
        )


def stretches(folder: Path) -> list[NDArray[np.float64]]:
    """Closes of months that follow each other, as one array each.

    Times are milliseconds in older files and microseconds in newer ones.
    """
    bars = pl.concat(
        pl.read_csv(path, columns=["open_time", "close"], schema_overrides={"close": pl.Float64})
        for path in sorted(folder.glob("*.csv*"))
    )
    milliseconds = (
        pl.when(pl.col("open_time") > 10**14).then(pl.col("open_time") // 1000).otherwise(pl.col("open_time"))
    )
    bars = bars.with_columns(at=milliseconds).sort("at")
    breaks = np.flatnonzero(np.diff(bars["at"].to_numpy()) != STEP_MINUTES * 60_000) + 1
    return [part.astype(np.float64) for part in np.split(bars["close"].to_numpy(), breaks)]


SECONDS = 1_800
YEAR_S = 365 * 86_400


def answering(gain: float, lasting: float, every_s: int) -> AnsweringMarket:
    """A market in which a book short 50 M USD of gamma, and 5 M USD of delta at most, has a loop gain."""
    return AnsweringMarket(gain / 5e7, -5e7, 5e6, lasting_share=lasting, every_s=every_s)


def shocks(paths: int) -> NDArray[np.float64]:
    """The market's own moves by the second, at a vol of 0.6."""
    return np.random.default_rng(1).normal(0.0, 0.6 / np.sqrt(YEAR_S), (paths, SECONDS))


def feedback_runs() -> list[FeedbackRun]:
    """One path at a gain of 0.5, and at 1.1 without and with the guard."""
    cases = (("gain 0.5", 0.5, None), ("gain 1.1", 1.1, None), ("gain 1.1, guarded", 1.1, StabilityPolicy()))
    out = []
    for name, gain, guard in cases:
        answer = hedge_in(answering(gain, 0.4, 2), shocks(1)[0], guard)
        every = slice(None, None, 2)
        price, own = (np.round(1e4 * walk[every], 2).tolist() for walk in (answer.price_log, answer.market_log))
        says = answer.paces[0][1].reason if answer.paces else ""
        out.append(FeedbackRun(name, list(range(0, SECONDS + 1, 2)), own, price, says))
    return out


def feedback_rows() -> list[FeedbackRow]:
    """How much variance hedging adds, where all of its impact lasts and where 60 % of it fades."""
    rows = []
    for lasting, every_s, gain in ((1.0, 10, 0.5), (0.4, 2, 0.5), (0.4, 2, 1.1)):
        market = answering(gain, lasting, every_s)
        name = f"{lasting:.0%} of impact lasts, clips every {every_s} s"
        for guard in (None, StabilityPolicy()):
            expected = 1.0 / (1.0 - lasting * gain) ** 2 if gain < 1.0 or guard else None
            rows.append(
                FeedbackRow(name, gain, guard is not None, amplified_variance(market, shocks(200), guard), expected)
            )
    return rows


if __name__ == "__main__":
    sys.exit(main())
