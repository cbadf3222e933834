"""Snapshots: all that changes in a run, at an event, so that its journal is replayed from there and not from the start.

    file    magic (8 bytes), SHA-256 of the rest (32), length of the header (4), header (msgpack), pickle (deflated)

Each is whole or not there (`new_file`), and never the only truth: one that is damaged, or of another program or policy,
is passed over, and the replay begins earlier. What a snapshot names is made again by whoever opens it, and not kept:
the setup, the reference data, instruments by their names.

Pickle, because what is kept is our own dozens of classes as they are, arrays among them, views of each other too; and
another program's layout of them is refused anyway. It is read after its checksum only, by an unpickler that makes
classes of our core and plain values, and calls nothing else: a file of somebody else's can at worst be a wrong state.
"""

import hashlib
import io
import pickle
import types
import zlib
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import UnknownInstrumentError
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.store.atomic import new_file

SNAPSHOT_DIRECTORY = "snapshots"
_MAGIC = b"FBSNAP\x00\x01"
_DIGEST_BYTES, _LENGTH_BYTES = 32, 4
_KEPT = 2
_CORE = frozenset(
    {"domain", "kernels", "market", "ledger", "valuation", "decide", "execution", "risk", "report", "engine", "sim"}
)
_PLAIN = {
    ("builtins", "bytearray"),
    ("builtins", "frozenset"),
    ("builtins", "range"),
    ("builtins", "set"),
    ("collections", "Counter"),
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("collections", "deque"),
    ("decimal", "Decimal"),
    ("fractions", "Fraction"),
}


class Origin(msgspec.Struct, frozen=True):
    """What a snapshot is good for: digests of the program and the policy that made it, and the run's id."""

    program: str
    policy: str
    run_id: str


class SnapshotHeader(msgspec.Struct, frozen=True):
    """When a snapshot was taken: after event `event_seq` at `ts_ns`, and of what origin."""

    event_seq: int
    ts_ns: int
    origin: Origin


@dataclass(frozen=True)
class Snapshot:
    """A snapshot read: its header and what was kept."""

    header: SnapshotHeader
    content: Any


@dataclass(frozen=True)
class Known:
    """What whoever reads a snapshot has already: by its name, and instruments by theirs."""

    reference: ReferenceData
    by_name: Mapping[str, Any]


class Snapshots:
    """The snapshots of a run, in a directory of its own.

    passed_over     why snapshots that were there were not used, newest first
    """

    def __init__(self, run: Path, origin: Origin) -> None:
        self.passed_over: list[str] = []
        self._directory, self._origin = run / SNAPSHOT_DIRECTORY, origin

    def write(self, event_seq: int, ts_ns: int, content: Any, known: Known) -> None:
        """Keeps `content` as of now, and of earlier ones the newest."""
        kept = io.BytesIO()
        _Pickler(kept, known).dump(content)
        header = msgspec.msgpack.encode(SnapshotHeader(event_seq, ts_ns, self._origin))
        whole = len(header).to_bytes(_LENGTH_BYTES, "little") + header + zlib.compress(kept.getbuffer(), 1)
        self._directory.mkdir(exist_ok=True)
        with new_file(self._directory / f"{event_seq:012d}.snapshot") as scratch:
            scratch.write_bytes(_MAGIC + hashlib.sha256(whole).digest() + whole)
        for path in self._newest_first()[_KEPT:]:
            path.unlink()

    def latest(
        self, known: Known, is_usable: Callable[[SnapshotHeader], bool] = lambda _header: True
    ) -> Snapshot | None:
        """The newest that is whole, of this origin, and usable; None where there is none."""
        for path in self._newest_first():
            try:
                header, kept = _parts(path)
                self._require_origin(header)
                if is_usable(header):
                    return Snapshot(header, _Unpickler(io.BytesIO(zlib.decompress(kept)), known).load())
            except (_UnusableError, pickle.UnpicklingError) as error:
                self.passed_over.append(f"{path}: not used: {error}")
        return None

    def _require_origin(self, header: SnapshotHeader) -> None:
        then, now = header.origin, self._origin
        for what, was, is_now in (
            ("program", then.program, now.program),
            ("policy", then.policy, now.policy),
            ("run", then.run_id, now.run_id),
        ):
            if was != is_now:
                raise _UnusableError(f"it is of another {what} ({was[:12]}, and this is {is_now[:12]})")

    def _newest_first(self) -> list[Path]:
        return sorted(self._directory.glob("????????????.snapshot"), reverse=True)


class _UnusableError(Exception):
    """Why a snapshot is not used."""


