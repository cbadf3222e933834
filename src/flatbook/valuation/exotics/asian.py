"""Average-price options in closed form, over continuous time.

QuantLib's engines for averages take whole calendar days for fixings and elapsed time, and a schedule here is in years;
so these few moments are ours, and its engines are the witness in the tests.

The average of what is still open is taken as lognormal: exactly so when geometric, by its first two moments when
arithmetic (Levy 1992 for a continuous average, Turnbull and Wakeman 1991 for a discrete one). What is already fixed
moves the strike: with a share w still open, w max(A_open - K*, 0) and K* = (K - (1 - w) A_fixed) / w.

Vol may have a term structure: two prices of an average share the variance up to the earlier one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.valuation.contracts import AsianTerms, Contract
from flatbook.valuation.exotics.quantlib import EngineError, black_value
from flatbook.valuation.exotics.reprice import Interval, Repricer
from flatbook.valuation.point import Point

Floats = NDArray[np.float64]

_NODES, _WEIGHTS = (row.astype(np.float64) for row in np.polynomial.legendre.leggauss(24))
_UNIT_NODES, _UNIT_WEIGHTS = 0.5 * (_NODES + 1.0), 0.5 * _WEIGHTS


class Lognormal(NamedTuple):
    """A lognormal variable by its mean and the variance of its logarithm."""

    mean: float
    log_variance: float


VolTo = Callable[[Floats], Floats]
"""Vols to times in years from when a contract's `years` are counted, in the shape of the times."""

_VarianceTo = Callable[[Floats], Floats]
"""Total variance to times in years from some moment."""


class _Window(NamedTuple):
    """What is left of an average at some moment, times in years from then."""

    open_share: float
    fixed_average: float
    start: float
    end: float
    fixings: Floats  # times of the open fixings; empty for a continuous average


def asian(contract: Contract, vol_to: VolTo | None = None) -> Repricer:
    """A call or put on the average, paid at expiry.

    With `vol_to`, vols are its, moved by as much as the point's vol is from the contract's.
    """
    terms = contract.terms
    assert isinstance(terms, AsianTerms)
    method = "geometric average" if terms.is_geometric else "two moments"
    schedule = _schedule(contract, terms)

    def at(point: Point) -> float:
        def variance_to(times: Floats) -> Floats:
            if vol_to is None:
                return point.vol**2 * times
            vol = vol_to(times + point.passed) + (point.vol - contract.asset.vol)
            return np.asarray(vol * vol * times)

        window = _window(contract, terms, schedule, point.passed)
        averaged = _geometric if terms.is_geometric else _arithmetic
        average = averaged(window, point, variance_to)
        discount = math.exp(-point.rate * (contract.years - point.passed))
        if terms.is_geometric:
            return _on_product(contract, window, average, discount)
        return _on_sum(contract, window, average, discount)

    return Repricer(at, method, passed=_until_next_fixing(contract, terms, schedule))


def discrete_average(forwards: Floats, variances: Floats) -> Lognormal:
    """The arithmetic average of prices at increasing times, matched in its first two moments.

    `forwards` are the expected prices and `variances` the total log-variances to their times, both shape (n,). A pair
    of fixings shares the variance of the earlier one, so a term structure of vol comes in by `variances`.
    """
    mean = float(forwards.mean())
    growth = forwards * np.expm1(variances)
    earlier = np.concatenate(([0.0], np.cumsum(growth)[:-1]))
    variance = float(forwards @ (2.0 * earlier + growth)) / forwards.size**2
    return Lognormal(mean, math.log1p(variance / mean**2))


def continuous_average(spot: float, variance_to: _VarianceTo, carry: float, start: float, end: float) -> Lognormal:
    """The arithmetic average of the price over [start, end], matched in its first two moments.

    `variance_to` gives the total log-variance to times. Gauss–Legendre over the triangle of pairs s < u instead of
    Levy's closed form, which divides by the carry and knows one vol.
    """
    later = start + (end - start) * _UNIT_NODES
    earlier = start + np.outer(later - start, _UNIT_NODES)
    forwards = spot * np.exp(carry * later)
    mean = float(_UNIT_WEIGHTS @ forwards)
    inner = (spot * np.exp(carry * earlier) * np.expm1(variance_to(earlier))) @ _UNIT_WEIGHTS
    variance = 2.0 * float(_UNIT_WEIGHTS @ (forwards * _UNIT_NODES * inner))
    return Lognormal(mean, math.log1p(variance / mean**2))


def _schedule(contract: Contract, terms: AsianTerms) -> Floats:
    """Times of all fixings in years from now, those taken included; empty for a continuous average."""
    if terms.fixings == 0:
        return np.empty(0)
    first = terms.first_fixing_years
    if terms.elapsed_years > 0.0:
        first = -terms.elapsed_years
    elif first is None:
        first = contract.years / terms.fixings
    if terms.fixings == 1:
        return np.array([first if terms.first_fixing_years is not None else contract.years])
    return np.linspace(first, contract.years, terms.fixings)


