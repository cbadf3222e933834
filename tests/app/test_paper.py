"""A paper run against the exchange in its own process, and the same run again from what it recorded."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flatbook.app.doctor import examine
from flatbook.app.doctor_rows import Verdict
from flatbook.app.feed import FeedTerms, LiveFeed
from flatbook.app.finish import Finished
from flatbook.app.paper import PaperRequest, check_request, paper_run
from flatbook.app.rebuild import rebuilt
from flatbook.app.request import RunRequest
from flatbook.app.run import Run, carry_out, resumed_run
from flatbook.domain.errors import BadInputError, VenueUnreachableError
from flatbook.domain.events import Clock, QuotesAcknowledged
from flatbook.engine.explaining import explain_quote
from flatbook.policies import read_policy
from flatbook.store.session import open_session
from flatbook.venues.deribit import load_reference
from tests.app.runs import journaled, numbers
from tests.app.served import compile_kernels, exchange_process, nobody_there

pytestmark = pytest.mark.slow

PACE = "20x"


def asked(url: str, **changes: Any) -> PaperRequest:
    _, text = read_policy("advanced")
    feed = FeedTerms(url=url, on_venue_clock=True)
    run = RunRequest(policy="advanced", policy_text=text)
    return PaperRequest(**{"run": run, "feed": feed, "warm_up_s": 20.0, "trade_s": 40.0, **changes})


@pytest.fixture(scope="module")
def venue() -> Iterator[str]:
    with exchange_process(PACE) as url:
        yield url


@dataclass(frozen=True)
class Papered:
    run: Run
    finished: Finished
    listed: set[str]


@pytest.fixture(scope="module")
def papered(venue: str, tmp_path_factory: pytest.TempPathFactory) -> Papered:
    compile_kernels()
    feed = LiveFeed(FeedTerms(url=venue, on_venue_clock=True), load_reference())
    feed.open()
    answer = feed.ask("public/get_instruments", {"currency": "BTC", "kind": "option"}).answer
    feed.close()
    assert answer is not None
    assert answer.result is not None
    with pytest.MonkeyPatch.context() as patched:
        # So that nothing is heard now and then.
        patched.setattr("flatbook.app.feed.QUIET_S", 0.01)
        with paper_run(asked(venue), tmp_path_factory.mktemp("paper")) as run:
            finished = carry_out(run)
    return Papered(run, finished, {each["instrument_name"] for each in json.loads(bytes(answer.result))})


def test_the_whole_chain_is_quoted_on_both_sides_or_it_is_said_why_not(papered: Papered) -> None:
    state = papered.run.engine.state
    assert papered.listed <= set(state.market.universe.row_of)
    two_sided = 0
    for name in papered.listed:
        explained = explain_quote(state, state.market.universe.row_of[name])
        assert explained is not None
        for side in (explained.bid, explained.ask):
            assert side.resting_lots or side.absent or side.held_back, name
        two_sided += bool(explained.bid.resting_lots and explained.ask.resting_lots)
    assert two_sided > 0.9 * len(papered.listed)


def test_its_report_says_how_long_answers_took_and_its_books_balance(papered: Papered) -> None:
    summary = papered.finished.summary
    latency = summary["latency"]
    assert latency["samples"] > 20
    middle, late, most = (latency[f"feed_to_quote_{name}_ms"] for name in ("p50", "p99", "max"))
    assert 0.05 < middle <= late <= most < 60_000
    assert summary["ledger"]["balanced"]
    assert summary["run"]["to_ns"] - summary["run"]["from_ns"] <= 40 * 10**9
    page = papered.run.directory.report_html.read_text(encoding="utf-8")
    assert "Feed to quote" in page


def test_its_own_recording_replays_to_the_same_bytes(papered: Papered) -> None:
    path = papered.run.directory.path
    kinds = {type(event) for _, event in journaled(path)[0]}
    assert {Clock, QuotesAcknowledged} <= kinds
    assert open_session(path / "session").meta.source.startswith("Deribit's websocket at ws://127.0.0.1:")
    again = rebuilt(path).summary
    told = papered.finished.summary
    assert again["latency"] is None
    assert numbers({**again, "latency": None}) == numbers({**told, "latency": None})
    resumed = carry_out(resumed_run(path)).summary
    assert resumed["run"]["state_sha256"] == told["run"]["state_sha256"]
    assert resumed["latency"] == told["latency"]


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.app.test_paper import asked
from flatbook.app.paper import paper_run
from flatbook.app.run import carry_out
with paper_run(asked(sys.argv[1], trade_s=None), Path(sys.argv[2])) as run:
    def watch():
        state = run.engine.state
        if len(state.recorder.tables.fills) > 1 or state.events > 600:
            os.kill(os.getpid(), signal.SIGKILL)
    carry_out(run, watch=watch)
"""


def test_a_run_that_is_killed_has_lost_nothing(venue: str, tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, venue, str(tmp_path)], cwd=Path.cwd(), check=False)
    assert ended.returncode == -signal.SIGKILL
    (path,) = tmp_path.iterdir()
    with pytest.raises(BadInputError, match="--resume"):
        rebuilt(path)
    run = resumed_run(path)
    held = run.journal.last_checkpoint()
    assert held is not None
    # Every digest that the journal holds is compared on the way.
    finished = carry_out(run)
    assert held.event_seq <= run.engine.state.events <= held.event_seq + 256
    assert finished.summary["ledger"]["balanced"]


def test_nobody_there_leaves_nothing_behind_and_bad_input_is_said_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flatbook.app.feed.CONNECT_S", 0.3)
    with (
        pytest.raises(VenueUnreachableError, match=r"no connection within 0\.3 s"),
        paper_run(asked(nobody_there()), tmp_path / "runs"),
    ):
        pass
    assert not (tmp_path / "runs").exists()
    for changes, said in (({"warm_up_s": 0.0}, "--warm-up"), ({"trade_s": -1.0}, "--for")):
        with pytest.raises(BadInputError, match=said):
            check_request(asked("ws://127.0.0.1:1", **changes))


def test_the_doctor_finds_the_exchange_well(venue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERIBIT_API_KEY", "flatbook")
    monkeypatch.setenv("DERIBIT_API_SECRET", "flatbook")
    made = examine(FeedTerms(url=venue, on_venue_clock=True), tmp_path, listen_s=1.0)
    rows = {each.name: each for each in made.findings}
    assert made.is_reachable
    assert "trade:read_write" in rows["credentials"].text
    assert rows["contract tables"].verdict is Verdict.OK
    assert "options" in rows["instruments"].text
    for name in ("venue", "clock", "data: index", "data: futures", "data: options"):
        assert rows[name].verdict is Verdict.OK, rows[name]
    assert list(rows)[:3] == ["versions", "disk", "memory"]
    assert "flatbook:" not in str(made.document()).replace("flatbook: ", "")
