"""The other makers: what they believe the surface is, and the best bid and ask they show around it."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.reference import TickSteps
from flatbook.domain.units import NS_PER_MINUTE, NS_PER_YEAR
from flatbook.sim.options import Values
from flatbook.sim.smile import MAX_ETA_TIMES_SKEW, Factors
from flatbook.sim.streams import stream
from flatbook.sim.ticks import ceil_ticks, floor_ticks
from flatbook.sim.world import Reverting, World

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_TEN_MINUTES_PER_YEAR = NS_PER_YEAR / (10 * NS_PER_MINUTE)
_WIDEST_DEVIATIONS = 4.0


@dataclass(frozen=True, slots=True)
class MakerParameters:
    """How the other makers quote; defaults fitted by eye to recorded chains of April 2025, before tick rounding.

    half_spread_vol     at the money, one day from expiry; it falls with days to the power `tenor_power` ...
    least_spread_vol    ... but not below this, and the same above `most_spread_vol`
    wing                widening per squared standard deviation of moneyness
    in_the_money        widening per standard deviation in the money
    least_ticks         half the spread is at least so many finest ticks
    variance_error      logarithm of believed over true variance now, and `long_variance_error` of the one it reverts to
    skew_error          believed minus true skew
    """

    half_spread_vol: float = 0.013
    tenor_power: float = 0.42
    least_spread_vol: float = 0.002
    most_spread_vol: float = 0.05
    wing: float = 0.2
    in_the_money: float = 0.7
    least_ticks: float = 0.6
    variance_error: Reverting = field(default_factory=lambda: Reverting(0.0, 0.015, _TEN_MINUTES_PER_YEAR))
    long_variance_error: Reverting = field(default_factory=lambda: Reverting(0.0, 0.01, _TEN_MINUTES_PER_YEAR))
    skew_error: Reverting = field(default_factory=lambda: Reverting(0.0, 0.02, _TEN_MINUTES_PER_YEAR))


class Market(NamedTuple):
    """Best prices of the other makers in finest ticks, zero where they show none.

    `usual_coin` is how far from its worth they show an option on average: half their spread, half a step of rounding.
    """

    bid_ticks: Ints
    ask_ticks: Ints
    usual_coin: Floats


class Beliefs:
    """The surface as the other makers see it: the true factors with slow errors, free of arbitrage all the same."""

    def __init__(self, parameters: MakerParameters, world: World, seed: int) -> None:
        minutes = world.minutes.carry.size - 1
        now = np.exp(parameters.variance_error.path(stream(seed, "makers' variance"), minutes))
        later = np.exp(parameters.long_variance_error.path(stream(seed, "makers' long variance"), minutes))
        skew_error = parameters.skew_error.path(stream(seed, "makers' skew"), minutes)
        true = world.minutes.factors
        skew = np.clip(true.skew + skew_error, -0.95, 0.95)
        convexity = np.minimum(true.convexity, 0.99 * MAX_ETA_TIMES_SKEW / (1 + np.abs(skew)))
        self.factors = Factors(true.variance * now, true.long_variance * later, skew, convexity)
        self._start_ns = world.start_ns

    def at(self, now_ns: Ints) -> Factors:
        """Believed factors at each of `now_ns`."""
        last = self.factors.skew.size - 1
        minute = np.clip((now_ns - self._start_ns) // NS_PER_MINUTE, 0, last)
        return Factors(*(path[minute] for path in self.factors))


def show(parameters: MakerParameters, believed: Values, sign: Floats, steps: TickSteps) -> Market:
    """Best bid and ask around what the makers believe options to be worth, rounded outward to the grid."""
    half_coin = np.maximum(_half_spread_vol(parameters, believed, sign) * believed.vega_coin, 0.0)
    tick = float(steps.finest)
    half_coin = np.maximum(half_coin, parameters.least_ticks * tick)
    bid_ticks = floor_ticks(steps, (believed.price_coin - half_coin) / tick)
    ask_ticks = ceil_ticks(steps, (believed.price_coin + half_coin) / tick)
    step = np.where(believed.price_coin > steps.above_ticks * tick, steps.coarse_ticks, 1) * tick
    return Market(np.maximum(bid_ticks, 0), ask_ticks, half_coin + 0.5 * step)


def _half_spread_vol(p: MakerParameters, believed: Values, sign: Floats) -> Floats:
    days = believed.years * 365
    deviations = believed.log_moneyness / (believed.atm_vol * np.sqrt(believed.years))
    deviations = np.clip(deviations, -_WIDEST_DEVIATIONS, _WIDEST_DEVIATIONS)
    in_the_money = np.maximum(-sign * deviations, 0)
    base = np.clip(p.half_spread_vol * days**-p.tenor_power, p.least_spread_vol, p.most_spread_vol)
    return np.asarray(base * (1 + p.wing * deviations**2 + p.in_the_money * in_the_money))
