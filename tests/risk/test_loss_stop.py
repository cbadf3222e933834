import copy
import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from flatbook.domain.units import NS_PER_SECOND
from flatbook.risk.limits import LossStopPolicy
from flatbook.risk.loss_stop import CONFIRM_NS, LossStop, Stage

POLICY = LossStopPolicy(widen_usd=100.0, reduce_only_usd=200.0, flat_usd=300.0, halt_usd=400.0)
S = NS_PER_SECOND


def stages(*marks: tuple[int, float]) -> list[str]:
    """Stage after each (second, equity)."""
    stop = LossStop(POLICY)
    return [stop.update(equity, second * S).name for second, equity in marks]


def test_the_ladder_down_and_up_again() -> None:
    assert stages(
        (0, 0.0),
        (1, -99.0),
        (2, -100.0),
        (3, -250.0),
        (12, -250.0),  # has stood for nine seconds
        (13, -250.0),
        (14, -350.0),
        (24, -350.0),
        (25, -160.0),  # flat is left at half of its 300
        (26, -150.0),
        (27, -101.0),  # reduce-only is left at half of its 200
        (28, -100.0),
        (29, -51.0),
        (30, -50.0),
    ) == [
        "NORMAL", "NORMAL", "WIDEN", "WIDEN", "WIDEN", "REDUCE_ONLY", "REDUCE_ONLY", "FLAT", "FLAT", "REDUCE_ONLY",
        "REDUCE_ONLY", "WIDEN", "WIDEN", "NORMAL",
    ]  # fmt: skip


def test_the_loss_is_counted_from_the_peak_not_from_the_start() -> None:
    assert stages((0, 500.0), (11, 500.0), (12, 401.0), (13, 400.0), (14, 501.0), (15, 451.0), (16, 402.0)) == [
        "NORMAL", "NORMAL", "NORMAL", "WIDEN", "NORMAL", "NORMAL", "NORMAL",
    ]  # fmt: skip


def test_a_peak_is_what_equity_stood_above_and_not_one_good_mark() -> None:
    assert stages((0, 0.0), (1, 9_999.0), (2, 0.0), (20, 0.0)) == ["NORMAL"] * 4
    assert stages((0, 300.0), (5, 500.0), (11, 400.0), (12, 200.0)) == ["NORMAL", "NORMAL", "NORMAL", "WIDEN"]


def test_what_cannot_be_marked_takes_nothing_new_on() -> None:
    assert stages((0, 0.0), (1, math.nan), (2, 0.0)) == ["NORMAL", "REDUCE_ONLY", "WIDEN"]


def test_one_bad_mark_only_widens() -> None:
    assert stages((0, 0.0), (1, -9_999.0), (2, 0.0)) == ["NORMAL", "WIDEN", "NORMAL"]


def test_a_bad_mark_at_the_moment_of_a_lesser_confirmation_fires_no_more_than_that() -> None:
    assert stages((0, 0.0), (1, -250.0), (6, -250.0), (11, -9_999.0), (12, -250.0)) == [
        "NORMAL", "WIDEN", "WIDEN", "REDUCE_ONLY", "REDUCE_ONLY",
    ]  # fmt: skip


def test_a_drawdown_that_does_not_stand_is_counted_anew() -> None:
    marks = [(second, -250.0 if second % 9 else -150.0) for second in range(1, 60)]
    assert set(stages((0, 0.0), *marks)[1:]) == {"WIDEN"}


def test_halt_is_never_left() -> None:
    stop = LossStop(POLICY)
    stop.update(-500.0, 0)
    assert stop.update(-500.0, CONFIRM_NS) is Stage.HALT
    assert {stop.update(10_000.0 * n, CONFIRM_NS + n * S) for n in range(50)} == {Stage.HALT}


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(-800.0, 800.0)), max_size=60))
def test_a_stage_is_entered_only_on_a_loss_that_stood_and_left_only_on_half_regained(
    steps: list[tuple[int, float]],
) -> None:
    stop, now_ns, peak, highest, before = LossStop(POLICY), 0, 0.0, 0.0, Stage.NORMAL
    losses = (0.0, 100.0, 200.0, 300.0, 400.0)
    history: list[tuple[int, float]] = []
    for seconds, equity in steps:
        now_ns += seconds * S
        highest = max(highest, equity)
        stage = stop.update(equity, now_ns)
        assert peak <= stop.peak_usd <= highest
        peak = stop.peak_usd
        history.append((now_ns, peak - equity))
        if stage > before:
            assert history[-1][1] >= losses[stage]
            if stage > Stage.WIDEN:
                stood = [at for at, _ in history]
                while history and stood and history[len(stood) - 1][1] >= losses[stage]:
                    stood.pop()
                first = history[len(stood)][0]
                assert now_ns - first >= CONFIRM_NS
        if stage < before:
            assert before is not Stage.HALT
            assert stage == before - 1
            assert history[-1][1] <= losses[before] / 2
        before = stage


@pytest.mark.parametrize("stage", [Stage.WIDEN, Stage.REDUCE_ONLY, Stage.FLAT, Stage.HALT])
def test_every_stage_is_entered_at_exactly_its_loss(stage: Stage) -> None:
    for loss, expected in ((100.0 * stage, stage), (100.0 * stage - 0.01, Stage(stage - 1))):
        stop = LossStop(POLICY)
        stop.update(-loss, 0)
        assert stop.update(-loss, CONFIRM_NS) is expected


