"""A run outlives its process: what the journal holds when it stops is enough to come to the same end."""

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flatbook.app.conduct import CHECKPOINT_EVERY, conduct
from flatbook.app.finish import Finished
from flatbook.app.run import Run, carry_out, new_run, resumed_run
from flatbook.domain.errors import ReplayDivergedError
from flatbook.domain.events import AnyEvent, Fill, OrderAccepted
from flatbook.domain.reference import Instrument
from flatbook.engine import hedging
from flatbook.engine.effects import Effects
from flatbook.engine.loop import Engine
from flatbook.engine.venue import Venue
from flatbook.store.journal import Journal

from .conftest import Ended
from .runs import journaled, numbers

CRASHES = 20


def test_the_same_again_whatever_event_it_was_killed_at(unbroken: Ended, tmp_path: Path) -> None:
    moments = sorted(random.Random(7).sample(range(1, unbroken.events), CRASHES))
    again, images = photographed(new_run(unbroken.request, tmp_path / "runs"), moments, tmp_path / "images")
    assert again.summary["run"]["state_sha256"] == unbroken.sha256
    reached = []
    for moment, image in images.items():
        run = resumed_run(image)
        last = run.journal.last_checkpoint()
        reached.append(last.event_seq if last else 0)
        assert moment - CHECKPOINT_EVERY < reached[-1] <= moment
        with run.journal as journal:
            conduct(run.engine, run.market.venue, journal)
        assert run.engine.state.sha256() == unbroken.sha256, moment
        assert journaled(image) == journaled(unbroken.path)
    assert any(seq < moment for seq, moment in zip(reached, moments, strict=True)), "no crash lost anything"


def photographed(run: Run, moments: list[int], images: Path) -> tuple[Finished, dict[int, Path]]:
    """Carries out `run`, and copies its directory as a killed process would leave it: the files as they are after
    each of `moments`, with whatever the journal has not committed lost."""
    taken: dict[int, Path] = {}

    def watch() -> None:
        events = run.engine.state.events
        if events in moments:
            taken[events] = Path(shutil.copytree(run.directory.path, images / f"{events}"))

    return carry_out(run, watch=watch), taken


class StruckError(Exception):
    """Stands for whatever may go wrong in a process."""


def test_a_run_may_be_struck_again_and_again(unbroken: Ended, tmp_path: Path) -> None:
    run = new_run(unbroken.request, tmp_path)
    for share in (0.2, 0.1, 0.6, 0.95):
        with pytest.raises(StruckError):
            carry_out(run, watch=_strike(run, round(share * unbroken.events)))
        assert not run.directory.report_json.exists()
        run = resumed_run(run.directory.path)
    assert numbers(carry_out(run).summary) == numbers(unbroken.finished.summary)
    assert journaled(run.directory.path) == journaled(unbroken.path)


def _strike(run: Run, event: int) -> Callable[[], None]:
    def watch() -> None:
        if run.engine.state.events == event:
            raise StruckError

    return watch


@dataclass
class Witness:
    """A venue that looks into the journal before it takes an effect."""

    venue: Venue
    engine: Engine
    journal: Path
    seen: int = 0

    def events(self) -> Iterator[AnyEvent]:
        return self.venue.events()

    def list_instrument(self, row: int, instrument: Instrument) -> None:
        self.venue.list_instrument(row, instrument)

    def submit(self, effects: Effects) -> None:
        if effects.orders:
            with Journal.read(self.journal) as journal:
                last = journal.last_checkpoint()
            assert last is not None
            assert (last.event_seq, last.digest) == (self.engine.state.events, self.engine.state.outputs.digest())
            self.seen += 1
        self.venue.submit(effects)


def test_an_order_leaves_when_the_journal_has_it_on_disk(unbroken: Ended, tmp_path: Path) -> None:
    run = new_run(unbroken.request, tmp_path)
    witness = Witness(run.market.venue, run.engine, run.directory.journal)
    with run.journal as journal:
        conduct(run.engine, witness, journal)
    assert witness.seen > 5


def test_every_fill_of_ours_is_in_the_inbox(unbroken: Ended) -> None:
    inbox, _ = journaled(unbroken.path)
    frames = unbroken.finished.frames
    reported = [*frames["fills"]["trade_id"], *frames["hedges"]["trade_id"]]
    assert sorted(event.trade_id for _, event in inbox if isinstance(event, Fill)) == sorted(reported)
    assert len(frames["fills"]) > 20
    assert len(frames["hedges"]) > 5


def test_a_program_that_decides_otherwise_is_found_out(
    unbroken: Ended, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(shutil.copytree(unbroken.path, tmp_path / "run", ignore=shutil.ignore_patterns("snapshots")))
    monkeypatch.setattr(hedging, "MARKETABLE", 0.003)
    with pytest.raises(ReplayDivergedError, match=r"after event \d+ at .* the replay's output differs"):
        carry_out(resumed_run(path))


def test_an_answer_that_the_replay_does_not_come_to_is_found_out(in_world: Ended, tmp_path: Path) -> None:
    run = new_run(in_world.request, tmp_path)
    with run.journal as journal:
        journal.append(1, OrderAccepted(exch_ts_ns=1, local_ts_ns=2, order_id="never sent"))
    told = r"inbox row 1 holds .*never sent.*, the replay came to QuotesAcknowledged"
    with pytest.raises(ReplayDivergedError, match=told):
        carry_out(resumed_run(run.directory.path))


def test_an_answer_that_the_journal_never_had_is_found_out_and_not_written(in_world: Ended, tmp_path: Path) -> None:
    run = new_run(in_world.request, tmp_path)
    with run.journal as journal:
        journal.checkpoint(in_world.events, 1, b"x" * 32)
    with pytest.raises(ReplayDivergedError, match="inbox row 1 holds nothing, the replay came to QuotesAcknowledged"):
        carry_out(resumed_run(run.directory.path))
    assert journaled(run.directory.path)[0] == []


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_market_that_ends_before_its_journal_is_found_out(in_world: Ended, tmp_path: Path, beyond: int) -> None:
    path = Path(shutil.copytree(in_world.path, tmp_path / "run"))
    with Journal.open(path / "journal.sqlite") as journal:
        journal.append(journal.next_seq, OrderAccepted(exch_ts_ns=1, local_ts_ns=2, order_id="later"))
        if beyond:
            journal.checkpoint(in_world.events + beyond, 3, b"x" * 32)
    with pytest.raises(ReplayDivergedError, match=f"the replay ended after {in_world.events} events"):
        carry_out(resumed_run(path))


def test_an_interrupt_while_it_replays_keeps_the_journal(unbroken: Ended, tmp_path: Path) -> None:
    path = Path(shutil.copytree(unbroken.path, tmp_path / "run"))
    run = resumed_run(path)
    with run.journal as journal:
        conduct(run.engine, run.market.venue, journal, lambda _event: run.engine.state.events < unbroken.events // 2)
    assert journaled(path) == journaled(unbroken.path)
