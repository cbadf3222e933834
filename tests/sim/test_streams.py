"""Chance by cause."""

import numpy as np
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.sim.streams import stream


def test_a_pair_of_seed_and_cause_is_a_stream() -> None:
    first, again = (stream(7, "index").random(5) for _ in range(2))
    assert (first == again).all()
    assert (first != stream(8, "index").random(5)).all()
    assert (first != stream(7, "jumps").random(5)).all()


def test_streams_of_different_causes_are_independent() -> None:
    first, second = (stream(5, cause).standard_normal(20_000) for cause in ("index", "arrivals"))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(BadInputError, match="seed -1"):
        stream(-1, "index")
