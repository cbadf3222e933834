"""A snapshot gives back what it was given, is passed over where it cannot be used, and calls nothing it is not to."""

import hashlib
import io
import os
import pickle
import zlib
from array import array
from collections import deque
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.domain.events import IndexTick
from flatbook.report.tables import EquityRow, Series
from flatbook.risk.loss_stop import Stage
from flatbook.store.snapshots import SNAPSHOT_DIRECTORY, Known, Origin, SnapshotHeader, Snapshots
from flatbook.venues.deribit import load_reference

_REFERENCE = load_reference()
_KNOWN = Known(_REFERENCE, {"reference": _REFERENCE})
_ORIGIN = Origin("program", "policy", "run")
_MAGIC_BYTES = 8


def _given_back(directory: Path, content: Any) -> Any:
    snapshots = Snapshots(directory, _ORIGIN)
    snapshots.write(1, 2, content, _KNOWN)
    found = snapshots.latest(_KNOWN)
    assert found is not None, snapshots.passed_over
    assert found.header == SnapshotHeader(1, 2, _ORIGIN)
    return found.content


def test_values_of_every_kind_come_back_as_they_were(tmp_path: Path) -> None:
    tick = IndexTick(exch_ts_ns=1, local_ts_ns=2, underlying="BTC", price_usd=84_000.25)
    content = [
        tick, Stage.FLAT, Decimal("0.0005"), deque([1, 2], maxlen=3), {"a": {1, 2}}, frozenset({3}), (None, True),
        np.float64(0.1), np.int64(7), np.bool_(True), 2**80, float("inf"), bytearray(b"x"), array("q", [1, 2]),
    ]  # fmt: skip
    back = _given_back(tmp_path, content)
    assert back == content
    assert [type(value) for value in back] == [type(value) for value in content]
    assert back[3].maxlen == 3


def test_what_the_reader_has_is_not_kept_but_named(tmp_path: Path) -> None:
    option = _REFERENCE.instrument("BTC-11APR25-80000-C")
    reference, again, unknown = _given_back(tmp_path, (_REFERENCE, option, load_reference().instrument(option.name)))
    assert reference is _REFERENCE
    assert again is option
    assert unknown == option
    assert unknown is not option


def test_arrays_keep_their_order_their_views_and_who_may_write(tmp_path: Path) -> None:
    grid = np.arange(24.0).reshape(4, 6)
    fixed = np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3))
    fixed.flags.writeable = False
    content = {
        "grid": grid,
        "row": grid[1],
        "some": grid[::2, 1:5],
        "fixed": fixed,
        "none": np.zeros((0, 3)),
        "b": grid,
    }
    back = _given_back(tmp_path, content)
    for name, value in content.items():
        assert back[name].dtype == value.dtype
        assert back[name].strides == value.strides or value.size == 0
        np.testing.assert_array_equal(back[name], value)
    back["grid"][:] = 9.0
    assert (back["row"] == 9.0).all()
    assert (back["some"] == 9.0).all()
    assert back["b"] is back["grid"]
    assert back["fixed"].flags.f_contiguous
    assert not back["fixed"].flags.writeable
    assert back["grid"].flags.writeable
    with pytest.raises(pickle.PicklingError, match="an array of objects is nothing that a snapshot holds"):
        Snapshots(tmp_path, _ORIGIN).write(1, 2, np.array([object()]), _KNOWN)


def test_chance_and_series_go_on_from_where_they_were(tmp_path: Path) -> None:
    random, series = np.random.Generator(np.random.PCG64(7)), Series(EquityRow)
    random.normal(size=3)
    row = EquityRow.of(1, 80_000.0, {}, "normal")
    series.append(row)
    other_random, other_series = _given_back(tmp_path, (random, series))
    assert (other_random.normal(size=5) == random.normal(size=5)).all()
    for each in (series, other_series):
        each.append(row)
    assert other_series.frame().equals(series.frame())
    assert len(other_series) == 2


def test_the_two_newest_are_kept_and_the_newest_usable_is_read(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path, _ORIGIN)
    for event in (100, 200, 300):
        snapshots.write(event, event, event, _KNOWN)
    assert len(list((tmp_path / SNAPSHOT_DIRECTORY).iterdir())) == 2
    found = snapshots.latest(_KNOWN, lambda header: header.event_seq < 300)
    assert found is not None
    assert found.content == 200
    assert snapshots.latest(_KNOWN, lambda header: header.event_seq < 200) is None
    assert snapshots.passed_over == []


@pytest.mark.parametrize(
    ("origin", "says"),
    [
        (Origin("another", "policy", "run"), "it is of another program (program, and this is another)"),
        (Origin("program", "another", "run"), "it is of another policy (policy, and this is another)"),
        (Origin("program", "policy", "another"), "it is of another run (run, and this is another)"),
    ],
)
def test_one_of_another_program_or_policy_is_passed_over_and_said(tmp_path: Path, origin: Origin, says: str) -> None:
    Snapshots(tmp_path, _ORIGIN).write(1, 2, "state", _KNOWN)
    snapshots = Snapshots(tmp_path, origin)
    assert snapshots.latest(_KNOWN) is None
    (said,) = snapshots.passed_over
    assert said.endswith(f"000000000001.snapshot: not used: {says}")


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_one_that_was_hurt_anywhere_is_passed_over_for_the_one_before(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    run = tmp_path_factory.mktemp("run")
    snapshots = Snapshots(run, _ORIGIN)
    for event in (1, 2):
        snapshots.write(event, event, ["state", event], _KNOWN)
    newest = run / SNAPSHOT_DIRECTORY / "000000000002.snapshot"
    content = bytearray(newest.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= data.draw(st.integers(1, 255))
    else:
        del content[place:]
    newest.write_bytes(content)
    found = snapshots.latest(_KNOWN)
    assert found is not None
    assert found.content == ["state", 1]
    assert len(snapshots.passed_over) == 1


class _Intruder:
    """What somebody else would have run."""

    def __init__(self, made: Any) -> None:
        self._made = made

    def __reduce__(self) -> Any:
        return self._made


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ((os.system, ("touch intruded",)), "posix.system is nothing that a snapshot holds"),
        ((getattr, (Path, "touch")), "builtins.getattr is nothing"),
        ((eval, ("1",)), "builtins.eval is nothing"),
        ((load_reference, ()), "load_reference is nothing"),
        ((msgspec.json.decode, (b"1",)), "decode is nothing that a snapshot holds"),
    ],
)
def test_a_file_of_somebody_elses_calls_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Any, says: str
) -> None:
    """Even with a checksum that is right."""
    monkeypatch.chdir(tmp_path)
    Snapshots(tmp_path, _ORIGIN).write(1, 2, "state", _KNOWN)
    (path,) = (tmp_path / SNAPSHOT_DIRECTORY).iterdir()
    kept = io.BytesIO()
    pickle.Pickler(kept, protocol=5).dump(_Intruder(made))
    header = msgspec.msgpack.encode(SnapshotHeader(1, 2, _ORIGIN))
    whole = len(header).to_bytes(4, "little") + header + zlib.compress(kept.getvalue())
    path.write_bytes(path.read_bytes()[:_MAGIC_BYTES] + hashlib.sha256(whole).digest() + whole)
    snapshots = Snapshots(tmp_path, _ORIGIN)
    assert snapshots.latest(_KNOWN) is None
    assert not (tmp_path / "intruded").exists()
    (said,) = snapshots.passed_over
    assert says in said
