"""A session gives its events once each, in local-time order, and its digest names its bytes."""

import math
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import ChainQuotes, FundingRate, IndexTick, TopOfBook, TradePrint
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import NS_PER_SECOND, parse_utc
from flatbook.store.session import META_FILE, Session, open_session
from flatbook.venues.deribit import load_reference

from .builders import CALL, PUT, T0, write_session

_ALWAYS = (0, 2**62)


def test_events_carry_their_rows(tmp_path: Path, reference: ReferenceData) -> None:
    directory = write_session(
        tmp_path / "s",
        index=[{"at": 1, "price_usd": 84_001.5}],
        trades=[{"at": 2, "instrument": PUT, "taker_side": -1, "amount": 2.5, "off_book": True, "trade_id": "77"}],
        funding=[{"at": 3}],
        quotes=[{"at": 3.5, "exch_ts_ns": T0 + 7}],
        chain=[{"at": 4, "exch_ts_ns": T0}, {"at": 4, "exch_ts_ns": T0 + 9, "instrument": PUT, "bid": 0.01}],
    )
    index, trade, funding, top, chain = open_session(directory).market_events(*_ALWAYS, reference)
    second = T0 + NS_PER_SECOND
    assert index == IndexTick(exch_ts_ns=second, local_ts_ns=second, underlying="BTC", price_usd=84_001.5)
    assert trade == TradePrint(
        exch_ts_ns=second + NS_PER_SECOND,
        local_ts_ns=second + NS_PER_SECOND,
        instrument=PUT,
        trade_id="77",
        taker_side=-1,
        price=0.05,
        size_lots=25,
        mark_price=0.0501,
        iv=0.5,
        index_usd=84_000.0,
        off_book=True,
    )
    assert isinstance(funding, FundingRate)
    assert (funding.instrument, funding.rate, funding.hours) == ("BTC-PERPETUAL", 0.0001, 8.0)
    assert isinstance(top, TopOfBook)
    assert (top.exch_ts_ns, top.local_ts_ns, top.instrument) == (T0 + 7, T0 + 3_500_000_000, "BTC-PERPETUAL")
    assert (top.bid, top.ask, top.bid_amount, top.mark_price) == (84_001.0, 84_002.0, 10_000.0, 84_001.25)
    assert math.isnan(top.ask_amount)
    assert isinstance(chain, ChainQuotes)
    assert (chain.local_ts_ns, chain.exch_ts_ns) == (T0 + 4 * NS_PER_SECOND, T0 + 9)
    assert [(row.instrument, row.bid, row.ask_iv) for row in chain.rows] == [(CALL, 0.05, 0.55), (PUT, 0.01, 0.55)]


def test_at_equal_times_index_top_funding_trade_chain(tmp_path: Path, reference: ReferenceData) -> None:
    same = [{"at": 7}]
    directory = write_session(tmp_path / "s", chain=same, trades=same, index=same, funding=same, quotes=same)
    events = open_session(directory).market_events(*_ALWAYS, reference)
    assert [type(event) for event in events] == [IndexTick, TopOfBook, FundingRate, TradePrint, ChainQuotes]


@settings(max_examples=40, deadline=None)
@given(
    ticks=st.lists(st.integers(0, 20), max_size=12),
    prints=st.lists(st.integers(0, 20), max_size=12),
    snapshots=st.lists(st.integers(0, 20), max_size=6, unique=True),
    window=st.tuples(st.integers(0, 21), st.integers(0, 21)),
)
def test_a_window_is_the_whole_cut_out(
    tmp_path_factory: pytest.TempPathFactory,
    ticks: list[int],
    prints: list[int],
    snapshots: list[int],
    window: tuple[int, int],
) -> None:
    directory = write_session(
        tmp_path_factory.mktemp("s"),
        index=[{"at": at} for at in sorted(ticks)],
        trades=[{"at": at, "trade_id": str(place)} for place, at in enumerate(sorted(prints))],
        chain=[{"at": at} for at in sorted(snapshots)],
    )
    session, reference = open_session(directory), load_reference()
    rank = {IndexTick: 0, TradePrint: 1, ChainQuotes: 2}
    events = list(session.market_events(*_ALWAYS, reference))
    assert [(event.local_ts_ns, rank[type(event)]) for event in events] == sorted(
        (T0 + at * NS_PER_SECOND, kind) for kind, times in enumerate([ticks, prints, snapshots]) for at in times
    )
    assert [e.trade_id for e in events if isinstance(e, TradePrint)] == [str(place) for place in range(len(prints))]
    from_ns, to_ns = (T0 + edge * NS_PER_SECOND for edge in window)
    inside = [event for event in events if from_ns <= event.local_ts_ns < to_ns]
    # As bytes: a NaN is not equal to itself.
    assert msgspec.msgpack.encode(list(session.market_events(from_ns, to_ns, reference))) == msgspec.msgpack.encode(
        inside
    )


