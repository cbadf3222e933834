"""In a market that is known, the factor-skew quoter of the engine's own path is within 2 % of the optimum."""

import math

import numpy as np
import pytest
from bench.utility import Study, factor_skew_on_grid, risk_price, simulate, studies
from numpy.typing import NDArray

from flatbook.decide.baselines import gueant
from flatbook.decide.baselines.evaluation import certainty_equivalent
from flatbook.decide.baselines.gueant import Assets
from flatbook.decide.baselines.intensity import Distances, ExponentialIntensity

Floats = NDArray[np.float64]

WITHIN = 0.02


def shares(study: Study) -> tuple[float, float]:
    """Certainty equivalents from no inventory: the optimum's, and the factor-skew quoter's share of it."""
    middle = (study.bound,) * study.assets.count
    best = float(gueant.solve(study.assets, study.bound, study.time)[middle])
    ours = certainty_equivalent(study.assets, study.bound, factor_skew_on_grid(study), study.time)[middle]
    return best, float(ours) / best


@pytest.mark.parametrize("study", studies(), ids=lambda study: study.name)
def test_the_published_markets(study: Study) -> None:
    _, share = shares(study)
    assert 1 - WITHIN < share <= 1 + 1e-9


def one_asset(skew_in_edges: float, aversion_in_edges: float) -> Study:
    """A market in units of flow's edge 1/k and its rate A, by how far one fill shifts the quotes."""
    fills = ExponentialIntensity(np.ones(1), np.ones(1))
    unit = Assets(np.eye(1), fills, np.ones(1), aversion_in_edges)
    vol = skew_in_edges / float(risk_price(unit).curvature[0, 0])
    assets = Assets(np.eye(1) * vol**2, fills, np.ones(1), aversion_in_edges)
    return Study("", assets, min(int(6 / math.sqrt(skew_in_edges)) + 4, 60), _horizon(assets))


def two_assets(skew_in_edges: float, correlation: float) -> Study:
    """The same of two unlike assets; the skew is that of the first."""
    fills = ExponentialIntensity(np.array([1.0, 0.5]), np.array([1.0, 2.0]))
    shape = np.array([[1.0, 0.4 * correlation], [0.4 * correlation, 0.16]])
    unit = Assets(shape, fills, np.ones(2), 0.1)
    scale = skew_in_edges / float(risk_price(unit).curvature[0, 0])
    assets = Assets(shape * scale**2, fills, np.ones(2), 0.1)
    return Study("", assets, 7, _horizon(assets))


def _horizon(assets: Assets) -> float:
    """Ten times as long as the skew takes to settle."""
    frequency = np.sqrt(assets.risk_aversion * np.diag(assets.covariance) * gueant.flow_weight(assets))
    return 10.0 / float(frequency.min())


@pytest.mark.parametrize("skew", [0.03, 0.1, 0.3])
@pytest.mark.parametrize("aversion", [0.01, 0.1, 0.5])
def test_one_asset_over_the_range_in_which_a_fill_is_a_small_thing(skew: float, aversion: float) -> None:
    _, share = shares(one_asset(skew, aversion))
    assert 1 - WITHIN < share <= 1 + 1e-9


@pytest.mark.parametrize("skew", [0.1, 0.3])
@pytest.mark.parametrize("correlation", [-0.8, 0.0, 0.9])
def test_two_assets_likewise(skew: float, correlation: float) -> None:
    _, share = shares(two_assets(skew, correlation))
    assert 1 - WITHIN < share <= 1 + 1e-9


def test_where_one_fill_shifts_quotes_by_all_of_flows_edge_and_more_the_parabola_fails() -> None:
    assert shares(one_asset(2.0, 0.1))[1] < 0.9


def test_drawn_paths_earn_what_was_computed() -> None:
    study = studies()[1]
    assets, time = study.assets, 10.0
    curvature = risk_price(assets).curvature

    def quoter(held: Floats, _: float) -> Distances:
        return gueant.within(gueant.closed_form_distances(assets, curvature, held), held, assets.size, study.bound)

    drawn = simulate(assets, quoter, time, 1_000, 8_000, seed=0)
    level, error = drawn.certainty_equivalent(assets.risk_aversion)
    exact = certainty_equivalent(assets, study.bound, factor_skew_on_grid(study), time)[study.bound, study.bound]
    assert level == pytest.approx(float(exact), abs=3.5 * error)
    assert error < 0.01 * exact
