"""Make the peers' environment: `python -m bench.peers.setup`.

JAX and py_vollib_vectorized with the versions it still works with, in a virtual environment of their own, and the C++
of Jaeckel's "Let's be rational" from the last source distribution that carries it. Nothing of it is a requirement of
flatbook.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import venv
from pathlib import Path

from bench.peers.native import BUILD, JAECKEL_SOURCES

ENVIRONMENT = BUILD / "peers"
LATEST = ["hftbacktest==2.4.4", "jax", "numba", "pandas", "scipy"]
PINNED = ["py_lets_be_rational==1.0.1", "py_vollib==1.0.1", "py_vollib_vectorized==0.1.1"]
JAECKEL = "lets_be_rational==1.0.9"


def python() -> Path:
    """The interpreter of the peers' environment."""
    return ENVIRONMENT / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def main() -> None:
    """Create the environment and fetch the sources; safe to run again."""
    venv.create(ENVIRONMENT, with_pip=True)
    pip = [str(python()), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", *LATEST], check=True)
    subprocess.run([*pip, "install", "--quiet", "--no-deps", *PINNED], check=True)
    download = [*pip, "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(BUILD), JAECKEL]
    subprocess.run(download, check=True)
    archive = BUILD / f"{JAECKEL.replace('==', '-')}.tar.gz"
    JAECKEL_SOURCES.mkdir(exist_ok=True)
    with tarfile.open(archive) as packed:
        for member in packed.getmembers():
            source = packed.extractfile(member) if "/src/" in member.name else None
            if source is not None:
                (JAECKEL_SOURCES / Path(member.name).name).write_bytes(source.read())


if __name__ == "__main__":
    main()
