import io
from collections.abc import Callable

from rich.console import Console

from flatbook.report.facts import RunFacts
from flatbook.report.summary import summarise
from flatbook.report.tables import PARTS, Tables
from flatbook.report.terminal import BAR_CELLS, tear_sheet


def _printed(summary: dict[str, object]) -> str:
    out = io.StringIO()
    Console(file=out, width=80).print(tear_sheet(summary))
    return out.getvalue()


def test_the_tear_sheet_says_what_was_earned_and_why(tables: Tables, facts: RunFacts) -> None:
    printed = _printed(summarise(tables, facts))
    lines = printed.splitlines()
    assert f"+${facts.ledger.pnl_usd:,.0f}" in lines[0] + lines[1]
    for name in PARTS:
        assert any(line.startswith(name.replace("_", " ").capitalize()) for line in lines)
    assert "Ledger balanced" in printed
    assert "pessimistic 702" in printed
    assert max(map(len, lines)) <= 80


def test_bars_are_in_proportion(tables: Tables, facts: RunFacts) -> None:
    summary = summarise(tables, facts)
    lengths = dict.fromkeys(PARTS, 0)
    for line in _printed(summary).splitlines():
        for name in PARTS:
            if line.startswith(name.replace("_", " ").capitalize() + " "):
                lengths[name] = line.count("█")
    largest = max(PARTS, key=lambda name: abs(summary["pnl"][name]))
    assert lengths[largest] == BAR_CELLS
    for name in PARTS:
        share = abs(summary["pnl"][name] / summary["pnl"][largest])
        assert abs(lengths[name] - BAR_CELLS * share) <= 1


def test_an_empty_run_prints_dashes(facts_of: Callable[[float], RunFacts]) -> None:
    assert "–" in _printed(summarise(Tables(), facts_of(0.0)))
