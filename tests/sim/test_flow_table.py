"""The shipped proportions of takers, against the tape they were counted on."""

import numpy as np
import pytest

from flatbook.sim.flow_table import load_flow_table

from .tape import MeasuredFlow, measure_flow

TABLE = load_flow_table()


@pytest.fixture(scope="module")
def measured() -> MeasuredFlow:
    return measure_flow(TABLE)


def test_shapes_agree() -> None:
    shape = (TABLE.tenor_buckets, TABLE.moneyness_buckets)
    assert TABLE.weight.shape == TABLE.call_share.shape == TABLE.buy_share.shape == shape
    assert TABLE.weight.sum() == pytest.approx(1.0)
    assert TABLE.size_group.size == TABLE.tenor_buckets
    assert TABLE.size_lots.shape[1] == TABLE.size_probability.size
    assert (np.diff(TABLE.size_lots, axis=1) >= 0).all()


def test_proportions_are_those_of_the_tape(measured: MeasuredFlow) -> None:
    assert measured.trades / measured.trades.sum() == pytest.approx(TABLE.weight, abs=6e-5)
    assert measured.calls / measured.trades == pytest.approx(TABLE.call_share, abs=0.0051)
    assert measured.buys / measured.trades == pytest.approx(TABLE.buy_share, abs=0.0051)


def test_sizes_are_those_of_the_tape(measured: MeasuredFlow) -> None:
    for group, sizes in enumerate(measured.sizes_lots):
        quantiles = np.quantile(sizes, TABLE.size_probability[:-1], method="inverted_cdf")
        assert quantiles.tolist() == TABLE.size_lots[group][:-1].tolist()
        tenor = np.full(50_000, np.flatnonzero(TABLE.size_group == group)[0])
        drawn = TABLE.lots(tenor, (np.arange(50_000) + 0.5) / 50_000)
        assert drawn.mean() == pytest.approx(sizes.mean(), rel=0.08), "drawing from the table loses little of the mean"


def test_buckets_hold_their_lower_edge() -> None:
    assert TABLE.tenor_bucket(np.array([0.0, 0.99, 1.0, 129.9, 130.0, 999.0])).tolist() == [0, 0, 1, 7, 8, 8]
    assert TABLE.moneyness_bucket(np.array([-9.0, -1.5, 0.0, 0.25, 1.5])).tolist() == [0, 1, 3, 4, 6]


def test_no_trade_is_smaller_than_a_lot() -> None:
    assert TABLE.lots(np.zeros(3, np.int64), np.array([0.0, 0.2, 0.9999])).min() == 1
