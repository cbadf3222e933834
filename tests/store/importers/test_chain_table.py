"""Chain tables: a run is known when it has ended, and every sound row is kept."""

from pathlib import Path

import polars as pl
import pytest

from flatbook.domain.events import ChainQuotes, IndexTick, TopOfBook
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import parse_utc
from flatbook.store.importers import import_session
from flatbook.store.importers.chain_table import RUN_LENGTH_NS
from flatbook.store.session import open_session

_START = "2026-02-01T04:54:02.172460+00:00"


def _table(*changes: dict[str, object]) -> pl.DataFrame:
    default = {
        "timestamp": _START,
        "instrument_name": "BTC-6FEB26-70000-C",
        "currency": "BTC",
        "underlying": 78_938.0,
        "bid_price": 0.112,
        "ask_price": 0.1145,
        "implied_volatility": 0.58,
        "index_price": 78_952.9,
    }
    return pl.DataFrame([default | change for change in changes])


def test_one_run(tmp_path: Path, reference: ReferenceData) -> None:
    _table(
        {},
        {"instrument_name": "BTC-6FEB26-70000-P", "bid_price": None, "ask_price": 0.0001, "index_price": 78_950.9},
        {"instrument_name": "BTC-6FEB26-71000-C", "bid_price": 0.2, "index_price": 78_951.9},
        {"instrument_name": "BTC-31JAN26-71000-C"},
        {"instrument_name": "BTC-6FEB26-72000-C", "implied_volatility": -0.1},
        {"instrument_name": "BTC-6FEB26-C"},
    ).write_parquet(tmp_path / "chain.parquet")
    meta = import_session(tmp_path / "chain.parquet", tmp_path / "out", reference)
    assert meta.set_aside == {
        "crossed quote": 1,
        "quote of an expired instrument": 1,
        "quote of an unknown instrument": 1,
        "quote with a negative price or vol": 1,
    }
    index, chain = open_session(tmp_path / "out").market_events(0, 2**62, reference)
    start_ns = parse_utc(_START)
    assert index == IndexTick(
        exch_ts_ns=start_ns, local_ts_ns=start_ns + RUN_LENGTH_NS, underlying="BTC", price_usd=78_951.9
    )
    assert isinstance(chain, ChainQuotes)
    assert (chain.exch_ts_ns, chain.local_ts_ns) == (start_ns, start_ns + RUN_LENGTH_NS)
    call, put = chain.rows
    assert (call.bid, call.ask, call.mark_iv, call.forward_usd) == (0.112, 0.1145, 0.58, 78_938.0)
    assert (put.instrument, put.ask) == ("BTC-6FEB26-70000-P", 0.0001)
    assert put.bid != put.bid


def test_candles_beside_the_table_are_marks_known_with_their_run(tmp_path: Path, reference: ReferenceData) -> None:
    start_ns = parse_utc(_START)
    _table({}).write_parquet(tmp_path / "chain.parquet")
    (tmp_path / "perpetuals.csv").write_text(
        "snapshot_timestamp_ms,instrument_name,candle_price_timestamp_ms,candle_price_used\n"
        f"{start_ns // 10**6},BTC-PERPETUAL,{start_ns // 10**6 - 2_172},78950.5\n"
        f"{start_ns // 10**6},ETH-PERPETUAL,,\n"
    )
    (tmp_path / "futures.csv").write_text(
        "snapshot_timestamp_ms,futures_instrument_name,term_candle_price_timestamp_ms,term_candle_price_used\n"
        f"{start_ns // 10**6},BTC-27MAR26,{start_ns // 10**6 - 2_172},79400.0\n"
    )
    meta = import_session(tmp_path, tmp_path / "out", reference)
    assert meta.set_aside == {"candle without a time or a price": 1}
    _, _, perpetual, future = open_session(tmp_path / "out").market_events(0, 2**62, reference)
    known_ns = (start_ns // 10**6 + 1) * 10**6 + RUN_LENGTH_NS
    for event, name, price in ((perpetual, "BTC-PERPETUAL", 78_950.5), (future, "BTC-27MAR26", 79_400.0)):
        assert isinstance(event, TopOfBook)
        assert (event.instrument, event.mark_price, event.mid) == (name, price, price)
        assert (event.exch_ts_ns, event.local_ts_ns) == (known_ns - RUN_LENGTH_NS - 2_173_000_000, known_ns)


def test_a_fortnight_of_both_coins(tape_folder: Path, tmp_path: Path, reference: ReferenceData) -> None:
    path = tape_folder.parent / "deribit-chain-6h" / "chain_2026-02-01_14.parquet"
    if not path.exists():
        pytest.skip("the recorded chains are not beside the repository")
    meta = import_session(path, tmp_path / "out", reference)
    source = pl.read_parquet(path, columns=["timestamp", "currency"])
    assert meta.counts["chain"] + sum(meta.set_aside.values()) == source.height == 88_792
    assert meta.counts["chain snapshots"] == source.n_unique() == meta.counts["index"]
    events = list(open_session(tmp_path / "out").market_events(0, 2**62, reference))
    assert [type(event) for event in events[:4]] == [IndexTick, IndexTick, ChainQuotes, ChainQuotes]
