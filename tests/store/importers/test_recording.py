"""A session is written whole or not at all."""

from pathlib import Path

import polars as pl
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.domain.reference import ReferenceData
from flatbook.store.importers import import_session
from flatbook.store.importers.recording import Recording, write
from flatbook.store.session import open_session
from flatbook.store.tables import CHAIN, INDEX, INSTRUMENTS, TRADES, read_table

from ..builders import CALL, PUT, T0, rows, screener_trades, write_export


def _recording() -> Recording:
    return Recording(
        "made by hand",
        index=rows(INDEX, {"at": 2}, {"at": 1}),
        trades=rows(TRADES, {"at": 4}),
        chain=rows(CHAIN, {"at": 3, "instrument": PUT}, {"at": 3}),
        inputs=[Path(__file__)],
    )


def test_rows_are_put_in_order_and_instruments_dated(tmp_path: Path) -> None:
    meta = write(_recording(), tmp_path / "s", "none")
    assert read_table(tmp_path / "s", INDEX)["local_ts_ns"].to_list() == [T0 + 10**9, T0 + 2 * 10**9]
    known = read_table(tmp_path / "s", INSTRUMENTS)
    assert known.select("instrument", "first_seen_ns", "kind", "strike", "right").rows() == [
        (CALL, T0 + 3 * 10**9, "option", "80000", "C"),
        (PUT, T0 + 3 * 10**9, "option", "80000", "P"),
    ]
    assert meta.span.start == "2025-04-01T12:00:01.000Z"
    assert meta.span.end == "2025-04-01T12:00:04.001Z"
    session = open_session(tmp_path / "s")
    assert session.from_ns <= T0 + 10**9 < T0 + 4 * 10**9 < session.to_ns


def test_an_empty_table_has_no_file(tmp_path: Path) -> None:
    write(_recording(), tmp_path / "s", "none")
    assert not (tmp_path / "s" / "funding.parquet").exists()


def test_a_table_no_reader_would_take_is_not_written(tmp_path: Path) -> None:
    recording = _recording()
    recording.trades = recording.trades.with_columns(price=pl.lit(-1.0))
    with pytest.raises(BadInputError, match=r"the trades table would be unusable: row 0: price is -1\.0"):
        write(recording, tmp_path / "s", "none")
    assert list(tmp_path.iterdir()) == []


def test_nothing_left_is_an_error_that_says_why(tmp_path: Path, reference: ReferenceData) -> None:
    export = write_export(tmp_path / "in", screener_trades({"Side": "?"}, {"Side": "?"}))
    with pytest.raises(BadInputError, match=r"no usable trade is left \(2 trade without a side\)"):
        import_session(export, tmp_path / "out", reference)
    assert not (tmp_path / "out").exists()


def test_what_no_format_explains(tmp_path: Path, reference: ReferenceData) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(
        BadInputError, match=r"no recording we know; recognised by columns are Deribit screener trades;"
    ):
        import_session(tmp_path, tmp_path / "out", reference)


def test_a_session_is_never_written_over(tmp_path: Path, reference: ReferenceData) -> None:
    export = write_export(tmp_path / "in", screener_trades({}))
    import_session(export, tmp_path / "out", reference)
    digest = open_session(tmp_path / "out").digest
    with pytest.raises(BadInputError, match=r"out already exists; name another directory"):
        import_session(export, tmp_path / "out", reference)
    assert open_session(tmp_path / "out").digest == digest
