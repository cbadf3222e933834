"""Compile every kernel before the first tick, saying which one is under way."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

from flatbook import kernels
from flatbook.kernels import jit


def warm(progress: Callable[[str], None]) -> None:
    """Compile or load all kernels for the argument types of the hot path; `progress` gets each kernel's name first.

    Costs seconds on the first start of an installation and tenths of a second afterwards. Does nothing without numba.
    """
    for module in pkgutil.iter_modules(kernels.__path__):
        importlib.import_module(f"{kernels.__name__}.{module.name}")
    for entry in jit.registered():
        progress(entry.name)
        jit.compile_registered(entry)
