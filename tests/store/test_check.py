"""Each oddity is found, counted, and its meaning said."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.domain.reference import ReferenceData
from flatbook.store.check import CheckReport, Finding, Severity, check_session
from flatbook.store.session import Session
from flatbook.store.tables import INSTRUMENTS

from .builders import CALL, PUT, T0, write_session

_GOOD: dict[str, Sequence[Mapping[str, Any]]] = {
    "index": [{"at": 0}, {"at": 1}],
    "quotes": [{"at": 2}],
    "trades": [{"at": 2}],
    "chain": [{"at": 3}],
    "funding": [{"at": 4}],
}


def _check(folder: Path, reference: ReferenceData, **tables: Sequence[Mapping[str, Any]]) -> CheckReport:
    return check_session(write_session(folder / "s", **(_GOOD | tables)), reference)


def _of(report: CheckReport, table: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.table == table]


def _know(directory: Path, *names: str) -> None:
    """Says that the instruments were known 2 s after `T0`."""
    rows = [{"instrument": name, "first_seen_ns": T0 + 2 * 10**9, "kind": "option", "expiry_ns": 1} for name in names]
    table = pl.DataFrame([row | {"strike": "80000", "right": "C"} for row in rows])
    table.write_parquet(directory / INSTRUMENTS.file_name)


def test_a_sound_session_has_nothing_to_say(tmp_path: Path, reference: ReferenceData) -> None:
    directory = write_session(tmp_path / "s", **_GOOD)
    _know(directory, CALL)
    report = check_session(directory, reference)
    assert report.findings == ()
    assert report.is_usable
    assert report.rows == {"instruments": 1, "index": 2, "quotes": 1, "trades": 1, "chain": 1, "funding": 1}


@pytest.mark.parametrize(
    ("tables", "table", "severity", "what", "count"),
    [
        ({"trades": [{"at": 2, "price": -1.0}]}, "trades", Severity.UNUSABLE, "price is -1.0", 1),
        ({"index": [{"at": 3}, {"at": 2}]}, "index", Severity.UNUSABLE, "is before the row above it", 1),
        (
            {"trades": [{"at": 2}, {"at": 2 + 1_801, "trade_id": "2"}]},
            "trades",
            Severity.NOTE,
            "silent for more than 30 min, the longest 30 min from 2025-04-01T12:00:02.000Z",
            1,
        ),
        ({"index": [{"at": 0}, {"at": 1}, {"at": 400}]}, "index", Severity.NOTE, "silent for more than 5 min", 1),
        (
            {"trades": [{"at": 2, "exch_ts_ns": T0 + 2_500_000_000}]},
            "trades",
            Severity.WARNING,
            "local_ts_ns is before exch_ts_ns, by up to 500.000 ms",
            1,
        ),
        (
            {"trades": [{"at": 2}, {"at": 3}, {"at": 4}]},
            "trades",
            Severity.WARNING,
            "rows that repeat another's instrument, trade_id",
            2,
        ),
        ({"chain": [{"at": 3}, {"at": 3}]}, "chain", Severity.WARNING, "rows that repeat another's underlying", 1),
        ({"chain": [{"at": 3, "bid": 0.07}]}, "chain", Severity.WARNING, "crossed quote", 1),
        ({"quotes": [{"at": 2, "bid": 85_000.0}]}, "quotes", Severity.WARNING, "crossed top of book", 1),
        ({"quotes": [{"at": 2, "ask": 0.0}]}, "quotes", Severity.UNUSABLE, "ask is 0.0", 1),
        ({"trades": [{"at": 2, "instrument": "X"}]}, "trades", Severity.WARNING, "trade of an unknown instrument", 1),
        (
            {"trades": [{"at": 2, "index_usd": 84_001.0}]},
            "trades",
            Severity.WARNING,
            "trades whose index was not heard of before them",
            1,
        ),
        ({"index": [{"at": 2.5}]}, "trades", Severity.WARNING, "trades whose index was not heard of before them", 1),
    ],
)
def test_each_oddity(
    tmp_path: Path,
    reference: ReferenceData,
    tables: dict[str, list[dict[str, Any]]],
    table: str,
    severity: Severity,
    what: str,
    count: int,
) -> None:
    report = _check(tmp_path, reference, **tables)
    (finding,) = (finding for finding in _of(report, table) if what in finding.what)
    assert (finding.severity, finding.count) == (severity, count)
    assert finding.meaning.endswith(".")
    assert report.is_usable == (severity is not Severity.UNUSABLE)


def test_a_file_cut_short_is_a_finding_and_the_rest_is_still_checked(tmp_path: Path, reference: ReferenceData) -> None:
    directory = write_session(tmp_path / "s", **(_GOOD | {"chain": [{"bid": 0.07}]}))
    (directory / "trades.parquet").write_bytes(b"PAR1")
    report = check_session(directory, reference)
    assert not report.is_usable
    assert report.findings[0].severity is Severity.UNUSABLE
    assert "not a whole Parquet file" in report.findings[0].what
    assert [finding.what for finding in _of(report, "chain")] == ["crossed quote"]


def test_absent_tables_are_told_by_what_they_cost(tmp_path: Path, reference: ReferenceData) -> None:
    report = check_session(write_session(tmp_path / "s"), reference)
    absent = {finding.table: finding.severity for finding in report.findings}
    assert absent == {
        "index": Severity.UNUSABLE,
        "trades": Severity.WARNING,
        "chain": Severity.NOTE,
        "quotes": Severity.NOTE,
        "funding": Severity.NOTE,
        "instruments": Severity.NOTE,
    }
    assert [finding.table for finding in report.findings][:2] == ["index", "trades"]


def test_an_instrument_known_too_early(tmp_path: Path, reference: ReferenceData) -> None:
    directory = write_session(tmp_path / "s", **(_GOOD | {"chain": [{"at": 3, "instrument": PUT}]}))
    _know(directory, CALL, PUT)
    (finding,) = _of(check_session(directory, reference), "instruments")
    assert (finding.what, finding.count) == ("instruments said to be known before their first row", 1)


def test_no_session_is_bad_input(tmp_path: Path, reference: ReferenceData) -> None:
    with pytest.raises(BadInputError, match="is not a session directory"):
        check_session(tmp_path, reference)


def test_the_recorded_tape_is_usable_and_its_oddities_are_these(recorded: Session, reference: ReferenceData) -> None:
    report = check_session(recorded.path, reference)
    assert report.is_usable
    assert report.digest == recorded.digest
    assert [(finding.severity, finding.table, finding.count) for finding in report.findings] == [
        (Severity.NOTE, "quotes", 1),
        (Severity.NOTE, "funding", 1),
        (Severity.NOTE, "trades", 5),
        (Severity.NOTE, "session.toml", 9),
    ]
