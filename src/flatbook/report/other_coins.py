"""Other coins that may hedge, of a run: what was held of each, and how it moved with ours; numbers and a section."""

import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from flatbook.report import formats
from flatbook.report.markup import Column, Html, section, table


def summarise_other_coins(frames: Mapping[str, pl.DataFrame]) -> list[dict[str, Any]] | None:
    """`other_coins` of report.json: a coin each, as it stood at last; None where none may hedge.

    delta_usd, as_ours_usd      held at last, and what of that moves with ours; `delta_usd_most` at most, of either sign
    hedges, volume_usd, cost_usd, fee_usd       of what was traded in it
    """
    rows = frames["other_coins"]
    if rows.is_empty():
        return None
    return [_of_one(part, frames["hedges"]) for part in rows.partition_by("coin", maintain_order=True)]


def _of_one(rows: pl.DataFrame, hedges: pl.DataFrame) -> dict[str, Any]:
    last = rows.row(-1, named=True)
    traded = hedges.filter(pl.col("instrument") == last["instrument"])
    known = {
        name: value if not isinstance(value, float) or math.isfinite(value) else None
        for name, value in last.items()
        if name != "ts_ns"
    }
    return {
        **known,
        "delta_usd_most": float(rows["delta_usd"].abs().max()),  # type: ignore[arg-type]
        "hedges": traded.height,
        **{name: float(traded[column].sum()) for name, column in _SUMS.items()},
    }


_SUMS = {"volume_usd": "size_usd", "cost_usd": "cost_usd", "fee_usd": "fee_usd"}


def other_coins_section(coins: list[dict[str, Any]] | None, gained_usd: float | None) -> Html:
    """Nothing where none may hedge; `gained_usd` is what all of them gained by their indices."""
    if coins is None:
        return Html("")
    note = (
        "Perpetuals of other coins hedge as far as they are known to move with ours: a correlation within two of its "
        "errors is none. What of a position moves with ours is in the book's delta; in stress it moves one to one with "
        "ours, or not at all, whichever is worse. By their indices they gained "
        f"{formats.usd(gained_usd, 2, signed=True)}."
    )
    columns = (
        Column("Coin", is_number=False),
        Column("Held", is_number=False),
        Column("Size", "coin"),
        Column("Delta", "USD"),
        Column("of which as ours", "USD"),
        Column("At most", "USD"),
        Column("Bound", "USD"),
        Column("Correlation", "± its error"),
        Column("Beta believed"),
        Column("Hedges"),
        Column("Volume", "USD"),
        Column("Cost and fees", "USD"),
    )
    rows = [
        (
            one["coin"],
            one["instrument"],
            formats.number(one["size_coin"], 2, signed=True),
            *(formats.usd(one[name], signed=True) for name in ("delta_usd", "as_ours_usd")),
            *(formats.usd(one[name]) for name in ("delta_usd_most", "limit_usd")),
            f"{formats.number(one['correlation'], 2)} ± {formats.number(one['error'], 2)}",
            formats.number(one["beta"], 2),
            formats.number(one["hedges"]),
            formats.usd(one["volume_usd"]),
            formats.usd(one["cost_usd"] + one["fee_usd"], 2),
        )
        for one in coins
    ]
    return section("other-coins", "Other coins", note, table(columns, rows))
