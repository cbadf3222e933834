import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flatbook.decide.hedge.rules import discrete_hedging_deviation
from flatbook.sim.hedging.book import SHORT_STRANGLE, OptionBook, along
from flatbook.sim.hedging.contest import Contestant, Outcome, curve, excess_risk, hedged, path_draws, run
from flatbook.sim.hedging.paths import (
    GEOMETRIC,
    STEPS_PER_HOUR,
    STOCHASTIC_VOL,
    side_by_side,
    simulated,
    windows,
)
from flatbook.sim.hedging.rules import CLASSICAL, OURS, Rule, Stage, Zone, stage_of, timer, unhedged

COST = 5.5e-4
BARS = Path(__file__).parents[4] / "shared" / "data" / "binance-spot-btc-5m"


@pytest.fixture(scope="module")
def lively() -> Stage:
    paths = simulated(STOCHASTIC_VOL, range(40), 72)
    return stage_of(paths, along(paths, SHORT_STRANGLE), COST)


@pytest.mark.parametrize("to_edge", [True, False])
def test_a_hedge_along_a_path_is_booked_as_by_hand(lively: Stage, to_edge: bool) -> None:
    path, width, every = 7, 4.0, 3
    target = -lively.book.delta_usd / lively.paths.index_usd
    outcome = hedged(lively, Zone(target, np.full(target.shape, width), to_edge, every))
    held = paid = 0.0
    trades = 0
    hours = np.zeros(72)
    for t in range(lively.paths.steps):
        index = lively.paths.index_usd[path, t]
        gap = held - target[path, t]
        if t % every == 0 and abs(gap) > width:
            new = target[path, t] + (math.copysign(width, gap) if to_edge else 0.0)
            paid += COST * abs(new - held) * index
            held, trades = new, trades + 1
        move = lively.book.value_usd[path, t + 1] - lively.book.value_usd[path, t]
        hours[t // STEPS_PER_HOUR] += move + held * (lively.paths.index_usd[path, t + 1] - index)
    assert outcome.cost_usd[path] == pytest.approx(paid)
    assert outcome.trades[path] == trades > 0
    assert outcome.total_usd[path] == pytest.approx(hours.sum())
    assert outcome.square_usd2[path] == pytest.approx(float(hours @ hours))
    assert outcome.hours == 72


def test_what_is_not_hedged_costs_nothing_and_is_the_books_own_pnl(lively: Stage) -> None:
    outcome = hedged(lively, unhedged(lively))
    assert not outcome.cost_usd.any()
    assert outcome.total_usd == pytest.approx(lively.book.value_usd[:, -1] - lively.book.value_usd[:, 0])


def test_hedging_at_equal_times_leaves_what_derman_and_kamal_say() -> None:
    """An option at the money, hedged to its expiry in Black's world: two witnesses of one number."""
    paths = simulated(GEOMETRIC, range(300), 24)
    book = along(paths, OptionBook(days=1.0 + 1e-4, deviations=(0.0,), signs=(1,), sizes=(-1.0,)))
    stage = stage_of(paths, book, COST)
    for hours in (1.0, 2.0):
        left = hedged(stage, timer(stage, hours)).total_usd.std()
        vega = -book.vega_usd[0, 0]
        assert left == pytest.approx(float(discrete_hedging_deviation(vega, GEOMETRIC.vol, 24 / hours)), rel=0.15)


def test_risk_and_cost_of_a_draw_are_those_of_its_paths() -> None:
    outcome = Outcome(np.array([10.0, 30.0]), np.array([1, 2]), 2, np.array([4.0, 0.0]), np.array([8.0, 18.0]))
    # hourly P&L 2, 2 on the one path and 3, -3 on the other
    draws = np.array([[0, 1], [0, 0], [1, 1]])
    assert outcome.cost_per_day(draws) == pytest.approx([240.0, 120.0, 360.0])
    assert outcome.deviation(draws) == pytest.approx([np.std([2, 2, 3, -3]), 0.0, 3.0])


def made_up(cost: float, deviation: float, paths: int = 50) -> Outcome:
    """A rule that costs so much a day and leaves so much risk an hour on every path."""
    draw = np.random.default_rng(int(cost))
    square = 24 * deviation**2 * (1 + 0.01 * draw.normal(size=paths))
    return Outcome(np.full(paths, cost), np.ones(paths, np.int64), 24, np.zeros(paths), square)


def test_excess_risk_is_read_between_the_points_of_whoever_is_best_there() -> None:
    draws = path_draws(50, 200, np.random.default_rng(0))
    one = Contestant("one", "x", (1.0, 2.0), (made_up(100, 80), made_up(400, 40)))
    two = Contestant("two", "x", (1.0, 2.0), (made_up(200, 70), made_up(800, 10)))
    on = excess_risk(made_up(100, 80), [one, two], draws)
    between = excess_risk(made_up(200, 50), [one, two], draws)
    assert on is not None
    assert on.value == pytest.approx(0.0, abs=0.01)
    assert between is not None
    # at 200 `one` leaves sqrt(80 * 40)
    assert between.value == pytest.approx(50 / math.sqrt(3_200) - 1, abs=0.01)
    assert between.low < between.value < between.high < 0.0
    assert excess_risk(made_up(50, 50), [one, two], draws) is None
    assert excess_risk(made_up(900, 5), [one, two], draws) is None
    assert excess_risk(made_up(0, 100), [one, two], draws) is None


def test_bands_leave_less_risk_than_timers_at_the_same_cost(lively: Stage) -> None:
    draws = path_draws(40, 100, np.random.default_rng(0))
    by_name = {rule.name: rule for rule in CLASSICAL}
    timers = run(lively, by_name["timer"])
    drawn = curve(lively, run(lively, by_name["Whalley–Wilmott"]), [timers], draws)
    judged = [point.excess_risk for point in drawn.points if point.excess_risk]
    assert len(judged) >= 3
    assert all(excess.high < 0.0 for excess in judged)


def test_the_gamma_aware_price_of_risk_is_on_the_frontier_of_the_classical_rules(lively: Stage) -> None:
    """Where most of what can be removed is: looser than that Zakamouline's band leaves a few percent less."""
    draws = path_draws(40, 200, np.random.default_rng(0))
    classical = [run(lively, rule) for rule in CLASSICAL]
    drawn = curve(lively, run(lively, OURS[1]), classical, draws)
    tight = [point for point in drawn.points if point.variance_removed.value > 0.8 and point.excess_risk]
    assert len(tight) >= 3
    assert all(point.excess_risk.low < 0.0 for point in tight if point.excess_risk)
    assert all(point.excess_risk.value < 0.02 for point in tight if point.excess_risk)


def test_on_recorded_paths_too() -> None:
    if not BARS.exists():
        pytest.skip("the recorded bars are not beside the repository")
    closes = [
        pl.read_csv(path, columns=["close"], schema_overrides={"close": pl.Float64})["close"].to_numpy()
        for path in sorted(BARS.glob("*.csv.gz"))
    ]
    months = [np.concatenate(closes[k : k + 2]) for k in (0, 2, 4)]  # two that follow each other, thrice
    paths = side_by_side(*(windows(record, hours=144, warm_up_hours=240) for record in months))
    stage = stage_of(paths, along(paths, SHORT_STRANGLE), COST)
    draws = path_draws(len(paths.index_usd), 200, np.random.default_rng(0))
    classical = [run(stage, rule) for rule in CLASSICAL]
    drawn = curve(stage, run(stage, OURS[1]), classical, draws)
    tight = [point for point in drawn.points if point.variance_removed.value > 0.6 and point.excess_risk]
    assert len(paths.index_usd) == 24
    assert len(tight) >= 4
    # on the frontier to within the error, on paths that no model drew
    assert all(point.excess_risk.low < 0.0 for point in tight if point.excess_risk)
    assert all(point.excess_risk.value < 0.03 for point in tight if point.excess_risk)


def test_a_curve_says_which_rule_it_is_and_how_much_it_removed(lively: Stage) -> None:
    draws = path_draws(40, 100, np.random.default_rng(0))
    every_step = run(lively, Rule("always", "hours", (1 / STEPS_PER_HOUR,), timer))
    drawn = curve(lively, every_step, [every_step], draws)
    assert (drawn.rule, drawn.parameter, drawn.is_classical) == ("always", "hours", True)
    (point,) = drawn.points
    assert point.trades_per_day == pytest.approx(24 * STEPS_PER_HOUR, rel=0.01)
    removed = point.variance_removed
    assert 0.8 < removed.low < removed.value < removed.high < 1.0
    alone = hedged(lively, unhedged(lively)).deviation(draws[:1])[0]
    assert removed.value == pytest.approx(1 - (point.deviation_usd_per_hour.value / alone) ** 2)
    assert point.excess_risk is None  # nobody else is there
