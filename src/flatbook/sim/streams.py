"""Chance, by cause: each cause draws from its own stream, so that more of one thing never changes another."""

import numpy as np

from flatbook.domain.errors import BadInputError


def stream(seed: int, cause: str) -> np.random.Generator:
    """The random stream of `cause` under `seed`: the same pair, the same numbers; other causes, independent ones."""
    if seed < 0:
        raise BadInputError(f"seed {seed} is negative; use a whole number from 0 up")
    sequence = np.random.SeedSequence(seed, spawn_key=tuple(cause.encode()))
    return np.random.Generator(np.random.PCG64(sequence))
