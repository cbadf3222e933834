"""Counts and exposure through time: what is counted, what fades, what the estimates say and when they refuse."""

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError, ConfigurationError
from flatbook.domain.units import NS_PER_HOUR, NS_PER_SECOND, NS_PER_YEAR
from flatbook.market.flow.buckets import NOWHERE, FlowBuckets
from flatbook.market.flow.crowds import LEVELS
from flatbook.market.flow.intensities import FitStatus, FlowIntensities, Intensities, IntensityModel

Floats = NDArray[np.float64]

BUCKETS = FlowBuckets(tenor_edges_days=(7.0,), otm_edges=())
START_NS = 1_743_000_000 * NS_PER_SECOND
MINUTE_NS = 60 * NS_PER_SECOND
LASTING = IntensityModel(half_life_hours=1e9, belief_arrivals=100_000.0, belief_dispersion=1.0)


def watching(model: IntensityModel = LASTING, bucket: tuple[int, ...] = (0, 1, 2, 3)) -> FlowIntensities:
    flow = FlowIntensities(BUCKETS, model)
    flow.advance(START_NS)
    flow.watch(np.array(bucket))
    return flow


def draw(
    flow: FlowIntensities, seed: int, hours: float, per_hour: float, decay: float, crowd: float = 1.0
) -> FlowIntensities:
    """Prints in every bucket and side, in crowds of `crowd` in the mean (geometric), watched minute by minute."""
    rng = np.random.default_rng(seed)
    nodes = 2 * BUCKETS.count
    for _ in range(int(hours * 60)):
        flow.advance(flow.clock_ns + MINUTE_NS)
        for node in range(nodes):
            for _ in range(int(rng.poisson(per_hour / 60 / crowd))):
                for _ in range(int(rng.geometric(1 / crowd))):
                    flow.observe_print(node // 2, 1 if node % 2 else -1, float(rng.exponential(1 / decay)))
    return flow


def test_exposure_is_the_time_that_options_are_watched() -> None:
    flow = watching(bucket=(0, 0, 3, NOWHERE))
    for _ in range(6):
        flow.advance(flow.clock_ns + 10 * MINUTE_NS)
    flow.watch(np.array([3, 3]))
    for _ in range(6):
        flow.advance(flow.clock_ns + 10 * MINUTE_NS)
    hours = flow.evidence().exposure * NS_PER_YEAR / NS_PER_HOUR
    np.testing.assert_allclose(hours, [2, 2, 0, 0, 0, 0, 3, 3], rtol=1e-6, atol=1e-12)


def test_a_hole_in_the_feed_is_no_exposure() -> None:
    flow = watching(bucket=(0,))
    flow.advance(START_NS + 5 * MINUTE_NS)
    flow.advance(START_NS + 65 * MINUTE_NS)
    flow.advance(START_NS + 70 * MINUTE_NS)
    assert flow.evidence().exposure[0] * NS_PER_YEAR == pytest.approx(10 * MINUTE_NS)


def test_evidence_halves_by_the_half_life() -> None:
    flow = watching(IntensityModel(half_life_hours=2.0), bucket=(0,))
    flow.observe_print(0, 1, 0.7)
    before = flow.evidence().table.copy()
    flow.watch(np.array([NOWHERE]))
    for _ in range(24):
        flow.advance(flow.clock_ns + 10 * MINUTE_NS)
    # A block fades from its end on.
    np.testing.assert_allclose(flow.evidence().table, before * 0.25 * 2 ** (1 / 12), rtol=1e-9)


@pytest.mark.parametrize(
    ("side", "depth", "node", "column"), [(1, 0.0, 5, 0), (-1, 0.0, 4, 0), (1, 1.3, 5, 2), (1, 99.0, 5, 8)]
)
def test_a_print_counts_for_its_side_and_depth(side: int, depth: float, node: int, column: int) -> None:
    flow = watching()
    flow.observe_print(2, side, depth, 0.4)
    evidence = flow.evidence()
    assert np.argwhere(evidence.stopped).tolist() == [[node, column]]
    assert evidence.stopped[node, column] == 0.4
    assert evidence.path[node] == pytest.approx(0.4 * min(depth, 4.0))


def test_prints_short_of_fair_value_are_misses_and_no_flow() -> None:
    flow = watching()
    for depth in (-0.1, 0.1, np.nan):
        flow.observe_print(1, 1, depth)
    assert (flow.prints, flow.misses) == (2, 1)
    assert flow.evidence().arrivals.sum() == 1


def test_a_print_of_what_is_not_watched_counts_for_nothing() -> None:
    flow = watching(bucket=(0,))
    flow.observe_print(1, 1, 0.5)
    flow.observe_print(NOWHERE, 1, 0.5)
    assert flow.prints == 0
    assert not flow.evidence().table.any()


def test_known_flow_is_found_again_and_the_errors_say_how_well() -> None:
    """Days of eight buckets and sides: 20 prints an hour each, which fall by 1.3 e-folds a unit."""
    scores = []
    for seed in range(8):
        found = draw(watching(), seed, 24.0, 20.0, 1.3).estimate()
        truth = 20 * 8760
        scores.append(np.log(found.arrivals_per_year / truth) / found.log_arrivals_error)
        scores.append(np.log(found.decay / 1.3) / found.log_decay_error)
    assert (np.abs(scores) < 1.96).mean() == pytest.approx(0.95, abs=0.05)
    assert abs(np.mean(scores)) < 0.35


def test_crowds_are_measured_and_the_errors_still_cover() -> None:
    """Crowds of three in the mean, geometric: variance 2 x 3 - 1 = 5 times Poisson's."""
    flows = [draw(watching(), seed, 24.0, 20.0, 1.3, crowd=3.0) for seed in range(8)]
    dispersions = [flow.dispersion("bucket").arrivals for flow in flows]
    assert np.mean(dispersions) == pytest.approx(5.0, rel=0.2)
    scores = [
        np.log(found.arrivals_per_year / (20 * 8760)) / found.log_arrivals_error
        for found in (flow.estimate() for flow in flows)
    ]
    assert (np.abs(scores) < 1.96).mean() == pytest.approx(0.95, abs=0.05)


def test_prints_that_come_alone_are_not_taken_for_crowds() -> None:
    flow = draw(watching(), 3, 24.0, 20.0, 1.3)
    for level in LEVELS:
        assert flow.dispersion(level).arrivals < 1.6
        assert flow.dispersion(level).ends < 1.6


def test_a_busy_hour_everywhere_is_laid_to_the_whole_and_not_to_each_bucket() -> None:
    flow = watching()
    for hour in range(36):
        draw(flow, hour, 1.0, 60.0 if hour % 6 == 5 else 10.0, 1.0)
    assert flow.dispersion("all").arrivals > 3 * flow.dispersion("bucket").arrivals


def test_each_estimate_says_what_it_rests_on() -> None:
    flow = watching(bucket=(0, 1, 2))
    rng = np.random.default_rng(4)
    for _ in range(600):
        flow.advance(flow.clock_ns + MINUTE_NS)
        flow.observe_print(0, 1, float(rng.exponential(1.0)))
        flow.observe_print(0, -1, 9.0)
    flow.observe_print(1, 1, 0.5)
    found = flow.estimate()
    assert found.status[0, 1] == FitStatus.FITTED
    assert found.status[0, 0] == FitStatus.NO_DECAY
    assert (found.status[3] == FitStatus.UNSEEN).all()
    assert found.decay[0, 0] == pytest.approx(found.decay[0, 1], rel=0.2), "the pool's"
    assert found.age_s[0, 1] == 0
    assert np.isnan(found.age_s[3]).all()
    assert found.own_weight[3, 0] == pytest.approx(0, abs=1e-9)


def test_watched_in_vain_is_evidence() -> None:
    flow = draw(watching(bucket=(0, 1, 2)), 5, 24.0, 30.0, 1.0)
    silent = FlowIntensities(BUCKETS, LASTING)
    silent.advance(START_NS)
    silent.watch(np.array([3]))
    for _ in range(24 * 6):
        silent.advance(silent.clock_ns + 10 * MINUTE_NS)
    flow._kept.table[6:] = silent.evidence().table[6:]
    found = flow.estimate()
    assert (found.arrivals_per_year[3] < 0.2 * found.arrivals_per_year[2]).all()


def test_before_any_flow_it_is_the_belief() -> None:
    model = IntensityModel(belief_arrivals=500.0, belief_decay=0.8)
    found = FlowIntensities(BUCKETS, model).estimate()
    np.testing.assert_allclose(found.arrivals_per_year, 500.0)
    np.testing.assert_allclose(found.decay, 0.8)
    assert (found.status == FitStatus.UNSEEN).all()


def test_our_own_quotes_tell_the_same_where_there_is_no_tape() -> None:
    rng = np.random.default_rng(6)
    flow = FlowIntensities(BUCKETS, LASTING)
    flow.advance(START_NS)
    per_minute, decay = 4.0, 0.9
    for minute in range(1_500):
        depth = np.full((2, BUCKETS.count), 0.5 * (minute % 5))
        flow.watch(np.arange(BUCKETS.count), depth)
        flow.advance(flow.clock_ns + MINUTE_NS)
        for bucket in range(BUCKETS.count):
            for side, sign in ((0, -1), (1, 1)):
                for _ in range(int(rng.poisson(per_minute * np.exp(-decay * depth[side, bucket])))):
                    flow.observe_hit(bucket, sign, float(depth[side, bucket]))
    found = flow.estimate()
    np.testing.assert_allclose(found.arrivals_per_year, per_minute * 60 * 8760, rtol=0.1)
    np.testing.assert_allclose(found.decay, decay, rtol=0.1)


def test_a_quote_that_is_not_there_has_no_exposure() -> None:
    flow = FlowIntensities(BUCKETS, LASTING)
    flow.advance(START_NS)
    flow.watch(np.array([0, 1]), np.array([[0.6, np.nan], [np.nan, -1.0]]))
    flow.advance(START_NS + MINUTE_NS)
    quoted = flow.evidence().quoted
    assert np.argwhere(quoted).tolist() == [[0, 1]]
    assert flow.evidence().exposure.sum() == 0


def estimates(arrivals: Floats, decay: Floats) -> Intensities:
    shape = arrivals.shape
    nothing = np.zeros(shape)
    return Intensities(
        START_NS, arrivals, decay, nothing, nothing, nothing, nothing, nothing, nothing, np.zeros(shape, np.int8)
    )


def test_rows_get_both_sides_as_one_that_keeps_the_sum_of_a_k() -> None:
    arrivals, decay = np.array([[100.0, 300.0], [50.0, 50.0]]), np.array([[2.0, 1.0], [0.5, 1.5]])
    found = estimates(arrivals, decay)
    unit_usd = np.array([20.0, 40.0, 10.0])
    rate, fall = found.of_rows(np.array([0, 1, NOWHERE]), unit_usd)
    np.testing.assert_allclose((2 * rate * fall * unit_usd)[:2], (arrivals * decay).sum(axis=1))
    np.testing.assert_allclose(rate[:2], [200.0, 50.0])
    assert np.isnan(rate[2])
    assert np.isnan(fall[2])
    sold, _ = found.of_side(np.array([0, 1]), unit_usd[:2], 0)
    bought, fall = found.of_side(np.array([0, 1]), unit_usd[:2], 1)
    np.testing.assert_allclose(0.5 * (sold + bought), rate[:2])
    np.testing.assert_allclose(fall, [1 / 20, 1.5 / 40])


def test_the_same_events_give_the_same_estimates_to_the_bit() -> None:
    first, second = (draw(watching(), 9, 3.0, 30.0, 1.0).estimate() for _ in range(2))
    assert first.arrivals_per_year.tobytes() == second.arrivals_per_year.tobytes()
    assert first.decay.tobytes() == second.decay.tobytes()


def test_a_clock_that_runs_backwards_is_refused() -> None:
    flow = watching()
    with pytest.raises(BadInputError, match="backwards"):
        flow.advance(START_NS - 1)


@pytest.mark.parametrize("wrong", [{"belief_decay": 0.0}, {"half_life_hours": -1.0}, {"depths": 2}])
def test_a_model_that_means_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        IntensityModel(**wrong)  # type: ignore[arg-type]
