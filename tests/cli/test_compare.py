"""`flatbook compare`: one table and one picture of several policies in one market."""

import json
import re
import signal
from pathlib import Path

import pytest

from flatbook.app.run import Run
from flatbook.cli import compare as compare_module
from flatbook.cli.progress import RunProgress

from .conftest import Flatbook

THREE = ("primitive", "intermediate", "advanced")
TINY = ("--hours", "0.05", "--jobs", "1")


def test_three_policies_in_one_simulated_market(flatbook: Flatbook, tmp_path: Path) -> None:
    ended = flatbook("compare", *THREE, *TINY, "--json", "--out", tmp_path)
    assert ended.code == 0
    document = ended.document
    assert tuple(document["runs"]) == THREE
    assert len({(run["from_ns"], run["seed"]) for run in document["runs"].values()}) == 1
    assert len({run["state_sha256"] for run in document["runs"].values()}) == 3
    measures = {measure["key"]: measure for measure in document["measures"]}
    assert {"pnl.total", "risk.max_drawdown", "risk.vega_rms", "risk.delta_rms"} <= measures.keys()
    (group,) = tmp_path.iterdir()
    for number, (policy, run) in enumerate(document["runs"].items(), 1):
        directory = group / f"{number}-{policy}"
        assert run["id"] == directory.name
        report = json.loads((directory / "report.json").read_text())
        for key, measure in measures.items():
            section, name = key.split(".")
            assert measure["values"][policy] == report[section][name]
        assert (directory / "report.html").is_file()
    assert ended.err.splitlines() == [f"{number} of 3: {policy}" for number, policy in enumerate(THREE, 1)]


def test_in_words_a_table_and_a_picture_that_needs_no_network(flatbook: Flatbook, tmp_path: Path) -> None:
    ended = flatbook("compare", *THREE, *TINY, "--out", tmp_path)
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].split() == list(THREE)
    assert any(line.startswith("Total P&L") for line in lines)
    (picture,) = tmp_path.glob("*/compare.html")
    assert ended.err.splitlines()[-1] == f"picture: {picture}"
    page = picture.read_text()
    assert not re.search(r"""<(?:script|link|img|iframe)[^>]*\b(?:src|href)\s*=""", page)
    assert not re.search(r"@import|url\(\s*['\"]?https?:", page)
    assert all(policy in page for policy in THREE)


def test_a_recorded_market_and_one_policy_twice(
    flatbook: Flatbook, morning: Path, keen_policy: Path, tmp_path: Path
) -> None:
    span = ("--session", morning, "--from", "2026-01-06T07:00", "--to", "2026-01-06T07:09", "--jobs", 1)
    document = flatbook("compare", keen_policy, keen_policy, *span, "--json", "--out", tmp_path).document
    assert list(document["runs"]) == ["1-keen", "2-keen"]
    first, second = document["runs"].values()
    assert first["state_sha256"] == second["state_sha256"]
    assert first["trades_seen"] > 0
    assert all(measure["best"] is None for measure in document["measures"])


def test_several_seeds_at_once_are_the_runs_one_by_one(flatbook: Flatbook, tmp_path: Path) -> None:
    asked = ("compare", "primitive", "advanced", "--hours", 1, "--seeds", 2, "--json")
    alone = flatbook(*asked, "--jobs", 1, "--out", tmp_path / "alone").document
    together = flatbook(*asked, "--jobs", 2, "--out", tmp_path / "together")
    document = together.document
    assert together.err == ""
    for name, run in document["runs"].items():
        assert run["state_sha256"] == alone["runs"][name]["state_sha256"]
    assert document["markets"] == ["the simulated market, seed 1", "the simulated market, seed 2"]
    # In this process kernels are compiled as they are called, in the others ahead: the last digits may differ.
    for one, other in zip(document["measures"], alone["measures"], strict=True):
        for policy, value in one["values"].items():
            apart = other["values"][policy]
            assert value == (apart if apart is None else pytest.approx(apart, rel=1e-9, abs=1e-9)), one["key"]
    found = document["intervals"]
    assert found["hours"] == 2
    for policy in ("primitive", "advanced"):
        pnl = found["of"][policy]["pnl_usd_per_day"]
        assert pnl["low"] <= pnl["value"] <= pnl["high"]
    assert set(found["over"][found["against"]]["pnl_usd_per_day"].values()) == {0.0}


