"""Vanna-volga: what the smile adds to a contract's flat value, from what it adds to three options at the pillars.

The three vanilla options that share the contract's vega, vanna and volga at the money's vol cost more, or less, on the
smile than at that vol; so does then the contract. A contract that may end early holds its vanna only as long as it
lives: with g the probability to survive, the vanna's part counts by g, and vega's and volga's by (1 + g) / 2. Where the
barrier is far off the contract is the plain one, whose smile value is known: what vanna-volga misses of that is added,
by g too, so that the limits are exact.

The pillars stand around the forward of the moment and are read off a smile that stays by strike when spot moves, as
the Greeks of options are taken.

Source      Castagna and Mercurio (2007), "The vanna-volga method for implied volatilities"; Bossens, Rayée, Skantzos,
            Deelstra (2010), "Vanna-volga methods applied to FX derivatives", for the weights; the correction to the
            plain value is that of QuantLib's vanna-volga engines
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from flatbook.kernels.black import black
from flatbook.valuation.contracts import Barrier
from flatbook.valuation.exotics.reprice import ANYWHERE, Interval
from flatbook.valuation.exotics.stencil import nodes_around
from flatbook.valuation.point import Point

Floats = NDArray[np.float64]

PILLAR_DEVIATIONS = 0.6744897501960817
"""A call and a put of a quarter of delta are struck this many deviations from the forward, drift apart."""

_VOL_STEP = 0.02
_SPOT_STEP = 0.03

FlatValue = Callable[[Point], float]
"""Value in a flat market: of the point's one vol."""


class Pillars(NamedTuple):
    """Low, middle and high strike and their vols on the smile, shape (3,) each; the middle vol is the reference."""

    strikes: Floats
    vols: Floats


def pillars_of(forward: float, years: float, vols_at: Callable[[Floats], Floats]) -> Pillars:
    """Pillars at the forward and at a quarter of delta on either side, by the vol at the money."""
    reach = PILLAR_DEVIATIONS * float(vols_at(np.array([forward]))[0]) * math.sqrt(years)
    strikes = forward * np.exp(np.array([-reach, 0.0, reach]))
    return Pillars(strikes, vols_at(strikes))


class Weights(NamedTuple):
    """How much of each Greek's smile cost counts; ones for a contract that cannot end early."""

    vega: float = 1.0
    vanna: float = 1.0
    volga: float = 1.0


def survival_weights(survival: float) -> Weights:
    """For a contract that lives on with probability `survival`."""
    half = 0.5 * (1.0 + survival)
    return Weights(half, survival, half)


def smile_cost(
    flat: FlatValue, at: Point, years: float, pillars: Pillars, weights: Weights, inside: Interval = ANYWHERE
) -> float:
    """What the smile adds to `flat` at `at`, whose vol is the pillars' middle one.

    `years` are to expiry where `point.passed` is 0; `inside` is where in spot the contract is alive.
    """
    greeks = _greeks(flat, at, years, inside) * np.array(weights)
    hedge = np.linalg.solve(_pillar_greeks(at, years - at.passed, pillars), greeks)
    return float(hedge @ _pillar_costs(at, years - at.passed, pillars))


def _pillar_greeks(at: Point, years: float, pillars: Pillars) -> Floats:
    """Vega, vanna and volga, a row each, of an option at each pillar at the reference vol."""
    width = at.vol * math.sqrt(years)
    d1 = np.log(at.spot / pillars.strikes) / width + at.carry * years / width + 0.5 * width
    density = np.exp(-0.5 * d1 * d1 + (at.carry - at.rate) * years) / math.sqrt(2.0 * math.pi)
    vega = at.spot * density * math.sqrt(years)
    return np.array([vega, -density * (d1 - width) / at.vol, vega * d1 * (d1 - width) / at.vol])


def _pillar_costs(at: Point, years: float, pillars: Pillars) -> Floats:
    """Each pillar's call on the smile less that at the reference vol."""
    forward, discount = at.spot * math.exp(at.carry * years), math.exp(-at.rate * years)
    on_smile, flat = (black(forward, pillars.strikes, vols, years, 1.0).price for vols in (pillars.vols, at.vol))
    return np.asarray(discount * (on_smile - flat))


def _greeks(flat: FlatValue, at: Point, years: float, inside: Interval) -> Floats:
    """Vega, vanna and volga of `flat`, by differences that keep to the live side of a barrier."""
    width = at.vol * math.sqrt(years - at.passed)
    spots = nodes_around(at.spot, _SPOT_STEP * at.spot * min(width, 1.0), 1, inside)
    vols = nodes_around(at.vol, _VOL_STEP * at.vol, 1, ANYWHERE)
    values = np.array([[flat(at._replace(spot=spot, vol=vol)) for vol in vols.values] for spot in spots.values])
    vega = vols.derivative(values, 1)
    return np.array([vega[spots.here], float(spots.derivative(vega, 1)), vols.derivative(values, 2)[spots.here]])


def survival(watched: Barrier, at: Point, years: float) -> float:
    """Probability that a continuously watched barrier is not hit within `years`, 0 to 1.

    The mean of the probability with money and with the asset as the measuring rod, as Bossens et al. take it.
    """
    if watched.touched(at.spot):
        return 0.0
    width = at.vol * math.sqrt(years)
    side = 1.0 if watched.is_down else -1.0
    distance = side * math.log(at.spot / watched.level)

    def of_drift(drift: float) -> float:
        stay = ndtr((distance + side * drift * years) / width)
        back = ndtr((-distance + side * drift * years) / width)
        return float(stay - math.exp(-2.0 * side * drift * distance / at.vol**2) * back)

    half_variance = 0.5 * at.vol * at.vol
    mean = 0.5 * (of_drift(at.carry - half_variance) + of_drift(at.carry + half_variance))
    return min(max(mean, 0.0), 1.0)
