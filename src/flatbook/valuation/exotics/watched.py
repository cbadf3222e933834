"""Barriers, touches and digitals on a smile.

A digital is the limit of a call spread, each call at its own vol. What is watched on its way is valued by vanna-volga
(`vanna_volga`): the contract that the barrier knocks out, by the smile's cost of its Greeks; the one that it knocks in
is the plain contract less that, so that in-out parity holds to the last digit. No value leaves its bounds: nothing, and
what the contract would be worth without the barrier.

Every value is a function of a point whose vol is that of a reference strike (the contract's, or a touch's level), moved
like all other vols of the smile; strikes keep their vols when the spot moves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.valuation.contracts import Barrier, Contract, DigitalTerms, TouchTerms
from flatbook.valuation.exotics import barriers
from flatbook.valuation.exotics.barriers import Value, cash_digital_on_smile
from flatbook.valuation.exotics.reprice import ANYWHERE, Interval, Repricer
from flatbook.valuation.exotics.vanna_volga import (
    Pillars,
    Weights,
    pillars_of,
    smile_cost,
    survival,
    survival_weights,
)
from flatbook.valuation.point import Point

Floats = NDArray[np.float64]

CALL_SPREAD = "call spread on the smile"
VANNA_VOLGA = "vanna-volga by survival"

_SLOPE_STEP = 1e-4
"""Of log strike."""


@dataclass(frozen=True, slots=True)
class Smile:
    """One expiry's smile: `vols_at` strikes; `reference_vol` is what a point's vol is told from."""

    vols_at: Callable[[Floats], Floats]
    reference_vol: float

    def vols(self, strikes: Floats, at: Point) -> Floats:
        """Vols of strikes when all have moved as far as the point's has from the reference."""
        return self.vols_at(strikes) + (at.vol - self.reference_vol)

    def slope(self, strike: float) -> float:
        """d vol / d strike."""
        down, up = self.vols_at(strike * np.exp(np.array([-_SLOPE_STEP, _SLOPE_STEP]))).tolist()
        return float(up - down) / (2.0 * _SLOPE_STEP * strike)


class _Plain(NamedTuple):
    """A contract without its barrier: in a flat market; and on the smile, by the reference strike's vol."""

    flat: Value
    on_smile: Value


def digital_on_smile(contract: Contract, smile: Smile) -> Repricer:
    """A digital without a barrier; one with a barrier is `watched_on_smile`'s."""
    terms = contract.terms
    assert isinstance(terms, DigitalTerms)
    return Repricer(_digital_value(contract, terms, smile), CALL_SPREAD)


def watched_on_smile(contract: Contract, smile: Smile) -> Repricer:
    """A barrier option, a touch, or a digital with a barrier."""
    return _Watched(contract, smile).repricer()


def _digital_value(contract: Contract, terms: DigitalTerms, smile: Smile) -> Value:
    """A digital without its barrier; its strike is the smile's reference."""
    slope, strike, sign = smile.slope(contract.strike), contract.strike, contract.sign

    def at(point: Point) -> float:
        years = contract.years - point.passed
        forward, discount = point.spot * math.exp(point.carry * years), math.exp(-point.rate * years)
        for_one = cash_digital_on_smile(sign, strike, forward, point.vol, slope, years, discount)
        if not terms.pays_asset:
            return terms.cash * for_one
        return strike * for_one + sign * barriers.vanilla_value(contract, point)

    return at


