"""What a journal's tables hold, and the checksums that chain their rows."""

import zlib
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

import msgspec

FORMAT_VERSION = 2
FIRST = 1

_NUMBERS = Struct("<qq")
_COVERED = Struct("<qqI")


class RunHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is. `config_json` is the effective configuration, `policy_text` the policy file as it was read."""

    run_id: str
    version: str
    config_json: str
    policy_text: str
    seed: int
    session_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """After event `event_seq`, at `ts_ns`, all that had gone out had this digest, and the inbox `inbox_seq` rows."""

    event_seq: int
    ts_ns: int
    digest: bytes
    inbox_seq: int


class HeaderRow(NamedTuple):
    """The header as it is stored; the checksum is of the content."""

    format: int
    content: str
    checksum: int


class InboxRow(NamedTuple):
    """An event, encoded, at its place in the inbox; places count from 1."""

    seq: int
    ts_ns: int
    kind: str
    payload: bytes
    checksum: int


class CheckpointRow(NamedTuple):
    """A checkpoint, the `number`-th from 1, when the inbox had `inbox_seq` rows."""

    number: int
    event_seq: int
    ts_ns: int
    inbox_seq: int
    digest: bytes
    checksum: int

    @property
    def checkpoint(self) -> Checkpoint:
        """What it says to others."""
        return Checkpoint(self.event_seq, self.ts_ns, self.digest, self.inbox_seq)


class Chain:
    """Where both tables end, and the checksums that their next rows start from."""

    def __init__(self) -> None:
        self.next_seq = self.next_number = FIRST
        self._inbox = self._checkpoints = 0

    def inbox_row(self, ts_ns: int, kind: str, payload: bytes) -> InboxRow:
        """The next row of the inbox, at the chain's new end."""
        seq = self.next_seq
        started = zlib.crc32(_NUMBERS.pack(seq, ts_ns), self._inbox)
        self._inbox = zlib.crc32(payload, zlib.crc32(kind.encode(), started))
        self.next_seq = seq + 1
        return InboxRow(seq, ts_ns, kind, payload, self._inbox)

    def checkpoint_row(self, event_seq: int, ts_ns: int, digest: bytes) -> CheckpointRow:
        """The next checkpoint, over all of the inbox so far."""
        number, inbox_seq = self.next_number, self.next_seq - 1
        started = zlib.crc32(_NUMBERS.pack(number, event_seq), self._checkpoints)
        started = zlib.crc32(_COVERED.pack(ts_ns, inbox_seq, self._inbox), started)
        self._checkpoints = zlib.crc32(digest, started)
        self.next_number = number + 1
        return CheckpointRow(number, event_seq, ts_ns, inbox_seq, digest, self._checkpoints)