def test_windows_are_markets_of_their_own(flatbook: Flatbook, morning: Path, keen_policy: Path, tmp_path: Path) -> None:
    windows = ("2026-01-06T07:00/2026-01-06T07:03", "2026-01-06T07:05/2026-01-06T07:09")
    asked = ("compare", keen_policy, "advanced", "--session", morning, "--jobs", 1, "--json", "--out", tmp_path)
    document = flatbook(*asked, "--window", windows[0], "--window", windows[1]).document
    spans = {(run["from_ns"], run["to_ns"]) for run in document["runs"].values()}
    assert len(document["runs"]) == 4
    assert len({start for start, _ in spans}) == 2


def test_a_field_chosen_walking_forward_under_two_fill_models(
    flatbook: Flatbook, morning: Path, keen_policy: Path, tmp_path: Path
) -> None:
    windows = ("2026-01-06T06:40/2026-01-06T06:42", "2026-01-06T06:43/2026-01-06T06:45")
    words = ["compare", keen_policy, "primitive", "--session", morning, "--fit", "quoting.size_coin=1,3", "--jobs", 1]
    words += [word for window in windows for word in ("--window", window)]
    document = flatbook(*words, "--fills", "queue", "--fills", "optimistic", "--json", "--out", tmp_path).document
    assert len(list(tmp_path.glob("*/*/report.json"))) == 2 * 2 * 2 * 2
    assert list(document["fill_models"]) == ["queue", "optimistic"]
    assert len(document["runs"]) == 2, "the first window only chooses"
    assert {choice["window"] for choice in document["walk_forward"]} == {windows[1]}
    assert {choice["changes"]["quoting.size_coin"] for choice in document["walk_forward"]} <= {"1", "3"}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("advanced primitive --window 2025-04-02", 2, "--window 2025-04-02: give both ends as FROM/TO"),
        ("advanced primitive --window a/b --from 2025-04-02", 2, "--window beside --from or --to"),
        ("advanced primitive --fit quoting.size_coin=1,2", 2, "--fit walks forward through one recorded session"),
        ("advanced", 2, "compare takes two policies or more; for one, use flatbook run"),
        ("advanced nobody", 4, "policy 'nobody' is neither a file nor one of"),
        ("advanced primitive --session nowhere", 2, "--session nowhere: no such directory"),
    ],
)
def test_what_cannot_be_compared_is_told_before_anything_runs(
    flatbook: Flatbook, tmp_path: Path, words: str, code: int, says: str
) -> None:
    ended = flatbook("compare", *words.split(), "--out", tmp_path / "runs")
    assert ended.code == code
    assert says in ended.complaint
    assert not (tmp_path / "runs").exists()


def test_an_interrupt_ends_the_comparison(flatbook: Flatbook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting(RunProgress):
        def __init__(self, run: Run) -> None:
            super().__init__(run)
            self._left = 100

        def update(self) -> None:
            self._left -= 1
            if self._left == 0:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(compare_module, "RunProgress", Interrupting)
    ended = flatbook("compare", "primitive", "advanced", *TINY, "--json", "--out", tmp_path)
    assert ended.code == 1
    assert ended.out == ""
    assert re.search(r"flatbook: interrupted in .*1-primitive: runs of different length do not compare\n$", ended.err)
    (group,) = tmp_path.iterdir()
    assert [path.name for path in group.iterdir()] == ["1-primitive"]
    assert json.loads((group / "1-primitive" / "report.json").read_text())["run"]["events"] == 100
