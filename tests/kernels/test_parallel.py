from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from flatbook.kernels import black, black_plain
from flatbook.kernels.parallel import for_slices


@pytest.mark.parametrize("rows", [0, 1, 63, 64, 65, 1000])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_slices_cover_every_row_once(rows: int, parts: int) -> None:
    seen = np.zeros(rows, dtype=np.int64)

    def task(first: int, last: int) -> None:
        seen[first:last] += 1

    with ThreadPoolExecutor(2) as pool:
        for_slices(pool, parts, rows, task)
    assert (seen == 1).all()


@pytest.mark.parametrize("twin", [black, black_plain], ids=["kernel", "plain"])
def test_parts_of_a_table_are_the_table(twin: object) -> None:
    rng = np.random.default_rng(0)
    n = 999
    inputs = [np.full(n, 100.0), rng.uniform(50, 200, n), rng.uniform(0.1, 2, n), rng.uniform(0.01, 1, n), np.ones(n)]
    whole, parts = np.empty((11, n)), np.empty((11, n))
    twin.price_full(*inputs, whole)  # type: ignore[attr-defined]
    with ThreadPoolExecutor(2) as pool:
        for_slices(pool, 2, n, lambda i, j: twin.price_full_part(*inputs, i, j, parts))  # type: ignore[attr-defined]
    np.testing.assert_allclose(parts, whole, rtol=1e-12)


def test_an_error_in_a_slice_is_raised() -> None:
    def task(first: int, last: int) -> None:
        raise LookupError(f"{first} to {last}")

    with ThreadPoolExecutor(2) as pool, pytest.raises(LookupError, match="0 to"):
        for_slices(pool, 2, 100, task)


def test_it_refuses_no_parts() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="parts >= 1"):
        for_slices(pool, 0, 100, lambda i, j: None)
