from dataclasses import replace

import numpy as np
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_DAY, NS_PER_HOUR
from flatbook.kernels.chain import BASIS, CONVEXITIES, FACTORS, LEVELS, PREMIUM, SKEWS, SPOT, SQUARED
from flatbook.market.shock import Shock
from flatbook.risk.var.history import FactorHistory, levels_of
from tests.market.snapshots import FLAT, snapshot

from .builders import TENOR_YEARS, prior, wandering


def test_levels_are_read_at_the_tenors() -> None:
    levels = levels_of(snapshot(vol=0.6, carry=0.05, smile=FLAT), TENOR_YEARS)
    assert levels[SPOT] == np.log(80_000.0)
    assert levels[LEVELS] == pytest.approx([0.6] * 3)
    assert levels[SKEWS] == pytest.approx([0.0] * 3, abs=1e-12)
    assert levels[CONVEXITIES] == pytest.approx([0.0] * 3, abs=1e-12)
    assert levels[BASIS] == pytest.approx(0.05)
    assert np.isnan(levels[[SQUARED, PREMIUM]]).all()


def test_a_relative_move_of_vols_is_a_move_of_levels() -> None:
    market = snapshot()
    before, after = (levels_of(one, TENOR_YEARS) for one in (market, market.shocked(Shock(vol=0.1))))
    assert after[LEVELS] == pytest.approx(1.1 * before[LEVELS])
    assert after[SPOT] == before[SPOT]


def test_a_nearing_expiry_is_no_move() -> None:
    market = snapshot(smile=FLAT)
    later = market.shocked(Shock(days=2.0))
    before, after = (levels_of(one, TENOR_YEARS) for one in (market, later))
    assert after[LEVELS] == pytest.approx(before[LEVELS])


def test_an_expiry_within_a_day_is_not_read() -> None:
    market = snapshot(days=(0.5, 25.0, 81.0))
    wild = market.slices.copy()
    wild[0, :2] *= 9.0
    assert np.array_equal(
        levels_of(market, TENOR_YEARS), levels_of(replace(market, slices=wild), TENOR_YEARS), equal_nan=True
    )


def test_windows_overlap_and_leave_gaps_out() -> None:
    times = np.concatenate([np.arange(100), np.arange(200, 300)]) * 6 * NS_PER_HOUR
    levels = np.zeros((200, 1, FACTORS))
    levels[:, 0, SPOT] = np.concatenate([np.arange(100.0), 1e6 + np.arange(100.0)])
    history = FactorHistory(("BTC",), times.astype(np.int64), levels)
    day = history.over(NS_PER_DAY)
    assert (len(day.moves), day.overlap, day.is_scaled) == (2 * 96, 4, False)
    assert set(day.moves[:, 0, SPOT]) == {4.0}
    assert day.last.tolist() == [*range(4, 100), *range(104, 200)]
    assert len(history.steps().moves) == 2 * 99


def test_short_horizons_and_long_ones_are_scaled_by_the_root_of_time() -> None:
    history = wandering(200, prior(), np.random.default_rng(1))
    hour = history.over(NS_PER_HOUR)
    assert hour.is_scaled
    assert hour.moves[:, 0, SPOT] == pytest.approx(history.steps().moves[:, 0, SPOT] / np.sqrt(6.0))
    assert history.over(10 * NS_PER_DAY).is_scaled


def test_what_was_known_then_ends_then() -> None:
    history = wandering(100, prior(), np.random.default_rng(1))
    known = history.until(int(history.times_ns[40]))
    assert known.times_ns.tolist() == history.times_ns[:41].tolist()


def test_a_history_without_moves_is_refused() -> None:
    with pytest.raises(BadInputError, match="no moves"):
        wandering(100, prior(), np.random.default_rng(1)).until(0).step_ns  # noqa: B018 - it is computed
    with pytest.raises(BadInputError, match="rising"):
        FactorHistory(("BTC",), np.array([2, 1]), np.zeros((2, 1, FACTORS)))
