"""What positions gain by their Greeks: Taylor's second order in spot and vol, the first in carry and time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.chain import BASIS, SPOT
from flatbook.market.snapshot import Markets
from flatbook.risk.var.sources import FactorScenarios
from flatbook.risk.var.tenors import smile_moves
from flatbook.valuation.marks import Marks
from flatbook.valuation.portfolio import BookPosition, Portfolio

Floats = NDArray[np.float64]


def greek_gain_usd(marks: Marks, at: NDArray[np.int64], moves: Floats, vol: Floats, hours: float) -> Floats:
    """What rows `at` of `marks` gain in each scenario, (rows, scenarios), USD.

    Shapes      moves (scenarios, FACTORS) of the underlying's factors; vol (rows, scenarios) the moves of own vols
    """

    def column(values: Floats) -> Floats:
        return np.asarray(values[at][:, None])

    spot, points = np.expm1(moves[:, SPOT]), 100.0 * vol
    carry = np.nan_to_num(column(marks.years)) * moves[:, BASIS]
    return np.asarray(
        column(marks.delta_usd) * spot
        + 50.0 * column(marks.gamma_1pct_usd) * spot**2
        + column(marks.vega_usd) * points
        + column(marks.vanna_usd) * spot * points
        + 0.5 * column(marks.volga_usd) * points**2
        + column(marks.basis_usd) * carry
        + column(marks.theta_usd) * (hours / 24.0)
    )


def otc_taylor_usd(position: BookPosition, markets: Markets, scenarios: FactorScenarios, tenor_years: Floats) -> Floats:
    """What a contract over the counter gains in each scenario, (scenarios,), USD; its vols move with the level alone.

    Of two assets the second has delta, gamma and vega; what both do together is left out.
    """
    assert position.otc is not None
    marks, first = Portfolio([position]).mark(markets), np.array([0])
    moves = scenarios.of(position.underlying)
    gain = greek_gain_usd(marks, first, moves, smile_moves(marks.years, moves, tenor_years).level, scenarios.hours)[0]
    if position.otc.underlying2 is None:
        return np.asarray(gain)
    other = scenarios.of(position.otc.underlying2)
    spot, level = np.expm1(other[:, SPOT]), smile_moves(marks.years, other, tenor_years).level[0]
    second = marks.delta2_usd * spot + 50.0 * marks.gamma2_1pct_usd * spot**2 + 100.0 * marks.vega2_usd * level
    return np.asarray(gain + second)
