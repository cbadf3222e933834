"""A recording reads back as the events that were told, however it was stopped and taken up."""

import math
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import ChainQuotes, FundingRate, IndexTick, MarketEvent, QuoteRow, TopOfBook, TradePrint
from flatbook.domain.units import NS_PER_SECOND, parse_utc
from flatbook.store.check import check_session
from flatbook.store.recorder import Recorder
from flatbook.store.session import open_session
from flatbook.venues.deribit import load_reference

START_NS = parse_utc("2026-01-05T10:00")
PERPETUAL, CALL = "BTC-PERPETUAL", "BTC-30JAN26-80000-C"
KINDS = st.lists(st.sampled_from(["index", "top", "trade", "chain", "funding"]), min_size=1, max_size=12)


def _event(kind: str, number: int) -> MarketEvent:
    local_ns = START_NS + number * NS_PER_SECOND
    exch_ns, price = local_ns - 1_000_000, 80_000.0 + number
    if kind == "index":
        return IndexTick(exch_ts_ns=exch_ns, local_ts_ns=local_ns, underlying="BTC", price_usd=price)
    if kind == "top":
        return TopOfBook(
            exch_ts_ns=exch_ns, local_ts_ns=local_ns, instrument=PERPETUAL, bid=math.nan, ask=price,
            bid_amount=math.nan, ask_amount=10.0, mark_price=price,
        )  # fmt: skip
    if kind == "funding":
        return FundingRate(exch_ts_ns=exch_ns, local_ts_ns=local_ns, instrument=PERPETUAL, rate=-1e-6, hours=1 / 60)
    if kind == "trade":
        return TradePrint(
            exch_ts_ns=exch_ns, local_ts_ns=local_ns, instrument=CALL, trade_id=f"{number}", taker_side=-1, price=0.05,
            size_lots=3, mark_price=0.051, iv=0.48, index_usd=price, off_book=False,
        )  # fmt: skip
    rows = tuple(QuoteRow(name, 0.04, math.nan, 0.4, math.nan, 0.5, price) for name in (CALL, "BTC-30JAN26-90000-P"))
    return ChainQuotes(exch_ts_ns=exch_ns, local_ts_ns=local_ns, underlying="BTC", rows=rows)


def _read(directory: Path) -> list[MarketEvent]:
    session = open_session(directory)
    return list(session.market_events(session.from_ns, session.to_ns, load_reference()))


def _kill(recorder: Recorder) -> None:
    """As the system does with a process: what is buffered is lost."""
    recorder._lock.release()
    recorder._spool._file.close()


def _same(first: list[MarketEvent], second: list[MarketEvent]) -> bool:
    # NaN is not equal to itself; its spelling is.
    return [repr(event) for event in first] == [repr(event) for event in second]


@given(KINDS, st.lists(st.sampled_from(["go on", "flush", "leave", "crash", "finish"]), min_size=13, max_size=13))
@settings(max_examples=8)
def test_what_is_told_is_read_back_in_order_over_stops_and_crashes(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str], ends: list[str]
) -> None:
    directory = tmp_path_factory.mktemp("recorder") / "session"
    recorder, events = Recorder(directory, load_reference(), rows_a_part=2), []
    for number, (kind, end) in enumerate(zip(["index", *kinds], ends, strict=False)):
        events.append(_event(kind, number))
        recorder.take(events[-1])
        if end == "flush":
            recorder.flush()
        elif end in ("leave", "finish", "crash"):
            if end == "finish":
                recorder.finish("test", "none")
            elif end == "leave":
                recorder.abandon()
            else:
                recorder.sync()
                _kill(recorder)
            recorder = Recorder(directory, load_reference(), rows_a_part=2)
            assert recorder.last_local_ns == events[-1].local_ts_ns
    meta = recorder.finish("test", "none")
    assert _same(_read(directory), events)
    assert sorted(path.name for path in directory.iterdir()) == sorted(
        ["session.toml", *(f"{name}.parquet" for name in meta.counts)]
    )
    assert check_session(directory, load_reference()).is_usable


