"""Raw streams become books: continuity, snapshot, clocks, integers; and the recorded markets, fills and all."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.domain.reference import ReferenceData
from flatbook.kernels import l2_layout as at
from flatbook.store.check import check_session
from flatbook.store.importers import import_session
from flatbook.store.session import open_session

from ..conftest import DATA

RECORDED = DATA / "binance-l2-raw" / "cm_ethusd_perp_20240808.jsonl.gz"
SENT_MS = 1_723_161_257_000
BEHIND_NS = 1_270_000_000


def depth(u: int, pu: int, bids: list[Any], asks: list[Any], after_ms: int) -> tuple[int, dict[str, Any]]:
    """A COIN-M difference that took 2 ms, by a recorder that is behind."""
    data = {
        "e": "depthUpdate",
        "T": SENT_MS + after_ms,
        "s": "BTCUSD_PERP",
        "ps": "BTCUSD",
        "U": pu + 1,
        "u": u,
        "pu": pu,
    }
    return _at(after_ms, 2), {"stream": "x", "data": {**data, "b": bids, "a": asks}}


def trade(number: int, price: str, lots: str, after_ms: int, **more: Any) -> tuple[int, dict[str, Any]]:
    """A seller's trade that took 1 ms."""
    data = {
        "e": "trade",
        "T": SENT_MS + after_ms,
        "s": "BTCUSD_PERP",
        "ps": "BTCUSD",
        "t": number,
        "p": price,
        "q": lots,
    }
    return _at(after_ms, 1), {"stream": "x", "data": {**data, "m": True, **more}}


def snapshot(last_id: int, bids: list[Any], asks: list[Any], after_ms: int) -> tuple[int, dict[str, Any]]:
    """The REST book, heard 50 ms after it was taken."""
    return _at(after_ms, 50), {"lastUpdateId": last_id, "T": SENT_MS + after_ms, "bids": bids, "asks": asks}


def _at(after_ms: int, delay_ms: int) -> int:
    return (SENT_MS + after_ms + delay_ms) * 1_000_000 - BEHIND_NS


