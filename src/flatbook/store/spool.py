"""The spool: every event that the engine saw since the recorder's last whole part, on its way to the disk before it.

    file        8 bytes: `FBSPOOL` and the format's number; then blocks
    block       magic (4 bytes, the last says whether the stream of deflate begins anew), number, length, checksum of
                the payload, checksum of these 16 bytes: little-endian words of 4 bytes
    payload     deflate up to a sync flush of: length (4 bytes) and msgpack of each event

`append` buffers, `sync` hands the buffer to the operating system, and the caller syncs before effects leave: what was
synced outlives a killed process; power loss may cost the last blocks (`close` alone waits for the disk), as with the
journal. A block that was torn at the file's end is dropped and `recovered` says so; damage before the last block is
refused with its position in bytes, for payloads' checksums are chained and blocks are numbered: none can be changed,
swapped or taken out.

The stream of deflate goes on from block to block, so that a block of one event is compressed by those before it.
Memory holds one block and deflate's window.
"""

import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import NamedTuple

import msgspec

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import AnyEvent

SPOOL_FILE = "events.spool"
BLOCK_BYTES = 1 << 16
"""Events are handed over in blocks of this size, before compression, where nobody syncs earlier."""

_NAME = b"FBSPOOL"
_FILE_HEADER = _NAME + bytes([1])
_ANEW, _GOES_ON = b"FBB\x00", b"FBB\x01"
_BLOCK = struct.Struct("<4sIII")
_BLOCK_HEADER_BYTES = _BLOCK.size + 4
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class _Block:
    """Where a block lies, and its number, payload and chained checksum."""

    at: int
    number: int
    begins_anew: bool
    payload: bytes
    checksum: int

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.at + _BLOCK_HEADER_BYTES + len(self.payload)


class SpoolMark(NamedTuple):
    """A place between two blocks: the byte, and number and checksum of the block before it."""

    at: int
    number: int
    checksum: int


@dataclass(frozen=True, slots=True)
class _Torn:
    """From where on the file's last bytes are no whole block."""

    at: int


_START = SpoolMark(len(_FILE_HEADER), 0, 0)


class Spool:
    """An open spool. Make one with `create`, `open` (to go on writing) or `read` (beside a running writer).

    recovered       what was dropped from the file's end when it was opened; None where it was whole
    size_bytes      the file's length so far
    """

    def __init__(self, path: Path, file: FileIO, is_writing: bool) -> None:
        self.path = path
        self.recovered: str | None = None
        self.size_bytes = len(_FILE_HEADER)
        self._file, self._is_writing = file, is_writing
        self._buffer = bytearray()
        self._encode = msgspec.msgpack.Encoder().encode
        self._number = self._checksum = 0
        self._deflate: zlib._Compress | None = None

    @classmethod
    def create(cls, path: Path) -> "Spool":
        """A new, empty spool at `path`.

        Errors      BadInputError where one is there already
        """
        try:
            file = FileIO(path, "x+")
        except FileExistsError:
            raise BadInputError(f"{path} already exists; open it, or remove it once its events are recorded") from None
        spool = cls(path, file, is_writing=True)
        spool._write(_FILE_HEADER)
        return spool

    @classmethod
    def open(cls, path: Path) -> "Spool":
        """The spool at `path`, to be continued; every block is checked, and a torn last one is taken off.

        Errors      BadInputError where there is none, or it is damaged before its last block
        """
        return cls._checked(path, is_writing=True)

    @classmethod
    def read(cls, path: Path) -> "Spool":
        """The same to look at; the file stays as it is.

        Errors      BadInputError where there is none, or it is damaged before its last block
        """
        return cls._checked(path, is_writing=False)

    @classmethod
    def _checked(cls, path: Path, *, is_writing: bool) -> "Spool":
        if not path.is_file():
            raise BadInputError(f"{path}: no spool there; name the directory of a recording")
        spool = cls(path, FileIO(path, "r+" if is_writing else "r"), is_writing)
        try:
            spool._take_up()
        except BadInputError:
            spool._file.close()
            raise
        if not is_writing:
            spool._file.close()
        return spool

    def append(self, event: AnyEvent) -> None:
        """Buffers an event; a buffer that has grown to a block is synced."""
        encoded = self._encode(event)
        self._buffer += _LENGTH.pack(len(encoded))
        self._buffer += encoded
        if len(self._buffer) >= BLOCK_BYTES:
            self.sync()

    def sync(self) -> None:
        """What was appended outlives this process from here on.

        Errors      BadInputError where it cannot be written, as on a full disk; what was appended stays buffered
        """
        if not self._buffer:
            return
        magic = _GOES_ON if self._deflate is not None else _ANEW
        deflate = self._deflate or zlib.compressobj(level=1, wbits=-zlib.MAX_WBITS)
        self._deflate = None  # where the write fails the stream that the file holds has not had these bytes
        payload = deflate.compress(self._buffer) + deflate.flush(zlib.Z_SYNC_FLUSH)
        checksum = zlib.crc32(payload, self._checksum)
        header = _BLOCK.pack(magic, self._number + 1, len(payload), checksum)
        self._write(header + _LENGTH.pack(zlib.crc32(header)) + payload)
        self.size_bytes += _BLOCK_HEADER_BYTES + len(payload)
        self._number, self._checksum, self._deflate = self._number + 1, checksum, deflate
        self._buffer.clear()

    def mark(self) -> SpoolMark:
        """Where it ends now; what comes after can be read from there, for it begins a stream of its own."""
        self.sync()
        self._deflate = None
        return SpoolMark(self.size_bytes, self._number, self._checksum)

    def holds(self, mark: SpoolMark) -> bool:
        """Whether it is as long as when that was marked: one that lost its end with the machine's power is not."""
        return mark.number <= self._number and mark.at <= self.size_bytes

    def events(self, since: SpoolMark | None = None) -> Iterator[AnyEvent]:
        """The synced events in order, from a mark or the start, up to what was there when the first was asked for.

        Errors      BadInputError where a block has been damaged since the spool was opened, or the mark is not its own
        """
        decode = msgspec.msgpack.Decoder(AnyEvent).decode
        end, inflate = self.size_bytes, zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        with FileIO(self.path) as file:
            for block in _blocks(self.path, file, end, since or _START):
                if isinstance(block, _Torn):
                    raise _damaged(self.path, block.at, "the last block has changed since the spool was opened")
                if block.begins_anew:
                    inflate = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
                for encoded in _split(inflate.decompress(block.payload)):
                    yield decode(encoded)

    def restart(self) -> None:
        """Lets go of everything: its events are kept elsewhere now.

        A process killed between that and this finds them in both places; the recorder's last local time says which.
        """
        self._file.truncate(len(_FILE_HEADER))
        self._file.seek(len(_FILE_HEADER))
        self._buffer.clear()
        self.size_bytes, self._number, self._checksum, self._deflate = len(_FILE_HEADER), 0, 0, None

    def close(self) -> None:
        """Syncs, waits for the disk, and lets the file go."""
        if self._is_writing and not self._file.closed:
            self.sync()
            os.fsync(self._file.fileno())
        self._file.close()

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take_up(self) -> None:
        """Checks every block, and leaves the file ready for the next."""
        whole_bytes = os.fstat(self._file.fileno()).st_size
        begun = self._file.read(len(_FILE_HEADER))
        if begun != _FILE_HEADER[: len(begun)]:
            raise _foreign(self.path, begun)
        torn_at = 0 if len(begun) < len(_FILE_HEADER) else None
        for block in _blocks(self.path, self._file, whole_bytes) if torn_at is None else ():
            if isinstance(block, _Torn):
                torn_at = block.at
            else:
                self.size_bytes, self._number, self._checksum = block.end, block.number, block.checksum
        if torn_at is not None:
            self.recovered = (
                f"{self.path}: the last {whole_bytes - torn_at} bytes, from byte {torn_at} on, were torn in writing: "
                f"dropped; goes on after block {self._number}"
            )
        if self._is_writing:
            self._mend(whole_bytes)

    def _mend(self, whole_bytes: int) -> None:
        if whole_bytes < len(_FILE_HEADER):
            self._file.seek(0)
            self._file.write(_FILE_HEADER)
        self._file.truncate(self.size_bytes)
        self._file.seek(self.size_bytes)

    def _write(self, content: bytes) -> None:
        start, left = self._file.tell(), memoryview(content)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self._file.truncate(start)
            self._file.seek(start)
            raise BadInputError(f"{self.path}: cannot be written ({error.strerror}); make room, then go on") from None


