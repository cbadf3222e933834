import math

import numpy as np
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.risk.var.parametric import Moments, cornish_fisher, moments_of, normal, parametric_var_usd, student

from .published import golden


@pytest.mark.parametrize("row", golden("var_laws"), ids=lambda row: row["id"])
def test_laws_to_their_digits(row: dict[str, str]) -> None:
    confidence = float(row["confidence"])
    law = normal(confidence) if row["law"] == "normal" else student(confidence, float(row["degrees"]))
    assert law.var == pytest.approx(float(row["var"]), abs=5e-10)
    assert law.shortfall == pytest.approx(float(row["shortfall"]), abs=5e-10)


def test_cornish_fisher_to_its_digits() -> None:
    assert cornish_fisher(0.01, -0.5, 3.0) == pytest.approx(-3.301284492, abs=5e-10)
    assert cornish_fisher(0.01, 0.0, 0.0) == pytest.approx(-normal(0.99).var, rel=1e-12)


def test_cornish_fisher_knows_where_it_ends() -> None:
    # A sold straddle's skewness: the expansion would fall with probability.
    assert math.isnan(cornish_fisher(0.01, -2.8, 12.0))
    probabilities = np.linspace(0.001, 0.999, 400)
    for skewness, kurtosis in ((-0.5, 3.0), (0.8, 2.0), (0.0, 6.0)):
        quantiles = [cornish_fisher(probability, skewness, kurtosis) for probability in probabilities]
        assert np.all(np.diff(quantiles) > 0.0)


def test_moments_are_those_of_the_law_and_var_has_its_sign() -> None:
    sample = np.random.default_rng(1).normal(100.0, 50.0, 200_000)
    moments = moments_of(sample)
    assert moments.mean == pytest.approx(100.0, abs=0.5)
    assert moments.skewness == pytest.approx(0.0, abs=0.03)
    assert moments.kurtosis == pytest.approx(0.0, abs=0.06)
    found = parametric_var_usd(Moments(100.0, 50.0, 0.0, 0.0), 0.99)
    assert list(found.values()) == [pytest.approx(50.0 * normal(0.99).var - 100.0)] * 3


def test_students_law_needs_a_deviation() -> None:
    with pytest.raises(BadInputError, match="no deviation"):
        student(0.99, 2.0)
