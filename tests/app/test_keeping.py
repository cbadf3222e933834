"""A run taken up from a snapshot is the run: to the same digest, journal and report as one replayed from its start."""

import shutil
from itertools import count
from pathlib import Path

import msgspec
import pytest

from flatbook.app import keeping
from flatbook.app.conduct import conduct
from flatbook.app.keeping import SNAPSHOT_EVERY_S, Keeper
from flatbook.app.rebuild import rebuilt, rebuilt_until
from flatbook.app.run import Run, carry_out, new_run, resumed_run
from flatbook.domain.errors import ReplayDivergedError
from flatbook.domain.units import parse_utc
from flatbook.policies import read_policy
from flatbook.store.journal import Journal

from .conftest import Ended
from .runs import journaled, numbers, recorded, series_bytes, simulated

_EVERY = 150


def _run_until(run: Run, moment: int, every: int = _EVERY) -> Path:
    """A run that was killed after the event `moment`, with its snapshots, one every so many events."""
    engine, ticks = run.engine, count()
    keeper = Keeper(run.directory.path, run.journal.header, lambda: SNAPSHOT_EVERY_S * next(ticks) / every)
    ended = Path(f"{run.directory.path}-killed")

    def after(_event: object) -> bool:
        if engine.state.events == moment:
            shutil.copytree(run.directory.path, ended)
        return engine.state.events < moment

    with run.journal as journal:
        conduct(engine, run.market.venue, journal, after, keeper=keeper)
    return ended


