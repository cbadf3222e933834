"""Peers in C and C++, compiled with the system's compiler into `.benchmarks` and called without the GIL."""

from __future__ import annotations

import ctypes
import hashlib
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / ".benchmarks"
JAECKEL_SOURCES = BUILD / "lets_be_rational"


class MissingPeerError(Exception):
    """A peer that cannot run here; the message says why."""


def build(sources: Sequence[Path], compiler: str, flags: Sequence[str]) -> ctypes.CDLL:
    """Compile `sources` into one library, once per content, and load it, or raise `MissingPeerError`."""
    if shutil.which(compiler) is None:
        raise MissingPeerError(f"no {compiler} here")
    digest = hashlib.sha256(" ".join(flags).encode() + b"".join(path.read_bytes() for path in sources)).hexdigest()
    library = BUILD / f"{sources[0].stem}-{digest[:16]}.so"
    if not library.exists():
        BUILD.mkdir(exist_ok=True)
        command = [compiler, *flags, "-fPIC", "-shared", *(str(path) for path in sources), "-o", str(library)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise MissingPeerError(f"{compiler} failed: {done.stderr.strip().splitlines()[0]}")
    return ctypes.CDLL(str(library))


def black_avx512() -> ctypes.CDLL:
    """The hand-written Black kernels: `price_greeks`, `price_full` and `stress_totals`."""
    cpuinfo = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not cpuinfo.exists() or "avx512dq" not in cpuinfo.read_text():
        raise MissingPeerError("no AVX-512 on this processor")
    flags = ["-O3", "-march=native", "-mprefer-vector-width=512", "-ffp-contract=fast"]
    library = build([HERE / "black_avx512.c"], "gcc", flags)
    library.price_greeks.argtypes = [ctypes.c_void_p] * 10 + [ctypes.c_int64]
    library.price_full.argtypes = [ctypes.c_void_p] * 6 + [ctypes.c_int64] * 2
    library.stress_totals.argtypes = [ctypes.c_void_p, ctypes.c_int64, *[ctypes.c_void_p] * 6, ctypes.c_int64]
    return library


def jaeckel() -> ctypes.CDLL:
    """Jaeckel's reference C++ in a C loop: `implied_vols`."""
    names = ["LetsBeRational.cpp", "erf_cody.cpp", "rationalcubic.cpp", "normaldistribution.cpp"]
    if not all((JAECKEL_SOURCES / name).exists() for name in names):
        raise MissingPeerError("sources absent: python -m bench.peers.setup")
    sources = [HERE / "jaeckel_loop.cpp", *(JAECKEL_SOURCES / name for name in names)]
    library = build(sources, "g++", ["-O3", "-march=native", "-ffast-math", "-DNDEBUG", "-w"])
    library.implied_vols.argtypes = [ctypes.c_void_p] * 6 + [ctypes.c_int64]
    return library


class Addresses:
    """Where contiguous float64 arrays lie, asked of ctypes once: at every call it would cost more than the pricing."""

    def __init__(self, *columns: NDArray[np.float64]) -> None:
        self._columns = columns  # keeps the memory
        self._begin = [int(column.ctypes.data) for column in columns]

    def at(self, row: int) -> list[int]:
        """Address of element `row` of each."""
        return [begin + 8 * row for begin in self._begin]
