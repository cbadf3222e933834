"""Means of samples that hang together, against sums by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.market.flow.clusters import ClusteredMeans

BLOCKS = st.lists(st.lists(st.floats(-5, 5), max_size=6), min_size=1, max_size=12)


def filled(blocks: list[list[float]], fade: float = 1.0) -> ClusteredMeans:
    """One node and measure with these blocks, each fading those before it."""
    means = ClusteredMeans(1, 1)
    for block in blocks:
        for value in block:
            means.add(np.array([0]), np.array([1.0, value]))
        means.close(fade)
    return means


@given(BLOCKS, st.floats(0.5, 1.0))
def test_sums_are_those_by_hand(blocks: list[list[float]], fade: float) -> None:
    found = filled(blocks, fade).samples()
    weights = [fade ** (len(blocks) - 1 - number) for number in range(len(blocks))]
    worth = sum(weight * len(block) for weight, block in zip(weights, blocks, strict=True))
    shown = sum(weight for weight, block in zip(weights, blocks, strict=True) if block)
    assert found.worth[0] == pytest.approx(worth)
    assert found.blocks[0] == pytest.approx(shown)
    if worth == 0:
        assert np.isnan(found.mean[0, 0])
        return
    mean = sum(weight * sum(block) for weight, block in zip(weights, blocks, strict=True)) / worth
    assert found.mean[0, 0] == pytest.approx(mean, abs=1e-9)
    if shown <= 1:
        assert np.isnan(found.noise[0, 0])
        return
    square = sum(weight * (sum(block) - mean * len(block)) ** 2 for weight, block in zip(weights, blocks, strict=True))
    assert found.noise[0, 0] == pytest.approx(square / worth * shown / (shown - 1), abs=1e-7)
    assert found.error[0, 0] == pytest.approx(np.sqrt(found.noise[0, 0] / worth), abs=1e-9)


def test_samples_of_their_own_have_the_usual_error() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, 4_000)
    found = filled([[value] for value in values.tolist()]).samples()
    assert found.error[0, 0] == pytest.approx(values.std(ddof=1) / 4_000**0.5, rel=1e-9)


def test_samples_that_share_a_move_have_the_error_of_their_blocks() -> None:
    """Five alike a block: the error is that of the blocks, 5 ** 0.5 times what counting samples would say."""
    values = np.random.default_rng(2).normal(0.0, 1.0, 1_000)
    found = filled([[value] * 5 for value in values.tolist()]).samples()
    assert found.error[0, 0] == pytest.approx(values.std(ddof=1) / 1_000**0.5, rel=1e-9)


def test_a_sample_counts_in_each_of_its_nodes_and_in_no_other() -> None:
    means = ClusteredMeans(4, 2)
    means.add(np.array([0, 3]), np.array([1.0, 5.0, -1.0]))
    means.close(1.0)
    found = means.samples()
    assert found.worth.tolist() == [1, 0, 0, 1]
    np.testing.assert_equal(found.mean, [[5, -1], [np.nan] * 2, [np.nan] * 2, [5, -1]])
    assert found.of(slice(3, 4), 1).mean.tolist() == [-1]


def test_the_open_block_is_not_in_it_and_a_reading_ends_none() -> None:
    means = filled([[1.0], [3.0]])
    means.add(np.array([0]), np.array([1.0, 100.0]))
    assert means.samples().mean[0, 0] == means.samples(0.5).mean[0, 0] == 2.0
    assert means.samples(0.5).worth[0] == 1.0
    means.close(1.0)
    assert means.samples().worth[0] == 3.0
