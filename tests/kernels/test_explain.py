import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels.black import price_full
from flatbook.kernels.explain import (
    PARTS,
    STRATEGIES,
    explain_step,
    explain_step_plain,
    value_cells,
    value_cells_plain,
)

Floats = NDArray[np.float64]
Twin = Callable[..., float]
SLOTS = 3
CELLS = STRATEGIES * (SLOTS + 1)


class Explained(NamedTuple):
    """What cells are worth in coin after a step, and what the step added to each part."""

    worth: Floats
    usd: Floats
    coin: Floats


class Step:
    """A book of coin-settled options and one step of their market, whose size is `scale`."""

    def __init__(self, seed: int, rows: int, scale: float = 1.0) -> None:
        rng = np.random.default_rng(seed)
        self.index = np.array([80_000.0, 80_000.0 * (1 + 0.01 * scale * rng.normal())])
        self.size = np.rint(rng.normal(0.0, 5.0, rows)) / 10
        self.fresh = np.where(rng.random(rows) < 0.3, self.size, 0.0)
        basis = rng.normal(0.0, 0.01, rows)
        self.forward = self.index[0] * np.exp(basis)
        self.years, self.vol = rng.uniform(0.01, 0.5, rows), rng.uniform(0.3, 1.0, rows)
        self.strike = self.forward * np.exp(rng.normal(0.0, 1.0, rows) * self.vol * np.sqrt(self.years))
        self.sign = rng.choice([-1.0, 1.0], rows)
        # Diffusive: vol moves as the index does, time and basis as its square.
        self.vol_next = self.vol + 0.005 * scale * rng.normal(size=rows)
        self.years_next = self.years - 1e-4 * scale * scale
        self.forward_next = self.index[1] * np.exp(basis + 1e-4 * scale * scale * rng.normal(size=rows))
        self.greeks = self._greeks(self.forward, self.vol, self.years)
        self.price_next = self._greeks(self.forward_next, self.vol_next, self.years_next)[0]
        self.hedged, self.slot = np.zeros(rows), np.sort(rng.integers(0, SLOTS, rows))
        self.carried, self.basis_usd, self.beside = np.zeros((3, CELLS))

    def _greeks(self, forward: Floats, vol: Floats, years: Floats) -> Floats:
        out = np.empty((11, len(forward)))
        price_full(forward, self.strike, vol, years, self.sign, out)
        return out

    def shared_out(self, seed: int) -> "Step":
        """Some of it is a hedge's, and coin and a perpetual are held beside."""
        rng = np.random.default_rng(seed + 1)
        self.hedged = np.where(rng.random(len(self.size)) < 0.4, np.rint(rng.normal(0.0, 5.0, len(self.size))), 0.0)
        self.carried = rng.normal(0.0, 3.0, CELLS)
        self.basis_usd[1], self.beside[1] = rng.normal(0.0, 50.0), rng.normal(0.0, 2.0)
        return self

    def by_cell(self, twin: Twin = explain_step) -> Explained:
        """From what cells are worth before to what they are worth after."""
        worth, (usd, coin) = np.empty(CELLS), np.zeros((2, CELLS, len(PARTS)))
        before = (self.beside * self.index[1] - self.basis_usd) / self.index[0]
        value = value_cells if twin is explain_step else value_cells_plain
        value(self.size, self.hedged, self.slot, self.greeks[0], self.forward, self.carried, before, worth)
        usd[:, -1], coin[:, -1] = worth * self.index[0], worth
        started = Explained(worth.copy(), usd.copy(), coin.copy())
        twin(
            self.index, self.size, self.hedged, self.fresh, self.slot, self.forward, self.vol, self.years, self.greeks,
            self.forward_next, self.vol_next, self.years_next, self.price_next, self.carried, self.basis_usd,
            self.beside, worth, usd, coin,
        )  # fmt: skip
        return Explained(worth, usd - started.usd, coin - started.coin)

    def explain(self, twin: Twin = explain_step) -> dict[str, float]:
        return dict(zip(PARTS, self.by_cell(twin).usd.sum(axis=0).tolist(), strict=True))

    def revalued(self) -> Floats:
        """What each contract gained, in USD: coin value times index, after less before."""
        before = self.greeks[0] / self.forward * self.index[0]
        return np.asarray(self.price_next / self.forward_next * self.index[1] - before)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40))
def test_kernel_and_plain_twin_agree(seed: int, rows: int) -> None:
    step = Step(seed, rows).shared_out(seed)
    fast, plain = step.by_cell(explain_step), step.by_cell(explain_step_plain)
    gross = np.abs(plain.usd).sum() + 1.0
    np.testing.assert_allclose(fast.usd, plain.usd, rtol=0, atol=1e-10 * gross)
    np.testing.assert_allclose(fast.coin, plain.coin, rtol=0, atol=1e-14 * gross)
    np.testing.assert_allclose(fast.worth, plain.worth, rtol=0, atol=1e-12)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 30.0))
def test_the_parts_sum_to_the_full_revaluation(seed: int, scale: float) -> None:
    step = Step(seed, 30, min(scale, 9.0))
    parts = step.explain()
    gross = sum(abs(part) for part in parts.values())
    assert sum(parts.values()) == pytest.approx(float(step.size @ step.revalued()), abs=1e-12 * gross + 1e-9)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 3.0))
