"""Typed decorators over numba, and what a kernel is.

A kernel is a function of arrays and scalars that fills preallocated outputs. `kernel` compiles it on first use and
keeps the machine code on disk, so importing a module of kernels compiles nothing. Each kernel names its plain twin, a
numpy function of the same type that serves where numba has no wheel, and the argument types the hot path calls it
with, so that `flatbook.kernels.warm` can compile everything before the first tick.

Arithmetic is IEEE except for contraction to fused multiply-add, signed zeros and reciprocals: NaN and infinity keep
their meaning inside kernels. Reassociation, without which no sum vectorises, is for `compiled` helpers alone: it
breaks range reductions.
"""

from __future__ import annotations

import enum
import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

try:
    import numba
    import numba.extending
    from llvmlite import binding as llvm

    HAVE_NUMBA = True
except ImportError:  # no wheel for this platform: the plain twins serve
    HAVE_NUMBA = False
if HAVE_NUMBA:
    from flatbook.kernels.linking import KernelCompiler

Function = TypeVar("Function", bound=Callable[..., object])

FASTMATH = frozenset({"contract", "nsz", "arcp"})


class Arg(enum.Enum):
    """Type of one kernel argument: C-contiguous arrays that are only read (IN) or are filled (OUT), and scalars."""

    IN = ("float64", 1, True)
    OUT = ("float64", 1, False)
    IN_2D = ("float64", 2, True)
    OUT_2D = ("float64", 2, False)
    IN_CODE = ("int8", 1, True)
    OUT_CODE = ("int8", 1, False)
    OUT_INT = ("int64", 1, False)
    OUT_INT_2D = ("int64", 2, False)
    IN_INT = ("int64", 1, True)
    IN_INT_2D = ("int64", 2, True)
    FLOAT = ("float64", 0, True)
    INT = ("int64", 0, True)
    BOOL = ("boolean", 0, True)


@dataclass(frozen=True)
class Registered:
    """A kernel that `warm` compiles: its dotted name, numba's dispatcher and its argument types."""

    name: str
    dispatcher: Any
    args: tuple[Arg, ...]

    @property
    def is_warm(self) -> bool:
        """Whether `compile_registered` has been through it."""
        return self.name in _warm

    @property
    def was_compiled(self) -> bool:
        """Whether its machine code was made by this process, and not found on disk."""
        return bool(self.dispatcher.stats.cache_misses)


_registered: list[Registered] = []
_warm: set[str] = set()


def registered() -> tuple[Registered, ...]:
    """Kernels of the modules imported so far, in the order of definition."""
    return tuple(_registered)


def kernel(*args: Arg, plain: Function) -> Callable[[Function], Function]:
    """Compile a function of `args` on first use, cached on disk, without the GIL; `plain` where there is no numba."""

    def decorate(function: Function) -> Function:
        if not HAVE_NUMBA:
            return plain
        dispatcher: Any = numba.njit(**_options())(function)
        _keep_on_disk(dispatcher)
        _registered.append(Registered(f"{function.__module__}.{function.__qualname__}", dispatcher, args))
        return dispatcher  # type: ignore[no-any-return]

    return decorate


def inlined(function: Function) -> Function:
    """A helper of kernels that LLVM always inlines: one call left inside a loop stops its vectorisation."""
    if not HAVE_NUMBA:
        return function
    dispatcher: Any = numba.njit(error_model="numpy", fastmath=set(FASTMATH), forceinline=True)(function)
    return dispatcher  # type: ignore[no-any-return]


def compiled(function: Function) -> Function:
    """A helper of kernels that stays a call: for work done once per row or slice, where inlining only costs size."""
    if not HAVE_NUMBA:
        return function
    dispatcher: Any = numba.njit(error_model="numpy", fastmath=set(FASTMATH) | {"reassoc"})(function)
    return dispatcher  # type: ignore[no-any-return]


def shared(function: Function) -> Function:
    """A function that stays Python, and that code which numba compiles may call as well."""
    if not HAVE_NUMBA:
        return function
    return numba.extending.register_jitable(function)


def assembly(entry: Registered) -> str:
    """Machine code of one kernel for its argument types, compiled afresh: numba does not show what its cache gave."""
    dispatcher: Any = numba.njit(**_options())(entry.dispatcher.py_func)
    dispatcher.compile(tuple(_numba_type(arg) for arg in entry.args))
    return str(next(iter(dispatcher.inspect_asm().values())))


def _options() -> dict[str, Any]:
    options = {"nogil": True, "error_model": "numpy", "fastmath": set(FASTMATH), "boundscheck": False}
    return options | {"pipeline_class": KernelCompiler}


def compile_registered(entry: Registered) -> None:
    """Compile or load one kernel for its argument types, and refuse others afterwards.

    A call that numba would answer by compiling for a second, a strided array say, is a TypeError from then on:
    the hot loop may fail a call but never stall in one.
    """
    entry.dispatcher.compile(tuple(_numba_type(arg) for arg in entry.args))
    entry.dispatcher.disable_compile()
    _warm.add(entry.name)


def _numba_type(arg: Arg) -> Any:
    name, dimensions, read_only = arg.value
    scalar = getattr(numba.types, name)
    if dimensions == 0:
        return scalar
    return numba.types.Array(scalar, dimensions, "C", readonly=read_only)


def _keep_on_disk(dispatcher: Any) -> None:
    """Cache a kernel's code, keyed by every source of this package; where no place is writable, do without.

    numba keys it by the file that holds the kernel alone, and would serve stale code after a change in a helper that
    was inlined from another file.
    """
    try:
        dispatcher.enable_caching()
    except RuntimeError:  # numba found neither the package's folder nor the user's cache writable
        return
    cache_file = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if cache_file is None:
        raise ImportError("numba keeps its kernel cache elsewhere: this flatbook needs another numba version")
    cache_file._source_stamp = (cache_file._source_stamp, _package_digest())


@cache
def _package_digest() -> str:
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _preload_libgcc() -> None:
    """Let compiled code find the 128-bit helpers of libgcc.

    LLVM may turn `while a >= b: b += step` into a 128-bit division, which numba's linker leaves unresolved and the
    process dies on.
    """
    if sys.platform == "linux":
        try:
            llvm.load_library_permanently("libgcc_s.so.1")
        except RuntimeError as error:
            raise ImportError(f"kernels need libgcc_s.so.1 (package libgcc or libgcc-s1): {error}") from error


if HAVE_NUMBA:
    _preload_libgcc()
