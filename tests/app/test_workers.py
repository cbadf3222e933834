"""The same results in the same order, whoever did the work."""

import importlib.util
import warnings

import pytest

from flatbook.app.workers import Workers
from flatbook.domain.errors import BadInputError

HAVE_RAY = importlib.util.find_spec("ray") is not None
PARTS = range(7)


def scaled(shared: float, part: int) -> float:
    return shared * part


EXPECTED = [scaled(0.1, part) for part in PARTS]


@pytest.mark.parametrize("jobs", [1, 2])
def test_in_order_here_and_in_processes(jobs: int) -> None:
    assert list(Workers(jobs).carry_out(scaled, 0.1, PARTS)) == EXPECTED


@pytest.mark.skipif(not HAVE_RAY, reason="ray is not installed (extra `ray`)")
def test_in_order_on_a_ray_cluster_of_ones_own() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ray's own, of its start
        assert list(Workers(ray="local").carry_out(scaled, 0.1, PARTS)) == EXPECTED


@pytest.mark.skipif(HAVE_RAY, reason="ray is installed")
def test_without_ray_it_says_how_to_have_it() -> None:
    with pytest.raises(BadInputError, match=r"ray is not installed; pip install 'flatbook\[ray\]', or use --jobs"):
        list(Workers(ray="local").carry_out(scaled, 0.1, PARTS))
