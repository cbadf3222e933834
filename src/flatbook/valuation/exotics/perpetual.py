"""Contracts without expiry: perpetual futures, powers of the spot, everlasting options.

Sources: Ackerer, Hugonnier, Jermann, "Perpetual futures pricing" (2024), propositions 2 to 4; White and Bankman-Fried,
"Everlasting options" (2021). Rates are constant: r = `rate` of the quote currency, q = r - carry of the asset.
"""

from __future__ import annotations

import math

import numpy as np

from flatbook.kernels.black import black
from flatbook.valuation.contracts import Contract, EverlastingTerms, PerpetualTerms
from flatbook.valuation.exotics.quantlib import EngineError
from flatbook.valuation.exotics.reprice import Repricer
from flatbook.valuation.point import Point

_SMALLEST_WEIGHT = 1e-17
_MOST_EXPIRIES = 1_000_000


def perpetual(contract: Contract) -> Repricer:
    """The price at which a perpetual's funding pays for holding it."""
    terms = contract.terms
    assert isinstance(terms, PerpetualTerms)
    funded = _funded_by_period if terms.period_years else _funded_always
    kappa_per_year = terms.kappa / (terms.period_years or 1.0)
    return Repricer(lambda point: funded(terms, point), "ackerer-hugonnier-jermann", rate_scale=kappa_per_year)


def _funded_always(terms: PerpetualTerms, point: Point) -> float:
    """S (kappa - iota) / (kappa - b) when linear; with a power p, S^p drifts by p b + p (p - 1) vol^2 / 2."""
    kappa, power = terms.kappa, terms.power
    if terms.is_inverse:
        return point.spot * _above_zero(kappa + point.carry, kappa) / (kappa - terms.iota)
    drift = power * point.carry + 0.5 * power * (power - 1.0) * point.vol**2
    return math.pow(point.spot, power) * (kappa - terms.iota) / _above_zero(kappa - drift, kappa)


def _funded_by_period(terms: PerpetualTerms, point: Point) -> float:
    """With g = e^{b dt}: f / S = (kappa - iota) / (1 + kappa - g) on the previous spot, g times it over
    1 + kappa g - g on the current one. An inverse contract is a linear one in coin, where the rates change places.
    """
    carry = -point.carry if terms.is_inverse else point.carry
    growth = math.exp(carry * terms.period_years)
    kappa = terms.kappa * growth if terms.on_current_spot else terms.kappa
    numerator = (terms.kappa - terms.iota) * (growth if terms.on_current_spot else 1.0)
    ratio = numerator / _above_zero(1.0 + kappa - growth, terms.kappa)
    return point.spot / ratio if terms.is_inverse else point.spot * ratio


def _above_zero(pull: float, kappa: float) -> float:
    if pull <= 0.0:
        raise EngineError(f"funding_kappa: {kappa:g} is too weak for this drift and no price is finite; raise it")
    return pull


def everlasting(contract: Contract) -> Repricer:
    """An option paid for by kappa (mark - payoff) each period: a mixture of options expiring at each payment.

    The n-th payment weighs kappa / (1 + kappa)^n: a half, a quarter and so on for kappa of one.
    """
    terms = contract.terms
    assert isinstance(terms, EverlastingTerms)
    count = math.ceil(-math.log(_SMALLEST_WEIGHT) / math.log1p(terms.kappa))
    if count > _MOST_EXPIRIES:
        raise EngineError(f"funding_kappa: {terms.kappa:g} asks for {count} expiries; give a larger one")
    payments = np.arange(1.0, count + 1.0)
    weights = terms.kappa * np.exp(-payments * math.log1p(terms.kappa))

    def at(point: Point) -> float:
        years = payments * terms.period_years - point.passed
        forwards = point.spot * np.exp(point.carry * years)
        values = black(forwards, contract.strike, point.vol, years, float(contract.sign)).price
        return float(weights @ (np.exp(-point.rate * years) * values))

    return Repricer(at, "white-bankman-fried", passed=(-math.inf, terms.period_years), rate_scale=1.0)
