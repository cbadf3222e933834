"""What may fill at once, held against sums made by hand and against the plain twin."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels.black import price_full
from flatbook.kernels.chain import FACTORS
from flatbook.kernels.factors import PRIMITIVES
from flatbook.kernels.fill_units import LINEAR, SHARES, fill_units, fill_units_plain
from flatbook.kernels.reserve import reserve
from flatbook.kernels.reserve_plain import SLOT_AXES, reserve_plain

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Twin = Callable[..., None]
LOT = 0.1
TWINS = pytest.mark.parametrize("twin", [reserve, reserve_plain], ids=["kernel", "plain"])


@dataclass
class Desk:
    """Rows with ten lots wanted on both sides, nothing at the venue yet, and no bound in reach."""

    unit: Floats
    room: Floats = field(default_factory=lambda: np.zeros(0))
    through: float = math.inf
    position: float | Floats = 1e9
    margin_room: float = math.inf
    reduce_only: bool = False

    def __post_init__(self) -> None:
        self.axes, self.rows = self.unit.shape
        if not len(self.room):
            self.room = np.full((2, self.axes), 1e9)
        self.slot = np.zeros(self.rows, np.int64)
        self.slot_limit = np.full((SLOT_AXES, 1), np.inf)
        self.cost = np.zeros((2, self.rows))
        self.held, self.worth = np.zeros(self.rows), np.ones(self.rows)
        self.told, self.loose = np.zeros((4, self.rows + 3), np.int64), np.zeros((2, self.rows + 3), np.int64)
        self.unsure = np.zeros(self.rows + 3, np.int8)
        self.wanted = np.full((4, self.rows), 10)
        self.least = np.full(self.axes + 1, np.inf)

    def pass_(self, twin: Twin = reserve) -> tuple[Ints, Floats, Ints]:
        """(2, rows) lots that pass, the worst by axis, and how many sides gave way."""
        grid, worst = self.wanted.copy(), np.full((2, self.axes + 1), np.nan)
        refused = np.zeros(self.axes + 3, np.int64)
        room = np.concatenate([self.room, np.full((2, 1), self.margin_room)], axis=1)
        position = np.broadcast_to(self.position, self.rows).astype(np.float64)
        reach = np.abs(self.unit).max(axis=1, initial=0.0)
        twin(
            self.unit, reach, room, self.cost.ravel(), self.slot, self.slot_limit, np.full(self.rows, LOT), self.held,
            position, self.reduce_only, self.through, self.worth, self.told, self.loose, self.unsure, grid, worst,
            self.least, refused,
        )  # fmt: skip
        assert not grid[::2][grid[1::2] == 0].any(), "no price without lots"
        assert (grid[1::2] <= self.wanted[1::2]).all(), "nothing grows"
        return grid[1::2], worst, refused

    def may_fill(self, passed: Ints) -> Floats:
        """(2, rows) contracts: what stood, and beside it what goes out anew."""
        n = self.rows
        changed = (self.told[1::2, :n] != passed).any(axis=0) | (self.unsure[:n] > 0)
        changed |= (self.told[::2, :n] != np.where(passed > 0, self.wanted[::2], 0)).any(axis=0)
        return np.asarray((self.told[1::2, :n] + self.loose[:, :n] + changed * passed) * LOT)


def axis(*units: float) -> Floats:
    return np.stack([units, np.zeros(len(units)), np.zeros(len(units))])


def random_desk(seed: int, rows: int) -> Desk:
    rng = np.random.default_rng(seed)
    desk = Desk(rng.normal(0.0, [[1.0], [200.0], [50.0], [3.0]], (4, rows)))
    desk.room = np.abs(rng.normal(0.0, [1.0, 200.0, 50.0, 3.0], (2, 4))) * rng.uniform(-0.2, 2.0) * rows
    desk.room[rng.random((2, 4)) < 0.3] = np.inf
    desk.through = float(rng.choice([math.inf, 3.0, 7.3]))
    desk.slot = rng.integers(0, 3, rows)
    desk.slot_limit = rng.uniform(0.1, 3.0, (SLOT_AXES, 3)) * np.array([[1.0], [200.0], [50.0]]) * rows
    desk.held = np.rint(rng.normal(0.0, 2.0, rows) * 10) / 10 * rng.integers(0, 2, rows)
    desk.position, desk.reduce_only = rng.uniform(0.5, 6.0, rows), bool(rng.random() < 0.2)
    if rng.random() < 0.5:
        desk.cost = np.maximum(rng.normal(5.0, 5.0, (2, rows)), 0.0)
        desk.margin_room = float(rng.uniform(-5.0, 10.0)) * rows
    desk.worth = rng.uniform(0.1, 5.0, rows)
    desk.wanted = rng.integers(0, 20, (4, rows))
    desk.wanted[::2] = np.where(desk.wanted[1::2] > 0, desk.wanted[::2] + 1, 0)
    desk.told[:, :rows] = np.where(rng.random(rows) < 0.4, desk.wanted, rng.integers(0, 20, (4, rows)))
    desk.loose[:, :rows] = rng.integers(0, 12, (2, rows)) * rng.integers(0, 2, (2, rows))
    desk.unsure[:rows] = rng.random(rows) < 0.1
    return desk


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 100_000), st.integers(0, 14))
def test_kernel_and_plain_twin_agree(seed: int, rows: int) -> None:
    one, other = random_desk(seed, rows), random_desk(seed, rows)
    fast, plain = one.pass_(reserve), other.pass_(reserve_plain)
    np.testing.assert_array_equal(fast[0], plain[0])
    np.testing.assert_allclose(fast[1], plain[1], rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(fast[2], plain[2])
    np.testing.assert_allclose(one.least, other.least, rtol=1e-9, atol=1e-9)
    left = np.full((2, one.axes), np.inf)
    np.subtract(one.room, fast[1][:, :-1], out=left, where=one.room < np.inf)
    np.testing.assert_array_equal(one.least[:-1], left.min(axis=0))


def heaviest(push: Floats, coin: Floats, through: float) -> float:
    """The most that may be pushed: contract by contract, the heaviest first."""
    total, left = 0.0, through
    for weight, contracts in sorted(zip(push.ravel(), coin.ravel(), strict=True), reverse=True):
        total += weight * min(contracts, left)
        left -= min(contracts, left)
    return total


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 100_000), st.integers(1, 14))
def test_what_goes_out_never_takes_the_worst_fill_beyond_a_bound(seed: int, rows: int) -> None:
    """What stands may be beyond already, for the market moved: then nothing that pushes that way goes out."""
    desk = random_desk(seed, rows)
    passed, _, _ = desk.pass_()
    coin = desk.may_fill(passed)
    standing = (desk.told[1::2, :rows] + desk.loose[:, :rows]) * LOT
    for a in range(4):
        for d, sign in enumerate((1.0, -1.0)):
            push = np.maximum(sign * np.stack([desk.unit[a], -desk.unit[a]]), 0.0)
            after, before = heaviest(push, coin, desk.through), heaviest(push, standing, desk.through)
            assert after <= max(desk.room[d, a], before) * (1 + 1e-12) + 1e-12
    for a in range(SLOT_AXES):
        for j in range(3):
            here = desk.slot == j
            for sign in (1.0, -1.0):
                push = np.where(here, np.maximum(sign * np.stack([desk.unit[a], -desk.unit[a]]), 0.0), 0.0)
                left = desk.slot_limit[a, j] - sign * float(desk.unit[a][here] @ desk.held[here])
                after, before = heaviest(push, coin, desk.through), heaviest(push, standing, desk.through)
                assert after <= max(left, before) * (1 + 1e-12) + 1e-12
    if desk.margin_room < math.inf:
        after, before = (heaviest(desk.cost, filled, desk.through) for filled in (coin, standing))
        assert after <= max(desk.margin_room, before) * (1 + 1e-12) + 1e-12
    for s, side in enumerate((1.0, -1.0)):
        grown = coin[s] > standing[s]
        after = side * desk.held + np.minimum(coin[s], desk.through + 2.0)
        bound = np.maximum(-side * desk.held, 0) + side * desk.held if desk.reduce_only else desk.position
        if desk.through == math.inf:
            assert np.all((after <= bound + 1e-9)[grown])


@TWINS
def test_without_a_bound_in_reach_everything_passes_and_the_worst_is_the_sum(twin: Twin) -> None:
    passed, worst, refused = Desk(axis(0.5, -0.25, 1.0)).pass_(twin)
    assert passed.tolist() == [[10] * 3] * 2
    assert worst[:, 0].tolist() == [1.75, 1.75]
    assert not refused.any()


@TWINS
def test_the_side_that_is_worth_least_for_what_it_pushes_gives_way_first(twin: Twin) -> None:
    desk = Desk(axis(1.0, 1.0, 0.5))
    desk.worth = np.array([3.0, 2.0, 0.9])
    desk.room[0, 0] = 1.75
    passed, worst, refused = desk.pass_(twin)
    assert passed.tolist() == [[10, 7, 0], [10, 10, 10]], "0.9 / 0.5 goes whole, of 2 / 1 as much as must"
    assert worst[0, 0] == pytest.approx(1.7)
    assert refused.tolist() == [2, 0, 0, 0, 0, 0]


@TWINS
def test_a_quote_replaced_counts_beside_its_successor_until_it_is_known_to_be_gone(twin: Twin) -> None:
    desk = Desk(axis(1.0, 1.0))
    desk.told[:, 0] = [9, 10, 12, 10]
    desk.room[0, 0] = 2.0
    assert desk.pass_(twin)[0].tolist() == [[0, 10], [10, 10]], "one coin stands, two more were too much"
    desk.loose[0, 0], desk.told[:, 0] = 10, desk.wanted[:, 0]
    assert desk.pass_(twin)[0].tolist() == [[10, 0], [10, 10]], "the first row stays: it need not go out anew"


@TWINS
def test_what_stands_beyond_a_bound_is_pulled_until_the_rest_fits(twin: Twin) -> None:
    desk = Desk(axis(1.0, 1.0, 1.0))
    desk.worth = np.array([1.0, 3.0, 2.0])
    desk.told[:, :3] = desk.wanted
    desk.room[0, 0] = 1.5
    passed, worst, _ = desk.pass_(twin)
    assert passed.tolist() == [[0, 10, 0], [0, 10, 0]]
    assert worst[0, 0] == 3.0, "they may fill until the venue has taken it"


@TWINS
def test_where_the_venue_stops_all_quotes_only_so_many_of_the_heaviest_count(twin: Twin) -> None:
    desk = Desk(axis(1.0, 0.9, 0.5, 0.1), through=1.5)
    desk.room[0, 0] = 1.0 + 0.5 * 0.9
    assert not desk.pass_(twin)[2].any()
    desk.room[0, 0] -= 0.01
    desk.worth = np.array([1.0, 9.0, 9.0, 9.0])
    assert desk.pass_(twin)[0][0].tolist() == [9, 10, 10, 10]


@TWINS
def test_positions_and_expiries_have_bounds_of_their_own(twin: Twin) -> None:
    desk = Desk(axis(1.0, 1.0, 1.0), position=2.0)
    desk.held = np.array([1.5, 0.0, -2.5])
    passed, _, refused = desk.pass_(twin)
    assert passed.tolist() == [[5, 10, 10], [10, 10, 0]]
    assert refused.tolist() == [0, 0, 0, 0, 2, 0]
    desk = Desk(axis(1.0, 1.0, 1.0))
    desk.slot, desk.slot_limit = np.array([0, 1, 1]), np.array([[0.5, 9.0], [9.0, 9.0], [9.0, 9.0]])
    passed, _, refused = desk.pass_(twin)
    assert passed.tolist() == [[5, 10, 10], [5, 10, 10]]
    assert refused.tolist() == [0, 0, 0, 0, 0, 2]


@TWINS
def test_margin_is_asked_for_by_bids_and_asks_alike(twin: Twin) -> None:
    desk = Desk(axis(0.0, 0.0), margin_room=40.0)
    desk.cost = np.array([[10.0, 0.0], [20.0, 30.0]])
    desk.worth = np.array([1.0, 2.0])
    passed, worst, refused = desk.pass_(twin)
    assert passed.tolist() == [[10, 10], [0, 10]], "60 asked for: what is worth least for its margin goes"
    assert worst[:, 3].tolist() == [40.0, 40.0]
    assert refused.tolist() == [0, 0, 0, 1, 0, 0]
    desk.through = 1.0
    assert desk.pass_(twin)[1][0, 3] == 30.0


@TWINS
def test_a_side_that_stands_beyond_a_bound_that_came_nearer_is_pulled(twin: Twin) -> None:
    desk = Desk(axis(0.0, 0.0), position=np.array([0.5, 2.0]))
    desk.told[:, :2] = desk.wanted
    passed, _, refused = desk.pass_(twin)
    assert passed.tolist() == [[0, 10], [0, 10]]
    assert refused.tolist() == [0, 0, 0, 0, 2, 0]
    desk.held = np.array([-0.5, 0.0])
    assert desk.pass_(twin)[0].tolist() == [[10, 10], [0, 10]], "what brings it back may stand"


@TWINS
def test_where_only_reducing_is_allowed_no_more_than_is_held_may_fill(twin: Twin) -> None:
    desk = Desk(axis(1.0, 1.0, 1.0), reduce_only=True)
    desk.held = np.array([0.7, -3.0, 0.7])
    desk.told[:, 2] = [9, 0, 12, 4]
    assert desk.pass_(twin)[0].tolist() == [[0, 10, 0], [7, 0, 3]]


@TWINS
def test_what_cannot_be_measured_is_within_no_bound(twin: Twin) -> None:
    desk = Desk(axis(1.0, -1.0))
    desk.room[0, 0] = math.nan
    assert desk.pass_(twin)[0].tolist() == [[0, 10], [10, 0]]


def test_units_are_the_books_own_greeks_and_survive_what_is_not_known() -> None:
    rng, n = np.random.default_rng(0), 60
    forward, slot = rng.uniform(70e3, 90e3, n), rng.integers(0, 4, n)
    greeks = np.empty((11, n))
    strike, vol, years = rng.uniform(60e3, 100e3, n), rng.uniform(0.3, 0.9, n), rng.uniform(0.01, 1.0, n)
    price_full(forward, strike, vol, years, rng.choice([-1.0, 1.0], n), greeks)
    greeks[:, 7] = math.nan
    shares, factor_map = rng.dirichlet([1, 1, 1], 4).T, rng.normal(0.0, 1.0, (4, PRIMITIVES * FACTORS))
    factor_map[:, SHARES] = shares.T
    made = [(np.full((10, n), 0.25), np.zeros(10)) for _ in range(2)]
    for twin, (unit, reach) in zip((fill_units, fill_units_plain), made, strict=True):
        twin(80e3, slot, factor_map, forward, greeks, unit, reach)
    (unit, reach), (plain, plain_reach) = made
    np.testing.assert_allclose(unit, plain, rtol=1e-12)
    np.testing.assert_allclose(reach, plain_reach, rtol=1e-12)
    np.testing.assert_allclose(np.delete(unit[3:6].sum(axis=0), 7), np.delete(unit[2], 7), rtol=1e-12)
    np.testing.assert_array_equal(np.delete(unit[:3], np.s_[:7], 1)[:, 0], 0.25)
    assert unit[9, 0] == 0.25
    assert reach[0] == np.abs(unit[0]).max()
    assert (unit[8] == 1.0).all()
    assert len(LINEAR) == 9
    bumped = np.empty((11, n))
    price_full(forward * 1.01, strike, vol, years, np.sign(greeks[1]), bumped)
    change = (bumped[3] - greeks[3])[:7] * 80e3 / forward[:7] / 100
    np.testing.assert_allclose(unit[6, :7], change, rtol=0.2, atol=0.05 * np.abs(change).max())
