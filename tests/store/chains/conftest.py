"""Recorded chain files, read in place where they lie beside the repository."""

from collections.abc import Callable
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], Path]:
    """The recorded file at a path below the data folder; skips where it is absent."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"{name} is not beside the repository")
        return path

    return find
