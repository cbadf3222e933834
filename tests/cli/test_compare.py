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
TINY = ("--hours", "0.05")


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
    span = ("--session", morning, "--from", "2026-01-06T07:00", "--to", "2026-01-06T07:09")
    document = flatbook("compare", keen_policy, keen_policy, *span, "--json", "--out", tmp_path).document
    assert list(document["runs"]) == ["1-keen", "2-keen"]
    first, second = document["runs"].values()
    assert first["state_sha256"] == second["state_sha256"]
    assert first["trades_seen"] > 0
    assert all(measure["best"] is None for measure in document["measures"])


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
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
