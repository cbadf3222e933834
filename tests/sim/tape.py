"""What the recorded option tape says about takers: the counts that `sim/flow.toml` holds."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from flatbook.domain.instruments import parse_name
from flatbook.domain.units import NS_PER_DAY
from flatbook.sim.flow_table import FlowTable

TRADES = (
    Path(__file__).resolve().parents[2].parent / "shared/data/deribit-option-trades/trades_2025-03-29_04-21.parquet"
)


@dataclass(frozen=True)
class MeasuredFlow:
    """Trades by tenor and moneyness bucket, calls and buys among them, and sizes in lots by size group."""

    trades: NDArray[np.int64]
    calls: NDArray[np.int64]
    buys: NDArray[np.int64]
    sizes_lots: list[NDArray[np.int64]]


def measure_flow(table: FlowTable) -> MeasuredFlow:
    """Counts the tape's book trades into `table`'s buckets; blocks, combos and rows without a vol are left out.

    Moneyness is ln(strike / index) over the trade's own vol times the root of its years.
    """
    if not TRADES.exists():
        pytest.skip(f"the recorded tape is not at {TRADES}")
    tape = pl.read_parquet(TRADES).filter(
        (pl.col("BlockTrade IDs") == "") & (pl.col("Combo ID") == "") & (pl.col("ComboTrade IDs") == "")
        & (pl.col("IV (%)") > 0)
    )  # fmt: skip
    names = {name: parse_name(name) for name in tape["Instrument"].unique()}
    contracts = [names[name] for name in tape["Instrument"]]
    expiry_ns = np.array([contract.expiry_ns or 0 for contract in contracts])
    strike = np.array([float(contract.strike or 0) for contract in contracts])
    is_call = np.array([contract.right is not None and contract.right.sign > 0 for contract in contracts])
    now_ns = tape["Entry Date"].str.to_datetime("%Y-%m-%d %H:%M").dt.epoch("ns").to_numpy()
    days = (expiry_ns - now_ns) / NS_PER_DAY
    held = days > 0
    width = tape["IV (%)"].to_numpy() / 100 * np.sqrt(np.where(held, days, 1) / 365)
    moneyness = np.log(strike / tape["Underlying Price"].to_numpy()) / width
    lots = np.round(tape["Size"].to_numpy() * 10).astype(np.int64)[held]
    tenor = table.tenor_bucket(days)[held]
    cell = tenor * table.moneyness_buckets + table.moneyness_bucket(moneyness)[held]
    is_buy = (tape["Side"] == "BUY").to_numpy()[held]

    def count(chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        shape = (table.tenor_buckets, table.moneyness_buckets)
        return np.bincount(cell[chosen], minlength=shape[0] * shape[1]).reshape(shape)

    groups = [lots[np.isin(tenor, np.flatnonzero(table.size_group == group))] for group in range(len(table.size_lots))]
    return MeasuredFlow(count(np.ones(lots.size, bool)), count(is_call[held]), count(is_buy), groups)
