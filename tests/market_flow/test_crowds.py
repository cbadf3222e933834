"""Dispersions against counts of known variance."""

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.market.flow.crowds import LEVELS, Crowds
from flatbook.market.flow.decays import Evidence
from tests.market_flow.drawn import GRID

SIZES = (1, 4, 40)


def measured(counts: NDArray[np.float64] | NDArray[np.int64], mean: float) -> Crowds:
    """Blocks of counts (blocks, rates), all of `mean`, their prints passing the grid."""
    crowds = Crowds(SIZES, 1.0)
    for count in counts:
        block = Evidence.none(SIZES[-1], len(GRID))
        block.exposure[:] = 1.0
        block.stopped[:, -1] = count
        crowds.measure(block, GRID, np.full(SIZES[-1], mean), np.ones(SIZES[-1]), 1.0)
    return crowds


@pytest.mark.parametrize("crowd", [1, 4])
def test_crowds_of_a_size_vary_by_that_much_more(crowd: int) -> None:
    counts = crowd * np.random.default_rng(1).poisson(2.0, (400, 40))
    found = measured(counts, 2.0 * crowd)
    assert found.dispersion("bucket").arrivals == pytest.approx(crowd, rel=0.07)
    for level in LEVELS:
        assert found.dispersion(level).arrivals == pytest.approx(crowd, rel=0.25)


def test_what_all_share_is_the_wholes() -> None:
    rng = np.random.default_rng(2)
    busy = rng.gamma(2.0, 0.5, (400, 1))
    found = measured(rng.poisson(3.0 * busy, (400, 40)), 3.0)
    # Of the whole: 1 + mean count x relative variance; the parts of a given count are binomial, scaled by the busy.
    assert found.dispersion("all").arrivals == pytest.approx(1 + 120 * 0.5, rel=0.25)
    assert found.dispersion("bucket").arrivals == pytest.approx(1.0, rel=0.1)


def test_what_a_tenor_shares_is_the_tenors() -> None:
    rng = np.random.default_rng(3)
    busy = np.repeat(rng.gamma(2.0, 0.5, (400, 4)), 10, axis=1)
    found = measured(rng.poisson(3.0 * busy), 3.0)
    assert found.dispersion("tenor").arrivals > 8 * found.dispersion("bucket").arrivals


def test_a_dispersion_is_never_below_one() -> None:
    found = measured(np.full((50, 40), 3.0), 3.0)
    assert [found.dispersion(level).arrivals for level in LEVELS] == [1.0, 1.0, 1.0]


def test_before_any_block_it_is_the_belief() -> None:
    assert Crowds(SIZES, 3.0).dispersion("tenor") == (3.0, 3.0)