@pytest.fixture(scope="module")
def killed(on_tape: Ended, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The morning, killed half-way and shortly before its end."""
    runs = tmp_path_factory.mktemp("killed")
    return [
        _run_until(new_run(on_tape.request, runs, f"at-{share}"), round(share * on_tape.events))
        for share in (0.5, 0.97)
    ]


def test_wherever_it_was_killed_it_comes_to_the_same_end(killed: list[Path], on_tape: Ended, tmp_path: Path) -> None:
    for path in killed:
        replayed = Path(shutil.copytree(path, tmp_path / f"{path.name}-replayed"))
        shutil.rmtree(replayed / "snapshots")
        from_start, from_snapshot = resumed_run(replayed), resumed_run(path)
        assert from_start.engine.state.events == 0
        last = from_snapshot.journal.last_checkpoint()
        assert last is not None
        assert last.event_seq - 2 * _EVERY < from_snapshot.engine.state.events <= last.event_seq
        assert from_snapshot.said == ()
        ended = [carry_out(run) for run in (from_start, from_snapshot)]
        assert ended[1].summary["run"]["state_sha256"] == on_tape.sha256
        assert numbers(ended[0].summary) == numbers(ended[1].summary) == numbers(on_tape.finished.summary)
        assert series_bytes(replayed) == series_bytes(path) == series_bytes(on_tape.path)
        assert journaled(replayed) == journaled(path) == journaled(on_tape.path)


@pytest.mark.parametrize(
    "policy", ["advanced", *(pytest.param(name, marks=pytest.mark.soak) for name in ("vega_hjb", "cartea_jaimungal"))]
)
def test_what_any_policy_remembers_is_kept(policy: str, morning: Path, keen_policy: Path, tmp_path: Path) -> None:
    text = read_policy(policy)[1]
    request = msgspec.structs.replace(recorded(morning, keen_policy), policy=policy, policy_text=text)
    unbroken = carry_out(new_run(request, tmp_path, "unbroken"))
    path = _run_until(new_run(request, tmp_path, "cut"), unbroken.summary["run"]["events"] * 3 // 4)
    run = resumed_run(path)
    assert run.said == ()
    assert run.engine.state.events > 0
    assert numbers(carry_out(run).summary) == numbers(unbroken.summary)


@pytest.mark.soak
def test_contracts_over_the_counter_are_kept_too(morning: Path, keen_policy: Path, tmp_path: Path) -> None:
    text = (
        "instrument,size,price,style,right,strike,expiry,underlying,barrier,barrier_kind,rebate\n"
        "knock-1,5,,barrier,call,84000,2026-01-09T08:00,BTC,60000,down_out,10\n"
        "amer-1,-3,,american,put,85000,9JAN26,BTC\n"
    )
    to_ns = parse_utc("2026-01-06T06:40")
    request = recorded(morning, keen_policy, book="book.csv", book_text=text, to_ns=to_ns)
    unbroken = carry_out(new_run(request, tmp_path, "unbroken"))
    run = resumed_run(_run_until(new_run(request, tmp_path, "cut"), unbroken.summary["run"]["events"] // 2, every=5))
    assert (run.said, run.engine.state.events > 0) == ((), True)
    assert numbers(carry_out(run).summary) == numbers(unbroken.summary)


def test_a_run_that_ended_is_there_at_once(on_tape: Ended, tmp_path: Path) -> None:
    path = Path(shutil.copytree(on_tape.path, tmp_path / "run"))
    run = resumed_run(path)
    assert run.engine.state.events == on_tape.events
    assert numbers(carry_out(run).summary) == numbers(on_tape.finished.summary)
    assert numbers(rebuilt(path).summary) == numbers(on_tape.finished.summary)
    assert journaled(path) == journaled(on_tape.path)


def test_an_interrupted_run_goes_on_from_where_it_was(on_tape: Ended, tmp_path: Path) -> None:
    run = new_run(on_tape.request, tmp_path, "run")
    half = on_tape.events // 2
    with run.journal as journal:
        keeper = Keeper(run.directory.path, journal.header)
        conduct(run.engine, run.market.venue, journal, lambda _: run.engine.state.events < half, keeper=keeper)
    again = resumed_run(run.directory.path)
    assert again.engine.state.events == half
    assert numbers(carry_out(again).summary) == numbers(on_tape.finished.summary)


def test_a_moment_is_rebuilt_from_the_snapshot_before_it(killed: list[Path], tmp_path: Path) -> None:
    path = Path(shutil.copytree(killed[-1], tmp_path / "run"))
    with Journal.read(path / "journal.sqlite") as journal:
        moments = [checkpoint.ts_ns for checkpoint in journal.checkpoints()]
    late, early = moments[-2], moments[len(moments) // 4]
    quick = [rebuilt_until(path, at_ns).state for at_ns in (late, early)]
    shutil.rmtree(path / "snapshots")
    for state, at_ns in zip(quick, (late, early), strict=True):
        assert state.sha256() == rebuilt_until(path, at_ns).state.sha256()


def test_another_program_replays_from_the_start_and_says_so(
    killed: list[Path], on_tape: Ended, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(shutil.copytree(killed[0], tmp_path / "run"))
    monkeypatch.setattr(keeping, "program_digest", lambda: "another")
    run = resumed_run(path)
    assert run.engine.state.events == 0
    assert len(run.said) == 2
    assert all("not used: it is of another program" in said for said in run.said)
    assert carry_out(run).summary["run"]["state_sha256"] == on_tape.sha256


def test_a_snapshot_that_the_journal_does_not_bear_out_is_not_used(killed: list[Path], tmp_path: Path) -> None:
    """A journal that lost its end replays from before it; one that says otherwise is found out."""
    path = Path(shutil.copytree(killed[0], tmp_path / "run"))
    run = resumed_run(path)
    events = run.engine.state.events
    run.journal.close()
    database_path = path / "journal.sqlite"
    with Journal.open(database_path) as journal:
        kept = [checkpoint for checkpoint in journal.checkpoints() if checkpoint.event_seq < events]
        inbox = list(journal.inbox())[: kept[-1].inbox_seq]
        header = journal.header
    for digest, says in ((None, None), (b"x" * 32, "is not what the journal has: not used")):
        database_path.unlink()
        with Journal.create(database_path, header) as journal:
            for seq, event in inbox:
                journal.append(seq, event)
            last = kept[-1]
            journal.checkpoint(last.event_seq, last.ts_ns, last.digest)
            if digest is not None:
                journal.checkpoint(events, last.ts_ns, digest)
        run = resumed_run(path)
        assert run.engine.state.events < events
        assert [said for said in run.said if says is not None and says in said] == list(run.said)
        if digest is None:
            run.journal.close()
        else:
            with pytest.raises(ReplayDivergedError):
                carry_out(run)


def test_a_drawn_market_keeps_none(in_world: Ended, keen_policy: Path, tmp_path: Path) -> None:
    assert not (in_world.path / "snapshots").exists()
    run = new_run(simulated(keen_policy, hours=0.02), tmp_path)
    path = _run_until(run, 60, every=10)
    again = resumed_run(path)
    again.journal.close()
    assert again.engine.state.events == 0
