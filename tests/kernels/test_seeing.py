import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels import seeing, seeing_plain
from flatbook.kernels.levels import have_moved, have_moved_plain
from flatbook.kernels.seeing import BELIEVED, OUT_OF_ORDER, REFUSED
from flatbook.kernels.svi import sinh_grid
from flatbook.kernels.svi_plain import sinh_grid as plain_sinh_grid

Floats = NDArray[np.float64]

LIVE = np.array([2, 0, 3], np.int64)
SLOTS, RING = 5, 16
SHAPE_ERROR, DEVIATIONS, CONFIRMATIONS = 0.006, 6.0, 3
LEVEL = 0.6


class State:
    """Slices of one vol at the money, as `see_vol` takes them."""

    def __init__(self, room: float = 1.0) -> None:
        self.years = np.array([0.1, 0.0, 0.02, 0.5, 0.0])
        self.fitted_years = 1.01 * self.years
        width = LEVEL * np.sqrt(self.fitted_years)
        self.params = np.column_stack([0.5 * width**2, 0.5 * width, np.full(SLOTS, -0.2), 0.0 * width, width])
        self.rmse = np.full(SLOTS, 0.001)
        self.p = np.full((SLOTS, SLOTS), 2e-5) + np.diag(np.full(SLOTS, 1e-5))
        self.drift = np.linspace(-0.1, 0.1, SLOTS)
        scale = 2.0 * self.drift + math.log(1 / 1.01)
        self.most = scale + room
        self.least_rise = np.full(SLOTS, -room)
        self.least_rise[LIVE[1:]] += np.diff(scale[LIVE])
        self.jumps = np.zeros(SLOTS, np.int64)

    def see(self, vol: float, k: float, slot: int, *, plain: bool = False) -> int:
        see_vol = (seeing_plain if plain else seeing).see_vol
        code: int = see_vol(
            LIVE, slot, k, vol, 0.002, SHAPE_ERROR, DEVIATIONS, CONFIRMATIONS, self.years, self.fitted_years, self.rmse,
            self.p, self.params, self.drift, self.most, self.least_rise, self.jumps,
        )  # fmt: skip
        return code

    @property
    def arrays(self) -> tuple[Floats, ...]:
        return self.p, self.params, self.drift, self.jumps.astype(np.float64)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.3, 1.2), st.floats(-0.5, 0.5), st.sampled_from(LIVE.tolist())), min_size=1, max_size=6
    ),
    st.sampled_from([1e-3, 1.0]),
)
def test_seeing_agrees_with_its_plain_twin(seen: list[tuple[float, float, int]], room: float) -> None:
    fast, plain = State(room), State(room)
    for vol, k, slot in seen:
        assert fast.see(vol, k, slot) == plain.see(vol, k, slot, plain=True)
        for one, other in zip(fast.arrays, plain.arrays, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-14)


def test_a_vol_moves_its_level_and_the_others_and_says_when_a_slice_went_too_far() -> None:
    for room, said in ((1.0, BELIEVED), (1e-4, OUT_OF_ORDER)):
        state = State(room)
        before = state.drift.copy()
        assert state.see(0.61, 0.0, 0) == said
        moved = (state.drift - before)[LIVE]
        assert (moved > 0.0).all()
        assert moved[1] == moved.max()
        assert (state.drift - before)[1] == 0.0


def test_a_jump_waits_for_as_many_on_one_side_as_it_takes() -> None:
    state = State(room=9.0)
    assert [state.see(vol, 0.0, 0) for vol in (0.9, 0.3, 0.3)] == [REFUSED] * 3
    assert state.jumps[0] == -2
    assert state.drift[0] == State().drift[0]
    assert state.see(0.3, 0.0, 0) == BELIEVED
    level = math.sqrt(state.params[0] @ [1.0, state.params[0, 4], 0.0, 0.0, 0.0] / state.fitted_years[0])
    assert level == pytest.approx(0.3, rel=1e-3)


def test_in_a_wing_a_surprise_is_the_wings_own_more_than_the_levels() -> None:
    moves = []
    for k in (0.0, 0.6):
        state = State()
        state.rmse[:] = 0.0
        a, b, s = state.params[0, [0, 1, 4]]
        fair = math.sqrt((a + b * (-0.2 * k + math.hypot(k, s))) / state.fitted_years[0])
        state.see(1.01 * fair, k, 0)
        moves.append(state.drift[0] - State().drift[0])
    assert 0.0 < moves[1] < 0.7 * moves[0]


