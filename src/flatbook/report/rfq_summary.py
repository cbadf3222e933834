"""Requests for quotes in numbers: how they ended, who asked, how often we won, and what that was worth later."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from flatbook.report.tables import MARKOUT_HORIZONS_NS

Summary = dict[str, Any]

QUOTED = pl.col("versions") > 0
DECIDED = QUOTED & pl.col("state").is_in(["won", "lost", "expired"])
"""Quoted to the end: what a win rate is of. What we took back ourselves had no chance to the end."""

STATES = ("won", "lost", "expired", "cancelled", "declined", "quoted", "amended")


def summarise_rfqs(rfqs: pl.DataFrame) -> Summary | None:
    """All requests and each counterparty's, the busiest first; None where nobody asked.

    Units       USD; rates and probabilities from 0 to 1, null where they are of nothing
    """
    if rfqs.is_empty():
        return None
    groups = sorted(rfqs.group_by("counterparty"), key=lambda group: (-group[1].height, group[0]))
    counts = dict(rfqs["state"].value_counts().iter_rows())
    return {
        **_line(rfqs),
        "states": {state: counts.get(state, 0) for state in STATES if counts.get(state, 0)},
        "amended": int((rfqs["versions"] > 1).sum()),
        "versions": int(rfqs["versions"].sum()),
        "volume_usd": float(rfqs["volume_usd"].fill_nan(0.0).sum()),
        "fee_usd": float(rfqs["fee_usd"].fill_nan(0.0).sum()),
        "counterparties": [{"name": name, **_line(frame)} for (name,), frame in groups],
    }


def _line(rfqs: pl.DataFrame) -> Summary:
    """Of some requests: how many came, were quoted and won, at which odds, and what the trades gained us."""
    decided = rfqs.filter(DECIDED)
    won = rfqs.filter(pl.col("state") == "won")
    return {
        "requests": rfqs.height,
        "quoted": rfqs.filter(QUOTED).height,
        "won": won.height,
        "win_rate": won.height / decided.height if decided.height else None,
        "believed_win_rate": _mean(decided.select(believed_probability()).to_series()),
        "edge_usd": float(won["edge_usd"].sum()),
        **_markouts(won),
    }


def believed_probability() -> pl.Expr:
    """What an answer's chance was believed to be: of the side that was asked for, of two the mean."""
    bid, ask = pl.col("bid_probability").fill_nan(None), pl.col("ask_probability").fill_nan(None)
    return pl.mean_horizontal(bid, ask, ignore_nulls=True)


def _markouts(won: pl.DataFrame) -> Mapping[str, float | None]:
    """Sums by horizon of those that have passed; null where none has."""
    known = {column: won[column].fill_nan(None).drop_nulls() for column in MARKOUT_HORIZONS_NS}
    return {
        column.removesuffix("_usd"): float(values.sum()) if len(values) else None for column, values in known.items()
    }


def _mean(values: pl.Series) -> float | None:
    mean = values.drop_nulls().mean()
    return mean if isinstance(mean, float) else None
