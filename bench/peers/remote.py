"""Peers in their own environment: one worker process, asked for a turn at a time."""

from __future__ import annotations

import json
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.measure import Contender
from bench.peers.setup import python

_WORKER = Path(__file__).parent / "worker.py"


class _Worker:
    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="flatbook-bench-")
        self._keys = 0
        self._process = subprocess.Popen(
            [str(python()), str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, question: dict[str, str]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the peers' worker ended while asked for {question}")
        return dict(json.loads(answer))

    def store(self, data: dict[str, NDArray[np.float64]]) -> tuple[str, str]:
        """Write arrays for the worker; a fresh key and their path."""
        self._keys += 1
        path = Path(self._folder.name) / f"{self._keys}.npz"
        np.savez(path, **data)  # type: ignore[arg-type]
        return str(self._keys), str(path)


@cache
def _worker() -> _Worker:
    return _Worker()


def remote(name: str, task: str, data: dict[str, NDArray[np.float64]]) -> Contender:
    """A contender of `worker.TASKS` on `data`; absent, with the reason, where its environment or package is."""
    if not python().exists():
        return Contender(name, None, "absent: python -m bench.peers.setup")
    worker = _worker()
    key, path = worker.store(data)
    answer = worker.ask({"prepare": task, "key": key, "data": path})
    if "absent" in answer:
        return Contender(name, None, f"absent: {answer['absent']}")
    return Contender(name, lambda: float(worker.ask({"turn": key})["seconds"]))
