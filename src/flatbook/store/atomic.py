"""Files and directories that are whole or not there: written beside their place, then renamed into it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flatbook.domain.errors import BadInputError


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A scratch path that becomes `path`, replacing what is there, when the block ends without an error.

    The bytes are on the disk before the name is: a crash leaves the old file or the new one, never a part.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    scratch = Path(name)
    try:
        yield scratch
        with scratch.open("rb+") as written:
            os.fsync(written.fileno())
        scratch.chmod(0o644)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """A scratch directory that becomes `path` when the block ends without an error.

    Errors      BadInputError where `path` already holds something
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise BadInputError(f"{path} already exists; name another directory, or remove it first")
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkdtemp makes its directory private; a child of it has the permissions the user expects.
    parent = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    scratch = parent / path.name
    scratch.mkdir()
    try:
        yield scratch
        if path.exists():
            path.rmdir()
        scratch.rename(path)
    finally:
        shutil.rmtree(parent)


def write_text(path: Path, text: str) -> None:
    """`text` in UTF-8 as the whole of `path`, at once."""
    with new_file(path) as scratch:
        scratch.write_text(text, encoding="utf-8")
