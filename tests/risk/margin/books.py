"""Models as they ship, and chains to ask them about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flatbook.risk.margin.contracts import MarginContracts
from flatbook.risk.margin.model import MarginModel
from flatbook.risk.margin.requirement import Requirement
from flatbook.venues.margin import MODELS, editions

from .columns import Row, contracts

Floats = NDArray[np.float64]

LATEST: dict[str, MarginModel] = {name: editions(name)[-1].model for name in MODELS}

ROWS = [
    Row(),
    Row(forward=81_000.0, years=0.2),
    *(
        Row(sign, strike, years, 80_000.0 * (1.0 + 0.04 * years), vol, in_coin=coin)
        for years, vol, coin in ((0.02, 0.7, True), (0.2, 0.6, True), (0.6, 0.55, False))
        for strike in (60_000.0, 80_000.0, 110_000.0)
        for sign in (1.0, -1.0)
    ),
]
"""A perpetual, a future, and three expiries of calls and puts, one of them settled in dollars."""

CHAIN: MarginContracts = contracts(ROWS)
REQUIREMENTS: dict[str, Requirement] = {name: model.requirement(CHAIN) for name, model in LATEST.items()}


def row_of(sign: float, strike: float, years: float) -> int:
    return next(at for at, row in enumerate(ROWS) if (row.sign, row.strike, row.years) == (sign, strike, years))
