"""What comes later touches nothing that was before: another future, the same past."""

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from flatbook.app.finish import Finished
from flatbook.app.request import RunRequest
from flatbook.app.run import carry_out, new_run
from flatbook.domain.units import parse_utc
from flatbook.store.journal import Journal

NOW_NS = parse_utc("2026-01-06T07:30")
"""The futures part here."""


def _dearer(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("^price_usd|index_usd|forward_usd$") * 1.05)


def _wilder(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("^iv|bid_iv|ask_iv$") * 2, pl.col("^mark_price$") * 2)


def _elsewhere(frame: pl.DataFrame) -> pl.DataFrame:
    """Other instruments, some never seen before; the other side takes."""
    changed = frame.with_columns(pl.col("^instrument$").str.replace("-16JAN26-", "-30JAN26-"))
    return changed.with_columns(-pl.col("^taker_side$"))


def _silent(frame: pl.DataFrame) -> pl.DataFrame:
    """Nobody trades or quotes; the index goes on."""
    return frame if "price_usd" in frame.columns else frame.clear()


@pytest.fixture(scope="module")
def actual(morning: Path, keen_policy: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    return _run(morning, keen_policy, tmp_path_factory.mktemp("actual"))


def _run(session: Path, policy: Path, runs: Path) -> tuple[Path, Finished]:
    request = RunRequest(
        policy="keen", policy_text=policy.read_text(encoding="utf-8"), session=str(session), warm_up_hours=0.0
    )
    run = new_run(request, runs)
    return run.directory.path, carry_out(run)


@pytest.mark.parametrize("change", [_dearer, _wilder, _elsewhere, _silent])
def test_another_future_the_same_past(
    actual: tuple[Path, Finished],
    morning: Path,
    keen_policy: Path,
    tmp_path: Path,
    change: Callable[[pl.DataFrame], pl.DataFrame],
) -> None:
    session = Path(shutil.copytree(morning, tmp_path / "session"))
    for table in ("index", "quotes", "trades", "chain", "funding"):
        path = session / f"{table}.parquet"
        frame = pl.read_parquet(path)
        is_past = pl.col("local_ts_ns") < NOW_NS
        pl.concat([frame.filter(is_past), change(frame.filter(~is_past))]).write_parquet(path)
    path, other = _run(session, keen_policy, tmp_path / "runs")
    assert other.summary["run"]["state_sha256"] != actual[1].summary["run"]["state_sha256"]
    past, same = _past(*actual), _past(path, other)
    assert past.keys() == same.keys()
    for name, content in past.items():
        assert content == same[name], name
    assert len(past["fills"]) > 10
    assert len(past["checkpoints"]) > 20


def _past(path: Path, finished: Finished) -> dict[str, list[object]]:
    """All that was known, decided and done before `NOW_NS`; of a fill's markouts those that were taken by then."""
    with Journal.read(path / "journal.sqlite") as journal:
        past: dict[str, list[object]] = {
            "inbox": [event for _, event in journal.inbox() if event.local_ts_ns < NOW_NS],
            # A checkpoint holds the digest of every quote and order until then.
            "checkpoints": [checkpoint for checkpoint in journal.checkpoints() if checkpoint.ts_ns < NOW_NS],
        }
    for name, frame in finished.frames.items():
        if name == "pnl":  # sums of whole days, which the future is part of
            continue
        kept = frame.filter(pl.col("ts_ns") < NOW_NS).drop("^markout_.*$")
        past[name] = [str(row) for row in kept.iter_rows()]
    return past
