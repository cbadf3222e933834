import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import genpareto, poisson

from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND
from flatbook.risk.monitors import LEAST_STRETCHES, Monitor, MonitorAlarm, MonitorState, Of, Watched
from flatbook.risk.tails import level_exceeded

S, M = NS_PER_SECOND, NS_PER_MINUTE
Draw = Callable[[np.random.Generator, int], np.ndarray]

LAWS: dict[str, Draw] = {
    "normal": lambda rng, n: np.abs(rng.normal(size=n)),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "uniform": lambda rng, n: rng.random(n),
    "lognormal": lambda rng, n: np.exp(0.8 * rng.normal(size=n)),
    "t, four degrees": lambda rng, n: np.abs(rng.standard_t(4, size=n)),
    "t, three degrees": lambda rng, n: np.abs(rng.standard_t(3, size=n)),
    "clustered": lambda rng, n: np.abs(np.convolve(rng.normal(size=n + 19), np.ones(20) / math.sqrt(20), "valid")),
}


def watched(of: Of = Of.MEAN, **fields: float) -> Monitor:
    return Monitor(Watched("size", "test", "apples", of, **fields), 0.15)


def minutes(monitor: Monitor, values: np.ndarray, start: int = 0) -> list[MonitorAlarm]:
    """A number a minute, each in the middle of its own."""
    alarms = []
    for minute, value in enumerate(values.tolist(), start):
        alarms += monitor.take(minute * M + 30 * S, value)
    return alarms


@pytest.mark.parametrize("shape", [0.0, 0.2, 0.4])
def test_a_level_is_that_of_a_known_tail_and_errs_upward(shape: float) -> None:
    rng, level = np.random.default_rng(1), genpareto(shape).isf(1e-4)
    found = np.array([level_exceeded(genpareto(shape).rvs(4_000, random_state=rng), 1e-4) for _ in range(40)])
    assert 1.0 < np.median(found) / level < 1.6
    assert np.quantile(genpareto(shape).sf(found), 0.95) < 4e-4


def test_a_level_within_the_past_is_its_quantile_and_of_a_constant_the_constant() -> None:
    past = np.random.default_rng(2).exponential(size=10_000)
    assert level_exceeded(past, 0.05) == pytest.approx(np.quantile(past, 0.95), rel=0.01)
    assert level_exceeded(np.full(100, 3.0), 1e-6) == 3.0


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_a_level_is_in_the_units_of_its_past(scale: float) -> None:
    past = np.random.default_rng(3).exponential(size=500)
    assert level_exceeded(scale * past, 1e-5) == pytest.approx(scale * level_exceeded(past, 1e-5), rel=1e-9)


def test_calm_streams_of_any_law_keep_their_budget() -> None:
    """Four weeks of seven laws, light and heavy and clustered: 0.05 a week and horizon is allowed, and 95 % sure."""
    weeks, alarms = 4, 0
    for number, (name, draw) in enumerate(LAWS.items()):
        monitor = Monitor(Watched(name, "test", "", Of.MEAN), 0.15)
        raised = minutes(monitor, draw(np.random.default_rng(number), weeks * 7 * 24 * 60))
        alarms += sum(alarm.begins for alarm in raised)
        assert sum(reading.alarms for reading in monitor.readings()) == sum(alarm.begins for alarm in raised)
    assert alarms <= poisson(0.15 * weeks * len(LAWS)).ppf(0.95)


@pytest.mark.parametrize("law", ["normal", "exponential", "uniform", "clustered"])
def test_a_planted_fault_is_found_within_two_minutes(law: str) -> None:
    rng = np.random.default_rng(7)
    monitor = watched()
    minutes(monitor, LAWS[law](rng, 1_440))
    fault_ns = 1_440 * M + 31 * S
    size = 12.0 * float(np.quantile(LAWS[law](rng, 10_000), 0.99))
    (alarm,) = (
        alarm
        for second in range(200)
        for alarm in monitor.take(fault_ns + second * S, size)
    )  # fmt: skip
    assert alarm.begins
    assert alarm.ts_ns - fault_ns <= 2 * M
    assert alarm.text.startswith(f"size over a minute: {size:,.4g} apples, the threshold is ")


