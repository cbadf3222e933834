"""Compile the kernels a program uses before its first tick, saying which one is under way."""

from __future__ import annotations

from collections.abc import Callable

from flatbook.kernels import jit


def warm(progress: Callable[[str], None]) -> None:
    """Compile or load the kernels of every module imported so far, for the argument types of the hot path.

    `progress` gets each kernel's name first. Costs tens of seconds on the first start of an installation and tenths of
    a second afterwards; a kernel that is warm already costs nothing. Does nothing without numba.
    """
    for entry in jit.registered():
        if not entry.is_warm:
            progress(entry.name)
            jit.compile_registered(entry)
