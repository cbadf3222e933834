import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.units import NS_PER_SECOND
from flatbook.risk.protection import FillWindow, MessageBudget, MoveWatch, Protection, Reason
from flatbook.risk.protection_policy import ProtectionPolicy

S = NS_PER_SECOND
POLICY = ProtectionPolicy(
    mmp_window_s=5.0, mmp_quantity_coin=10.0, mmp_delta_coin=4.0, mmp_vega_usd=1_000.0, mmp_rest_s=3.0,
    jump_window_s=10.0, index_jump_rate=0.01, vol_jump=0.03, calm_s=60.0, latency_budget_ms=100.0,
)  # fmt: skip


def protection() -> Protection:
    return Protection(POLICY)


def calm(guard: Protection, second: float, index_usd: float = 80_000.0, vol: float = 0.6) -> None:
    guard.update(round(second * S), index_usd, vol)


def test_quotes_are_pulled_at_our_share_of_the_venues_limit_and_come_back_after_the_rest() -> None:
    guard = protection()
    for second in range(6):
        guard.filled(second * S // 2, 1.0, 0.1, 10.0)
    assert not guard.is_pulled, "six contracts of ten"
    guard.filled(3 * S, 1.0, 0.1, 10.0)
    assert guard.is_pulled, "seven of ten within five seconds"
    calm(guard, 5.9)
    assert guard.is_pulled
    calm(guard, 6.0)
    assert not guard.is_pulled
    assert [(alarm.reason, alarm.begins) for alarm in guard.alarms] == [(Reason.MMP, True), (Reason.MMP, False)]
    assert guard.alarms[0].text == "7 coin of contracts filled in 5 s; the venue freezes at 10"


def test_that_the_venue_froze_us_is_said_though_ours_acted_first() -> None:
    guard = protection()
    guard.filled(0, 9.0, 0.0, 0.0)
    guard.venue_pulled(S, 7 * S)
    assert [alarm.text for alarm in guard.alarms][1:] == ["the venue froze our quotes"]
    calm(guard, 6.9)
    assert guard.is_pulled


def test_they_stay_pulled_while_the_window_is_full() -> None:
    guard = protection()
    guard.filled(0, 9.0, 0.0, 0.0)
    for second in range(5):
        calm(guard, second)
        assert guard.is_pulled
    calm(guard, 6.9)
    assert guard.is_pulled, "the rest counts from when the window was last full"
    calm(guard, 7.0)
    assert not guard.is_pulled


@pytest.mark.parametrize(("delta", "vega"), [(2.8, 0.0), (-2.8, 0.0), (0.0, 700.0), (0.0, -700.0)])
def test_delta_and_vega_are_counted_net_and_either_way(delta: float, vega: float) -> None:
    guard = protection()
    guard.filled(0, 1.0, delta, vega)
    assert guard.is_pulled
    guard = protection()
    guard.filled(0, 1.0, delta, vega)
    other = protection()
    other.filled(0, 1.0, -0.5 * delta, -0.5 * vega)
    other.filled(1, 1.0, delta, vega)
    assert not other.is_pulled, "half of it was sold before"


def test_a_jump_of_the_index_widens_until_it_has_been_calm() -> None:
    guard = protection()
    calm(guard, 0)
    calm(guard, 9, index_usd=80_900.0)
    assert guard.reasons == (Reason.INDEX_JUMP,)
    assert guard.widen == POLICY.jump_factor
    assert guard.alarms[-1].text == "the index moved 1.12% within 10 s"
    calm(guard, 68, index_usd=80_900.0)
    assert guard.widen == POLICY.jump_factor
    calm(guard, 79, index_usd=80_900.0)
    assert guard.widen == 1.0


def test_the_same_move_over_a_longer_time_is_no_jump() -> None:
    guard = protection()
    for second in range(0, 100, 5):
        calm(guard, second, index_usd=80_000.0 * math.exp(0.001 * second / 5))
    assert guard.reasons == ()


def test_a_jump_of_vol_widens_and_an_unknown_vol_does_not() -> None:
    guard = protection()
    calm(guard, 0, vol=math.nan)
    calm(guard, 1, vol=0.6)
    calm(guard, 2, vol=math.nan)
    assert not guard.alarms
    calm(guard, 3, vol=0.56)
    assert guard.reasons == (Reason.VOL_JUMP,)
    assert not guard.is_pulled


def test_a_slow_venue_widens_until_it_is_well_within_the_budget() -> None:
    guard = protection()
    for second in range(5):
        guard.answered(second * S, 90.0)
    assert guard.widen == 1.0
    for second in range(5, 12):
        guard.answered(second * S, 200.0)
    assert guard.widen == POLICY.latency_factor
    for second in range(12, 60):
        guard.answered(second * S, 60.0)
    assert guard.widen == POLICY.latency_factor, "within the budget, but not by half"
    for second in range(60, 100):
        guard.answered(second * S, 40.0)
    assert guard.widen == 1.0
    assert [alarm.begins for alarm in guard.alarms] == [True, False]


def test_one_slow_answer_is_none() -> None:
    guard = protection()
    for second in range(5):
        guard.answered(second * S, 20.0)
    guard.answered(9 * S, 5_000.0)
    assert guard.reasons == ()


def test_factors_do_not_multiply() -> None:
    guard = protection()
    calm(guard, 0)
    calm(guard, 1, index_usd=82_000.0, vol=0.7)
    guard.answered(2 * S, 500.0)
    assert set(guard.reasons) == {Reason.INDEX_JUMP, Reason.VOL_JUMP, Reason.LATENCY}
    assert guard.widen == max(POLICY.jump_factor, POLICY.latency_factor)


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-1.0, 1.0)), max_size=60))
def test_a_move_is_the_farthest_of_the_window(steps: list[tuple[int, float]]) -> None:
    watch, now, seen = MoveWatch(10), 0, []
    for wait, value in steps:
        now += wait
        seen.append((now, value))
        within = [v for t, v in seen if t >= now - 10]
        assert watch.move(now, value) == pytest.approx(max(abs(value - v) for v in within))


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0.1, 2.0), st.floats(-2.0, 2.0)), max_size=60))
def test_a_window_forgets_what_is_older(fills: list[tuple[int, float, float]]) -> None:
    window, now, seen = FillWindow(10), 0, []
    for wait, size, delta in fills:
        now += wait
        window.add(now, size, delta, -delta)
        seen.append((now, size, delta))
        within = [(size, delta) for t, size, delta in seen if t > now - 10]
        quantity, net_delta, net_vega = window.sums(now)
        assert quantity == pytest.approx(sum(size for size, _ in within))
        assert net_delta == pytest.approx(abs(sum(delta for _, delta in within)), abs=1e-9)
        assert net_vega == pytest.approx(net_delta)


@given(st.lists(st.tuples(st.integers(0, 3 * S), st.integers(0, 500)), max_size=80))
def test_no_span_lets_more_through_than_the_burst_and_the_rate(asked: list[tuple[int, int]]) -> None:
    policy = ProtectionPolicy(messages_per_s=100.0, burst_messages=250.0)
    budget, now, sent = MessageBudget(policy), 1, [(1, 0)]
    for wait, wanted in asked:
        now += wait
        done = min(wanted, budget.left(now))
        assert done >= 0
        budget.spend(done)
        sent.append((now, done))
    for i, (start, _) in enumerate(sent):
        total = 0
        for end, done in sent[i:]:
            total += done
            assert total <= 250 + 100 * (end - start) / S + 1e-6


def test_a_budget_at_rest_fills_up_to_the_burst() -> None:
    budget = MessageBudget(ProtectionPolicy(messages_per_s=10.0, burst_messages=30.0))
    assert budget.left(S) == 30
    budget.spend(30)
    assert budget.left(S) == 0
    assert budget.left(2 * S) == 10
    assert budget.left(100 * S) == 30