def test_where_the_most_counts_a_fault_is_found_at_once_and_ends_with_a_minute_within() -> None:
    rng = np.random.default_rng(8)
    monitor = watched(Of.MOST)
    minutes(monitor, rng.exponential(size=600))
    (began,) = monitor.take(600 * M + 20 * S, 100.0)
    assert (began.begins, began.ts_ns) == (True, 600 * M + 20 * S)
    assert monitor.take(600 * M + 21 * S, 200.0) == []
    assert monitor.take(601 * M + 5 * S, 1.0) == []
    (ended,) = monitor.take(602 * M + 5 * S, 1.0)
    assert (ended.begins, ended.ts_ns) == (False, 602 * M)
    minute, hour, _ = monitor.readings()
    assert (minute.value, minute.alarms) == (1.0, 1)
    assert hour.alarms == 0, "it has no past yet"


def test_a_fault_that_lasts_is_one_alarm_and_after_an_hour_it_is_normal() -> None:
    monitor = watched()
    rng = np.random.default_rng(9)
    alarms = minutes(monitor, rng.exponential(size=500))
    alarms += minutes(monitor, 300.0 + rng.exponential(size=LEAST_STRETCHES), 500)
    assert [alarm.begins for alarm in alarms] == [True]
    alarms = minutes(monitor, 300.0 + rng.exponential(size=200), 500 + LEAST_STRETCHES)
    assert [alarm.begins for alarm in alarms] == [False]
    assert [alarm.begins for alarm in minutes(monitor, np.array([900.0, 300.0]), 760)] == [True]


def test_until_there_is_a_past_only_the_bound_counts() -> None:
    monitor = watched(Of.MOST, bound=1.0)
    assert minutes(monitor, np.linspace(0.1, 0.9, LEAST_STRETCHES - 10)) == []
    minute, *_ = monitor.readings()
    assert (minute.state, minute.threshold) == (MonitorState.LEARNING, 1.0)
    (alarm,) = monitor.take(LEAST_STRETCHES * M, 1.1)[:1]
    assert alarm.begins


@pytest.mark.parametrize(("value", "begins"), [(0.09, []), (0.2, [True])])
def test_what_is_small_is_no_alarm(value: float, begins: list[bool]) -> None:
    monitor = watched(Of.MEAN, least=0.1)
    minutes(monitor, np.zeros(200))
    assert [alarm.begins for alarm in minutes(monitor, np.array([value, 0.0]), 200)] == begins


def test_nothing_seen_is_nothing_known() -> None:
    monitor = watched()
    assert monitor.take(5 * M, math.nan) == monitor.take(9 * M, 1.0, 0.0) == []
    assert all(math.isnan(reading.value) for reading in monitor.readings())


def test_each_horizon_has_the_most_the_mean_and_the_change_of_all_its_seconds() -> None:
    rng, seconds = np.random.default_rng(10), 3 * 3_600
    path = np.cumsum(rng.normal(size=seconds))
    monitors = {of: Monitor(Watched(of, "", "", of), 1.0) for of in Of}
    for second, value in enumerate(path.tolist()):
        for monitor in monitors.values():
            monitor.take(second * S, value)
    last = {of: dict(zip(("minute", "hour"), monitor.readings(), strict=False)) for of, monitor in monitors.items()}
    for horizon, length, ends in (("minute", 60, seconds - 60), ("hour", 3_600, seconds - 3_600)):
        block, before = path[ends - length : ends], path[ends - length - 1]
        assert last[Of.MOST][horizon].value == block.max()
        assert last[Of.MEAN][horizon].value == pytest.approx(block.mean(), rel=1e-12)
        assert last[Of.CHANGE][horizon].value == pytest.approx(block[-1] - before, rel=1e-12)
        assert last[Of.MEAN][horizon].ts_ns == ends * S
    assert NS_PER_HOUR == 3_600 * S