def _blocks(path: Path, file: FileIO, end: int, since: SpoolMark = _START) -> Iterator[_Block | _Torn]:
    """The whole blocks from a mark up to byte `end`; last what is torn there.

    Errors      BadInputError for damage that is not at the end
    """
    at, last_number, last_checksum = since
    file.seek(at)
    while at < end:
        header = file.read(min(_BLOCK_HEADER_BYTES, end - at))
        if not _is_header(header):
            if _has_header(file, at + 1, end):
                raise _damaged(path, at, f"the header of block {last_number + 1} fails its checksum")
            yield _Torn(at)
            return
        magic, number, length, checksum = _BLOCK.unpack_from(header)
        if number != last_number + 1:
            raise _damaged(path, at, f"block {number} follows block {last_number}")
        payload = file.read(min(length, end - at - _BLOCK_HEADER_BYTES))
        block = _Block(at, number, magic == _ANEW, payload, zlib.crc32(payload, last_checksum))
        if block.checksum != checksum or len(payload) < length:
            if block.end < end:
                raise _damaged(path, at, f"block {number} fails its checksum")
            yield _Torn(at)
            return
        yield block
        at, last_number, last_checksum = block.end, number, checksum


def _is_header(header: bytes) -> bool:
    if len(header) < _BLOCK_HEADER_BYTES or header[:4] not in (_ANEW, _GOES_ON):
        return False
    return header[_BLOCK.size :] == _LENGTH.pack(zlib.crc32(header[: _BLOCK.size]))


def _has_header(file: FileIO, start: int, end: int) -> bool:
    """Whether a block begins anywhere from `start` on: then what stands before it was once whole."""
    with mmap.mmap(file.fileno(), end, access=mmap.ACCESS_READ) as content:
        at = content.find(_ANEW[:3], start)
        while at >= 0:
            if _is_header(content[at : at + _BLOCK_HEADER_BYTES]):
                return True
            at = content.find(_ANEW[:3], at + 1)
    return False


def _split(content: bytes) -> Iterator[memoryview]:
    """The events of a block, still encoded."""
    view, at = memoryview(content), 0
    while at < len(content):
        (length,) = _LENGTH.unpack_from(content, at)
        at += _LENGTH.size
        yield view[at : at + length]
        at += length


def _foreign(path: Path, begun: bytes) -> BadInputError:
    if begun.startswith(_NAME):
        return BadInputError(
            f"{path}: spool format {begun[-1]}, this flatbook reads {_FILE_HEADER[-1]}; use the other release"
        )
    return _damaged(path, 0, "it does not begin as a spool does")


def _damaged(path: Path, at: int, what: str) -> BadInputError:
    return BadInputError(f"{path}: damaged at byte {at}: {what}; restore it from a copy, or begin a new recording")