def test_two_coins_at_one_time_are_two_snapshots(tmp_path: Path, reference: ReferenceData) -> None:
    eth = {"underlying": "ETH", "instrument": "ETH-11APR25-2000-C"}
    directory = write_session(tmp_path / "s", chain=[{}, eth, {"instrument": PUT}])
    snapshots = list(open_session(directory).market_events(*_ALWAYS, reference))
    assert all(isinstance(event, ChainQuotes) for event in snapshots)
    assert [(e.underlying, len(e.rows)) for e in snapshots if isinstance(e, ChainQuotes)] == [("BTC", 2), ("ETH", 1)]


def test_odd_rows_are_set_aside_once_however_often_it_is_read(tmp_path: Path, reference: ReferenceData) -> None:
    directory = write_session(
        tmp_path / "s",
        trades=[{"trade_id": "1"}, {"trade_id": "2", "instrument": "BTC-PERP"}],
        chain=[{"bid": 0.07}, {"instrument": PUT}],
    )
    session = open_session(directory)
    for _ in range(2):
        trade, chain = session.market_events(*_ALWAYS, reference)
        assert isinstance(trade, TradePrint)
        assert isinstance(chain, ChainQuotes)
        assert [row.instrument for row in chain.rows] == [PUT]
        assert session.set_aside == {"trade of an unknown instrument": 1, "crossed quote": 1}


def test_a_fault_is_told_before_the_first_event(tmp_path: Path, reference: ReferenceData) -> None:
    directory = write_session(tmp_path / "s", index=[{"at": 0}], trades=[{"at": 2}, {"at": 1}])
    with pytest.raises(BadInputError, match=r"trades\.parquet: row 1: local_ts_ns .* is before the row above it"):
        open_session(directory).market_events(*_ALWAYS, reference)


def test_the_digest_names_the_tables_bytes_and_nothing_else(tmp_path: Path) -> None:
    one = write_session(tmp_path / "one", index=[{"at": 1}], trades=[{}])
    same = write_session(tmp_path / "same", index=[{"at": 1}], trades=[{}])
    other = write_session(tmp_path / "other", index=[{"at": 1, "price_usd": 84_000.01}], trades=[{}])
    less = write_session(tmp_path / "less", index=[{"at": 1}])
    (same / META_FILE).write_text((same / META_FILE).read_text() + 'notes = ["a word more"]\n'.replace("notes", "#"))
    digests = [open_session(directory).digest for directory in (one, same, other, less)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("source = ", r"session\.toml: .*Invalid value.*; mend the line"),
        ('source = "x"\n', r"session\.toml: Object missing required field `licence`"),
        ('source = "x"\nlicence = 3\n', r"session\.toml: Expected `str`, got `int` - at `\$\.licence`"),
        (
            'source = "x"\nlicence = "y"\n[span]\nstart = "yesterday"\nend = "2025-04-01"\n',
            r"session\.toml: time 'yesterday' is not ISO-8601",
        ),
    ],
)
def test_a_session_toml_that_does_not_describe_one(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / META_FILE).write_text(text)
    with pytest.raises(BadInputError, match=says):
        open_session(tmp_path)


def test_a_directory_that_is_no_session(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BadInputError, match=r"is not a session directory: it has no session\.toml; make one with"):
            open_session(place)


def test_100_000_events_take_well_under_a_second(recorded: Session, reference: ReferenceData) -> None:
    from_ns, to_ns = parse_utc("2025-03-30T18:25"), parse_utc("2025-04-03T11:55")
    started = time.perf_counter()
    count = sum(1 for _ in open_session(recorded.path).market_events(from_ns, to_ns, reference))
    assert count > 100_000
    assert time.perf_counter() - started < 1.0
