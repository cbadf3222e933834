"""A book of options along paths: its value and Greeks at every step, once for all rules that hedge it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.black import price_greeks
from flatbook.sim.hedging.paths import STEP_YEARS, Paths

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OptionBook:
    """Options of one expiry, struck around each path's start.

    days        from the start to expiry, beyond the end of the paths
    deviations  strikes, in standard deviations to expiry from the start's index
    signs       +1 call, -1 put
    sizes       coins, signed
    """

    days: float
    deviations: tuple[float, ...]
    signs: tuple[int, ...]
    sizes: tuple[float, ...]


SHORT_STRANGLE = OptionBook(days=7.0, deviations=(-0.5, 0.5), signs=(-1, 1), sizes=(-50.0, -50.0))
"""A week's strangle, fifty coins a leg: short gamma, whose delta runs away and must be bought back dearer."""


@dataclass(frozen=True, slots=True, eq=False)
class BookAlong:
    """The book at each step of each path; all (paths, steps + 1).

    value_usd, delta_usd
    dollar_gamma_usd    change of USD delta per unit of log index
    vega_usd            per 1.00 of vol, at all strikes
    atm_vol, years      to the book's expiry
    strike_usd, size, sign      (paths, options), (options,), (options,): what it was made of
    vol                 (options, paths, steps + 1): marks
    """

    value_usd: Floats
    delta_usd: Floats
    dollar_gamma_usd: Floats
    vega_usd: Floats
    atm_vol: Floats
    years: Floats
    strike_usd: Floats
    size: Floats
    sign: Floats
    vol: Floats


def along(paths: Paths, book: OptionBook) -> BookAlong:
    """The book valued at the paths' own smile."""
    index = paths.index_usd
    years = np.broadcast_to(book.days / 365 - STEP_YEARS * np.arange(paths.steps + 1), index.shape)
    atm_vol = np.sqrt(paths.surface.atm_total_variance(paths.factors, years) / years)
    size, sign = np.array(book.sizes), np.array(book.signs, dtype=np.float64)
    width = atm_vol[:, :1] * np.sqrt(years[:, :1])
    strike = index[:, :1] * np.exp(np.array(book.deviations) * width)
    totals = np.zeros((4, *index.shape))
    vols = np.empty((size.size, *index.shape))
    for k in range(size.size):
        at = np.broadcast_to(strike[:, k : k + 1], index.shape)
        vols[k] = np.sqrt(paths.surface.total_variance(paths.factors, years, np.log(at / index)) / years)
        totals += size[k] * greeks(index, at, vols[k], years, float(sign[k]))
    value, delta, gamma, vega = totals
    return BookAlong(value, delta * index, gamma * index**2, vega, atm_vol, years, strike, size, sign, vols)


def greeks(index: Floats, strike: Floats, vol: Floats, years: Floats, sign: float) -> Floats:
    """(4, ...) value, delta, gamma and vega of one option of a coin; arguments of one shape, forwards at the index."""
    forward, at, marks, left = (np.ascontiguousarray(column).ravel() for column in (index, strike, vol, years))
    price, delta, gamma, vega, theta = (np.empty(index.size) for _ in range(5))
    price_greeks(forward, at, marks, left, np.full(index.size, sign), price, delta, gamma, vega, theta)
    return np.stack([price, delta, gamma, vega]).reshape(4, *index.shape)