class _Watched:
    """A contract with a barrier, and what its smile costs."""

    def __init__(self, contract: Contract, smile: Smile) -> None:
        self._contract = contract
        self._smile = smile

    def repricer(self) -> Repricer:
        match self._contract.terms:
            case Barrier() as watched:
                value = self._barrier(watched)
            case DigitalTerms(barrier=Barrier() as watched) as terms:
                value = self._digital(terms, watched)
            case TouchTerms(barrier=watched) as terms:
                value = self._touch(terms)
            case other:
                raise AssertionError(other)
        spots = ANYWHERE if watched.touched(self._contract.asset.spot) else watched.live_spots
        return Repricer(value, VANNA_VOLGA, spots=spots)

    def _barrier(self, watched: Barrier) -> Value:
        contract = self._contract
        bare = replace(contract, terms=replace(watched, is_in=False, rebate=0.0))

        def vanilla(at: Point) -> float:
            return barriers.vanilla_value(contract, at)

        rebate = self._rebate(watched)
        option = self._side_of_barrier(watched, barriers.barrier(bare).at, _Plain(vanilla, vanilla))
        return lambda at: option(at) + rebate(at)

    def _digital(self, terms: DigitalTerms, watched: Barrier) -> Value:
        contract = self._contract
        flat_terms = replace(terms, barrier=None)
        bare = replace(contract, terms=replace(terms, barrier=replace(watched, is_in=False)))
        flat = barriers.digital(replace(contract, terms=flat_terms)).at
        plain = _Plain(flat, _digital_value(contract, flat_terms, self._smile))
        return self._side_of_barrier(watched, barriers.digital(bare).at, plain)

    def _touch(self, terms: TouchTerms) -> Value:
        watched = terms.barrier
        if terms.at_hit:
            return self._at_hit(terms)
        bare = TouchTerms(terms.pays_asset, terms.cash, replace(watched, is_in=False), at_hit=False)
        sure = self._sure(terms)
        return self._side_of_barrier(watched, barriers.touch_value(self._contract, bare), _Plain(sure, sure))

    def _rebate(self, watched: Barrier) -> Value:
        """A knock-out's is paid at the hit, a knock-in's at expiry if never hit."""
        if watched.rebate == 0.0:
            return lambda at: 0.0
        paid_if = replace(watched, is_in=not watched.is_in, rebate=0.0)
        return self._touch(TouchTerms(False, watched.rebate, paid_if, at_hit=not watched.is_in))

    def _at_hit(self, terms: TouchTerms) -> Value:
        watched, flat = terms.barrier, barriers.touch_value(self._contract, terms)

        def at(point: Point) -> float:
            if watched.touched(point.spot):
                return flat(point)
            money, pillars = self._at_the_money(point)
            weights = survival_weights(self._survival(watched, money))
            value = flat(money) + self._cost_of(flat, money, pillars, weights, watched.live_spots)
            return min(max(value, 0.0), max(point.spot, watched.level) if terms.pays_asset else terms.cash)

        return at

    def _side_of_barrier(self, watched: Barrier, out_flat: Value, plain: _Plain) -> Value:
        """The contract on the barrier's side: out, or in as the plain one less that."""

        def out(point: Point) -> float:
            if watched.touched(point.spot):
                return 0.0
            money, pillars = self._at_the_money(point)
            alive = self._survival(watched, money)
            cost = self._cost_of(out_flat, money, pillars, survival_weights(alive), watched.live_spots)
            whole = plain.on_smile(point)
            missed = whole - plain.flat(money) - self._cost_of(plain.flat, money, pillars, Weights(), ANYWHERE)
            return min(max(out_flat(money) + cost + alive * missed, min(whole, 0.0)), max(whole, 0.0))

        return (lambda at: plain.on_smile(at) - out(at)) if watched.is_in else out

    def _at_the_money(self, point: Point) -> tuple[Point, Pillars]:
        """The point with the vol at the money there, and the pillars around it."""
        years = self._contract.years - point.passed
        forward = point.spot * math.exp(point.carry * years)
        pillars = pillars_of(forward, years, lambda strikes: self._smile.vols(strikes, point))
        return point._replace(vol=float(pillars.vols[1])), pillars

    def _survival(self, watched: Barrier, money: Point) -> float:
        return survival(watched, money, self._contract.years - money.passed)

    def _cost_of(self, flat: Value, money: Point, pillars: Pillars, weights: Weights, inside: Interval) -> float:
        return smile_cost(flat, money, self._contract.years, pillars, weights, inside)

    def _sure(self, terms: TouchTerms) -> Value:
        """What is paid at expiry whatever happens."""
        contract = self._contract

        def at(point: Point) -> float:
            years = contract.years - point.passed
            if terms.pays_asset:
                return point.spot * math.exp((point.carry - point.rate) * years)
            return terms.cash * math.exp(-point.rate * years)

        return at
