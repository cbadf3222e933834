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

_HALF_HOURS_PER_YEAR = NS_PER_YEAR / (30 * NS_PER_MINUTE)
_WIDEST_DEVIATIONS = 4.0


@dataclass(frozen=True, slots=True)
class MakerParameters:
    """How the other makers quote; defaults fitted by eye to recorded chains of April 2025, before tick rounding.

    half_spread_vol     at the money, one day from expiry; it falls with days to the power `tenor_power` ...
    least_spread_vol    ... but not below this, and stays below `most_spread_vol`
    wing                widening per squared standard deviation of moneyness
    in_the_money_coin   added to half the spread where an option is `deep_deviations` or more in the money, one day from
                        expiry; it grows with days to the power `in_the_money_power`, and with the square on the way
    least_ticks         half the spread is at least so many finest ticks
    variance_error      logarithm of believed over true variance now, and `long_variance_error` of the one it reverts to
    skew_error          believed minus true skew
    """

    half_spread_vol: float = 0.012
    tenor_power: float = 0.42
    least_spread_vol: float = 0.002
    most_spread_vol: float = 0.05
    wing: float = 0.12
    in_the_money_coin: float = 0.0022
    in_the_money_power: float = 0.12
    deep_deviations: float = 0.7
    least_ticks: float = 0.5
    variance_error: Reverting = field(default_factory=lambda: Reverting(0.0, 0.015, _HALF_HOURS_PER_YEAR))
    long_variance_error: Reverting = field(default_factory=lambda: Reverting(0.0, 0.006, _HALF_HOURS_PER_YEAR))
    skew_error: Reverting = field(default_factory=lambda: Reverting(0.0, 0.01, _HALF_HOURS_PER_YEAR))


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
        self._world = world

    def at(self, now_ns: Ints) -> Factors:
        """Believed factors at each of `now_ns`."""
        return self._world.factors_at(self.factors, now_ns)


def show(parameters: MakerParameters, believed: Values, sign: Floats, steps: TickSteps) -> Market:
    """Best bid and ask around what the makers believe options to be worth, rounded outward to the grid."""
    tick = float(steps.finest)
    half_coin = np.maximum(_half_spread_coin(parameters, believed, sign), parameters.least_ticks * tick)
    bid_ticks = floor_ticks(steps, (believed.price_coin - half_coin) / tick)
    ask_ticks = ceil_ticks(steps, (believed.price_coin + half_coin) / tick)
    step = np.where(believed.price_coin > steps.above_ticks * tick, steps.coarse_ticks, 1) * tick
    return Market(np.maximum(bid_ticks, 0), ask_ticks, half_coin + 0.5 * step)


def _half_spread_coin(p: MakerParameters, believed: Values, sign: Floats) -> Floats:
    """Half the spread before rounding: vol risk everywhere, and delta risk where an option is little but delta."""
    days = believed.years * 365
    deviations = believed.log_moneyness / (believed.atm_vol * np.sqrt(believed.years))
    wide = 1 + p.wing * np.minimum(deviations**2, _WIDEST_DEVIATIONS**2)
    at_the_money = np.clip(p.half_spread_vol * days**-p.tenor_power, p.least_spread_vol, p.most_spread_vol)
    deep = np.clip(-sign * deviations / p.deep_deviations, 0, 1)
    delta_risk = p.in_the_money_coin * days**p.in_the_money_power * deep**2
    return np.asarray(at_the_money * wide * np.maximum(believed.vega_coin, 0) + delta_risk)
