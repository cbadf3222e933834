"""Compile the kernels a program uses before its first tick, saying which one is under way."""

from __future__ import annotations

from collections.abc import Callable

from flatbook.kernels import jit


def warm(progress: Callable[[str], None], *, backwards: bool = False) -> None:
    """Compile or load the kernels of every module imported so far, for the argument types of the hot path.

    `progress` gets each kernel's name first. Costs a minute or more of a processor on the first start of an
    installation and tenths of a second afterwards; a kernel that is warm already costs nothing. Does nothing without
    numba. `backwards` begins with the last, so that two processes meet in the middle.
    """
    entries = jit.registered()
    for entry in reversed(entries) if backwards else entries:
        if not entry.is_warm:
            progress(entry.name)
            jit.compile_registered(entry)
