"""The paths of a seed: their laws, their averages, and who depends on what."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import ConfigurationError
from flatbook.domain.units import NS_PER_SECOND, NS_PER_YEAR, parse_utc
from flatbook.sim.streams import stream
from flatbook.sim.world import Reverting, World, WorldParameters, draw_world

START = parse_utc("2025-03-31T00:00")
STEADY = Reverting(0.0, 0.0, 1.0)
CALM = WorldParameters(
    vol_of_vol=0.0, long_variance_log=STEADY, jumps_per_year=0.0, carry=STEADY, skew=STEADY, convexity_log=STEADY
)


USUAL = WorldParameters()


def draw(parameters: WorldParameters = USUAL, seed: int = 1, hours: float = 24, step_s: int = 1) -> World:
    return draw_world(parameters, seed, START, step_s * NS_PER_SECOND, round(hours * 3_600 / step_s))


def test_a_seed_is_a_world() -> None:
    first, again, other = draw(seed=1, hours=2), draw(seed=1, hours=2), draw(seed=2, hours=2)
    assert (first.index_usd == again.index_usd).all()
    assert (first.minutes.premium == again.minutes.premium).all()
    assert not (first.index_usd == other.index_usd).all()


def test_without_jumps_and_moving_vol_returns_are_those_of_one_vol() -> None:
    returns = np.diff(np.log(draw(CALM, hours=72).index_usd))
    realised = returns.std() * math.sqrt(NS_PER_YEAR / NS_PER_SECOND)
    assert realised == pytest.approx(CALM.vol, rel=0.02)


def test_variance_starts_at_its_long_value_and_forecasts_hold() -> None:
    """The mean over seeds of realised variance is the surface's at-the-money variance, jumps included."""
    parameters = WorldParameters(start_index_usd=1e6, vol_of_vol=1.5, long_variance_log=STEADY)
    days = 4
    realised, expected = [], []
    for seed in range(60):
        world = draw(parameters, seed, hours=24 * days, step_s=60)
        realised.append(float((np.diff(np.log(world.index_usd)) ** 2).sum()))
        at = world.minute_at(np.array(START)).factors
        expected.append(float(parameters.term_structure.atm_total_variance(at, np.array(days / 365))))
    error = np.std(realised) / math.sqrt(len(realised))
    assert abs(np.mean(realised) - np.mean(expected)) < 3.5 * error
    assert error < 0.1 * np.mean(expected), "the comparison means something"


def test_variance_moves_against_the_index() -> None:
    world = draw(WorldParameters(jumps_per_year=0.0, spot_vol_correlation=-0.8), hours=200, step_s=60)
    returns = np.diff(np.log(world.index_usd))
    moves = np.diff(world.minutes.factors.variance)[: returns.size]
    assert np.corrcoef(returns[: moves.size], moves)[0, 1] == pytest.approx(-0.8, abs=0.05)


def test_surface_factors_stay_where_there_is_no_arbitrage() -> None:
    wild = WorldParameters(skew=Reverting(-0.3, 0.6, 500.0), convexity_log=Reverting(0.0, 1.0, 500.0))
    factors = draw(wild, hours=100, step_s=60).minutes.factors
    assert (factors.convexity * (1 + np.abs(factors.skew)) < 2).all()
    assert (np.abs(factors.skew) <= 0.9).all()
    assert (factors.variance > 0).all()


def test_more_of_one_cause_leaves_the_others_alone() -> None:
    usual, skewed = draw(hours=2), draw(WorldParameters(skew=Reverting(-0.2, 0.3, 10.0)), hours=2)
    assert (usual.index_usd == skewed.index_usd).all()
    assert (usual.minutes.premium == skewed.minutes.premium).all()
    assert not (usual.minutes.factors.skew == skewed.minutes.factors.skew).all()


def test_a_reverting_path_has_its_stationary_law() -> None:
    path = Reverting(2.0, 0.5, 365 * 24 * 60 / 10).path(stream(1, "test"), 200_000)
    assert path[0] == 2.0
    assert path.mean() == pytest.approx(2.0, abs=0.02)
    assert path.std() == pytest.approx(0.5, rel=0.03)
    deviations = path - 2.0
    assert np.corrcoef(deviations[:-10], deviations[10:])[0, 1] == pytest.approx(math.exp(-1), abs=0.03)


@given(st.integers(0, 3_600), st.integers(1, 3_600))
def test_averages_are_those_of_every_second(first: int, seconds: int) -> None:
    world = draw(hours=2)
    moments = np.array([START + first * NS_PER_SECOND]), np.array([START + (first + seconds) * NS_PER_SECOND])
    each = START + np.arange(first, first + seconds) * NS_PER_SECOND
    assert world.average_usd(*moments)[0] == pytest.approx(world.index_at(each).mean(), rel=1e-12)


def test_time_outside_the_span_reads_as_its_ends() -> None:
    world = draw(hours=1)
    before, after = START - 10 * NS_PER_SECOND, START + 5_000 * NS_PER_SECOND
    assert world.index_at(np.array([before, after])).tolist() == [world.index_usd[0], world.index_usd[-1]]
    early = world.average_usd(np.array([before]), np.array([START]))
    assert early[0] == pytest.approx(world.index_usd[0])


@pytest.mark.parametrize("step_s", [7, 45])
def test_a_step_divides_a_minute(step_s: int) -> None:
    with pytest.raises(ConfigurationError, match="does not divide a minute"):
        draw(hours=1, step_s=step_s)


@pytest.mark.parametrize("wrong", [{"start_index_usd": 0.0}, {"vol": -1.0}, {"vol_reversion": 0.0}])
def test_levels_are_positive(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        WorldParameters(**wrong)
