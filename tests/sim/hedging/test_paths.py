from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.sim.hedging.paths import (
    GEOMETRIC,
    STEP_YEARS,
    STEPS_PER_HOUR,
    STOCHASTIC_VOL,
    MarkModel,
    side_by_side,
    simulated,
    windows,
)

BARS = Path(__file__).parents[4] / "shared" / "data" / "binance-spot-btc-5m" / "BTCUSDT-5m-2025-04.csv.gz"


def test_a_path_is_its_seeds_alone() -> None:
    both, second = simulated(STOCHASTIC_VOL, [3, 4], 6), simulated(STOCHASTIC_VOL, [4], 6)
    assert both.index_usd.shape == (2, 6 * STEPS_PER_HOUR + 1)
    assert np.array_equal(both.index_usd[1], second.index_usd[0])
    assert np.array_equal(both.factors.variance[1], second.factors.variance[0])
    assert not np.array_equal(both.index_usd[0], both.index_usd[1])


def test_blacks_world_has_one_vol_and_the_other_has_many() -> None:
    geometric, lively = simulated(GEOMETRIC, range(8), 72), simulated(STOCHASTIC_VOL, range(8), 72)
    moves = np.diff(np.log(geometric.index_usd))
    assert moves.std() / np.sqrt(STEP_YEARS) == pytest.approx(GEOMETRIC.vol, rel=3 / np.sqrt(2 * moves.size))
    assert np.ptp(geometric.factors.variance) == 0.0
    years = np.full(geometric.index_usd.shape, 0.1)
    smile = [geometric.surface.total_variance(geometric.factors, years, years * 0 + k) for k in (-0.3, 0.0, 0.3)]
    assert np.ptp(smile) < 1e-8
    assert np.ptp(lively.factors.variance) > 0.1


def walk(steps: int, seed: int = 0) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    moves = np.random.default_rng(seed).normal(0.0, 2e-3, steps)
    return np.asarray(1e5 * np.exp(np.cumsum(moves)))


def test_windows_follow_each_other_and_leave_out_what_warms_up() -> None:
    record = walk(100 * STEPS_PER_HOUR)
    paths = windows(record, hours=24, warm_up_hours=10)
    assert paths.index_usd.shape == (3, 24 * STEPS_PER_HOUR + 1)
    assert paths.index_usd[0, 0] == record[10 * STEPS_PER_HOUR]
    assert np.array_equal(paths.index_usd[:-1, -1], paths.index_usd[1:, 0])


def test_marks_know_what_came_before_and_nothing_else() -> None:
    record = walk(100 * STEPS_PER_HOUR)
    changed = record.copy()
    cut = 50 * STEPS_PER_HOUR
    changed[cut:] *= np.linspace(1.0, 3.0, changed.size - cut)
    before, after = (windows(path, hours=89, warm_up_hours=10) for path in (record, changed))
    known = cut - 10 * STEPS_PER_HOUR + 1
    for was, is_now in zip(before.factors, after.factors, strict=True):
        assert np.array_equal(was[0, :known], is_now[0, :known])
    assert not np.allclose(before.factors.variance[0, known:], after.factors.variance[0, known:])


def test_marks_find_a_variance_that_does_not_change() -> None:
    paths = windows(walk(2_000 * STEPS_PER_HOUR), hours=24, warm_up_hours=500, marks=MarkModel(half_life_hours=200.0))
    variance = 2e-3**2 / STEP_YEARS
    assert paths.factors.variance.mean() == pytest.approx(variance, rel=0.05)
    assert paths.factors.long_variance.mean() == pytest.approx(variance, rel=0.05)


def test_records_stand_side_by_side() -> None:
    first, second = windows(walk(500), 12, 1), windows(walk(400, seed=1), 12, 1)
    both = side_by_side(first, second)
    assert len(both.index_usd) == len(first.index_usd) + len(second.index_usd)
    assert np.array_equal(both.factors.variance[len(first.index_usd) :], second.factors.variance)


def test_a_record_too_short_or_with_a_hole_is_refused() -> None:
    with pytest.raises(BadInputError, match="a record of 100 steps has no window of 24 hours after 10 to warm up"):
        windows(walk(100), hours=24, warm_up_hours=10)
    holed = walk(500)
    holed[77] = np.nan
    with pytest.raises(BadInputError, match="the index at step 77 is not positive"):
        windows(holed, hours=12, warm_up_hours=1)


def test_recorded_bars_make_windows() -> None:
    if not BARS.exists():
        pytest.skip("the recorded bars are not beside the repository")
    closes = pl.read_csv(BARS, columns=["close"], schema_overrides={"close": pl.Float64})["close"].to_numpy()
    paths = windows(closes, hours=144, warm_up_hours=120)
    assert len(paths.index_usd) == 4
    vol = np.sqrt(paths.factors.variance)
    assert 0.2 < float(np.median(vol)) < 1.0
    # the tariff shock of 2 April and the days after it are not marked as calm
    assert vol[0].max() > 1.5 * vol[-1].min()
