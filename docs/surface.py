"""The page on calibrated surfaces, measured: `python -m docs.surface` writes it where recorded chains are at hand.

Chains are looked for in `shared/data` beside the repository.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flatbook.domain.units import format_utc, parse_utc
from flatbook.market.calibration.gate import Verdict, calibrate_all, judge
from flatbook.market.calibration.slices import Calibration
from flatbook.market.chain_snapshot import ChainSnapshot
from flatbook.store.chains import read_chains

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "shared" / "data"
PAGE = HERE / "surface.md"


@dataclass(frozen=True)
class ChainSet:
    """Recorded chains that are judged together: files by pattern, one underlying, and a span of time if not all."""

    name: str
    files: str
    underlying: str
    since: str = ""
    until: str = ""

    def snapshots(self) -> Iterator[ChainSnapshot]:
        """In order of time."""
        since_ns = parse_utc(self.since) if self.since else 0
        until_ns = parse_utc(self.until) if self.until else 1 << 63
        for path in sorted(DATA.glob(self.files)):
            chains = read_chains(path)
            if self.underlying in chains.underlyings:
                held = chains.select(self.underlying).snapshots
                yield from (snapshot for snapshot in held if since_ns <= snapshot.ts_ns < until_ns)


def _six_hourly(underlying: str) -> list[ChainSet]:
    spans = (("14 to 31 Jan 2026", "01-14_31"), ("1 to 14 Feb", "02-01_14"), ("15 to 28 Feb", "02-15_28"))
    files = [(name, f"deribit-chain-6h/chain_2026-{part}.parquet") for name, part in spans]
    files.append(("5 to 27 July", "deribit-chain-6h/chain_2026-07-05_27.parquet"))
    whole = [ChainSet(f"every 6 h, {name}, {underlying}", part, underlying) for name, part in files]
    crash = ChainSet(f"the crash of 3 to 7 Feb, {underlying}", files[1][1], underlying, "2026-02-03", "2026-02-08")
    return [*whole, crash]


BOOKS = "books of every option, 2021 and 2024"
SETS = (
    *_six_hourly("BTC"),
    *_six_hourly("ETH"),
    ChainSet("daily tickers, Jan 2026, BTC", "deribit-chain-daily-tickers/options.parquet", "BTC"),
    ChainSet(f"{BOOKS}, BTC", "deribit-option-books/btc_*.csv.gz", "BTC"),
    ChainSet(f"{BOOKS}, ETH", "deribit-option-books/eth_*.csv.gz", "ETH"),
    ChainSet("hourly vols, 23 and 24 Jan 2026, BTC", "deribit-chain-hourly-20260123/chain_hourly.parquet", "BTC"),
    ChainSet("calls only, every 3 min, 2 Sept 2024, BTC", "deribit-chain-3min-20240902/chain_calls.parquet", "BTC"),
    ChainSet("screener, Apr 2025, no forwards, BTC", "deribit-option-trades/chain_snapshots_*.parquet", "BTC"),
    ChainSet("tickers by REST, 27 June 2026, BTC", "deribit-ws-raw/rest_instruments_tickers_*.json.gz", "BTC"),
)


@dataclass(frozen=True)
class Measured:
    """One set's calibrations, the verdict on them, how far parity and stated forwards differ in deviations of their
    difference, and the time it took."""

    of: ChainSet
    calibrations: tuple[Calibration, ...]
    verdict: Verdict
    forward_misses: tuple[float, ...]
    ms_per_chain: float


def measure(of: ChainSet) -> Measured:
    """Calibrates every chain of a set, warm from the one before."""
    snapshots = list(of.snapshots())
    started = time.perf_counter()
    calibrations = tuple(calibrate_all(snapshots))
    elapsed_s = time.perf_counter() - started
    ms_per_chain = 1e3 * elapsed_s / max(len(snapshots), 1)
    return Measured(of, calibrations, judge(calibrations), tuple(_misses(calibrations)), ms_per_chain)


def _misses(calibrations: Iterable[Calibration]) -> Iterator[float]:
    for calibration in calibrations:
        for one in calibration.slices:
            by_name = {source.name: source for source in one.forward.sources}
            if {"parity", "stated"} <= by_name.keys():
                parity, stated = by_name["parity"], by_name["stated"]
                error = math.hypot(parity.relative_error, stated.relative_error)
                yield abs(math.log(parity.forward_usd / stated.forward_usd)) / error


_INTRO = """\
# Surfaces, calibrated

`flatbook surface fit CHAIN` takes a chain file (Tardis `options_chain`, Deribit tickers, or a table of quotes),
estimates the forward of each expiry with its error, turns quotes into bands of vol, fits one SVI surface that is free
of butterfly and calendar arbitrage, wings included, and draws it. Where a fit fails it says why and leaves the last
good slice, aged.

