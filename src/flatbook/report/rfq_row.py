"""The row of the series `rfqs`; see `tables`."""

from typing import NamedTuple

import numpy as np


class RfqRow(NamedTuple):
    """A request for a quote at its end, or at the run's: who asked for what, our answer, and what became of it.

    Prices are in coin per package, `typical` is the half-spread that others are believed to ask. `bid` to `typical` are
    of the answer that traded, else of the last; `versions` counts answers. Where we traded, `side` is ours and
    `price == fair + spread_part + inventory_part`; `traded_price` and `traded_side`, the taker's, are of any trade.
    """

    ts_ns: int
    rfq_id: str
    counterparty: str
    package: str
    legs: int
    size: float
    taker_side: int
    competitors: int
    state: str
    ended_ns: int
    versions: int
    reason: str
    bid: float = np.nan
    ask: float = np.nan
    fair: float = np.nan
    typical: float = np.nan
    bid_probability: float = np.nan
    ask_probability: float = np.nan
    side: int = 0
    price: float = np.nan
    spread_part: float = np.nan
    inventory_part: float = np.nan
    index_usd: float = np.nan
    edge_usd: float = np.nan
    fee_usd: float = np.nan
    volume_usd: float = np.nan
    vega_usd: float = np.nan
    traded_price: float = np.nan
    traded_side: int = 0
    markout_1m_usd: float = np.nan
    markout_10m_usd: float = np.nan
    markout_1h_usd: float = np.nan
