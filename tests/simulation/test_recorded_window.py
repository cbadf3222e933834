"""Four recorded days of real option trades, across a crash, under two policies."""

import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from flatbook.domain.events import IndexTick
from flatbook.market.index_check import IndexCheck, IndexCheckPolicy
from flatbook.report.tables import PARTS

from .processes import flatbook

pytestmark = pytest.mark.slow

FROM, TO = "2025-03-30T18:25", "2025-04-03T11:54"
TRADES = 50_006
POLICIES = ("advanced", "primitive")
ENDS_WITH = {"advanced": 0, "primitive": 3}
"""Who hedges nothing comes to stand beyond a limit."""
CENT_USD = 0.01


@dataclass(frozen=True)
class Replayed:
    """A policy's run through the window."""

    report: dict[str, Any]
    directory: Path

    def series(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.directory / "series" / f"{name}.parquet")


@pytest.fixture(scope="module")
def replays(tape_session: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Replayed]:
    """Both policies' runs, side by side on two cores."""
    folder = tmp_path_factory.mktemp("window")
    words = ("run", "--session", tape_session, "--from", FROM, "--to", TO, "--headless", "--json")
    with ExitStack() as stack:
        running = {
            policy: stack.enter_context(
                flatbook(folder / policy, *words, "--policy", policy, "--out", folder / policy / "runs")
            )
            for policy in POLICIES
        }
        for policy, run in running.items():
            assert run.finish() == ENDS_WITH[policy], run.said()
    reports = {policy: run.document() for policy, run in running.items()}
    return {
        policy: Replayed(report, folder / policy / "runs" / str(report["run"]["id"]))
        for policy, report in reports.items()
    }


@pytest.fixture(params=POLICIES)
def replayed(request: pytest.FixtureRequest, replays: dict[str, Replayed]) -> Replayed:
    return replays[str(request.param)]


def test_every_trade_of_the_window_is_seen(replayed: Replayed) -> None:
    assert replayed.report["run"]["trades_seen"] == TRADES


def test_parts_sum_to_the_total_and_the_total_is_the_ledgers(replayed: Replayed) -> None:
    pnl, last = replayed.report["pnl"], replayed.series("equity").row(-1, named=True)
    assert sum(pnl[part] for part in PARTS) == pytest.approx(pnl["total"], abs=CENT_USD)
    assert replayed.report["pnl_coin"]["BTC"] * last["index_usd"] == pytest.approx(pnl["total"], abs=CENT_USD)
    assert replayed.report["ledger"]["balanced"] is True


def test_what_is_not_explained_is_small(replayed: Replayed) -> None:
    pnl = replayed.report["pnl"]
    gross = sum(abs(pnl[part]) for part in PARTS)
    assert gross > 10_000
    assert abs(pnl["unexplained"]) < 0.02 * gross


def test_the_whole_chain_is_quoted_and_traded(replayed: Replayed) -> None:
    assert replayed.report["quotes"]["uptime"] > 0.95
    assert replayed.report["flow"]["fills"] > 500
    assert replayed.series("fills")["instrument"].n_unique() > 100
    assert replayed.report["pnl"]["settlement"] != 0, "dailies expired with positions in them"


def test_advanced_holds_less_risk_than_primitive(replays: dict[str, Replayed]) -> None:
    advanced, primitive = (replays[policy].report["risk"] for policy in POLICIES)
    for measure in ("vega_rms", "delta_rms", "max_drawdown"):
        assert advanced[measure] < primitive[measure], measure
    assert replays["primitive"].report["hedges"]["count"] == 0 < replays["advanced"].report["hedges"]["count"]


def test_every_fill_is_a_takers_print_that_reached_our_price(replayed: Replayed, tape_session: Path) -> None:
    fills, run = replayed.series("fills"), replayed.report["run"]
    assert fills["ts_ns"].is_between(run["from_ns"], run["to_ns"]).all()
    tape = pl.read_parquet(tape_session / "trades.parquet").filter(~pl.col("off_book"))
    prints = tape.select("exch_ts_ns", "instrument", side=-pl.col("taker_side").cast(pl.Int64), printed="price")
    # We hear of a fill a feed's latency after the print that made it.
    met = fills.with_columns(exch_ts_ns=pl.col("ts_ns"), side=pl.col("side").cast(pl.Int64)).join_asof(
        prints, on="exch_ts_ns", by=("instrument", "side"), tolerance=10**8, check_sortedness=False
    )
    assert met["printed"].null_count() == 0
    beyond = (met["side"] * (met["price"] - met["printed"])).to_numpy()
    assert np.mean(beyond > -1e-9) > 0.99, "two prints within the latency are told apart by nothing here"


def test_the_report_on_disk_is_the_one_printed(replayed: Replayed) -> None:
    assert json.loads((replayed.directory / "report.json").read_text()) == replayed.report
    assert (replayed.directory / "report.html").stat().st_size > 100_000


def test_no_tick_of_the_tape_is_taken_for_a_bad_one(tape_session: Path) -> None:
    """Twenty-four days with the crash of 2 April and no perpetual to ask: 149,563 ticks."""
    check, recorded = IndexCheck(IndexCheckPolicy()), pl.read_parquet(tape_session / "index.parquet")
    for ts_ns, price_usd in recorded.select("local_ts_ns", "price_usd").iter_rows():
        tick = IndexTick(exch_ts_ns=ts_ns, local_ts_ns=ts_ns, underlying="BTC", price_usd=price_usd)
        assert check.take(tick), check.why_held
