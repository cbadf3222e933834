"""Screener snapshots: coin prices from USD prices by their one common rate."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flatbook.domain.units import NS_PER_MINUTE, parse_utc
from flatbook.market.chain_snapshot import ChainSnapshot
from flatbook.store.chains import read_chains

from .builders import Change, table, write_parquet
from .witness import count

RECORDED = "deribit-option-trades/chain_snapshots_2025-03-31_04-22.parquet"
TAPE = "deribit-option-trades/trades_2025-03-29_04-21.parquet"
RATE = 83_240
_ROW = {
    "capture_time_utc_est": "2025-03-31T18:27:00Z",
    "commit_time_utc": "2025-03-31T18:33:10Z",
    "bid_iv": 50.0,
    "ask_iv": 52.5,
}


def _row(strike: int, right: str, bid_ticks: int, ask_ticks: int, **changes: object) -> dict[str, object]:
    """Prices in 0.0001 coin."""
    prices = {"bid_price_usd": bid_ticks * RATE / 1e4, "ask_price_usd": ask_ticks * RATE / 1e4}
    return {"symbol": f"BTC-25APR25-{strike}-{right}", **prices, **changes}


def _pairs() -> list[Change]:
    """Calls and puts that parity binds to a forward of 1.002 of the rate."""
    rows: list[Change] = []
    for strike in range(70_000, 100_000, 5_000):
        intrinsic = round((1 - strike / (1.002 * RATE)) * 1e4)
        call, put = 300 + max(intrinsic, 0), 300 + max(-intrinsic, 0)
        rows += [_row(strike, "C", call - 5, call + 5), _row(strike, "P", put - 5, put + 5)]
    return rows


def test_prices_vols_and_time(tmp_path: Path) -> None:
    odd = [_row(60_000, "P", 0, 3, bid_iv=0.8), _row(150_000, "C", 2, 0, ask_iv=999.0)]
    file = read_chains(write_parquet(tmp_path / "t", table(_ROW, *_pairs(), *odd)))
    assert file.format == "Deribit screener chain snapshots"
    chain = file.at()
    assert chain.ts_ns == parse_utc("2025-03-31T18:28")
    assert chain.index_usd == RATE
    call = chain.instrument.index("BTC-25APR25-70000-C")
    assert [chain.bid[call], chain.ask[call]] == [0.1902, 0.1912]
    assert [chain.bid_iv[call], chain.ask_iv[call]] == [0.5, 0.525]
    assert count(chain.bid, chain.ask, chain.bid_iv, chain.ask_iv) == [13, 13, 13, 13]
    assert count(chain.mark, chain.mark_iv, chain.forward_usd) == [0, 0, 0]


def test_without_pairs_there_is_no_rate_and_no_price(tmp_path: Path) -> None:
    calls = [row for row in _pairs() if str(row["symbol"]).endswith("C")]
    file = read_chains(write_parquet(tmp_path / "t", table(_ROW, *calls)))
    chain = file.at()
    assert count(chain.bid, chain.ask, chain.bid_iv) == [0, 0, 6]
    assert np.isnan(chain.index_usd)
    assert any("2025-03-31T18:27:00Z: no one rate turns its prices into coin" in note for note in file.notes)


def test_negative_and_crossed_rows(tmp_path: Path) -> None:
    odd = [_row(60_000, "C", -1, 5), _row(60_000, "P", 4, 3), _row(65_000, "C", 1, 2, bid_iv=-1.0)]
    file = read_chains(write_parquet(tmp_path / "t", table(_ROW, *_pairs(), *odd)))
    assert file.left_out == {"negative price or vol": 2, "crossed quote": 1}


@pytest.fixture(scope="module")
def snapshots(recorded: Callable[[str], Path]) -> list[ChainSnapshot]:
    file = read_chains(recorded(RECORDED))
    assert (file.taken, file.left_out, len(file.snapshots)) == (12_397, {}, 20)
    return list(file.snapshots)


def test_recorded_prices_lie_on_the_tick(snapshots: list[ChainSnapshot]) -> None:
    for chain in snapshots:
        ticks = np.concatenate([chain.bid, chain.ask]) * 1e4
        known = ticks[np.isfinite(ticks)]
        assert known.size > 500
        assert np.abs(known - np.rint(known)).max() < 1e-6
        assert chain.index_usd == round(chain.index_usd)


def test_recorded_rates_are_the_index_of_the_tape(
    snapshots: list[ChainSnapshot], recorded: Callable[[str], Path]
) -> None:
    """The trades stored with the snapshots carry the index; the median around each, where there are any."""
    tape = pl.read_parquet(recorded(TAPE), columns=["Entry Date", "Underlying Price"]).drop_nulls()
    clock = tape["Entry Date"].str.to_datetime("%Y-%m-%d %H:%M").dt.epoch("ns").to_numpy()
    index = tape["Underlying Price"].to_numpy()
    gaps = []
    for chain in snapshots:
        near = np.abs(chain.ts_ns - clock) < 5 * NS_PER_MINUTE
        if near.any():
            gaps.append(abs(chain.index_usd / np.median(index[near]) - 1))
    assert len(gaps) >= 15
    assert np.median(gaps) < 2e-3
    assert max(gaps) < 1e-2


def test_recorded_quotes_hold_parity(snapshots: list[ChainSnapshot]) -> None:
    """In each expiry some forward lies between what every pair's bids and asks allow, to a tick of 0.0005 coin."""
    for chain in snapshots:
        pairs: dict[tuple[int, float], dict[float, int]] = {}
        for row, key in enumerate(zip(chain.expiry_ns.tolist(), chain.strike_usd.tolist(), strict=True)):
            pairs.setdefault(key, {})[float(chain.sign[row])] = row
        nearest = int(chain.expiry_ns.min())
        low, high = 0.0, np.inf
        for (expiry, strike), pair in pairs.items():
            if expiry == nearest and len(pair) == 2:
                call, put = pair[1.0], pair[-1.0]
                bounds = (chain.bid[call] - chain.ask[put] - 5e-4, chain.ask[call] - chain.bid[put] + 5e-4)
                if np.isfinite(bounds).all():
                    low, high = max(low, strike / (1 - bounds[0])), min(high, strike / (1 - bounds[1]))
        assert low <= high
        assert low * 0.997 < chain.index_usd < high * 1.003
