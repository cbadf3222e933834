from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from flatbook.cli import progress
from flatbook.kernels import jit
from flatbook.kernels.warm import warm


@pytest.mark.parametrize("is_new", [False, True])
def test_a_second_process_helps_to_compile_on_a_new_installation_alone(
    monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    told: list[str] = []
    entries = [SimpleNamespace(name=name, was_compiled=False) for name in ("first", "second", "third")]

    def load(show: Callable[[str], None]) -> None:
        for entry in entries:
            show(entry.name)
            told.append(entry.name)
            entry.was_compiled = is_new

    @contextmanager
    def helped() -> Iterator[None]:
        told.append("helped")
        yield
        told.append("alone again")

    monkeypatch.setattr(progress, "registered", lambda: tuple(entries))
    monkeypatch.setattr(progress, "warm", load)
    monkeypatch.setattr(progress, "_compiling_from_the_end", helped)
    progress.warm_kernels()
    alone = ["first", "second", "third"]
    assert told == (["first", "helped", "second", "third", "alone again"] if is_new else alone)


def test_two_processes_begin_at_either_end(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [SimpleNamespace(name=name, is_warm=False) for name in ("first", "second", "third")]
    monkeypatch.setattr(jit, "registered", lambda: tuple(entries))
    monkeypatch.setattr(jit, "compile_registered", lambda entry: None)
    forwards: list[str] = []
    backwards: list[str] = []
    warm(forwards.append)
    warm(backwards.append, backwards=True)
    assert forwards == ["first", "second", "third"] == backwards[::-1]
