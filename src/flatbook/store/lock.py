"""One writer a run directory: a lock file that holds the writer's process id.

The lock is the operating system's, on the open file: it ends with the process however that ends, so that a stale id
in the file never keeps anyone out. The id is there for the message.
"""

import os
import sys
from pathlib import Path

from flatbook.domain.errors import BadInputError

LOCK_FILE = "run.lock"


class RunLock:
    """Holds the lock of a run directory from its making to `release`.

    `stale_pid` is the id that a writer left behind which ended without releasing (killed, or the machine stopped);
    None after an orderly end.

    Errors      BadInputError where another process holds it
    """

    def __init__(self, directory: Path) -> None:
        path = directory / LOCK_FILE
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(self._descriptor)
        except OSError:
            holder = self._read_pid()
            os.close(self._descriptor)
            raise BadInputError(
                f"{directory} is in use by process {holder or 'unknown'}; wait for it, stop it, or name another --out"
            ) from None
        self.stale_pid = self._read_pid()
        self._write(str(os.getpid()))

    def release(self) -> None:
        """Gives the lock back; the file stays, empty."""
        self._write("")
        os.close(self._descriptor)

    def _read_pid(self) -> int | None:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        text = os.read(self._descriptor, 32)
        return int(text) if text.isdigit() else None

    def _write(self, text: str) -> None:
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, text.encode())


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
