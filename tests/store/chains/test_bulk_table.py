"""Tables of whole chains, run after run: units by parity and Black, rows against the file's own columns."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from flatbook.domain.units import parse_utc
from flatbook.store.chains import read_chains

from .builders import BULK, CALL, NAN, PUT, T0_MS, T0_NS, table, write_csv, write_parquet
from .witness import black_errors, count, parity_errors

JANUARY = "deribit-chain-6h/chain_2026-01-14_31.parquet"
NAMES = ("chain_2026-01-14_31", "chain_2026-02-01_14", "chain_2026-02-15_28", "chain_2026-07-05_27")


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_one_row(tmp_path: Path, write: Callable[[Path, pl.DataFrame], Path]) -> None:
    file = read_chains(write(tmp_path / "any name", table(BULK, {}, {"instrument_name": PUT, "bid_price": 0.0})))
    assert file.format == "Deribit chain table"
    chain = file.at()
    assert chain.instrument == (PUT, CALL)
    assert (chain.ts_ns, chain.index_usd) == (T0_NS, 95_000.0)
    columns = (chain.bid, chain.ask, chain.mark, chain.mark_iv, chain.forward_usd)
    assert [column[1] for column in columns] == [0.1, 0.11, 0.105, 0.5, 96_000.0]
    assert count(chain.bid, chain.ask, chain.bid_size, chain.ask_size, chain.bid_iv, chain.ask_iv) == [1, 2, 0, 0, 0, 0]


def test_a_run_for_each_start(tmp_path: Path) -> None:
    later = {"timestamp": "2026-01-14T10:00:00.5+00:00"}
    file = read_chains(write_parquet(tmp_path / "t", table(BULK, {}, {"instrument_name": PUT}, later)))
    found = [(chain.ts_ns - T0_NS, len(chain.instrument)) for chain in file.snapshots]
    assert found == [(0, 2), (21_600_500_000_000, 1)]


def _candle(prefix: str, name: str, **changes: Any) -> dict[str, Any]:
    default = {
        "snapshot_timestamp_ms": T0_MS,
        f"{prefix}candle_price_timestamp_ms": T0_MS + 20_000,
        f"{prefix}candle_price_used": 95_010.0,
    }
    return default | {"futures_instrument_name" if prefix else "instrument_name": name} | changes


def test_candles_beside_are_marks_of_their_run(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "chain", table(BULK, {}))
    other_run = _candle("", "BTC-PERPETUAL", snapshot_timestamp_ms=T0_MS + 1, candle_price_used=1.0)
    write_csv(tmp_path / "x.csv.gz", table({}, _candle("", "BTC-PERPETUAL"), other_run, _candle("", "ETH-PERPETUAL")))
    write_csv(tmp_path / "y.csv", table({}, _candle("term_", "BTC-27MAR26", term_candle_price_used=96_020.0)))
    (tmp_path / "z.csv.gz").write_bytes(b"not gzip")
    file = read_chains(path)
    linear = file.at().linear
    assert {quote.instrument: quote.mark for quote in linear} == {"BTC-PERPETUAL": 95_010.0, "BTC-27MAR26": 96_020.0}
    assert np.isnan([(quote.bid, quote.ask) for quote in linear]).all()
    assert (file.taken, file.left_out) == (1, {})
    assert any("x.csv.gz and y.csv" in note for note in file.notes)


@pytest.mark.parametrize(
    ("name", "rows", "snapshots"), list(zip(NAMES, (99_508, 88_792, 91_724, 143_098), (72, 55, 55, 92), strict=True))
)
def test_every_recorded_row_is_taken(recorded: Callable[[str], Path], name: str, rows: int, snapshots: int) -> None:
    """The source has no crossed quote and no duplicate, and each row a mark."""
    file = read_chains(recorded(f"deribit-chain-6h/{name}.parquet"))
    assert (file.taken, file.left_out, file.underlyings) == (rows, {}, ("BTC", "ETH"))
    assert len(file.snapshots) == 2 * snapshots
    assert len(file.select("ETH").snapshots) == snapshots
    sizes = [len(chain.instrument) for chain in file.snapshots]
    assert sum(sizes) == rows


@pytest.mark.parametrize("underlying", ["BTC", "ETH"])
@pytest.mark.parametrize("name", NAMES)
def test_marks_hold_parity_and_are_black_of_their_vols(
    recorded: Callable[[str], Path], name: str, underlying: str
) -> None:
    chains = read_chains(recorded(f"deribit-chain-6h/{name}.parquet")).select(underlying).snapshots[::9]
    assert np.median(np.concatenate([parity_errors(chain) for chain in chains])) < 1e-4
    assert np.median(np.concatenate([black_errors(chain) for chain in chains])) < 2e-5


def test_a_recorded_snapshot_row_by_row(recorded: Callable[[str], Path]) -> None:
    path = recorded(JANUARY)
    chain = read_chains(path).at(parse_utc("2026-01-20T12:00"), "ETH")
    times = pl.col("timestamp", "expiry_datetime").str.to_datetime(time_zone="UTC").dt.epoch("ns")
    source = pl.read_parquet(path).with_columns(times).filter(pl.col("currency") == "ETH")
    due = source.filter(pl.col("timestamp") <= parse_utc("2026-01-20T12:00"))
    rows = due.filter(pl.col("timestamp") == pl.col("timestamp").max())
    rows = rows.sort("expiry_datetime", "strike", "option_type", descending=[False, False, True])
    assert list(chain.instrument) == rows["instrument_name"].to_list()
    assert chain.strike_usd.tolist() == rows["strike"].to_list()
    assert chain.sign.tolist() == [1.0 if right == "call" else -1.0 for right in rows["option_type"]]
    assert chain.expiry_ns.tolist() == rows["expiry_datetime"].to_list()
    named = {"bid": "bid_price", "ask": "ask_price", "forward_usd": "underlying", "mark_iv": "implied_volatility"}
    for ours, theirs in ({"mark": "mark_price"} | named).items():
        np.testing.assert_array_equal(getattr(chain, ours), rows[theirs].fill_null(NAN).to_numpy())
    assert (chain.ts_ns, chain.index_usd) == (rows["timestamp"][0], rows["index_price"].median())


def test_recorded_candles_are_near_the_forwards_of_their_expiries(recorded: Callable[[str], Path]) -> None:
    basis = []
    for chain in read_chains(recorded(JANUARY)).snapshots[::7]:
        forwards = dict(zip(chain.expiry_ns.tolist(), chain.forward_usd.tolist(), strict=True))
        perpetual, *dated = chain.linear
        assert perpetual.instrument == f"{chain.underlying}-PERPETUAL"
        assert len(dated) >= 6
        basis += [abs(quote.mark / forwards[quote.expiry_ns or 0] - 1) for quote in dated]
        basis.append(abs(perpetual.mark / chain.index_usd - 1))
    assert np.median(basis) < 1e-3
    assert max(basis) < 1e-2
    july = read_chains(recorded(f"deribit-chain-6h/{NAMES[-1]}.parquet"))
    assert all(not chain.linear for chain in july.snapshots)
    assert not any("candle" in note for note in july.notes)