![One chain of the simulated market, calibrated](img/surface.png)

What follows is measured on every recorded chain that we have, by `python -m docs.surface`; a test holds the page to
it. Each set is taken in order of time, warm from the chain before.

- A **slice** is an expiry with five or more strikes quoted on both sides: SVI has five parameters. One with fewer is
  published from its last good slice, for up to twelve hours, or not at all; it is counted under *thin*.
- **Arbitrage** is looked for in all that is published, by formulas written apart from those of the fit: Durrleman's
  condition and calendar order on 4,001 strikes to ten standard deviations, around each slice's bend, and far out.
- **Missed by** is the median over slices of the root mean square distance from the mids of all quotes on both sides
  within two standard deviations, those among them that the fit left out; *weighted* counts each by its spread and size,
  as the fit does. Against it, the median over slices of **half the median bid-ask**. All three in vol points.
"""

_TABLE_HEAD = """\
| chains | | slices | fitted | thin: aged, missing | arbitrage | missed by | weighted | half the bid-ask |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def page(measured: list[Measured]) -> str:
    """The page, from what was measured."""
    rows = "".join(_row(one) for one in measured)
    return "\n".join((_INTRO, _TABLE_HEAD + rows, _notes(measured), _worst(measured), _forwards(measured)))


def _row(one: Measured) -> str:
    verdict = one.verdict
    return (
        f"| {one.of.name} | {verdict.chains} | {verdict.slices} | {100 * verdict.share_fitted:.2f} % "
        f"| {verdict.thin_aged}, {verdict.thin_missing} | {verdict.arbitrages} | {100 * verdict.rmse_vol:.2f} "
        f"| {100 * verdict.weighted_rmse_vol:.2f} | {100 * verdict.half_spread_vol:.2f} |\n"
    )


def _notes(measured: list[Measured]) -> str:
    slices = sum(one.verdict.slices for one in measured if "crash" not in one.of.name)
    fitted = sum(one.verdict.fitted for one in measured if "crash" not in one.of.name)
    speeds = [one.ms_per_chain for one in measured if one.verdict.chains > 20]
    return f"""\
In all {fitted:,} of {slices:,} slices are fitted. A chain takes {np.median(speeds):.0f} ms from quotes to surface,
forwards and implied vols among it, on one core of a small shared machine.

The books of 2021 and 2024 are missed by more than half the median bid-ask when every quote counts alike, and by less
when each counts by its width. A third of their options and more lack a quote on one side, some bands are fifty vol
points wide, and single quotes stand far off their neighbours; in those of 2021, May and October 2024 futures a month
apart differ by several percent, as they do on a test network, where nobody arbitrages. Of calls alone, those deep in
the money stand for the left wing, with bands as wide.
"""


def _worst(measured: list[Measured]) -> str:
    judged = sorted(
        ((one.of.name, worst) for one in measured if "crash" not in one.of.name for worst in one.verdict.worst),
        key=lambda pair: pair[1].badness(),
        reverse=True,
    )
    lines = [
        "## The worst ten",
        "",
        "By distance from the mids against half the median bid-ask, three of one set at most; what it comes from,",
        "strike and vol in points:",
        "",
        "| chain | days | missed by | half the bid-ask | ratio | |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    of_set = Counter[str]()
    shown = []
    for name, worst in judged:
        of_set[name] += 1
        if of_set[name] <= 3:
            shown.append((name, worst))
    for name, worst in shown[:10]:
        one, quality = worst.one, worst.one.quality
        ratio = f"{worst.badness():.1f}" if math.isfinite(worst.badness()) else one.status.value
        lines.append(
            f"| {name}, {format_utc(worst.ts_ns)[:16]} | {365 * one.years:.1f} | {100 * quality.rmse_vol:.1f} "
            f"| {100 * quality.half_spread_vol:.1f} | {ratio} | {worst.why} |"
        )
    return "\n".join(lines) + "\n"


def _forwards(measured: list[Measured]) -> str:
    lines = [
        "## Forwards and their error bars",
        "",
        "Parity of calls and puts against the forward that the venue states, two ways to know one number, in standard",
        "deviations of their difference. Errors that mean what they say give 68 % and 95 %.",
        "",
        "| chains | forwards | within one | within two |",
        "| --- | ---: | ---: | ---: |",
    ]
    for one in measured:
        if one.forward_misses:
            z = np.array(one.forward_misses)
            within = f"{100 * np.mean(z < 1.0):.0f} % | {100 * np.mean(z < 2.0):.0f} %"
            lines.append(f"| {one.of.name} | {z.size:,} | {within} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page anew."""
    PAGE.write_text(page([measure(of) for of in SETS]), encoding="utf-8")
    print("docs/surface.md written anew")


if __name__ == "__main__":
    main()
