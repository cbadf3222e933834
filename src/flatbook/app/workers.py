"""The same work on every part of something: here, in processes of this machine, or on a Ray cluster; the same results.

`work(shared, part)` is a function of a module, so that any process can import it; `shared` travels once to each worker.
Results come in the order of the parts, whoever made them.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from flatbook.domain.errors import BadInputError

_KNOCK_S = 5.0

Shared = TypeVar("Shared")
PartT = TypeVar("PartT")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Workers:
    """Who does it: `jobs` processes of this machine, or a Ray cluster by its address, `local` for one made here."""

    jobs: int = 1
    ray: str | None = None

    def carry_out(
        self, work: Callable[[Shared, PartT], Result], shared: Shared, parts: Iterable[PartT]
    ) -> Iterator[Result]:
        """The result of each part, in their order.

        Errors      BadInputError where Ray is asked for and is not there
        """
        if self.ray is not None:
            return _on_ray(self.ray, work, shared, parts)
        if self.jobs > 1:
            return _in_processes(self.jobs, work, shared, parts)
        return (work(shared, part) for part in parts)


def end_with_parent() -> None:
    """Of a worker process, from now on: a parent that was killed tells nobody, and its workers would wait for ever."""
    threading.Thread(target=_end_after_parent, daemon=True).start()


def _end_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


_shared: Any = None
_work: Any = None


def _begin(work: Any, shared: Any) -> None:
    global _shared, _work
    _shared, _work = shared, work
    end_with_parent()


def _one(part: Any) -> Any:
    return _work(_shared, part)


def _in_processes(
    jobs: int, work: Callable[[Shared, PartT], Result], shared: Shared, parts: Iterable[PartT]
) -> Iterator[Result]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(work, shared)) as pool:
        yield from pool.map(_one, parts)


def _on_ray(
    address: str, work: Callable[[Shared, PartT], Result], shared: Shared, parts: Iterable[PartT]
) -> Iterator[Result]:
    ray = _ray_at(address)
    try:
        remote, everywhere = ray.remote(work), ray.put(shared)
        waiting = [remote.remote(everywhere, part) for part in parts]
        for reference in waiting:
            yield ray.get(reference)
    finally:
        ray.shutdown()


def _ray_at(address: str) -> Any:
    """The module, connected."""
    try:
        # By name: an installation without the extra `ray` must import this module.
        ray: Any = importlib.import_module("ray")
    except ModuleNotFoundError:
        remedy = "pip install 'flatbook[ray]', or use --jobs"
        raise BadInputError(f"--ray {address}: ray is not installed; {remedy}") from None
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    # A cluster of one's own needs no dashboard; one that stands already is not asked what it has.
    own = {"include_dashboard": False} if address == "local" else {}
    try:
        _knock(address)
        ray.init(address=address, **quiet, **own)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise BadInputError(
            f"--ray {address}: no cluster there ({reason}); give its host:port, or local for one made here"
        ) from None
    return ray


def _knock(address: str) -> None:
    """Ray itself takes minutes to find nobody there.

    Errors      OSError where nobody answers, ValueError where the port is no number
    """
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if separator:
        socket.create_connection((host, int(port)), timeout=_KNOCK_S).close()