def test_killed_between_parts_and_the_spools_end_no_event_comes_twice(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, load_reference())
    events = [_event(kind, number) for number, kind in enumerate(["index", "trade", "chain", "index", "trade"])]
    # Several trades of one message are at one moment.
    events.append(msgspec.structs.replace(events[-1], trade_id="5"))
    for event in events:
        recorder.take(event)
    recorder.sync()
    spool = tmp_path / "recording" / "events.spool"
    held = spool.read_bytes()
    recorder.flush()
    # Killed before the spool let go, and before one of the parts was written.
    spool.write_bytes(held)
    next((tmp_path / "recording").glob("trades-*.parquet")).unlink()
    _kill(recorder)
    Recorder(tmp_path, load_reference()).finish("test", "none")
    assert _same(_read(tmp_path), events)


def test_a_part_is_not_begun_within_a_moment(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, load_reference(), rows_a_part=2)
    events = [msgspec.structs.replace(_event("trade", 0), trade_id=f"{number}") for number in range(5)]
    for event in [*events, _event("index", 1)]:
        recorder.take(event)
    assert [pl.read_parquet(path).height for path in (tmp_path / "recording").glob("*.parquet")] == [5]
    recorder.abandon()


@pytest.mark.parametrize("broken_after", ["index.parquet", "instruments.parquet", "session.toml"])
def test_a_crash_while_it_is_finished_loses_nothing(tmp_path: Path, broken_after: str) -> None:
    recorder = Recorder(tmp_path, load_reference())
    events = [_event(kind, number) for number, kind in enumerate(["index", "top", "trade", "chain", "funding"])]
    for event in events:
        recorder.take(event)
    recorder.flush()
    parts = {path.name: path.read_bytes() for path in (tmp_path / "recording").iterdir()}
    recorder.finish("test", "none")
    # As it stands when the machine stops after that file: parts are still there, later files are not.
    files = ["index.parquet", "quotes.parquet", "trades.parquet", "chain.parquet", "funding.parquet"]
    files += ["instruments.parquet", "session.toml"]
    for name in files[files.index(broken_after) + 1 :]:
        (tmp_path / name).unlink()
    (tmp_path / "recording").mkdir()
    for name, held in parts.items():
        (tmp_path / "recording" / name).write_bytes(held)
    Recorder(tmp_path, load_reference()).finish("test", "none")
    assert _same(_read(tmp_path), events)


def test_a_clock_that_runs_backwards_and_strange_directories_are_refused(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a", load_reference())
    recorder.take(_event("index", 5))
    with pytest.raises(BadInputError, match="clock ran backwards"):
        recorder.take(_event("index", 4))
    with pytest.raises(BadInputError, match="in use by process"):
        Recorder(tmp_path / "a", load_reference())
    recorder.abandon()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(BadInputError, match="no recording"):
        Recorder(tmp_path / "b", load_reference())
    with pytest.raises(BadInputError, match="nothing was heard"):
        Recorder(tmp_path / "c", load_reference()).finish("test", "none")
    assert not (tmp_path / "c").exists()


def test_a_hole_between_two_recordings_is_noted_and_parts_are_bounded(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, load_reference(), rows_a_part=10)
    for number in range(25):
        recorder.take(_event("index", number))
    heights = [pl.read_parquet(path).height for path in sorted((tmp_path / "recording").glob("*.parquet"))]
    assert heights == [10, 10]
    recorder.finish("test", "none")
    recorder = Recorder(tmp_path, load_reference())
    recorder.take(_event("index", 100))
    notes = recorder.finish("test", "none").notes
    assert notes == ("Not recorded from 2026-01-05T10:00:24.000Z to 2026-01-05T10:01:40.000Z.",)
