"""Flow of known rates, reach and knowledge, told event by event, is found again, with errors that cover."""

import numpy as np
import pytest

from flatbook.market.flow.intensities import IntensityModel
from flatbook.market.flow.markouts import EDGE_UNITS, UNITS
from flatbook.market.flow.order_flow import FlowModel
from tests.market_flow.drawn import DrawnFlow, drawn_flow

MODEL = FlowModel(intensities=IntensityModel(belief_arrivals=2e4), vpin_bucket_coin=2.0)


@pytest.fixture(scope="module")
def days() -> list[DrawnFlow]:
    """Half days of one chain."""
    return [drawn_flow(seed, 12.0, MODEL, informed=0.3) for seed in (1, 2, 3)]


def test_rates_and_decays_are_found_again_and_the_errors_cover(days: list[DrawnFlow]) -> None:
    of_a, of_k = [], []
    for drawn in days:
        found = drawn.flow.estimate()
        watched = found.exposure_years > 1e-4
        of_a.append((np.log(found.arrivals_per_year / drawn.arrivals) / found.log_arrivals_error)[watched])
        of_k.append((np.log(found.decay / drawn.decay) / found.log_decay_error)[watched])
    for scores in (np.concatenate(of_a), np.concatenate(of_k)):
        assert scores.size > 200
        assert (np.abs(scores) < 1.96).mean() == pytest.approx(0.95, abs=0.035)
        assert abs(scores.mean()) < 0.3


def test_the_mean_loss_is_the_informed_share_of_a_minutes_move(days: list[DrawnFlow]) -> None:
    scores = []
    for drawn in days:
        flow = drawn.flow
        found = flow.prints.samples(2, flow.intensities.clock_ns).of(flow.prints.nodes["all"], UNITS)
        scores.append((-found.mean[0] - drawn.informed * drawn.minute_move) / found.error[0])
    assert np.abs(scores).max() < 2.5


def test_uninformed_flow_costs_nothing_that_can_be_told_from_noise() -> None:
    flow = drawn_flow(4, 12.0, MODEL, informed=0.0).flow
    found = flow.prints.samples(2, flow.intensities.clock_ns).of(flow.prints.nodes["all"], UNITS)
    assert abs(found.mean[0]) < 2.5 * found.error[0]


def test_the_edge_is_the_mean_depth_that_takers_reach(days: list[DrawnFlow]) -> None:
    flow = days[0].flow
    edge = flow.prints.samples(0, flow.intensities.clock_ns).of(flow.prints.nodes["all"], EDGE_UNITS)
    assert edge.mean[0] == pytest.approx(float((1 / days[0].decay).mean()), rel=0.1)


def test_takers_who_come_alone_are_not_taken_for_crowds(days: list[DrawnFlow]) -> None:
    for drawn in days:
        assert drawn.flow.intensities.dispersion("bucket").arrivals < 1.4
