"""What a chain file gives: the snapshot last taken at or before a time, of the underlying that is meant."""

from pathlib import Path

import pytest

from flatbook.domain.errors import BadInputError
from flatbook.store.chains import ChainFile, read_chains

from .builders import BULK, CALL, PUT, T0_NS, table, write_parquet

LATER = "2026-01-14T10:00:00+00:00"
SIX_HOURS_NS = 6 * 3_600 * 10**9
LINEAR_CALL, ETH_CALL = "BTC_USDC-27MAR26-90000-C", "ETH-27MAR26-4000-C"


@pytest.fixture
def file(tmp_path: Path) -> ChainFile:
    rows = table(
        BULK,
        {},
        {"instrument_name": PUT},
        {"instrument_name": LINEAR_CALL, "bid_price": 9_000.0, "ask_price": 9_100.0, "mark_price": 9_050.0},
        {"timestamp": LATER, "bid_price": 0.2, "ask_price": 0.21},
        {"timestamp": LATER, "instrument_name": ETH_CALL},
    )
    return read_chains(write_parquet(tmp_path / "chain.parquet", rows))


def test_coin_settled_and_linear_options_are_chains_of_their_own(file: ChainFile) -> None:
    assert file.underlyings == ("BTC", "BTC_USDC", "ETH")
    assert [(s.underlying, s.settle, s.instrument) for s in file.snapshots] == [
        ("BTC", "BTC", (PUT, CALL)),
        ("BTC", "USDC", (LINEAR_CALL,)),
        ("BTC", "BTC", (CALL,)),
        ("ETH", "ETH", (ETH_CALL,)),
    ]
    assert [s.is_inverse for s in file.snapshots] == [True, False, True, True]
    assert (file.taken, file.left_out) == (5, {})


@pytest.mark.parametrize(
    ("after_ns", "bid"),
    [(0, 0.1), (1, 0.1), (SIX_HOURS_NS - 1, 0.1), (SIX_HOURS_NS, 0.2), (10 * SIX_HOURS_NS, 0.2), (None, 0.2)],
)
def test_the_last_snapshot_at_or_before_the_time(file: ChainFile, after_ns: int | None, bid: float) -> None:
    snapshot = file.at(None if after_ns is None else T0_NS + after_ns, "BTC")
    assert snapshot.bid[-1] == bid


def test_a_time_before_the_first_snapshot(file: ChainFile) -> None:
    with pytest.raises(BadInputError) as caught:
        file.at(T0_NS - 1, "BTC")
    assert str(caught.value) == (
        f"{file.path}: no chain of BTC at or before 2026-01-14T03:59:59.999Z; "
        "it reaches from 2026-01-14T04:00:00.000Z to 2026-01-14T10:00:00.000Z; ask for a time in it"
    )


def test_which_underlying_is_meant(file: ChainFile) -> None:
    with pytest.raises(BadInputError, match="it holds chains of BTC, BTC_USDC, ETH; name the underlying"):
        file.at()
    with pytest.raises(BadInputError, match="no chain of 'SOL' in it; name one of BTC, BTC_USDC, ETH"):
        file.at(None, "SOL")
    assert file.at(None, "BTC").settle == "BTC"
    assert file.at(None, "BTC_USDC").instrument == (LINEAR_CALL,)


def test_the_coin_alone_names_its_only_chain(tmp_path: Path) -> None:
    file = read_chains(write_parquet(tmp_path / "chain.parquet", table(BULK, {"instrument_name": LINEAR_CALL})))
    assert file.at(None, "BTC").settle == "USDC"


def test_one_underlying_alone(file: ChainFile) -> None:
    bitcoin = file.select("BTC")
    assert bitcoin.underlyings == ("BTC",)
    assert len(bitcoin.snapshots) == 2
    assert bitcoin.at().ts_ns == T0_NS + SIX_HOURS_NS
    assert (bitcoin.taken, bitcoin.path) == (file.taken, file.path)


def test_snapshots_are_counted_from_either_end(file: ChainFile) -> None:
    assert len(file.snapshots) == 4
    assert file.snapshots[-1].underlying == "ETH"
    assert [s.underlying for s in file.snapshots[1:3]] == ["BTC", "BTC"]
    with pytest.raises(IndexError):
        file.snapshots[4]


def test_columns_in_the_order_of_expiry_strike_and_right(file: ChainFile) -> None:
    first = file.snapshots[0]
    assert first.ts_ns == T0_NS
    assert first.index_usd == 95_000.0
    assert first.sign.tolist() == [-1.0, 1.0]
    assert first.strike_usd.tolist() == [90_000.0, 90_000.0]
    assert first.expiry_ns.tolist() == [1_774_598_400_000_000_000] * 2
