"""Tardis' options_chain: each row the new state of one instrument, in batches of a file of any size."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.store import source_table
from flatbook.store.chains import read_chains

from .builders import CALL, PUT, T0_MS, T0_NS, TARDIS, table, write_csv, write_parquet
from .witness import count

T0_US = T0_MS * 1_000
SECOND_US, SECOND_NS = 1_000_000, 10**9


def _at(second: int, **changes: object) -> dict[str, object]:
    return {"local_timestamp": T0_US + second * SECOND_US, **changes}


def test_units_and_the_recorders_clock(tmp_path: Path) -> None:
    file = read_chains(write_csv(tmp_path / "t.csv.gz", table(TARDIS, {"timestamp": T0_US - SECOND_US})))
    assert file.format == "Tardis options_chain"
    chain = file.at()
    assert chain.ts_ns == T0_NS
    prices = (chain.bid, chain.ask, chain.mark, chain.bid_size, chain.ask_size, chain.forward_usd)
    assert [column[0] for column in prices] == [0.1, 0.11, 0.105, 12.5, 3.0, 96_000.0]
    assert [column[0] for column in (chain.bid_iv, chain.ask_iv, chain.mark_iv)] == [0.48, 58.2 / 100, 0.52]


@pytest.mark.parametrize("batch_bytes", [1, 300, 1 << 24])
@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_the_last_row_of_each_instrument_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, pl.DataFrame], Path], batch_bytes: int
) -> None:
    monkeypatch.setattr(source_table, "_BATCH", batch_bytes)
    nothing = {"bid_price": None, "ask_price": None, "mark_price": 0.0, "bid_iv": 0, "ask_iv": 0, "mark_iv": 0}
    rows = table(
        TARDIS,
        _at(0),
        _at(1, symbol=PUT),
        _at(2, bid_price=0.12),
        _at(3, bid_price=0.09),
        _at(4, symbol=PUT, **nothing),
        _at(5, symbol="ETH-27MAR26-4000-C"),
    )
    file = read_chains(write(tmp_path / "t", rows))
    assert (file.taken, file.left_out) == (4, {"crossed quote": 1, "no quote and no mark": 1})
    found = [file.at(T0_NS + second * SECOND_NS, "BTC") for second in (0, 1, 2, 3, 4, 9)]
    # The crossed call ends the quote before it, and so does the put's empty row: an old price is no price.
    assert [chain.instrument for chain in found] == [(CALL,), (PUT, CALL), (PUT,), (PUT, CALL), (CALL,), (CALL,)]
    assert [chain.ts_ns - T0_NS for chain in found] == [second * SECOND_NS for second in (0, 1, 2, 3, 4, 4)]
    assert found[-1].bid.tolist() == [0.09]
    with pytest.raises(BadInputError, match=r"no chain of ETH at or before 2026-01-14T04:00:04.000Z; it reaches from"):
        file.at(T0_NS + 4 * SECOND_NS, "ETH")


def test_rows_of_another_venue_touch_nothing(tmp_path: Path) -> None:
    file = read_chains(write_csv(tmp_path / "t", table(TARDIS, {}, _at(1, exchange="okex-options", bid_price=0.01))))
    assert (file.taken, file.left_out) == (1, {"row of another venue": 1})
    assert file.at().bid.tolist() == [0.1]


def test_sizes_and_marks_may_be_missing(tmp_path: Path) -> None:
    lean = table(TARDIS, {}).drop("bid_amount", "ask_amount", "mark_price")
    chain = read_chains(write_csv(tmp_path / "t", lean)).at()
    assert count(chain.bid, chain.mark, chain.bid_size, chain.ask_size) == [1, 0, 0, 0]


@pytest.mark.parametrize("stamp", [T0_MS, T0_NS, None, "2026-01-14T04:00"])
def test_times_that_are_not_in_microseconds(tmp_path: Path, stamp: object) -> None:
    path = write_csv(tmp_path / "t", table(TARDIS, {"local_timestamp": stamp}))
    with pytest.raises(BadInputError, match=r"t: local_timestamp is not in microseconds; take the file as Tardis"):
        read_chains(path)


@pytest.mark.parametrize("batch_bytes", [1, 1 << 24])
def test_times_that_fall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_bytes: int) -> None:
    monkeypatch.setattr(source_table, "_BATCH", batch_bytes)
    path = write_csv(tmp_path / "t", table(TARDIS, _at(1), _at(0)))
    with pytest.raises(BadInputError, match=r"t: local_timestamp falls after .*; sort the file by it"):
        read_chains(path)


def test_a_file_cut_short_after_its_header(tmp_path: Path) -> None:
    rows = table(TARDIS, *(_at(second, bid_price=second * 1e-6) for second in range(5_000)))
    path = write_csv(tmp_path / "t.csv.gz", rows)
    path.write_bytes(path.read_bytes()[:-2_000])
    with pytest.raises(BadInputError, match=r"t.csv.gz: not a whole file \(.*\); fetch it again"):
        read_chains(path)


def test_the_fixture_by_hand(recorded: Callable[[str], Path]) -> None:
    """Seven rows of five options; values edited by its makers, so for shape only."""
    file = read_chains(recorded("deribit-ws-raw/nautilus_tardis/options_chain.csv"))
    assert (file.taken, file.left_out, file.underlyings) == (7, {}, ("BTC", "ETH"))
    early = file.at(1_591_574_400_300_000_000, "BTC")
    assert (early.instrument, early.bid.tolist(), early.ts_ns) == (
        ("BTC-9JUN20-9875-P",),
        [0.0205],
        1_591_574_400_196_008_000,
    )
    last = file.at(None, "BTC")
    assert last.instrument == ("BTC-9JUN20-9875-P", "BTC-9JUN20-10000-C", "BTC-10JUN20-10000-C")
    assert last.bid.tolist()[:2] == [0.0207, 0.0305]
    assert count(last.bid, last.ask, last.mark, last.bid_size) == [2, 2, 3, 2]
    assert last.mark_iv.tolist() == [62.96 / 100, 58.1 / 100, 58.2 / 100]
    ether = file.at(None, "ETH")
    assert count(ether.bid, ether.ask, ether.ask_iv) == [2, 1, 1]
