"""Contracts by column, made by hand: what margin models are asked about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.black import black
from flatbook.risk.margin.contracts import MarginContracts

Floats = NDArray[np.float64]


class Row(NamedTuple):
    """One contract; `sign` 0 for a perpetual or, where there are years, a future. A mark of None is Black's."""

    sign: float = 0.0
    strike: float = float("nan")
    years: float = 0.0
    forward: float = 80_000.0
    vol: float = 0.6
    mark: float | None = None
    in_coin: bool = True
    rate: float = 0.0


def contracts(rows: Iterable[Row], index_usd: float = 80_000.0, underlying: str = "BTC") -> MarginContracts:
    rows = list(rows)

    def column(values: Iterable[object]) -> Floats:
        return np.array(list(values), dtype=np.float64)

    sign, strike, years, forward, vol = (column(row[part] for row in rows) for part in range(5))
    is_option = sign != 0.0
    greeks = black(forward, np.where(is_option, strike, 1.0), vol, years, np.where(is_option, sign, 1.0))
    model = np.where(is_option, greeks.price, forward)
    given = column(np.nan if row.mark is None else row.mark for row in rows)
    return MarginContracts(
        underlying=underlying,
        index_usd=index_usd,
        names=tuple(str(at) for at in range(len(rows))),
        is_option=is_option,
        in_coin=np.array([row.in_coin for row in rows], dtype=np.bool_),
        strike_usd=strike,
        sign=sign,
        years=years,
        forward_usd=forward,
        vol=np.where(is_option, vol, 0.0),
        mark_usd=np.where(np.isnan(given), model, given),
        delta=np.where(is_option, greeks.delta, 1.0),
        rate=column(row.rate for row in rows),
    )
