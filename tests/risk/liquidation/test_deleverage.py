"""Who is deleveraged: by BitMEX's rank, and by the least maximum of leverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from flatbook.risk.liquidation.deleverage import adl_score, deleveraged, effective_leverage, ranked, water_filling
from flatbook.risk.liquidation.state import VenueState

from .venues import PERPETUAL, market


def test_the_rank_by_hand() -> None:
    """A fifth gained at ten times leverage before a half at three; losers by how little they are levered."""
    leverage = effective_leverage(np.array([1_000.0, -900.0, 800.0, 800.0]), np.array([100.0, 300.0, 400.0, 0.0]))
    assert leverage.tolist() == [10.0, 3.0, 2.0, np.inf]
    score = adl_score(np.array([0.2, 0.5, -0.1, -0.1]), leverage)
    assert score.tolist() == [2.0, 1.5, -0.05, 0.0]
    closed = ranked(np.array([-4, -5, -7, -1]), score, needed=11)
    assert closed.tolist() == [4, 5, 1, 1]


POSITIONS = st.lists(st.tuples(st.integers(1, 400), st.floats(1.0, 100.0)), min_size=1, max_size=6)


@settings(max_examples=30)
@given(positions=POSITIONS, share=st.floats(0.0, 1.0))
def test_water_filling_is_the_least_maximum_of_leverage(positions: list[tuple[int, float]], share: float) -> None:
    """Against the linear programme: least u with (lots − closed) / equity ≤ u, and closed what is needed in all."""
    lots, equity = (np.array(column) for column in zip(*positions, strict=True))
    needed = int(share * lots.sum())
    closed = water_filling(lots, equity, needed)
    assert closed.sum() == needed
    assert (closed >= 0).all()
    assert (closed <= lots).all()
    count = len(lots)
    least = linprog(
        np.append(np.zeros(count), 1.0),
        A_ub=np.hstack([-np.eye(count), -equity[:, None]]),
        b_ub=-lots,
        A_eq=np.append(np.ones(count), 0.0)[None, :],
        b_eq=[needed],
        bounds=[*((0, one) for one in lots), (0, None)],
    ).fun
    # Whole lots may miss the level by one.
    assert ((lots - closed) / equity).max() <= least + (1.0 / equity).max() + 1e-9


@pytest.mark.parametrize("ranking", ["ranked", "water_filling"])
def test_a_bankrupt_account_ends_with_nothing_and_the_other_side_bears_its_debt(ranking: str) -> None:
    at = market(76_000.0)
    lots = np.array([[10_000, 0, 0, 0], [-6_000, 0, 0, 0], [-2_000, 0, 0, 0], [-9_000, 0, 0, 0], [500, 0, 0, 0]])
    entry = np.array([80e6, 80e6, 79e6, 70e6, 80e6])[:, None] * np.array([1.0, 0.0, 0.0, 0.0])
    equity = np.array([-7_000_000_123, 30_000_000_000, 90_000_000_000, 20_000_000_000, 10**10])
    before = VenueState.opened(equity - lots @ at.mark, lots, entry, at, makers=10**13)
    after, closed = deleveraged(before, 0, at, ranking)  # type: ignore[arg-type]
    assert closed == 10_000
    assert not after.lots[0].any()
    assert 0 <= after.cash[0] <= 10_000  # a unit a lot at most: prices are whole
    assert after.totals()[0] == before.totals()[0]
    assert after.lots[4, PERPETUAL] == 500
    borne = (before.equity(at) - after.equity(at))[1:4]
    assert borne.sum() == after.cash[0] + 7_000_000_123
    touched = (after.lots - before.lots)[1:4, PERPETUAL]
    leverage = np.abs(after.lots[1:4, PERPETUAL]) / before.equity(at)[1:4]
    if ranking == "ranked":  # 15 times levered and 5 % ahead, then 2 times and 4 %; who is behind comes last
        assert touched.tolist() == [6_000, 2_000, 2_000]
    else:  # shorts of 15, 2 and 34 times their equity: the two most levered end alike, the other is left alone
        assert touched[1] == 0
        assert leverage[0] == pytest.approx(leverage[2], rel=1e-3)
