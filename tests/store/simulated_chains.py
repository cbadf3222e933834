"""Chain files of markets made by hand: every expiry's options on its smile, futures and perpetuals beside them."""

from pathlib import Path

import numpy as np
import polars as pl

from flatbook.domain.instruments import format_expiry
from flatbook.domain.units import format_utc
from flatbook.kernels.black import inverse
from flatbook.market.snapshot import MarketSnapshot

HALF_VOL = 0.004
"""Between a quote's side and the true vol."""


def chain_rows(market: MarketSnapshot, per_index: int = 40) -> pl.DataFrame:
    """Quotes around the truth, one row an instrument; strikes to three deviations, so many steps to the index."""
    rows: list[tuple[str, str, float, float, float | None, float]] = []
    stamp, name = format_utc(market.ts_ns), market.underlying
    step = market.index_usd / per_index
    for number, years in enumerate(market.years.tolist()):
        forward, expiry = float(market.forward_usd[number]), format_expiry(int(market.expiry_ns[number]))
        reach = 3.0 * float(market.vol(forward, years)) * np.sqrt(years)
        low, high = (round(forward * np.exp(side * reach) / step) for side in (-1, 1))
        for strike in (step * np.arange(max(low, 1), high + 1)).tolist():
            vol = float(market.vol(strike, years))
            for right, sign in (("C", 1.0), ("P", -1.0)):
                bid, ask = (inverse(forward, strike, vol + side * HALF_VOL, years, sign).price for side in (-1, 1))
                rows.append((f"{name}-{expiry}-{strike:.0f}-{right}", stamp, bid, ask, forward, market.index_usd))
    for instrument, price in market.linear_usd.items():
        rows.append((instrument, stamp, price - 0.5, price + 0.5, None, market.index_usd))
    columns = ["instrument", "timestamp", "bid", "ask", "forward", "index_price"]
    return pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None)


def write_chain_file(path: Path, *markets: MarketSnapshot) -> Path:
    """A table of quotes with every market's chain."""
    pl.concat([chain_rows(market) for market in markets], how="vertical_relaxed").write_csv(path)
    return path
