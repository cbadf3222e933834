"""P&L by day, strategy and expiry, in USD and in coin: sums over the `pnl` series, checked against the totals."""

import math
from typing import Any

import polars as pl

from flatbook.domain.errors import LimitBreachedError
from flatbook.report.tables import PARTS

KEYS = ("day", "strategy", "expiry")
"""By what P&L is broken down: columns of the `pnl` series."""

CENT_USD = 0.01
SMALLEST_COIN = 1e-8

Parts = dict[str, float]


def parts_by(pnl: pl.DataFrame, key: str) -> list[dict[str, Any]]:
    """A row for each value of `key`, in order: its name, and total and parts in `usd` and in `coin`."""
    rows = []
    for (name,), frame in sorted(pnl.group_by(key)):
        rows.append({key: name, "usd": totals(frame, "usd"), "coin": totals(frame, "coin")})
    return rows


def totals(pnl: pl.DataFrame, unit: str) -> Parts:
    """Total and parts of some rows of the series, in `usd` or `coin`; they are summed without rounding error."""
    by_part = {name: frame[unit].to_list() for (name,), frame in pnl.group_by("part")}
    parts = {name: math.fsum(by_part.get(name, ())) for name in PARTS}
    return {"total": math.fsum(parts.values()), **parts}


def coin_totals(pnl: pl.DataFrame, usd: dict[str, float], ledger_coin: float) -> Parts:
    """Total and parts in coin, of a series that agrees with what the run has in USD and its ledger in coin.

    Errors      LimitBreachedError where a part is off by a cent, or the total by the coin's smallest unit
    """
    summed = totals(pnl, "usd")
    for name in PARTS:
        if not abs(summed[name] - usd[name]) < CENT_USD:
            raise LimitBreachedError(
                f"{name} is {summed[name]:.2f} USD over days, strategies and expiries, and {usd[name]:.2f} USD in all"
            )
    coin = totals(pnl, "coin")
    if not abs(coin["total"] - ledger_coin) < SMALLEST_COIN:
        raise LimitBreachedError(f"explained P&L is {coin['total']:.9f} in coin but the ledger holds {ledger_coin:.9f}")
    return coin