def imported(tmp_path: Path, reference: ReferenceData, *messages: tuple[int, dict[str, Any]]) -> Path:
    """The session of one file of `messages`."""
    text = "".join(f"{local_ns} {json.dumps(message)}\n" for local_ns, message in messages)
    source = tmp_path / "in"
    source.mkdir()
    (source / "any.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    import_session(source, tmp_path / "out", reference)
    return tmp_path / "out"


MESSAGES = (
    depth(10, 9, [["100.1", "4"]], [], 0),
    depth(20, 10, [["100.2", "7"]], [["100.5", "0"]], 40),
    snapshot(15, [["100.1", "5"], ["99.0", "1"]], [["100.5", "2"]], 10),
    trade(1, "100.2", "3", 70),
    trade(1, "100.2", "3", 71),
    trade(2, "100.2", "3", 72, X="ADL"),
    depth(30, 20, [], [["100.4", "6"]], 90),
)


def rows_of(session: Path) -> list[tuple[int, ...]]:
    frame = open_session(session).book_rows("BTC-PERPETUAL")
    sent_ms = (pl.col("exch_ts_ns") - SENT_MS * 1_000_000) // 1_000_000
    return frame.select("what", "price_ticks", "size_lots", sent_ms).rows()


def test_the_snapshot_takes_its_place_among_the_differences(tmp_path: Path, reference: ReferenceData) -> None:
    session = imported(tmp_path, reference, *MESSAGES)
    assert rows_of(session) == [
        (at.BID, 1001, 5, 10),
        (at.BID, 990, 1, 10),
        (at.ASK, 1005, 2, 10),
        (at.BID, 1002, 7, 40),  # newer than the snapshot that was heard after it
        (at.ASK, 1005, 0, 40),
        (at.SELL_PRINT, 1002, 3, 70),
        (at.ASK, 1004, 6, 90),
    ]
    meta = open_session(session).meta
    contract = meta.books["BTC-PERPETUAL"]
    assert (contract.symbol, contract.tick, contract.lot, contract.usd_a_contract) == ("BTCUSD_PERP", "0.1", "1", 100)
    assert meta.set_aside == {
        "depth that the snapshot after it holds as well": 1,
        "trade outside the market (insurance fund, deleveraging)": 1,
        "trade that repeats another's id": 1,
    }


def test_a_clock_behind_the_venues_is_set_forward_and_said(tmp_path: Path, reference: ReferenceData) -> None:
    session = open_session(imported(tmp_path, reference, *MESSAGES))
    rows = session.book_rows("BTC-PERPETUAL")
    delays = (rows["local_ts_ns"] - rows["exch_ts_ns"]).to_list()
    assert min(delays) == 0  # the trade's millisecond, the fastest
    assert delays[-1] == 1_000_000  # a difference took one more
    assert "1.269 s behind" in session.meta.notes[0]
    assert session.meta.clocks["local_ts_ns"] == "the recorder's, set forward by 1.269000 s"


def test_after_a_hole_there_is_no_book_until_the_next_snapshot(tmp_path: Path, reference: ReferenceData) -> None:
    hole = depth(50, 41, [["100.3", "9"]], [], 100)
    again = depth(60, 50, [["100.0", "8"]], [], 110), snapshot(60, [["98.0", "3"]], [["101.0", "2"]], 120)
    session = imported(tmp_path, reference, *MESSAGES, hole, *again)
    rows = rows_of(session)[7:]
    assert [row[0] for row in rows] == [at.CLEAR_BIDS, at.CLEAR_ASKS] * 2 + [at.BID, at.ASK]
    found = {finding.what for finding in check_session(session, reference).findings}
    assert "BTC-PERPETUAL begun anew" in found
    assert "set aside at import: hole in the update ids: no book until the next snapshot" in found


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ([(_at(0, 1), {"stream": 3, "data": 7})], r"line 1: .*; record or fetch it again"),
        ([trade(1, "1", "1", 0)], "no snapshot of a book among its lines"),
        ([depth(1, 0, [], [], 0)], "no snapshot of a book among its lines"),
        (
            [depth(10, 9, [], [], 0), (_at(1, 1), {"data": {"e": "depthUpdate", "s": "ETHUSD_PERP"}})],
            "ETHUSD_PERP among the lines of BTCUSD_PERP; give each market a file of its own",
        ),
    ],
)
def test_what_is_no_recording_ends_with_one_line(
    tmp_path: Path, reference: ReferenceData, messages: list[Any], error: str
) -> None:
    with pytest.raises(BadInputError, match=error):
        imported(tmp_path, reference, *messages)


def test_a_crossed_book_a_silence_and_a_market_not_recorded_are_said(tmp_path: Path, reference: ReferenceData) -> None:
    crossed = depth(40, 30, [["100.9", "1"]], [], 10_000)
    session = imported(tmp_path, reference, *MESSAGES, crossed)
    report = check_session(session, reference)
    assert report.is_usable
    found = [finding.what.split(",")[0] for finding in report.findings]
    assert "BTC-PERPETUAL crossed at the end of a message" in found
    assert "BTC-PERPETUAL silent for more than 5 s" in found
    with pytest.raises(BadInputError, match=r"no order book of 'ETH-PERPETUAL'; it has BTC-PERPETUAL"):
        open_session(session).book_rows("ETH-PERPETUAL")
    with pytest.raises(BadInputError, match="holds order books alone, and no index to price by"):
        open_session(session).market_events(0, 1, reference)


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded streams are not beside the repository")
def test_the_recorded_market_is_whole(tmp_path: Path, reference: ReferenceData) -> None:
    meta = import_session(RECORDED, tmp_path / "out", reference, licence="MIT")
    assert set(meta.set_aside) <= {"depth that the snapshot after it holds as well"}
    assert "clock was at least 1.26" in meta.notes[0]  # 1.27 s over all markets: to the millisecond of its stamps
    assert not [
        finding for finding in check_session(tmp_path / "out", reference).findings if finding.severity == "warning"
    ]
    rows = open_session(tmp_path / "out").book_rows("ETH-PERPETUAL")
    assert meta.books["ETH-PERPETUAL"].tick == "0.01"
    assert (np.diff(rows["local_ts_ns"].to_numpy()) >= 0).all()
