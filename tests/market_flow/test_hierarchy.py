"""Rates that lend to each other: how far they are drawn, what their errors cover, what is refused."""

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.market.flow.decays import Dispersion, Evidence, Prior
from flatbook.market.flow.hierarchy import Pool, Pooled, pooled_decays
from tests.market_flow.drawn import GRID, drawn_evidence

Floats = NDArray[np.float64]

ALONE = Dispersion(1.0, 1.0)
TENORS, STRIKES = 12, 30
RATES = TENORS * STRIKES


def pool(rates: int = RATES, tenors: int = TENORS) -> Pool:
    belief = Prior(*(np.array([value]) for value in (100.0, 1.0, 5.0, 5.0)))
    return Pool(GRID, (tenors, rates), belief, (ALONE, ALONE, ALONE), (0.5, 50.0), 5.0)


def family(seed: int, worth: float, mean: float = 100.0) -> tuple[Floats, Floats]:
    """Rates and decays drawn about a tenor's and a strike's: relative variance 1 / worth."""
    rng = np.random.default_rng(seed)
    tenor, strike = rng.gamma(4, 0.25, (TENORS, 1)), rng.gamma(4, 0.25, (1, STRIKES))
    spread = rng.gamma(worth, 1 / worth, (2, TENORS, STRIKES))
    return (mean * tenor * strike * spread[0]).ravel(), (1.1 * spread[1]).ravel()


def fitted(seed: int, worth: float, exposure: float) -> tuple[Pooled, Floats, Floats, Evidence]:
    arrivals, decay = family(seed, worth)
    evidence = drawn_evidence(seed, arrivals, decay, np.full(RATES, exposure))
    return pooled_decays(evidence, pool()), arrivals, decay, evidence


@pytest.mark.parametrize(("exposure", "off"), [(0.03, 0.07), (0.3, 0.02), (3.0, 0.02)])
@pytest.mark.parametrize("worth", [5.0, 50.0])
def test_the_errors_of_shrunk_rates_cover_the_truth(worth: float, exposure: float, off: float) -> None:
    """At 3 prints a rate the posterior of its log is askew, and two errors either side hold a little less."""
    seeds = [fitted(seed, worth, exposure) for seed in range(6)]
    of_a = [np.log(found.decays.arrivals / a) / found.decays.log_arrivals_error for found, a, _, _ in seeds]
    of_k = [np.log(found.decays.decay / k) / found.decays.log_decay_error for found, _, k, _ in seeds]
    for scores in (of_a, of_k):
        assert (np.abs(scores) < 1.96).mean() == pytest.approx(0.95, abs=off)


@pytest.mark.parametrize("exposure", [0.03, 0.3])
def test_shrunk_rates_are_nearer_the_truth_than_their_own_counts_and_than_their_tenor(exposure: float) -> None:
    found, arrivals, _, evidence = fitted(2, 5.0, exposure)
    tenor = np.repeat(evidence.pooled(TENORS).arrivals / evidence.pooled(TENORS).exposure, STRIKES)
    own = (evidence.arrivals + 0.5) / (evidence.exposure + 0.5 / 100)

    def miss(estimate: Floats) -> float:
        return float((np.log(estimate / arrivals) ** 2).mean())

    assert miss(found.decays.arrivals) < 0.9 * min(miss(own), miss(tenor))


def test_own_evidence_weighs_more_the_more_of_it_there_is() -> None:
    weights = [fitted(3, 5.0, exposure)[0].own_weight.mean() for exposure in (0.003, 0.03, 0.3, 3.0)]
    assert weights == sorted(weights)
    assert weights[0] < 0.2
    assert weights[-1] > 0.95


def test_siblings_that_are_alike_lend_more() -> None:
    assert fitted(4, 50.0, 0.1)[0].own_weight.mean() < 0.5 * fitted(4, 2.0, 0.1)[0].own_weight.mean()


def test_nothing_seen_is_the_belief() -> None:
    found = pooled_decays(Evidence.none(RATES, len(GRID)), pool())
    np.testing.assert_allclose(found.decays.arrivals, 100.0)
    np.testing.assert_allclose(found.decays.decay, 1.0)
    np.testing.assert_allclose(found.own_weight, 0.0, atol=1e-9)
    assert (found.decays.log_arrivals_error > 0.4).all()


def test_a_strike_unseen_at_one_tenor_takes_it_from_the_others() -> None:
    """Deep strikes that print at no tenor are not lent their tenor's flow."""
    arrivals = np.full((TENORS, STRIKES), 200.0)
    arrivals[:, 0] = 2.0
    exposure = np.ones((TENORS, STRIKES))
    exposure[0, 0] = 0.0
    found = pooled_decays(drawn_evidence(5, arrivals.ravel(), np.ones(RATES), exposure.ravel()), pool())
    assert found.decays.arrivals[0] < 10


def test_flow_that_does_not_fall_with_depth_is_refused_and_lent_a_decay() -> None:
    arrivals, decay = np.full(RATES, 100.0), np.full(RATES, 1.2)
    decay[7] = 1e-6
    found = pooled_decays(drawn_evidence(6, arrivals, decay, np.ones(RATES)), pool())
    assert np.flatnonzero(~found.has_decay).tolist() == [7]
    assert found.decays.decay[7] == pytest.approx(1.2, rel=0.1)
    assert found.decays.arrivals[7] == pytest.approx(100.0, rel=0.35)


def test_few_prints_say_nothing_against_their_decay() -> None:
    evidence = drawn_evidence(7, np.full(RATES, 100.0), np.full(RATES, 1.2), np.ones(RATES))
    evidence.table[3] = 0.0
    evidence.exposure[3], evidence.stopped[3, -1], evidence.path[3] = 0.02, 2.0, 2 * GRID[-1]
    assert pooled_decays(evidence, pool()).has_decay[3]
