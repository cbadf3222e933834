"""What a person tells a run: a drill through every stage, a halt that re-arming ends, the same bytes on replay."""

from pathlib import Path

import pytest

from flatbook.app.rebuild import rebuilt
from flatbook.app.run import carry_out, new_run, resumed_run
from flatbook.domain.errors import BadInputError
from flatbook.domain.events import LossDrill, Rearm

from .runs import journaled, numbers, simulated


def test_a_drill_visits_every_stage_is_named_as_one_and_replays_to_the_same_bytes(
    keen_policy: Path, tmp_path: Path
) -> None:
    run = new_run(simulated(keen_policy, drill=True, hours=0.12), tmp_path)
    ended = carry_out(run)
    said = [entry["text"] for entry in ended.summary["log"] if entry["kind"] == "loss_stop"]
    assert [text.split(":")[0] for text in said] == [
        "normal to widen", "widen to reduce_only", "reduce_only to flat", "flat to halt", "halt to normal",
    ]  # fmt: skip
    assert all("drill" in text for text in said)
    inbox = [event for _, event in journaled(run.directory.path)[0]]
    assert sum(isinstance(event, LossDrill) for event in inbox) == 5
    assert [event.who for event in inbox if isinstance(event, Rearm)] == ["the drill"]
    assert abs(run.engine.state.pnl.equity_usd) < 50_000, "the loss played is in no P&L"
    assert numbers(rebuilt(run.directory.path).summary) == numbers(ended.summary)


def test_a_halted_run_goes_on_when_re_armed_and_only_then(keen_policy: Path, tmp_path: Path) -> None:
    run = new_run(simulated(keen_policy, drill=True), tmp_path)
    state = run.engine.state

    def halted() -> None:
        if state.loss_stop.stage.name == "HALT":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(run, watch=halted)
    again = carry_out(resumed_run(run.directory.path), rearm="the loss was played")
    said = [entry["text"] for entry in again.summary["log"] if entry["kind"] == "loss_stop"]
    assert "halt to normal: re-armed by the operator: the loss was played" in said
    assert numbers(rebuilt(run.directory.path).summary) == numbers(again.summary)
    with pytest.raises(BadInputError, match="market's end"):
        carry_out(resumed_run(run.directory.path), rearm="once more")
