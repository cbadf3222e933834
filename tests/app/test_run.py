"""One run: what its directory holds, when it stops, and who may continue it."""

import json
import shutil
import signal
import sqlite3
import tomllib
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from flatbook.app.run import Run, carry_out, new_run, resumed_run
from flatbook.domain.errors import BadInputError
from flatbook.report.tables import PARTS
from flatbook.sim.fills import FillModel

from .conftest import Ended
from .runs import journaled, numbers, recorded, simulated


def test_a_run_directory_has_the_contracts_files(unbroken: Ended) -> None:
    names = {str(path.relative_to(unbroken.path)) for path in unbroken.path.rglob("*") if path.is_file()}
    series = {"equity", "exposures", "quotes", "fills", "hedges"}
    assert {"config.toml", "journal.sqlite", "report.json", "report.html"} <= names
    assert {f"series/{name}.parquet" for name in series} <= names
    assert json.loads(unbroken.run.directory.report_json.read_text()) == unbroken.finished.summary
    assert unbroken.run.run_id in unbroken.run.directory.report_html.read_text()


def test_the_configuration_is_the_whole_policy_and_what_was_asked(on_tape: Ended) -> None:
    config = tomllib.loads(on_tape.run.directory.config.read_text())
    assert config["run"]["session"] == on_tape.request.session
    assert config["policy"] == on_tape.run.engine.state.setup.policy.model_dump(mode="json")
    assert config["policy"]["quoting"]["max_days"] == 400.0, "a default that the policy file does not name"