def test_each_cells_parts_sum_to_what_its_worth_changed_by_in_usd_and_in_coin(seed: int, scale: float) -> None:
    step = Step(seed, 30, scale).shared_out(seed)
    found = step.by_cell()
    before, after = step.index
    worth_before = found.worth - found.coin.sum(axis=1)
    gained = np.zeros(CELLS)
    held = {0: step.size - step.hedged, 1: step.hedged}
    for strategy, size in held.items():
        np.add.at(gained, STRATEGIES * (step.slot + 1) + strategy, size * step.revalued())
    gained += step.carried * (after - before) + step.basis_usd
    np.testing.assert_allclose(found.usd.sum(axis=1), gained, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.worth * after - worth_before * before, gained, rtol=0, atol=1e-8)


def test_a_hedges_contracts_are_explained_as_makers_are_and_kept_apart() -> None:
    step = Step(3, 12)
    step.fresh[:] = 0.0
    made = step.by_cell()
    step.hedged = step.size.copy()
    hedged = step.by_cell()
    np.testing.assert_allclose(hedged.usd[1::2], made.usd[0::2], rtol=0, atol=1e-9)
    assert not hedged.usd[0::2].any()


def test_what_no_part_holds_vanishes_at_third_order() -> None:
    scales = np.array([1.0, 0.5, 0.25, 0.125])
    left = []
    for scale in scales:
        step = Step(4, 40, scale)
        step.fresh[:] = 0.0
        step.size = np.ones(40)
        left.append(abs(step.explain()["unexplained"]))
    orders = np.log2(np.array(left[:-1]) / np.array(left[1:]))
    assert orders.min() > 2.7, orders
    assert orders[-1] == pytest.approx(3.0, abs=0.15)


def alone(**moved: float) -> dict[str, float]:
    """One long call, of which one thing moves a little."""
    step = Step(0, 1)
    step.size, step.fresh = np.ones(1), np.zeros(1)
    for name in ("forward", "vol", "years", "strike"):
        getattr(step, name)[:] = {"forward": 80_800.0, "vol": 0.6, "years": 0.1, "strike": 84_000.0}[name]
    step.sign[:] = 1.0
    step.index = np.array([80_000.0, 80_000.0 + moved.get("index", 0.0)])
    step.forward_next = step.forward * step.index[1] / step.index[0] * math.exp(moved.get("basis", 0.0))
    step.vol_next, step.years_next = step.vol + moved.get("vol", 0.0), step.years - moved.get("years", 0.0)
    step.greeks = step._greeks(step.forward, step.vol, step.years)
    step.price_next = step._greeks(step.forward_next, step.vol_next, step.years_next)[0]
    parts = step.explain()
    assert sum(parts.values()) == pytest.approx(step.revalued()[0], rel=1e-9)
    return parts


@pytest.mark.parametrize(
    ("moved", "cause"),
    [({"index": 4.0}, "delta"), ({"vol": 1e-4}, "vega"), ({"years": 1e-6}, "theta"), ({"basis": 1e-5}, "basis")],
)
def test_one_thing_that_moves_is_one_cause(moved: dict[str, float], cause: str) -> None:
    parts = alone(**moved)
    whole = parts.pop(cause)
    assert sum(abs(part) for part in parts.values()) < 2e-3 * abs(whole)


def test_a_second_difference_is_gamma_or_volga_or_vanna() -> None:
    for one, other, cause in (("index", "index", "gamma"), ("vol", "vol", "volga"), ("index", "vol", "vanna")):
        h = {"index": 40.0, "vol": 1e-3}
        both = {one: 2 * h[one]} if one == other else {one: h[one], other: h[other]}

        def gained(**moved: float) -> float:
            return sum(alone(**moved).values())

        mixed = gained(**both) - gained(**{one: h[one]}) - gained(**{other: h[other]})
        expected = alone(**both)[cause] / 2 if one == other else alone(**both)[cause]
        assert mixed == pytest.approx(expected, rel=0.02), cause


def test_what_is_fresh_is_adverse_selection_whole() -> None:
    step = Step(9, 20)
    step.fresh = step.size.copy()
    parts = step.explain()
    assert parts.pop("adverse_selection") == pytest.approx(float(step.size @ step.revalued()), rel=1e-12)
    assert not any(abs(part) > 1e-9 for part in parts.values())


def test_a_row_that_is_not_held_is_not_asked() -> None:
    step = Step(2, 10)
    parts = step.explain()
    step.size[3] = step.fresh[3] = 0.0
    without = step.explain()
    step.price_next[3] = step.greeks[:, 3] = step.vol_next[3] = math.nan
    assert step.explain() == without != parts


@pytest.mark.parametrize("twin", [explain_step, explain_step_plain], ids=["kernel", "plain"])
def test_a_fresh_sale_of_all_that_was_held_still_has_its_two_sides(twin: Twin) -> None:
    step = Step(6, 1)
    step.size, step.fresh = np.array([0.0]), np.array([-2.0])
    parts = step.explain(twin)
    gained = step.revalued()[0]
    assert parts.pop("adverse_selection") == pytest.approx(-2.0 * gained)
    assert sum(parts.values()) == pytest.approx(2.0 * gained)