def _parts(path: Path) -> tuple[SnapshotHeader, bytes]:
    content = path.read_bytes()
    start = len(_MAGIC) + _DIGEST_BYTES
    if not content.startswith(_MAGIC):
        raise _UnusableError("it does not begin as a snapshot of this format does")
    whole = content[start:]
    if hashlib.sha256(whole).digest() != content[len(_MAGIC) : start]:
        raise _UnusableError("it is damaged: its checksum fails")
    end = _LENGTH_BYTES + int.from_bytes(whole[:_LENGTH_BYTES], "little")
    return msgspec.msgpack.decode(whole[_LENGTH_BYTES:end], type=SnapshotHeader), whole[end:]


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, known: Known) -> None:
        super().__init__(file, protocol=5)
        self._name_of = {id(value): name for name, value in known.by_name.items()}
        self._reference = known.reference

    def persistent_id(self, value: Any) -> tuple[str, str] | None:
        if id(value) in self._name_of:
            return "known", self._name_of[id(value)]
        return ("instrument", value.name) if isinstance(value, Instrument) and self._knows(value) else None

    def _knows(self, instrument: Instrument) -> bool:
        try:
            return self._reference.instrument(instrument.name) is instrument
        except UnknownInstrumentError:
            return False

    def reducer_override(self, value: Any) -> Any:
        match value:
            case np.ndarray():
                return _array_parts(value)
            case msgspec.Struct():
                return _struct, (type(value), msgspec.structs.asdict(value))
            case np.generic():
                return _scalar, (value.dtype.str, value.tobytes())
            case np.random.Generator():
                return _generator, (value.bit_generator.state,)
            case array():
                return _column, (value.typecode, value.tobytes())
            case types.MethodType():
                return _method, (value.__self__, value.__name__)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, known: Known) -> None:
        super().__init__(file)
        self._known = known

    def persistent_load(self, pid: Any) -> Any:
        kind, name = pid
        return self._known.by_name[name] if kind == "known" else self._known.reference.instrument(name)

    def find_class(self, module: str, name: str) -> Any:
        if module == __name__ and name in _MAKERS:
            return _MAKERS[name]
        package, _, rest = module.partition(".")
        is_core = package == "flatbook" and rest.partition(".")[0] in _CORE
        found = super().find_class(module, name) if is_core or (module, name) in _PLAIN else None
        if found is None or (is_core and not isinstance(found, type)):
            raise pickle.UnpicklingError(f"{module}.{name} is nothing that a snapshot holds")
        return found


def _array_parts(value: NDArray[Any]) -> Any:
    """How an array is made again: a view of the array that it is a view of, else of its bytes."""
    if value.dtype.hasobject:
        raise pickle.PicklingError("an array of objects is nothing that a snapshot holds")
    base = value.base
    if isinstance(base, np.ndarray) and base.flags.owndata and base.dtype == value.dtype:
        offset = value.ctypes.data - base.ctypes.data
        return _view, (base, offset, value.shape, value.strides, value.flags.writeable)
    order: Literal["C", "F"] = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
    return _owned, (value.tobytes(order), value.dtype.str, value.shape, order, value.flags.writeable)


def _owned(content: bytes, kind: str, shape: tuple[int, ...], order: Any, is_writeable: bool) -> NDArray[Any]:
    made = np.ndarray(shape, np.dtype(kind), bytearray(content), order=order).copy(order)
    made.flags.writeable = is_writeable
    return made


def _struct(kind: type[msgspec.Struct], fields: dict[str, Any]) -> msgspec.Struct:
    return kind(**fields)


def _scalar(kind: str, content: bytes) -> Any:
    return np.frombuffer(content, kind)[0]


def _view(
    base: NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], is_writeable: bool
) -> NDArray[Any]:
    made = np.ndarray(shape, base.dtype, base, offset, strides)
    made.flags.writeable = is_writeable and base.flags.writeable
    return made


def _generator(state: Any) -> np.random.Generator:
    bits = np.random.PCG64()
    bits.state = state
    return np.random.Generator(bits)


def _column(typecode: str, content: bytes) -> Any:
    made = array(typecode)
    made.frombytes(content)
    return made


def _method(owner: Any, name: str) -> Any:
    found = vars(type(owner)).get(name)
    if not isinstance(found, types.FunctionType):
        raise pickle.UnpicklingError(f"{type(owner).__name__}.{name} is nothing that a snapshot holds")
    return types.MethodType(found, owner)


_MAKERS = {made.__name__: made for made in (_owned, _view, _struct, _scalar, _generator, _column, _method)}
