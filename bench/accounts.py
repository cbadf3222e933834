"""A hundred thousand accounts of a venue margined: twenty positions each on a chain of a thousand contracts.

Here, and in processes of this machine, which are started beforehand; each model's requirement is ready, as between two
ticks. A rate in M/s is millions of accounts a second.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from scipy.sparse import csr_array

from bench.margin import ROWS, contracts
from bench.measure import Contender, Work
from flatbook.risk.margin.requirement import Requirement
from flatbook.venues.margin import MODELS, editions

ACCOUNTS = 100_000
HELD = 20
ACCOUNTS_EACH = 4_096

_here: dict[str, tuple[Requirement, Sequence[csr_array]]] = {}


def works() -> list[Work]:
    """Every model; the processes hold the same accounts, so that what they are sent is a number."""
    processors = os.cpu_count() or 1
    pool = ProcessPoolExecutor(processors, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare)
    _prepare()
    parts = range(-(-ACCOUNTS // ACCOUNTS_EACH))
    return [
        Work(
            f"{name}: a hundred thousand accounts",
            [
                _timed("flatbook, one process", partial(_all, map, name, parts)),
                _timed(f"flatbook, {processors} processes", partial(_all, pool.map, name, parts)),
            ],
            ACCOUNTS,
            "M/s",
        )
        for name in MODELS
    ]


def _timed(name: str, work: Callable[[], float]) -> Contender:
    """A turn is one call, which takes a second or more: `measure.local` would call it twice to warm it."""

    def turn() -> float:
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    return Contender(name, turn)


def _all(spread: Callable[..., Iterable[float]], name: str, parts: Sequence[int]) -> float:
    return sum(spread(_one, [name] * len(parts), parts))


def _prepare() -> None:
    rng = np.random.default_rng(11)
    sizes = rng.normal(0.0, 10.0, ACCOUNTS * HELD)
    columns = rng.integers(0, ROWS, ACCOUNTS * HELD)
    every = csr_array((sizes, (np.repeat(np.arange(ACCOUNTS), HELD), columns)), shape=(ACCOUNTS, ROWS))
    parts = [every[start : start + ACCOUNTS_EACH] for start in range(0, ACCOUNTS, ACCOUNTS_EACH)]
    chain = contracts()
    for name in MODELS:
        _here[name] = editions(name)[-1].model.requirement(chain), parts


def _one(name: str, part: int) -> float:
    requirement, parts = _here[name]
    return float(requirement.many(parts[part]).maintenance.sum())