@settings(deadline=None)
@given(st.integers(0, 99), st.integers(0, RING))
def test_what_was_seen_is_recalled_as_its_plain_twin_does(seed: int, held: int) -> None:
    rng = np.random.default_rng(seed)
    seen, seen_ns = rng.uniform(0.1, 1.0, (5, RING)), rng.integers(10**18, 10**18 + 10**13, RING)
    seen[1, rng.random(RING) < 0.2] = math.nan
    params, now_ns = np.array([0.01, 0.1, -0.3, 0.02, 0.1]), 10**18 + 2 * 10**13
    answers = []
    for recall in (seeing.recall, seeing_plain.recall):
        asked, start = np.full((5, RING), -1.0), np.empty(5)
        weight2 = recall(seen, seen_ns, held, now_ns, 0.2, params, 0.11, 0.1, 1.5, asked, start)
        answers.append((asked, start, weight2))
    (fast, start, weight2), (plain, plain_start, plain_weight2) = answers
    np.testing.assert_allclose(fast, plain, rtol=1e-13)
    np.testing.assert_allclose(start, plain_start, rtol=1e-15)
    assert weight2 == pytest.approx(plain_weight2, rel=1e-12)


def test_a_vol_is_carried_with_its_level_and_counts_less_the_older_it_is() -> None:
    seen, day_ns = np.array([[0.0, 0.0], [0.5, 0.5], [0.6, 0.6], [0.002, 0.002], [0.1, 0.3]]), 86_400 * 10**9
    asked, start = np.empty((5, 2)), np.empty(5)
    params = np.array([0.0, 0.36, 0.0, 0.0, 1.0])
    seeing.recall(seen, np.array([0, day_ns]), 2, day_ns, 0.3, params, 1.0, 0.5, 0.4, asked, start)
    np.testing.assert_allclose(asked[1], [0.5 * math.exp(0.2), 0.5])
    np.testing.assert_allclose(asked[3], [0.55 * math.exp(0.2), 0.55])
    np.testing.assert_allclose(asked[4], [1 / math.hypot(0.002, 0.4 * 0.6 / math.sqrt(365)), 500.0])
    np.testing.assert_allclose(start, [0.0, 0.18, 0.0, 0.0, 1.0])


@settings(deadline=None)
@given(st.integers(0, 999), st.floats(0.0, 0.02), st.floats(0.0, 0.02))
def test_whether_levels_have_moved_is_what_its_plain_twin_says(seed: int, most_width: float, most_basis: float) -> None:
    rng, state = np.random.default_rng(seed), State()
    state.params[1] = math.nan
    state.params[:, :2] *= rng.uniform(0.97, 1.03, (SLOTS, 1))
    level, basis = np.full(SLOTS, LEVEL), rng.normal(0.0, 0.005, SLOTS)
    level[rng.integers(0, SLOTS)] = rng.choice([LEVEL, math.nan])
    arguments = (state.params, state.fitted_years, state.years, basis, level, np.zeros(SLOTS), most_width, most_basis)
    assert have_moved(*arguments) == have_moved_plain(*arguments)


def test_levels_have_moved_when_one_is_beyond_the_cutoff_and_live() -> None:
    state, still = State(), np.zeros(SLOTS)
    years, level = state.years, np.full(SLOTS, LEVEL)

    def moved(level_then: Floats, basis: Floats = still) -> bool:
        return bool(have_moved(state.params, state.fitted_years, years, basis, level_then, still, 1e-3, 1e-4))

    assert not moved(level)
    for slot in range(SLOTS):
        off = level.copy()
        off[slot] += 1.1e-3 / math.sqrt(max(years[slot], 1e-2))
        assert moved(off) == moved(level, 2e-4 * np.eye(SLOTS)[slot]) == (slot in LIVE)
    assert moved(np.where(np.arange(SLOTS) == 3, math.nan, level))


@pytest.mark.parametrize(("n", "end"), [(192, 3.4), (192, 1e7), (257, 60.0)])
def test_the_grid_by_products_is_the_grid_of_hyperbolic_sines(n: int, end: float) -> None:
    grid = sinh_grid(n, end)
    np.testing.assert_allclose(grid, plain_sinh_grid(n, end), rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(grid, -grid[::-1])
