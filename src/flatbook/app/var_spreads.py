"""Bid-ask spreads of what a book holds, as a chain file recorded them: what getting out of it costs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.app.book_markets import history_name
from flatbook.market.chain_snapshot import ChainSnapshot
from flatbook.market.snapshot import Markets
from flatbook.store.chains import read_chains
from flatbook.valuation.portfolio import BookPosition, Portfolio

Floats = NDArray[np.float64]

CHAINS: Final = 40
"""Spreads are read from so many chains up to the market's moment."""


def spreads_usd(portfolio: Portfolio, markets: Markets, chain: Path | None) -> Floats:
    """Spreads in USD per unit of size, (positions and balances, observations); NaN where not quoted on both sides.

    Of a balance, which is money, they are 0. Without a chain file none is known.
    """
    rows = np.full((len(portfolio.positions) + len(portfolio.balances), CHAINS), np.nan)
    rows[len(portfolio.positions) :] = 0.0
    if chain is None:
        return rows
    file = read_chains(chain)
    for underlying in {position.underlying for position in portfolio.positions}:
        history, market = file.histories[history_name(file, underlying)], markets.of(underlying)
        numbers = [n for n, ts in enumerate(history.times_ns.tolist()) if ts <= market.ts_ns][-CHAINS:]
        held = [(at, one) for at, one in enumerate(portfolio.positions) if one.underlying == underlying]
        for column, number in enumerate(numbers):
            snapshot = history.snapshot(number)
            names = {name: row for row, name in enumerate(snapshot.instrument)}
            for at, position in held:
                rows[at, column] = _spread_usd(position, snapshot, names, market.index_usd)
    return rows


def _spread_usd(position: BookPosition, chain: ChainSnapshot, names: dict[str, int], index_usd: float) -> float:
    name = position.instrument.name
    if name in names:
        spread = float(chain.ask[names[name]] - chain.bid[names[name]])
        return spread * index_usd if chain.is_inverse else spread
    for quote in chain.linear:
        if quote.instrument == name:
            spread = quote.ask - quote.bid
            return spread / (0.5 * (quote.ask + quote.bid)) if position.instrument.is_reciprocal else spread
    return math.nan
