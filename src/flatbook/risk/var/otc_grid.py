"""A contract over the counter in many scenarios: valued whole on a grid of spot and vol, and read between by splines.

A grid costs some forty valuations whatever the number of scenarios. What it leaves out is said where it is used: the
skew's and convexity's own moves, and the carry's. A contract on two assets has more than a grid, and goes by its Greeks
in `taylor`.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

from flatbook.domain.errors import FlatbookError, UnpricedError
from flatbook.kernels.chain import SPOT
from flatbook.market.shock import Shock
from flatbook.market.snapshot import Markets
from flatbook.risk.var.sources import FactorScenarios
from flatbook.risk.var.tenors import smile_moves
from flatbook.valuation.portfolio import BookPosition, Portfolio

Floats = NDArray[np.float64]

_SPOTS, _VOLS = 11, 5
_LEAST_VOL = -0.9


def grid_gain_usd(position: BookPosition, markets: Markets, scenarios: FactorScenarios, tenor_years: Floats) -> Floats:
    """What a position on one asset gains in each scenario, (scenarios,), USD.

    Errors      UnpricedError where it cannot be valued at a point of the grid
    """
    book = Portfolio([position])
    moves = scenarios.of(position.underlying)
    spots, vols = moves[:, SPOT], _relative_vols(position, markets, moves, tenor_years)
    spot_grid, vol_grid = _grid(spots, _SPOTS), _grid(vols, _VOLS)
    days = scenarios.hours / 24.0
    try:
        worth = [
            [
                float(book.worth_usd(_moved(markets, position.underlying, spot, vol, days)).sum())
                for vol in vol_grid.tolist()
            ]
            for spot in spot_grid.tolist()
        ]
        now = float(book.worth_usd(markets).sum())
    except FlatbookError as error:
        raise UnpricedError(f"in a scenario of spot and vol: {error}") from None
    spline = RectBivariateSpline(spot_grid, vol_grid, np.array(worth))
    return np.asarray(spline(spots, vols, grid=False) - now)


def _moved(markets: Markets, underlying: str, log_spot: float, vol: float, days: float) -> Markets:
    """The markets with one underlying's moved: its smile goes with the forward, as the factors are read."""
    shocked = markets.of(underlying).shocked(Shock(math.expm1(log_spot), vol, days))
    slices = shocked.slices + np.array([0.0, 0.0, 0.0, log_spot, 0.0])
    return replace(markets, snapshots={**markets.snapshots, underlying: replace(shocked, slices=slices)})


def _relative_vols(position: BookPosition, markets: Markets, moves: Floats, tenor_years: Floats) -> Floats:
    """Moves of the level at the contract's expiry against the level, as a shock takes them."""
    market = markets.of(position.underlying)
    expiry_ns = position.instrument.contract.expiry_ns
    assert expiry_ns is not None
    years = np.array([max(market.years_to(expiry_ns), 0.0)])
    level = smile_moves(years, moves, tenor_years).level[0]
    return np.asarray(np.maximum(level / market.term.vol(0.0, years), _LEAST_VOL))


def _grid(values: Floats, points: int) -> Floats:
    """From the least to the greatest, no narrower than a thousandth, nothing in it."""
    low, high = min(float(values.min()), -5e-4), max(float(values.max()), 5e-4)
    return np.linspace(low, high, points)
