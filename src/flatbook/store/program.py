"""Which program this is, to the byte: for files that only the program that wrote them can read."""

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

import flatbook

_COUNTED = ("numpy", "numba", "scipy")


@cache
def program_digest() -> str:
    """SHA-256 over flatbook's sources and the versions of what computes for it: the same, the same numbers."""
    root = Path(flatbook.__file__).parent
    total = hashlib.sha256(f"{flatbook.__version__} {platform.python_version()} {platform.machine()}".encode())
    for name in _COUNTED:
        total.update(f"{name} {version(name)}".encode())
    for path in sorted(path for suffix in ("py", "toml") for path in root.rglob(f"*.{suffix}")):
        total.update(f"{path.relative_to(root).as_posix()} {path.stat().st_size} ".encode() + path.read_bytes())
    return total.hexdigest()
