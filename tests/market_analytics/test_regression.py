import math

import numpy as np
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.market.analytics.regression import Fit, Moments, fit, shrunk


def test_equal_weights_are_ordinary_least_squares() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 3)) * [1.0, 100.0, 1e-4]
    y = x @ [0.5, -0.02, 3000.0] + 0.3 * rng.normal(size=400)
    found = fit(Moments.none(3).observe(x[:150], y[:150]).observe(x[150:], y[150:]))
    expected, (rss,), *_ = np.linalg.lstsq(x, y)
    np.testing.assert_allclose(found.coefficient, expected, rtol=1e-9)
    errors = np.sqrt(rss / 397 * np.diag(np.linalg.inv(x.T @ x)))
    np.testing.assert_allclose(found.error, errors, rtol=1e-6)
    np.testing.assert_allclose(found.t, expected / errors, rtol=1e-6)
    assert found.rows == 400


def test_fading_weights_are_weighted_least_squares() -> None:
    rng = np.random.default_rng(2)
    x, decay = rng.normal(size=(300, 1)), 0.97
    y = 2.0 * x[:, 0] + rng.normal(size=300)
    moments = Moments.none(1)
    for row, level in zip(x, y, strict=True):
        moments = moments.observe(row[None], np.array([level]), decay)
    weight = decay ** np.arange(299.0, -1.0, -1.0)
    found = fit(moments)
    assert found.coefficient[0] == pytest.approx(np.sum(weight * x[:, 0] * y) / np.sum(weight * x[:, 0] ** 2))
    assert found.rows == pytest.approx((1 + decay) / (1 - decay), rel=1e-3)


def test_errors_are_those_made() -> None:
    rng = np.random.default_rng(3)
    scores = []
    for _ in range(400):
        moments = Moments.none(1)
        for _ in range(120):
            x = rng.normal(size=(1, 1))
            moments = moments.observe(x, 1.5 * x[:, 0] + rng.normal(size=1), 0.96)
        found = fit(moments)
        scores.append((found.coefficient[0] - 1.5) / found.error[0])
    assert np.std(scores) == pytest.approx(1.0, abs=0.15)


def test_too_little_or_the_same_twice_is_no_estimate() -> None:
    x = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0], [4.0, 8.0]])
    for moments in (Moments.none(2), Moments.none(2).observe(x, x[:, 0]), Moments.none(2).observe(x[:2], x[:2, 0])):
        found = fit(moments)
        assert np.isnan(found.coefficient).all()
        assert (found.t == 0.0).all()
        assert np.isinf(found.error).all()


def test_rows_that_are_not_there_count_for_nothing() -> None:
    x, y = np.array([[1.0], [math.nan], [2.0], [3.0]]), np.array([1.1, 5.0, math.nan, 2.9])
    assert fit(Moments.none(1).observe(x, y)).coefficient[0] == pytest.approx((1.1 + 3 * 2.9) / 10)
    with pytest.raises(BadInputError, match="columns"):
        Moments.none(2).observe(x, y)
    with pytest.raises(BadInputError, match="decay"):
        Moments.none(1).observe(x, y, 1.5)


def test_evidence_is_of_blocks_and_not_of_the_rows_in_them() -> None:
    """Blocks of ten rows that say the same thing: rows would believe noise half of the time, blocks one time in 20."""
    rng = np.random.default_rng(9)
    by_rows = by_blocks = 0
    for _ in range(300):
        moments = Moments.none(2)
        for _ in range(60):
            x = np.repeat(rng.normal(size=(1, 2)), 10, axis=0) + 0.1 * rng.normal(size=(10, 2))
            moments = moments.observe(x, np.full(10, rng.normal()))
        found = fit(moments)
        by_rows += bool(np.abs(found.t).max() > 2.0)
        by_blocks += bool(np.any(shrunk(found) != 0.0))
    assert by_rows / 300 > 0.5
    assert by_blocks / 300 < 0.1


def test_what_is_believed_is_drawn_to_nothing_by_its_evidence() -> None:
    made = Fit(np.array([2.0, -1.0]), np.ones(2), np.ones(2), 100.0, 20.0)
    np.testing.assert_allclose(shrunk(made), [1.8, -0.9])
    np.testing.assert_array_equal(shrunk(made._replace(evidence=5.9)), [0.0, 0.0])
    rng = np.random.default_rng(10)
    moments = Moments.none(1)
    for number in range(1, 41):
        x = rng.normal(size=(5, 1))
        moments = moments.observe(x, x[:, 0])
        assert fit(moments).evidence <= number + 1e-9
