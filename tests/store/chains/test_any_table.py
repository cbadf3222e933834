"""Any table with usual names: columns by name, units by the median of a column."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.store.chains import read_chains
from flatbook.store.chains.any_table import recognised

from .builders import CALL, NAN, PUT, T0, T0_MS, T0_NS, table, write_csv, write_parquet
from .witness import count

_ROW: dict[str, Any] = {
    "Instrument Name": CALL,
    "Time": T0,
    "Best Bid": 0.1,
    "Best Ask": 0.11,
    "Bid Qty": 12.5,
    "Mark Price": 0.105,
    "IV": 52.0,
    "Bid IV": 48.0,
    "Forward": 96_000.0,
    "Spot": 95_000.0,
    "Delta": 0.6,
}


@pytest.mark.parametrize("write", [write_csv, write_parquet])
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t"])
def test_usual_names(tmp_path: Path, write: Callable[[Path, pl.DataFrame], Path], name: str) -> None:
    file = read_chains(write(tmp_path / name, table(_ROW, {}, {"Instrument Name": f" {PUT}", "Best Bid": 0})))
    assert file.format == "table of quotes"
    chain = file.at()
    assert chain.instrument == (PUT, CALL)
    assert (chain.ts_ns, chain.index_usd) == (T0_NS, 95_000.0)
    prices = (chain.bid, chain.ask, chain.mark, chain.bid_size, chain.forward_usd)
    assert [column[1] for column in prices] == [0.1, 0.11, 0.105, 12.5, 96_000.0]
    assert [chain.bid_iv[1], chain.mark_iv[1]] == [0.48, 0.52]
    assert count(chain.bid, chain.ask_iv, chain.ask_size) == [1, 0, 0]
    assert file.notes[0] == (
        "Read Instrument Name as instrument, Time as ts_ns, Best Bid as bid, Best Ask as ask, Mark Price as mark, "
        "Bid Qty as bid_size, Bid IV as bid_iv, IV as mark_iv, Forward as forward_usd, Spot as index_usd."
    )
    assert file.notes[1].startswith("Vols by the median of their column: bid_iv, mark_iv: percent.")


@pytest.mark.parametrize(
    ("vols", "expected"),
    [
        ([48.0, 2.5, 60.0], [0.48, 0.025, 0.6]),
        ([0.48, 4.5, 0.6], [0.48, 4.5, 0.6]),
        ([2.9, 3.0, 60.0], [2.9, 3.0, 60.0]),
        ([0.0, None, 60.0], [NAN, NAN, 0.6]),
    ],
)
def test_percent_or_decimal_is_the_columns_and_never_the_rows(
    tmp_path: Path, vols: list[float | None], expected: list[float]
) -> None:
    names = [f"BTC-27MAR26-{strike}-C" for strike in (80_000, 90_000, 95_000)]
    rows = table(_ROW, *({"Instrument Name": name, "IV": vol} for name, vol in zip(names, vols, strict=True)))
    chain = read_chains(write_parquet(tmp_path / "t", rows.drop("Bid IV"))).at()
    assert chain.mark_iv.tolist() == pytest.approx(expected, nan_ok=True)


def test_each_column_of_vols_has_its_own_unit(tmp_path: Path) -> None:
    file = read_chains(write_csv(tmp_path / "t", table(_ROW, {"IV": 0.52})))
    assert [file.at().bid_iv[0], file.at().mark_iv[0]] == [0.48, 0.52]
    assert any("bid_iv: percent; mark_iv: decimal" in note for note in file.notes)


@pytest.mark.parametrize(
    "time",
    [
        T0_NS,
        T0_NS // 1_000,
        T0_MS,
        T0_MS // 1_000,
        "2026-01-14T04:00:00Z",
        "2026-01-14 04:00:00",
        "2026-01-14T05:00:00+01:00",
        datetime(2026, 1, 14, 4, tzinfo=UTC),
        datetime(2026, 1, 14, 4),  # noqa: DTZ001 - a table's naive time
    ],
)
def test_times(tmp_path: Path, time: object) -> None:
    assert read_chains(write_parquet(tmp_path / "t", table(_ROW, {"Time": time}))).at().ts_ns == T0_NS


def test_whole_snapshots_by_equal_times(tmp_path: Path) -> None:
    later = {"Time": "2026-01-14T05:00:00+00:00"}
    rows = table(_ROW, {}, {"Instrument Name": PUT}, later, later | {"Instrument Name": PUT}, later)
    file = read_chains(write_csv(tmp_path / "t", rows))
    assert [len(chain.instrument) for chain in file.snapshots] == [2, 2]
    assert file.left_out == {"repeated instrument": 1}


def test_a_named_snapshot(tmp_path: Path) -> None:
    rows = table(_ROW | {"snapshot": 1}, {}, {"Instrument Name": PUT, "snapshot": 2}, {"snapshot": None})
    file = read_chains(write_csv(tmp_path / "t", rows))
    assert [chain.instrument for chain in file.snapshots] == [(CALL,), (PUT,)]
    assert file.left_out == {"row of no snapshot": 1}


def test_a_sessions_own_chain(tmp_path: Path) -> None:
    row = {"exch_ts_ns": T0_NS - 5, "local_ts_ns": T0_NS, "underlying": "BTC", "instrument": CALL}
    quotes = {"bid": 0.1, "ask": 0.11, "bid_iv": NAN, "ask_iv": NAN, "mark_iv": 0.52, "forward_usd": 96_000.0}
    chain = read_chains(write_parquet(tmp_path / "chain.parquet", pl.DataFrame([row | quotes]))).at()
    assert (chain.ts_ns, chain.mark_iv[0], chain.forward_usd[0]) == (T0_NS, 0.52, 96_000.0)


def test_linear_options_have_prices_in_dollars_and_inverse_calls_cannot(tmp_path: Path) -> None:
    dollars = {"Best Bid": 9_500.0, "Best Ask": 9_600.0, "Mark Price": 9_550.0}
    linear = table(_ROW, dollars | {"Instrument Name": "BTC_USDC-27MAR26-90000-C"})
    assert read_chains(write_csv(tmp_path / "linear", linear)).at().bid.tolist() == [9_500.0]
    path = write_csv(tmp_path / "inverse", table(_ROW, dollars))
    with pytest.raises(BadInputError, match=r"median bid of coin-settled calls is 9500, .*; give prices in coin"):
        read_chains(path)


def test_what_makes_a_table_of_quotes() -> None:
    assert recognised(["symbol", "ts", "iv"]) == {"instrument": "symbol", "ts_ns": "ts", "mark_iv": "iv"}
    assert recognised(["symbol", "iv"]) == {}
    assert recognised(["ts", "iv"]) == {}
    assert recognised(["symbol", "ts", "delta", "strike"]) == {}


def test_names_that_mostly_mean_something_else() -> None:
    """A coin called underlying, a volume called vol, a row's number called index."""
    assert recognised(["symbol", "ts", "bid", "underlying", "vol", "index"]) == {
        "instrument": "symbol",
        "ts_ns": "ts",
        "bid": "bid",
    }
