import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.risk.var.measures import measure, quantile_weights, tail_weights, var_and_shortfall
from flatbook.risk.var.parametric import normal

Floats = NDArray[np.float64]


def drawn(seed: int, rows: int = 4, count: int = 4_000) -> Floats:
    rng = np.random.default_rng(seed)
    return np.asarray(rng.standard_normal((rows, rows)) @ rng.standard_normal((rows, count)))


def test_a_normal_book_has_the_closed_forms_var_and_shortfall_within_their_errors() -> None:
    rng, deviations = np.random.default_rng(2), np.array([300.0, 400.0])
    pnl = deviations[:, None] * rng.standard_normal((2, 20_000))
    for confidence in (0.95, 0.975, 0.99):
        found, law = measure(pnl, confidence, np.ones(2)), normal(confidence)
        assert abs(found.var.value - 500.0 * law.var) < 4 * found.var.error
        assert abs(found.shortfall.value - 500.0 * law.shortfall) < 4 * found.shortfall.error
        # Of a normal law each component is the total times its share of the variance.
        assert found.component_shortfall == pytest.approx(
            500.0 * law.shortfall * np.array([0.36, 0.64]), abs=6 * found.shortfall.error
        )


def test_the_errors_are_those_of_order_statistics() -> None:
    rng, count, tail = np.random.default_rng(4), 20_000, 0.05
    found = measure(rng.standard_normal((1, count)), 1 - tail, np.ones(1))
    density = np.exp(-0.5 * normal(1 - tail).var ** 2) / np.sqrt(2 * np.pi)
    assert found.var.error == pytest.approx(np.sqrt(tail * (1 - tail) / count) / density, rel=0.1)


@pytest.mark.parametrize("overlap", [1, 4])
def test_the_errors_are_what_markets_drawn_anew_differ_by(overlap: int) -> None:
    rng, count = np.random.default_rng(6), 2_000
    found = [
        measure(np.convolve(rng.standard_normal(count), np.ones(overlap), "valid")[None], 0.95, np.ones(1), overlap)
        for _ in range(150)
    ]
    for name in ("var", "shortfall"):
        values, errors = np.array([getattr(one, name) for one in found]).T
        assert np.mean(errors) == pytest.approx(np.std(values), rel=0.2)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.8, 0.995), st.floats(0.1, 10.0), st.floats(-5.0, 5.0))
def test_identities(seed: int, confidence: float, scale: float, shift: float) -> None:
    pnl = drawn(seed, count=300)
    found = measure(pnl, confidence, np.full(4, 0.5))
    var, shortfall = found.var.value, found.shortfall.value
    assert shortfall >= var - 1e-9 * abs(var) or (1 - confidence) * 300 < 5
    assert found.component_var.sum() == pytest.approx(var, rel=1e-9, abs=1e-9)
    assert found.component_shortfall.sum() == pytest.approx(shortfall, rel=1e-9, abs=1e-9)
    moved = var_and_shortfall(-scale * pnl.sum(axis=0) + shift, confidence)
    assert moved[0] == pytest.approx(scale * var + shift, rel=1e-9, abs=1e-9)
    # ES is coherent: halving a row, or leaving it out, cannot save more than the row alone may lose.
    for at in range(4):
        alone = var_and_shortfall(-pnl[at], confidence)[1]
        assert found.incremental_shortfall[at] <= alone + 1e-9
        assert found.shortfall_per_lot[at] <= 0.5 * alone + 1e-9


def test_weights_are_a_mean_and_the_tail_is_counted_to_its_part() -> None:
    for count, confidence in ((10, 0.95), (250, 0.99), (10_000, 0.975)):
        assert quantile_weights(count, confidence).sum() == pytest.approx(1.0)
        assert tail_weights(count, confidence).sum() == pytest.approx(1.0)
    assert tail_weights(250, 0.99)[:4] == pytest.approx([0.4, 0.4, 0.2, 0.0])


def test_what_measures_nothing_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"write 99 % as 0\.99"):
        quantile_weights(100, 99.0)
    with pytest.raises(BadInputError, match="nothing of a tail"):
        measure(np.ones((1, 1)), 0.99, np.ones(1))


def test_a_row_without_lots_has_no_number_a_lot() -> None:
    found = measure(drawn(1, 2), 0.95, np.array([np.nan, 1.0]))
    assert np.isnan(found.var_per_lot).tolist() == [True, False]
