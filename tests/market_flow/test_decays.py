"""Rates that fall with depth: the posterior against closed forms, a library's optimum, and known rates."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize

from flatbook.market.flow.decays import (
    Decays,
    Dispersion,
    Evidence,
    Prior,
    expected_arrivals,
    fit_decays,
    reach,
)
from tests.market_flow.drawn import GRID, drawn_evidence, drawn_hits

Floats = NDArray[np.float64]

ALONE = Dispersion(1.0, 1.0)


def prior(rates: int, arrivals: float = 50.0, decay: float = 1.0, worth: float = 1e-6) -> Prior:
    return Prior(*(np.full(rates, value) for value in (arrivals, decay, worth, worth)))


def hessian(function: Callable[[Floats], float], at: Floats, step: float = 1e-4) -> Floats:
    """Second derivatives by central differences."""
    unit = step * np.eye(len(at))
    return np.array(
        [
            [
                (function(at + i + j) - function(at + i - j) - function(at - i + j) + function(at - i - j))
                / 4
                / step**2
                for j in unit
            ]
            for i in unit
        ]
    )


def coverage(found: Decays, arrivals: Floats, decay: Floats) -> tuple[float, float]:
    """Shares of rates and of decays within 1.96 errors of the truth, in logs."""
    off_a = np.abs(np.log(found.arrivals / arrivals)) / found.log_arrivals_error
    off_k = np.abs(np.log(found.decay / decay)) / found.log_decay_error
    return float((off_a < 1.96).mean()), float((off_k < 1.96).mean())


def test_without_a_prior_a_rate_is_its_count_over_its_exposure() -> None:
    evidence = drawn_evidence(1, np.full(20, 80.0), np.full(20, 0.9), np.linspace(0.5, 3, 20))
    found = fit_decays(evidence, GRID, prior(20), ALONE)
    np.testing.assert_allclose(found.arrivals, evidence.arrivals / evidence.exposure, rtol=1e-6)
    np.testing.assert_allclose(found.log_arrivals_error, evidence.arrivals**-0.5, rtol=1e-4)


def test_without_a_prior_a_decay_is_the_ends_over_the_path() -> None:
    evidence = drawn_evidence(2, np.full(20, 80.0), np.linspace(0.5, 2, 20), np.ones(20))
    found = fit_decays(evidence, GRID, prior(20), ALONE)
    np.testing.assert_allclose(found.decay, evidence.ended / evidence.path, rtol=1e-5)
    np.testing.assert_allclose(found.log_decay_error, evidence.ended**-0.5, rtol=1e-4)


def test_with_quotes_it_is_the_optimum_a_library_finds() -> None:
    rng = np.random.default_rng(3)
    evidence = drawn_evidence(3, np.array([60.0]), np.array([0.8]), np.array([1.0]))
    hits = drawn_hits(3, np.array([60.0]), np.array([0.8]), rng.uniform(0, 1, (1, len(GRID))))
    both = Evidence(evidence.table + hits.table)
    prior_ = prior(1, 40.0, 1.2, 8.0)
    prints_seen = float((both.stopped + both.censored).sum())

    def loss(x: Floats) -> float:
        a, k = math.exp(x[0]), math.exp(x[1])
        survive = np.exp(-k * GRID)
        prints = prints_seen * x[0] - a * both.exposure[0] + both.ended[0] * x[1] - k * both.path[0]
        quotes = (both.hits[0] * np.log(a * survive)).sum() - a * (both.quoted[0] * survive).sum()
        return -float(prints + quotes + 8 * (x[0] - a / 40) + 8 * (x[1] - k / 1.2))

    best = minimize(loss, np.array([4.0, 0.0]), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10}).x
    found = fit_decays(both, GRID, prior_, ALONE)
    np.testing.assert_allclose([math.log(found.arrivals[0]), math.log(found.decay[0])], best, atol=1e-6)
    errors = np.sqrt(np.diag(np.linalg.inv(hessian(loss, best))))
    np.testing.assert_allclose([found.log_arrivals_error[0], found.log_decay_error[0]], errors, rtol=1e-4)


@pytest.mark.parametrize("exposure", [0.3, 3.0])
def test_error_bars_of_prints_cover_the_truth(exposure: float) -> None:
    rng = np.random.default_rng(5)
    arrivals, decay = rng.uniform(60, 300, 2_000), rng.uniform(0.5, 1.5, 2_000)
    evidence = drawn_evidence(5, arrivals, decay, np.full(2_000, exposure))
    for share in coverage(fit_decays(evidence, GRID, prior(2_000), ALONE), arrivals, decay):
        assert share == pytest.approx(0.95, abs=0.02)


def test_error_bars_of_quotes_cover_the_truth() -> None:
    rng = np.random.default_rng(6)
    arrivals, decay = rng.uniform(60, 300, 2_000), rng.uniform(0.5, 1.5, 2_000)
    evidence = drawn_hits(6, arrivals, decay, rng.uniform(0, 1, (2_000, len(GRID))))
    for share in coverage(fit_decays(evidence, GRID, prior(2_000), ALONE), arrivals, decay):
        assert share == pytest.approx(0.95, abs=0.02)


def test_prints_that_met_our_quote_bias_nothing() -> None:
    """The tape ends at our price: counted as an end it would say that flow decays faster than it does."""
    n = 3_000
    arrivals, decay, exposure = np.full(n, 100.0), np.full(n, 0.9), np.ones(n)
    evidence = drawn_evidence(7, arrivals, decay, exposure, quote_depth=np.random.default_rng(7).uniform(0, 2, n))
    found = fit_decays(evidence.pooled(1), GRID, prior(1), ALONE)
    assert found.decay[0] == pytest.approx(0.9, rel=4 * found.log_decay_error[0])
    assert found.arrivals[0] == pytest.approx(100.0, rel=4 * found.log_arrivals_error[0])
    naive = Evidence(evidence.table.copy())
    naive.stopped += naive.censored
    naive.censored[:] = 0.0
    assert fit_decays(naive.pooled(1), GRID, prior(1), ALONE).decay[0] > 1.2


def test_crowds_widen_the_errors_by_the_root_of_their_dispersion() -> None:
    evidence = drawn_evidence(8, np.full(5, 200.0), np.full(5, 1.0), np.ones(5))
    alone = fit_decays(evidence, GRID, prior(5), ALONE)
    crowded = fit_decays(evidence, GRID, prior(5), Dispersion(4.0, 9.0))
    np.testing.assert_allclose(crowded.arrivals, alone.arrivals, rtol=1e-6)
    np.testing.assert_allclose(crowded.log_arrivals_error, 2 * alone.log_arrivals_error, rtol=1e-4)
    np.testing.assert_allclose(crowded.log_decay_error, 3 * alone.log_decay_error, rtol=1e-4)


def test_with_no_evidence_it_is_the_prior() -> None:
    found = fit_decays(Evidence.none(2, len(GRID)), GRID, prior(2, 40.0, 1.3, 16.0), ALONE)
    np.testing.assert_allclose(found.arrivals, 40.0)
    np.testing.assert_allclose(found.decay, 1.3)
    np.testing.assert_allclose(found.log_arrivals_error, 0.25)


def test_hits_that_do_not_fall_with_depth_leave_no_decay() -> None:
    evidence = Evidence.none(1, len(GRID))
    evidence.quoted[:] = 1.0
    evidence.hits[:] = np.linspace(10, 30, len(GRID))
    found = fit_decays(evidence, GRID, prior(1, worth=1e-3), ALONE)
    assert found.decay[0] < 0.01
    assert found.log_decay_error[0] > 1


@given(st.integers(0, 10_000), st.floats(5, 400), st.floats(0.3, 2.5), st.floats(0.01, 5))
def test_the_posterior_lies_between_its_prior_and_its_evidence(
    seed: int, arrivals: float, decay: float, exposure: float
) -> None:
    evidence = drawn_evidence(seed, np.array([arrivals]), np.array([decay]), np.array([exposure]))
    own = float(evidence.arrivals[0]) / exposure
    found = float(fit_decays(evidence, GRID, prior(1, 50.0, 1.0, 5.0), ALONE).arrivals[0])
    assert min(own, 50.0) * (1 - 1e-6) <= found <= max(own, 50.0) * (1 + 1e-6)
    # In closed form: imagined prints and their exposure are added to the real ones.
    assert found == pytest.approx((evidence.arrivals[0] + 5) / (exposure + 5 / 50), rel=1e-6)


def test_what_is_expected_is_what_comes_in_the_mean() -> None:
    n = 4_000
    arrivals, decay, quoted = np.full(n, 30.0), np.full(n, 0.7), np.full((n, len(GRID)), 0.1)
    prints, hits = drawn_evidence(9, arrivals, decay, np.ones(n)), drawn_hits(9, arrivals, decay, quoted)
    both = Evidence(prints.table + hits.table)
    expected = expected_arrivals(both, GRID, arrivals, decay)
    assert both.arrivals.mean() == pytest.approx(expected.mean(), rel=0.01)
    assert both.arrivals.var() == pytest.approx(expected.mean(), rel=0.08)
    off = both.ended - decay * both.path
    assert off.mean() == pytest.approx(0, abs=0.3)
    assert off.var() == pytest.approx((decay * both.path).mean(), rel=0.08)


def test_the_share_that_reaches_a_depth_falls_by_e_over_one_decay() -> None:
    assert reach(np.array([0.0, 2.0]), np.array([0.5]))[0].tolist() == [1.0, pytest.approx(math.exp(-1))]
