"""VPIN online against VPIN of full buckets, and its rank."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.market.flow.vpin import Vpin, bulk_buy_share, vpin

TRADES = st.lists(st.tuples(st.floats(0.01, 7.0), st.booleans()), min_size=5, max_size=120)


@given(TRADES)
def test_online_is_that_of_the_last_full_buckets(trades: list[tuple[float, bool]]) -> None:
    """By hand: the volume laid end to end, cut every two, and each piece's buys summed."""
    found = Vpin(2.0, window=3)
    for volume, bought in trades:
        found.observe(volume, float(bought))
    ends = np.cumsum([volume for volume, _ in trades])
    buys = np.concatenate([[0.0], np.cumsum([volume * bought for volume, bought in trades])])
    full = int(ends[-1] / 2.0 + 1e-9)
    cuts = np.interp(2.0 * np.arange(full + 1), np.concatenate([[0.0], ends]), buys)
    if abs(ends[-1] / 2.0 - round(ends[-1] / 2.0)) > 1e-9:
        assert found.filled == full
        if full < 3:
            assert math.isnan(found.value)
        else:
            assert found.value == pytest.approx(vpin(np.diff(cuts)[-3:], 2.0), abs=1e-9)


@pytest.mark.parametrize(("share", "value"), [(0.5, 0.0), (1.0, 1.0), (0.0, 1.0), (0.75, 0.5)])
def test_one_volume_fills_as_many_buckets_as_it_does(share: float, value: float) -> None:
    found = Vpin(1.0, window=4)
    found.observe(4.5, share)
    assert found.filled == 4
    assert found.value == pytest.approx(value)


def test_it_ranks_among_its_own_past() -> None:
    found = Vpin(1.0, window=2, history=10)
    for _ in range(2):
        found.observe(1.0, 0.5)
    assert math.isnan(found.rank)
    for number in range(1, 12):
        found.observe(1.0, 0.5 + number / 24)
    assert found.rank == 1.0
    found.observe(3.0, 0.5)
    assert found.rank == pytest.approx(0.2), "the window was balanced after the second and the third bucket"


def test_bulk_classification_splits_by_the_move() -> None:
    assert bulk_buy_share(0.0, 1.0) == 0.5
    assert bulk_buy_share(3.0, 0.0) == 0.5
    assert bulk_buy_share(1.0, 2.0) + bulk_buy_share(-1.0, 2.0) == pytest.approx(1.0)
    assert bulk_buy_share(9.0, 1.0) == pytest.approx(1.0)


def test_no_bucket_is_missing() -> None:
    assert math.isnan(vpin(np.zeros(0), 1.0))


def test_a_bucket_of_nothing_is_refused() -> None:
    with pytest.raises(BadInputError):
        Vpin(0.0)
