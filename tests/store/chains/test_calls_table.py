"""A table of calls an hour ahead of UTC: its marks fit Black only with the hour taken off."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from flatbook.domain.units import NS_PER_HOUR, parse_utc
from flatbook.market.chain_snapshot import ChainSnapshot, Floats
from flatbook.store.chains import read_chains

from .builders import Change, table, write_csv
from .witness import black_errors, count

RECORDED = "deribit-chain-3min-20240902/chain_calls.parquet"
_ROW = {
    "timestamp": "2024-09-02 14:20:50",
    "Coin_Name": "BTC",
    "Expiry_Date": "2024-09-06",
    "Strike_Price": 52_000.0,
    "Option_Type": "Call",
    "Coin_Price": 58_294.5,
    "mark_price": 0.1081,
    "best_bid_price": 0.106,
    "best_ask_price": 0.11,
    "bid_iv": 0.0,
    "ask_iv": 163.5,
    "mark_iv": 103.0,
    "Put_Price": 5.8,
}


def test_names_are_made_of_their_parts(tmp_path: Path) -> None:
    puts = {"Option_Type": "Put", "Expiry_Date": "2025-12-26", "Coin_Name": "ETH", "Strike_Price": 3_000.0}
    odd: list[Change] = [{"Strike_Price": 52_000.5}, {"Expiry_Date": "soon"}, {"Option_Type": "Both"}]
    file = read_chains(write_csv(tmp_path / "t", table(_ROW, {}, puts, *odd)))
    assert file.format == "table of calls"
    assert [chain.instrument for chain in file.snapshots] == [("BTC-6SEP24-52000-C",), ("ETH-26DEC25-3000-P",)]
    assert file.left_out == {"unknown instrument": 3}


def test_units_and_clock(tmp_path: Path) -> None:
    chain = read_chains(write_csv(tmp_path / "t", table(_ROW, {}))).at()
    assert chain.ts_ns == parse_utc("2024-09-02T13:20:50")
    assert np.isnan(chain.index_usd)
    prices = (chain.bid, chain.ask, chain.mark, chain.forward_usd, chain.ask_iv, chain.mark_iv)
    assert [column[0] for column in prices] == [0.106, 0.11, 0.1081, 58_294.5, 1.635, 1.03]
    assert count(chain.bid_iv, chain.bid_size) == [0, 0]


def test_recorded_runs(recorded: Callable[[str], Path]) -> None:
    file = read_chains(recorded(RECORDED))
    assert (file.taken, file.left_out, len(file.snapshots)) == (15_659, {}, 34)
    assert {len(chain.instrument) for chain in file.snapshots} <= set(range(455, 462))
    assert all((chain.sign == 1).all() for chain in file.snapshots)


def test_the_hour_is_right(recorded: Callable[[str], Path]) -> None:
    """Marks of the expiry a day ahead are Black of their vols at the hour taken, and not as the file states it."""

    def nearest(chain: ChainSnapshot, ts_ns: int) -> Floats:
        errors = black_errors(replace(chain, ts_ns=ts_ns))
        return np.asarray(errors[chain.expiry_ns == chain.expiry_ns.min()])

    chains = read_chains(recorded(RECORDED)).snapshots
    as_taken = np.concatenate([nearest(chain, chain.ts_ns) for chain in chains])
    as_stated = np.concatenate([nearest(chain, chain.ts_ns + NS_PER_HOUR) for chain in chains])
    assert np.median(as_taken) < 3e-5
    assert as_taken.mean() < 0.5 * as_stated.mean()
