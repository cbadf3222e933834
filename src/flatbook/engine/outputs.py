"""A running digest that can be put down and taken up again."""

import hashlib

_FOLD_BYTES = 4096


class OutputDigest:
    """SHA-256 of all that was fed to it: of what was fed since the last fold, begun with the digest at that fold.

    hashlib gives no digest back that was under way. So it is begun anew every few kilobytes, whoever reads it when, and
    what came since is kept and makes it again.
    """

    def __init__(self) -> None:
        self._begun_with = b""
        self._since = bytearray()
        self._hash = hashlib.sha256()

    def update(self, content: bytes | memoryview) -> None:
        """Feeds more."""
        self._hash.update(content)
        if len(self._since) + memoryview(content).nbytes >= _FOLD_BYTES:
            self.__setstate__((self._hash.digest(), b""))
        else:
            self._since += content

    def digest(self) -> bytes:
        """Of everything so far."""
        return self._hash.digest()

    def hexdigest(self) -> str:
        """The same in hexadecimal."""
        return self._hash.hexdigest()

    def plus(self, *contents: bytes) -> str:
        """The hexadecimal digest with `contents` after it, which are not fed."""
        more = self._hash.copy()
        for content in contents:
            more.update(content)
        return more.hexdigest()

    def __getstate__(self) -> tuple[bytes, bytes]:
        return self._begun_with, bytes(self._since)

    def __setstate__(self, state: tuple[bytes, bytes]) -> None:
        self._begun_with, since = state
        self._since = bytearray(since)
        self._hash = hashlib.sha256(self._begun_with)
        self._hash.update(since)
