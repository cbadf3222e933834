"""One writer a run directory, one maker an account: lock files that hold their holder's process id.

The lock is the operating system's, on the open file: it ends with the process however that ends, so that a stale id
in the file never keeps anyone out. The id is there for the message.
"""

import hashlib
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import format_utc

LOCK_FILE = "run.lock"
_KEY_DIGITS = 16


class RunLock:
    """Holds the lock of a run directory from its making to `release`.

    `stale_pid` is the id that a writer left behind which ended without releasing (killed, or the machine stopped);
    None after an orderly end.

    Errors      BadInputError where another process holds it
    """

    def __init__(self, directory: Path) -> None:
        self._file = _HeldFile(directory / LOCK_FILE)
        if not self._file.is_held:
            holder = _pid(self._file.left) or "unknown"
            raise BadInputError(
                f"{directory} is in use by process {holder}; wait for it, stop it, or name another --out"
            )
        self.stale_pid = _pid(self._file.left)
        self._file.write(str(os.getpid()))

    def release(self) -> None:
        """Gives the lock back; the file stays, empty."""
        self._file.release()


@contextmanager
def account_lock(venue: str, name: str, directory: Path) -> Iterator[None]:
    """Holds a venue's account, by whatever names it (its number there, a key of it), for the block: this user's second
    maker is refused.

    `directory` is where locks are, the same for every process of a user (`state_directory`); it is made, for the user
    alone, where it is not there. The name is in neither the file nor its name. A maker on another machine does not see
    the lock.

    Errors      BadInputError where another process holds the account
    """
    digest = hashlib.sha256(f"{venue}\n{name}".encode()).hexdigest()[:_KEY_DIGITS]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / f"{re.sub(r'[^A-Za-z0-9]+', '-', venue)}-{digest}.lock"
    file = _HeldFile(path)
    if not file.is_held:
        pid, _, since = file.left.partition(" ")
        raise BadInputError(
            f"this account of {venue} is in use by process {_pid(pid) or 'unknown'} since {since or 'an unknown time'} "
            f"({path}); stop it first: two makers on one account would trade against each other's books"
        )
    file.write(f"{os.getpid()} {format_utc(time.time_ns())}")
    try:
        yield
    finally:
        file.release()


def state_directory(environment: Mapping[str, str], home: Path) -> Path:
    """Where a user's programs keep what outlives them: `flatbook` in XDG_STATE_HOME, on Windows in LOCALAPPDATA."""
    if sys.platform == "win32":
        base = environment.get("LOCALAPPDATA") or home / "AppData" / "Local"
    else:
        base = environment.get("XDG_STATE_HOME") or home / ".local" / "state"
    return Path(base) / "flatbook"


class _HeldFile:
    """A file opened and, where nobody else holds it, locked; `left` is what the last holder wrote into it."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(self._descriptor)
            self.is_held = True
        except OSError:
            self.is_held = False
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self.left = os.read(self._descriptor, 256).decode(errors="replace")
        if not self.is_held:
            os.close(self._descriptor)

    def write(self, text: str) -> None:
        """Says who holds it."""
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, text.encode())

    def release(self) -> None:
        """Gives the lock back; the file stays, empty."""
        self.write("")
        os.close(self._descriptor)


def _pid(text: str) -> int | None:
    return int(text) if text.isdigit() else None


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        # A byte far past the text, so that the id stays readable.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
