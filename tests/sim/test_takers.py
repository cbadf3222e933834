"""Who comes when: rates, clusters, proportions, and who knows what."""

from dataclasses import replace

import numpy as np
import pytest

from flatbook.domain.errors import ConfigurationError
from flatbook.domain.units import NS_PER_DAY, NS_PER_SECOND
from flatbook.sim.flow_table import load_flow_table
from flatbook.sim.takers import Arrivals, Choice, TakerParameters, draw_arrivals, willingness

TABLE = load_flow_table()
USUAL = TakerParameters()


def draw(parameters: TakerParameters = USUAL, seed: int = 1, days: float = 4) -> Arrivals:
    return draw_arrivals(parameters, TABLE, seed, 1_000, round(days * NS_PER_DAY))


def test_arrivals_are_in_order_and_inside_the_span() -> None:
    arrivals = draw()
    assert (np.diff(arrivals.exch_ns) >= 0).all()
    assert arrivals.exch_ns[0] >= 1_000
    assert arrivals.exch_ns[-1] < 1_000 + 4 * NS_PER_DAY
    assert ((arrivals.chance >= 0) & (arrivals.chance < 1)).all()


def test_rate_and_informed_share() -> None:
    arrivals = draw(days=8)
    informed = arrivals.horizon_ns > 0
    # Hawkes counts vary by 1 / (1 - branching)^2 times a Poisson's variance: 2 standard deviations are 0.9 %.
    assert arrivals.exch_ns.size == pytest.approx(8 * USUAL.arrivals_per_day, rel=0.02)
    assert informed.mean() == pytest.approx(USUAL.informed_share, rel=0.05)
    assert arrivals.knows_vol[informed].mean() == pytest.approx(USUAL.vol_share, rel=0.05)
    assert not arrivals.knows_vol[~informed].any()
    horizons_s = arrivals.horizon_ns[informed & ~arrivals.knows_vol] / NS_PER_SECOND
    assert horizons_s.mean() == pytest.approx(USUAL.index_horizon_s + 1, rel=0.05)


@pytest.mark.parametrize("branching", [0.0, 0.5, 0.75])
def test_counts_cluster_as_a_hawkes_process(branching: float) -> None:
    """Over windows long against the excitation the variance of counts over their mean is 1 / (1 - branching)^2."""
    parameters = replace(USUAL, informed_share=0.0, branching=branching, excitation_s=2.0)
    arrivals = draw(parameters, seed=2, days=30)
    counts = np.bincount(arrivals.exch_ns // (600 * NS_PER_SECOND))[1:-1]
    assert counts.var() / counts.mean() == pytest.approx(1 / (1 - branching) ** 2, rel=0.12)


def test_buckets_come_in_the_tables_proportions() -> None:
    arrivals = draw(replace(USUAL, branching=0.0), days=8)
    found = np.bincount(arrivals.cell, minlength=TABLE.weight.size) / arrivals.cell.size
    error = np.sqrt(TABLE.weight.ravel() / arrivals.cell.size)
    assert (np.abs(found - TABLE.weight.ravel()) < 4.5 * error + 1e-9).all()


def test_those_drawn_in_follow_bucket_and_side() -> None:
    arrivals = draw(replace(USUAL, informed_share=0.0, branching=0.8, excitation_s=0.01, same_side_share=1.0), days=2)
    close = np.diff(arrivals.exch_ns) < 20_000_000
    same_cell = np.diff(arrivals.cell)[close] == 0
    same_side = np.diff(arrivals.chance[:, Choice.SIDE])[close] == 0
    assert same_cell.mean() > 0.9
    assert same_side.mean() > 0.9


def test_the_informed_come_by_their_own_chance() -> None:
    """More or fewer who know changes nothing about those who do not, but their number."""
    few, many = draw(USUAL), draw(replace(USUAL, index_horizon_s=10.0, vol_share=0.9))
    for column in ("exch_ns", "cell", "chance"):
        one, other = (getattr(drawn, column)[drawn.horizon_ns == 0] for drawn in (few, many))
        assert (one == other).all()


def test_a_seed_gives_its_takers_again() -> None:
    first, again, other = draw(seed=1), draw(seed=1), draw(seed=2)
    assert all((one == two).all() for one, two in zip(first, again, strict=True))
    assert first.exch_ns.size != other.exch_ns.size or (first.exch_ns != other.exch_ns).any()


def test_willingness_falls_exponentially_with_distance() -> None:
    assert willingness(USUAL, 0.0) == willingness(USUAL, -3.0) == 1.0
    near, far = willingness(USUAL, 1.0), willingness(USUAL, 2.0)
    assert near == pytest.approx(np.exp(-USUAL.demand_decay))
    assert far == pytest.approx(near**2)


def test_nobody_comes_where_nobody_is_asked_for() -> None:
    assert draw(replace(USUAL, arrivals_per_day=0.0), days=1 / 24).exch_ns.size == 0


@pytest.mark.parametrize("wrong", [{"informed_share": 1.5}, {"branching": 1.0}, {"demand_decay": -1.0}])
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        TakerParameters(**wrong)