def _window(contract: Contract, terms: AsianTerms, schedule: Floats, passed: float) -> _Window:
    """What is open once `passed` years have gone by with the spot where it is."""
    end = contract.years - passed
    if terms.fixings:
        open_fixings = schedule[schedule >= 0.0] if terms.elapsed_years == 0.0 else schedule[schedule > 0.0]
        share = open_fixings.size / terms.fixings
        return _Window(share, terms.average_so_far, 0.0, end, open_fixings - passed)
    start = terms.first_fixing_years or 0.0
    # An average under way is smooth in time on both sides of now: earlier, less of it was taken at today's spot.
    waited = passed if terms.elapsed_years > 0.0 else max(passed - start, 0.0)
    elapsed = terms.elapsed_years + waited
    if elapsed <= 0.0:
        return _Window(1.0, math.nan, max(start - passed, 0.0), end, schedule)
    fixed = _blend(terms, contract.asset.spot, waited, elapsed)
    return _Window(end / (end + elapsed), fixed, 0.0, end, schedule)


def _blend(terms: AsianTerms, spot: float, waited: float, elapsed: float) -> float:
    """The average so far, after the spot has stood still for `waited` of the `elapsed` years."""
    before = elapsed - waited
    if before == 0.0:
        return spot
    share = waited / elapsed
    if terms.is_geometric:
        return math.pow(terms.average_so_far, 1.0 - share) * math.pow(spot, share)
    return terms.average_so_far * (1.0 - share) + spot * share


def _arithmetic(window: _Window, point: Point, variance_to: _VarianceTo) -> Lognormal:
    times = window.fixings
    if times.size:
        return discrete_average(point.spot * np.exp(point.carry * times), variance_to(times))
    return continuous_average(point.spot, variance_to, point.carry, window.start, window.end)


def _geometric(window: _Window, point: Point, variance_to: _VarianceTo) -> Lognormal:
    """The geometric average of the open part, exactly."""
    times = window.fixings
    if times.size:
        variances = variance_to(times)
        mean_time, mean_variance = float(times.mean()), float(variances.mean())
        # the variance to the earlier of each pair, for sorted times
        shared = float(variances @ (2.0 * np.arange(times.size, 0, -1) - 1.0)) / times.size**2
    else:
        variances = variance_to(window.start + (window.end - window.start) * _UNIT_NODES)
        mean_time, mean_variance = 0.5 * (window.start + window.end), float(_UNIT_WEIGHTS @ variances)
        shared = 2.0 * float((_UNIT_WEIGHTS * (1.0 - _UNIT_NODES)) @ variances)
    log_mean = point.carry * mean_time - 0.5 * mean_variance
    return Lognormal(point.spot * math.exp(log_mean + 0.5 * shared), shared)


def _on_sum(contract: Contract, window: _Window, average: Lognormal, discount: float) -> float:
    share = window.open_share
    if share == 1.0:
        return black_value(contract.sign, contract.strike, average.mean, math.sqrt(average.log_variance), discount)
    if share == 0.0:
        return discount * max(contract.sign * (window.fixed_average - contract.strike), 0.0)
    strike = (contract.strike - (1.0 - share) * window.fixed_average) / share
    return share * black_value(contract.sign, strike, average.mean, math.sqrt(average.log_variance), discount)


def _on_product(contract: Contract, window: _Window, average: Lognormal, discount: float) -> float:
    """The whole average is fixed^(1 - w) open^w, lognormal too."""
    share = window.open_share
    if share == 1.0:
        return black_value(contract.sign, contract.strike, average.mean, math.sqrt(average.log_variance), discount)
    if average.mean <= 0.0:
        raise EngineError("the average is too small for a float; check years, vol and carry")
    log_mean = math.log(average.mean) - 0.5 * average.log_variance
    variance = share**2 * average.log_variance
    mean = math.exp((1.0 - share) * math.log(window.fixed_average) + share * log_mean + 0.5 * variance)
    return black_value(contract.sign, contract.strike, mean, math.sqrt(variance), discount)


def _until_next_fixing(contract: Contract, terms: AsianTerms, schedule: Floats) -> Interval:
    """Calendar time over which the set of open fixings, or the side of the averaging's start, stays the same."""
    if terms.fixings:
        open_fixings = schedule[schedule >= 0.0] if terms.elapsed_years == 0.0 else schedule[schedule > 0.0]
        return -math.inf, float(open_fixings[0])
    start = terms.first_fixing_years or 0.0
    if start > 0.0:
        return -math.inf, start
    return (-terms.elapsed_years, contract.years)
