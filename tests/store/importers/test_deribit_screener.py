"""The whole export: a small one by hand, and the recorded tape."""

import tomllib
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import ChainQuotes, FundingRate, IndexTick, MarketEvent, TradePrint
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import NS_PER_MINUTE, parse_utc
from flatbook.store.importers import import_session
from flatbook.store.session import META_FILE, Session, open_session
from flatbook.store.tables import CHAIN, INDEX, TRADES, read_table

from ..builders import PUT, screener_chain, screener_trades, spot_bars, write_export, write_gzip

_WINDOW = (parse_utc("2025-03-30T18:25"), parse_utc("2025-04-03T11:55"))


@pytest.fixture(scope="module")
def window(recorded: Session, reference: ReferenceData) -> list[MarketEvent]:
    return list(recorded.market_events(*_WINDOW, reference))


def test_what_lies_beside_is_joined_by_time(tmp_path: Path, reference: ReferenceData) -> None:
    trades = screener_trades({"Trade ID": 1}, {"Trade ID": 2, "Entry Date": "2025-04-01 12:20"})
    export = write_export(tmp_path / "export", trades, screener_chain({"symbol": PUT}))
    noon_us = parse_utc("2025-04-01T12:00") // 1_000
    bars = [(noon_us + place * 300_000_000, 84_100.0 + place) for place in range(6)]
    write_gzip(tmp_path / "binance-spot-btc-5m" / "b.csv.gz", spot_bars(*bars))
    funding = "Symbol,Date,Funding Rate\n" + "".join(
        f"BTC-USDT,2025-04-01 {hour}:00:00,0.0001\n" for hour in ("10", "11", "12", "13")
    )
    (tmp_path / "funding").mkdir()
    (tmp_path / "funding" / "hourly.csv").write_text(funding)
    meta = import_session(export, tmp_path / "out", reference, licence="test only")
    index = read_table(tmp_path / "out", INDEX)["price_usd"].to_list()
    assert index == [84_000.0, 84_100.0, 84_101.0, 84_102.0, 84_103.0, 84_000.0]
    assert meta.licence == "test only"
    assert meta.counts["index ticks from spot bars"] == 4
    assert set(meta.inputs) == {"trades.parquet", "chain.parquet", "b.csv.gz"}
    assert any(note.startswith("No funding row for BTC-PERPETUAL falls in the span") for note in meta.notes)


def test_funding_in_the_span_is_a_stand_in_and_said_to_be(tmp_path: Path, reference: ReferenceData) -> None:
    export = write_export(tmp_path / "export", screener_trades({}, {"Entry Date": "2025-04-01 17:00"}))
    (tmp_path / "funding").mkdir()
    (tmp_path / "funding" / "f.csv").write_text(
        "Time,Contracts,Funding Interval,Funding Rate\n2025-04-01 17:00:00,BTCUSD CM Perpetual,8h,-0.002%\n"
    )
    meta = import_session(export, tmp_path / "out", reference)
    events = open_session(tmp_path / "out").market_events(0, 2**62, reference)
    (event,) = (event for event in events if isinstance(event, FundingRate))
    assert event.local_ts_ns == parse_utc("2025-04-01T16:00")
    assert meta.counts["funding"] == 1
    assert "Funding of BTC-PERPETUAL is that of BTCUSD CM Perpetual on its own venue, a stand-in." in meta.notes


def test_a_chain_without_its_trades_is_refused(tmp_path: Path, reference: ReferenceData) -> None:
    export = write_export(tmp_path / "export", chain=screener_chain({}))
    with pytest.raises(BadInputError, match=r"export: chain snapshots without a trade tape; put the export's trades"):
        import_session(export, tmp_path / "out", reference)


def test_the_recorded_window_has_its_50_006_trades(window: list[MarketEvent]) -> None:
    counts = Counter(type(event).__name__ for event in window)
    assert counts["TradePrint"] == 50_006
    assert counts["ChainQuotes"] == 3
    assert counts["IndexTick"] >= 50_006


def test_the_clock_never_runs_backwards(window: list[MarketEvent]) -> None:
    stamps = [event.local_ts_ns for event in window]
    assert stamps == sorted(stamps)
    trades = [event.local_ts_ns for event in window if isinstance(event, TradePrint)]
    assert len(set(trades)) == len(trades)
    assert all(event.exch_ts_ns <= event.local_ts_ns for event in window)


def test_each_trade_is_preceded_by_its_index_and_by_no_later_one(window: list[MarketEvent]) -> None:
    index_usd, trade_ns = float("nan"), 0
    for event in window:
        if isinstance(event, IndexTick):
            index_usd = event.price_usd
            assert event.local_ts_ns > trade_ns
        elif isinstance(event, TradePrint):
            trade_ns = event.local_ts_ns
            assert event.index_usd == index_usd


def test_blocks_and_combos_of_the_window_are_off_book(window: list[MarketEvent], tape_folder: Path) -> None:
    (path,) = tape_folder.glob("trades*.parquet")
    source = pl.read_parquet(path).filter(
        pl.col("Entry Date").is_between(pl.lit("2025-03-30 18:25"), pl.lit("2025-04-03 11:54"))
    )
    blocks = source.filter(pl.col("BlockTrade Count") > 0).height
    combos = source.filter((pl.col("Combo ID") != "") & (pl.col("BlockTrade IDs") == "")).height
    off_book = sum(event.off_book for event in window if isinstance(event, TradePrint))
    assert (blocks, combos, off_book) == (1_093, 464, 1_557)