HORIZONS = POLICY.model_copy(update={"minute_share": 0.1, "hour_share": 0.5, "strategy_share": 2.0})


def after(stop: LossStop, *marks: tuple[int, float], by: dict[str, float] | None = None) -> Stage:
    for second, equity in marks:
        stop.update(equity, second * S, by)
    return stop.stage


def test_what_is_lost_within_a_minute_stops_sooner_and_is_forgotten_after_it() -> None:
    stop = LossStop(HORIZONS)
    assert after(stop, (0, 0.0), (30, -12.0)) is Stage.WIDEN
    assert stop.changes[-1].text == "the book lost 12 USD within a minute"
    assert after(stop, (89, -12.0)) is Stage.WIDEN
    assert after(stop, (92, -12.0)) is Stage.NORMAL, "the mark of the first second has left the window"
    # The same loss over five minutes is nothing.
    assert after(LossStop(HORIZONS), *((60 * n, -4.0 * n) for n in range(8))) is Stage.NORMAL


def test_an_hour_has_its_own_losses() -> None:
    stop = LossStop(HORIZONS)
    slowly = [(61 * n, -8.0 * n) for n in range(8)]
    assert after(stop, *slowly) is Stage.WIDEN
    assert stop.changes[-1].text == "the book lost 56 USD within an hour"


def test_a_good_mark_makes_no_high_of_any_window() -> None:
    stop = LossStop(HORIZONS)
    assert after(stop, (0, 0.0), (20, 0.0), (21, 500.0), (22, 0.0), (60, 0.0)) is Stage.NORMAL


def test_a_strategy_that_loses_stops_a_book_that_does_not() -> None:
    stop = LossStop(HORIZONS.model_copy(update={"minute_share": 1.0, "hour_share": 1.0}))
    assert after(stop, (0, 0.0), by={"making": 0.0, "hedging": 0.0}) is Stage.NORMAL
    assert after(stop, (1, 0.0), by={"making": 250.0, "hedging": -250.0}) is Stage.WIDEN
    assert stop.changes[-1].text.startswith("the hedging lost 250 USD ")
    assert after(LossStop(POLICY), (0, 0.0), (1, 0.0), by={"making": 9e9, "hedging": -9e9}) is Stage.NORMAL


def test_rearmed_everything_is_counted_anew() -> None:
    stop = LossStop(POLICY)
    assert after(stop, (0, -500.0), (10, -500.0)) is Stage.HALT
    stop.rearm(11 * S, "Ada", "the feed was wrong")
    assert after(stop, (12, -500.0), (30, -599.0)) is Stage.NORMAL
    assert after(stop, (31, -600.0)) is Stage.WIDEN
    assert [(change.before.name, change.after.name, change.text) for change in stop.changes] == [
        ("NORMAL", "WIDEN", "the book lost 500 USD from its peak"),
        ("WIDEN", "HALT", "the book lost 500 USD from its peak"),
        ("HALT", "NORMAL", "re-armed by Ada: the feed was wrong"),
        ("NORMAL", "WIDEN", "the book lost 100 USD from its peak"),
    ]


def test_a_drill_goes_through_the_stages_and_leaves_by_its_exits() -> None:
    stop = LossStop(POLICY)
    seen = []
    for n, loss in enumerate((100.0, 200.0, 300.0, 0.0, 0.0, 0.0)):
        stop.drill_usd = loss
        seen.append(after(stop, (60 * n, 0.0), (60 * n + 10, 0.0)).name)
    assert seen[:3] == ["WIDEN", "REDUCE_ONLY", "FLAT"]
    assert seen[-1] == "NORMAL"
    assert all(change.text.startswith("drill: ") for change in stop.changes[:3])
    assert stop.peak_usd == 0.0


class Machine(RuleBasedStateMachine):
    """Marks, drills and re-arming in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.stop, self.now_s = LossStop(HORIZONS), 0
        self.was = Stage.NORMAL
        self.may_leave = False

    @rule(
        seconds=st.integers(0, 5_000), equity=st.floats(-2_000, 2_000) | st.just(math.nan), making=st.floats(-900, 900)
    )
    def mark(self, seconds: int, equity: float, making: float) -> None:
        self.now_s += seconds
        twin = copy.deepcopy(self.stop)
        stage = self.stop.update(equity, self.now_s * S, {"making": making, "hedging": equity - making})
        if not math.isnan(equity):
            worse = twin.update(equity - 50.0, self.now_s * S, {"making": making, "hedging": equity - making - 50.0})
            assert worse >= stage, "no stage is milder for a greater loss"

    @rule(loss=st.floats(0, 1_000))
    def drill(self, loss: float) -> None:
        self.stop.drill_usd = loss

    @rule()
    def rearm(self) -> None:
        self.may_leave = True
        self.stop.rearm(self.now_s * S, "Ada", "to see")

    @invariant()
    def halt_is_left_by_a_person_only(self) -> None:
        assert self.was is not Stage.HALT or self.stop.stage is Stage.HALT or self.may_leave
        self.was, self.may_leave = self.stop.stage, False
        held = self.stop.changes
        assert all(one.after is two.before for one, two in pairwise(held))


Machine.TestCase.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
TestMachine = Machine.TestCase