@pytest.mark.parametrize(
    "change",
    [{"seed": 2}, {"fill_model": FillModel.PESSIMISTIC}, {"capital_coin": 99.0}],
    ids=["seed", "fills", "capital"],
)
def test_whatever_decides_the_outcome_changes_the_digest(
    in_world: Ended, keen_policy: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    other = carry_out(new_run(simulated(keen_policy, **change), tmp_path))
    assert other.summary["run"]["state_sha256"] != in_world.sha256


def test_a_finished_run_may_be_resumed_and_stays_what_it_was(unbroken: Ended, tmp_path: Path) -> None:
    path = Path(shutil.copytree(unbroken.path, tmp_path / "run"))
    (path / "report.json").unlink()
    # At the market's own pace this would take minutes: what the journal holds is not waited for.
    finished = carry_out(resumed_run(path), speed=1.0)
    assert finished.summary["run"]["state_sha256"] == unbroken.sha256
    assert numbers(json.loads((path / "report.json").read_text())) == numbers(unbroken.finished.summary)
    assert journaled(path) == journaled(unbroken.path)


def test_a_run_goes_on_only_in_the_session_it_was_made_from(on_tape: Ended, keen_policy: Path, tmp_path: Path) -> None:
    session = Path(shutil.copytree(on_tape.request.session or "", tmp_path / "session"))
    request = recorded(session, keen_policy)
    run = new_run(request, tmp_path / "runs")
    with pytest.raises(KeyboardInterrupt):
        carry_out(run, watch=_raise(run, 100, KeyboardInterrupt))
    index = session / "index.parquet"
    original = index.read_bytes()
    pl.read_parquet(index).with_columns(pl.col("price_usd") + 1.0).write_parquet(index)
    with pytest.raises(BadInputError, match=r"session: not the session that run .* was made from, or changed since"):
        resumed_run(run.directory.path)
    index.write_bytes(original)
    assert carry_out(resumed_run(run.directory.path)).summary["run"]["state_sha256"] == on_tape.sha256


def _raise(run: Run, event: int, error: type[BaseException]) -> Callable[[], None]:
    def watch() -> None:
        if run.engine.state.events == event:
            raise error

    return watch


def test_a_session_that_has_moved_is_known_again(on_tape: Ended, keen_policy: Path, tmp_path: Path) -> None:
    session = Path(shutil.copytree(on_tape.request.session or "", tmp_path / "session"))
    run = new_run(recorded(session, keen_policy), tmp_path / "runs")
    run.journal.close()
    moved = session.rename(tmp_path / "elsewhere")
    with pytest.raises(BadInputError, match=r"session is not a session directory"):
        resumed_run(run.directory.path)
    assert carry_out(resumed_run(run.directory.path, str(moved))).summary["run"]["state_sha256"] == on_tape.sha256


def test_a_simulated_run_has_no_session(in_world: Ended, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"--session x: run .* is of the simulated market; leave it out"):
        resumed_run(Path(shutil.copytree(in_world.path, tmp_path / "run")), "x")


def test_one_run_a_directory(in_world: Ended, tmp_path: Path) -> None:
    run = new_run(in_world.request, tmp_path)
    with run.journal, pytest.raises(BadInputError, match=r"is in use by process \d+; wait for it, stop it"):
        resumed_run(run.directory.path)
    with resumed_run(run.directory.path).journal:
        pass


@pytest.mark.parametrize(
    ("table", "change", "says"),
    [
        ("inbox", "UPDATE inbox SET payload = x'00' WHERE seq = 3", "inbox row 3 fails its checksum"),
        ("inbox", "DELETE FROM inbox WHERE seq = 2", "inbox row 2 is missing"),
        ("checkpoint", "UPDATE checkpoint SET digest = x'00' WHERE event_seq = 256", r"checkpoint \d+ fails its"),
        ("header", "UPDATE header SET content = replace(content, 'keen', 'kean')", "the header fails its checksum"),
    ],
)  # fmt: skip
def test_a_journal_that_was_changed_is_refused(
    unbroken: Ended, tmp_path: Path, table: str, change: str, says: str
) -> None:
    path = Path(shutil.copytree(unbroken.path, tmp_path / "run"))
    database = sqlite3.connect(path / "journal.sqlite")
    with database:
        assert database.execute(change).rowcount == 1, table
    database.close()
    with pytest.raises(BadInputError, match=rf"journal\.sqlite: damaged: .*{says}.*; restore it from a copy"):
        resumed_run(path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_in_order_and_may_be_resumed(unbroken: Ended, tmp_path: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    run = new_run(unbroken.request, tmp_path)
    half = unbroken.events // 2

    def watch() -> None:
        if run.engine.state.events == half:
            signal.raise_signal(number)

    stopped = carry_out(run, watch=watch)
    assert stopped.is_cut_short
    assert stopped.summary["run"]["events"] == half
    assert sum(stopped.summary["pnl"][part] for part in PARTS) == pytest.approx(
        stopped.summary["pnl"]["total"], abs=0.01
    )
    assert json.loads(run.directory.report_json.read_text()) == stopped.summary
    assert signal.getsignal(number) is before
    finished = carry_out(resumed_run(run.directory.path))
    assert not finished.is_cut_short
    assert numbers(finished.summary) == numbers(unbroken.finished.summary)


def test_a_second_interrupt_ends_at_once(in_world: Ended, tmp_path: Path) -> None:
    run = new_run(in_world.request, tmp_path)

    def watch() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        carry_out(run, watch=watch)
    assert run.engine.state.events == 1
    assert carry_out(resumed_run(run.directory.path)).summary["run"]["state_sha256"] == in_world.sha256


def test_an_interrupt_is_heeded_while_the_market_is_waited_for(in_world: Ended, tmp_path: Path) -> None:
    run = new_run(in_world.request, tmp_path)

    def watch() -> None:
        if run.engine.state.is_trading:
            signal.setitimer(signal.ITIMER_REAL, 0.05)

    before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        stopped = carry_out(run, speed=1e-6, watch=watch)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert stopped.is_cut_short


def test_runs_begun_in_one_second_each_have_a_name(in_world: Ended, tmp_path: Path) -> None:
    runs = [new_run(in_world.request, tmp_path) for _ in range(3)]
    for run in runs:
        run.journal.close()
    assert len({run.run_id for run in runs}) == 3


def test_a_policy_may_have_any_name(keen_policy: Path, tmp_path: Path) -> None:
    policy = tmp_path / "mine.toml"
    policy.write_text(keen_policy.read_text().replace('"keen"', '"schärfer, 2. Fassung/neu"'))
    run = new_run(simulated(policy), tmp_path / "runs")
    run.journal.close()
    assert run.directory.path.parent == tmp_path / "runs"
    assert run.run_id.endswith("-sch-rfer-2.-Fassung-neu")


def test_a_place_where_no_directory_can_be_made(in_world: Ended, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match=r"--out .*file: no run directory can be made there \(.*\); name another"):
        new_run(in_world.request, tmp_path / "file")


def test_a_name_that_is_taken(in_world: Ended, tmp_path: Path) -> None:
    new_run(in_world.request, tmp_path, "mine").journal.close()
    with pytest.raises(BadInputError, match=r"mine already exists; resume it with --resume, or name another --out"):
        new_run(in_world.request, tmp_path, "mine")