def test_no_trade_leaves_its_minute_and_volume_is_kept(recorded: Session, tape_folder: Path) -> None:
    (path,) = tape_folder.glob("trades*.parquet")
    source = pl.read_parquet(path, columns=["Entry Date", "Size"])
    ours = read_table(recorded.path, TRADES)
    by_minute = ours.group_by(minute=pl.col("local_ts_ns") // NS_PER_MINUTE).agg(pl.len(), pl.col("amount").sum())
    expected = source.group_by(
        minute=pl.col("Entry Date").str.to_datetime("%Y-%m-%d %H:%M", time_unit="ns").cast(pl.Int64) // NS_PER_MINUTE
    ).agg(pl.len().alias("rows"), pl.col("Size").sum())
    joined = by_minute.join(expected, on="minute", how="full", validate="1:1")
    assert joined.filter(pl.col("len") != pl.col("rows")).is_empty()
    assert (joined["amount"] - joined["Size"]).abs().to_numpy().max() < 1e-6


def test_chains_are_known_from_their_minutes_end_and_not_before(recorded: Session, tape_folder: Path) -> None:
    (path,) = tape_folder.glob("chain*.parquet")
    captured = pl.read_parquet(path)["capture_time_utc_est"].unique().sort()
    ours = read_table(recorded.path, CHAIN)["local_ts_ns"].unique().sort()
    delays = [known - parse_utc(stamp) for known, stamp in zip(ours, captured, strict=True)]
    # One snapshot's quotes belong to a market hours after the trades it was stored with.
    late = [delay for delay in delays if delay > NS_PER_MINUTE]
    assert all(delay > 0 for delay in delays)
    assert late == [parse_utc("2025-04-21T12:54") - parse_utc("2025-04-21T10:21")]


def test_crossed_quotes_are_counted_and_coin_prices_on_the_tick(recorded: Session) -> None:
    assert recorded.meta.set_aside == {"crossed quote": 9}
    chain = read_table(recorded.path, CHAIN)
    assert chain.height == 12_397 - 9
    for side in ("bid", "ask"):
        prices = chain[side].drop_nans()
        assert prices.len() > 10_000
        assert ((prices * 10_000) - (prices * 10_000).round()).abs().to_numpy().max() < 1e-9
    two_sided = chain.drop_nans(["bid", "ask"])
    assert two_sided.filter(pl.col("bid") > pl.col("ask")).is_empty()
    assert chain.drop_nans(["bid_iv", "ask_iv"]).filter(pl.col("bid_iv") > pl.col("ask_iv")).is_empty()


def test_the_index_path_has_the_vol_of_its_own_five_minute_returns(window: list[MarketEvent]) -> None:
    """A path that jumped back and forth inside minutes would show several times the vol of its coarse returns."""
    ticks = [(event.local_ts_ns, event.price_usd) for event in window if isinstance(event, IndexTick)]
    frame = pl.DataFrame(ticks, schema=["ts_ns", "usd"], orient="row")
    fine = frame["usd"].log().diff().drop_nulls()
    coarse = frame.group_by(pl.col("ts_ns") // (5 * NS_PER_MINUTE), maintain_order=True).last()["usd"]
    coarse_returns = coarse.log().diff().drop_nulls()
    ratio = float((fine**2).sum()) / float((coarse_returns**2).sum())
    assert 0.6 < ratio < 1.2


def test_two_imports_give_the_same_bytes(
    recorded: Session, tape_folder: Path, tmp_path: Path, reference: ReferenceData
) -> None:
    import_session(tape_folder, tmp_path / "again", reference)
    again = open_session(tmp_path / "again")
    assert again.digest == recorded.digest
    assert (again.path / META_FILE).read_bytes() == (recorded.path / META_FILE).read_bytes()


def test_session_toml_says_what_a_reader_needs(recorded: Session) -> None:
    said = tomllib.loads((recorded.path / META_FILE).read_text())
    assert said["span"] == {"start": "2025-03-29T12:03:00.687Z", "end": "2025-04-22T09:31:00.001Z"}
    assert said["counts"]["trades"] == 146_497
    assert said["counts"]["chain snapshots"] == 20
    assert set(said["clocks"]) == {"exch_ts_ns", "local_ts_ns"}
    notes = " ".join(said["notes"])
    for word in ("250 ms", "spread evenly", "not a forward", "off_book", "Binance spot", "No funding row"):
        assert word in notes


def test_the_recorded_chain_quotes_reach_the_engine_as_they_are(window: list[MarketEvent]) -> None:
    first = next(event for event in window if isinstance(event, ChainQuotes))
    assert first.local_ts_ns == parse_utc("2025-03-31T18:28")
    assert len(first.rows) == 677
    row = next(row for row in first.rows if row.instrument == "BTC-1APR25-76000-P")
    assert (row.bid, row.ask, row.bid_iv, row.ask_iv) == (0.0001, 0.0002, 0.9665, 1.0576)
