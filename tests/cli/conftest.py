"""The command line as a user has it: words in; exit code, stdout and stderr out."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flatbook.cli import main, progress
from tests.market.snapshots import snapshot
from tests.store.simulated_chains import write_chain_file

BTC = snapshot(linear_usd={"BTC-PERPETUAL": 80_040.0})
ETH = snapshot("ETH", 3_000.0, vol=0.8, carry=0.03)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document that is all of stdout."""
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line that is all a command says that could not do what it was asked."""
        assert self.out == ""
        assert self.err.startswith("flatbook: ")
        assert self.err.count("\n") == 1, self.err
        assert self.err.endswith("\n")
        return self.err.removeprefix("flatbook: ").rstrip()


Flatbook = Callable[..., Ended]


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of what `BTC` and `ETH` show."""
    return write_chain_file(tmp_path_factory.mktemp("chain") / "chain.csv", BTC, ETH)


@pytest.fixture
def flatbook(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Flatbook:
    """Runs the command line in this process.

    Kernels are loaded as they are called: to warm them refuses other argument types for the rest of the process, and
    kernels have tests of their own.
    """
    monkeypatch.setattr(progress, "warm", lambda _show: None)

    def run(*words: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["flatbook", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Ended(code or 0, *capfd.readouterr())

    return run
