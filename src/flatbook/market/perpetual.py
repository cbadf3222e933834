"""The perpetual of one underlying: its premium over the index, the funding to expect of it, and what it is worth.

The premium reverts, and what it reverts to is fair value: the premium at which funding pays a holder of the spot for
what dated futures and options say that spot carries. So one Kalman filter over an Ornstein-Uhlenbeck process joins
what is seen of the perpetual now with what the forwards imply of it later; and the funding to expect is the venue's
formula on where the premium will be, not on where it is.

The perpetual is marked at what was seen of its price, and at the index where nothing was: funding alone, which may be
another venue's, tells of funding and of no price.

Source      Ackerer, Hugonnier and Jermann (2024), "Perpetual futures pricing": the price at which funding pays for
            holding. Their closed form is that of a rule linear in the premium; a venue's has a damper and caps.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import TopOfBook
from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_YEAR
from flatbook.market.analytics.funding import DERIBIT, HOURS_PER_YEAR, FundingRule
from flatbook.market.filtering import Gate, observe
from flatbook.market.forwards import CarryRate

Floats = NDArray[np.float64]

_SCORES = np.linspace(-6.0, 6.0, 97)
_WEIGHTS = np.exp(-0.5 * _SCORES**2) / np.exp(-0.5 * _SCORES**2).sum()
"""A normal variable on an even grid: a rule's kinks are met to 1e-3 of a deviation, by the trapezium's own accuracy."""

_STEPS = 8
"""A horizon is averaged over so many moments."""

_LEAST_ERROR = 1e-6
"""No price is better known than this, of the index, whatever its spread."""

_OPEN = Gate(deviations=math.inf)
"""What was paid was paid."""

_KEPT_NS = 10 * NS_PER_MINUTE

_FAR = 0.2
"""No premium is beyond this, of the index."""


@dataclass(frozen=True, slots=True)
class PerpetualModel:
    """How the premium is believed to move and be seen, and what is paid for it.

    rule                how the venue makes funding of the premium
    deviation           standard deviation of the log premium, of a perpetual not looked at
    reversion_hours     the premium keeps 1/e of its distance from fair value over this long
    mark_error          relative standard error of a mark, where there are not two sides to take the middle of
    gate                which observations are refused
    """

    rule: FundingRule = DERIBIT
    deviation: float = 5e-4
    reversion_hours: float = 48.0
    mark_error: float = 1e-4
    gate: Gate = field(default_factory=lambda: Gate(deviations=6.0, reopen_after=3))


class Perpetual:
    """Premium and funding of one perpetual.

    Invariant   the filter's variance is positive; `seen_ns` is the time of the last price believed, 0 before the first;
                `funding_ns` that of the last funding, whose rate is `funding_rate_8h`
    """

    def __init__(self, model: PerpetualModel) -> None:
        self.model = model
        self.seen_ns = 0
        self.funding_ns = 0
        self.funding_rate_8h = math.nan
        self.fair_premium = 0.0
        self._premium = 0.0
        self._variance = model.deviation**2
        self._updated_ns = 0
        self._refused = 0
        self._expected = (math.nan, 0, math.nan)

    def premium(self, now_ns: int) -> float:
        """ln(perpetual / index) as marked: 0 where no price was ever seen."""
        return self._belief(now_ns)[0] if self.seen_ns else 0.0

    def deviation(self, now_ns: int) -> float:
        """One standard deviation of the log price about its mark, aged to now."""
        mean, variance = self._belief(now_ns)
        return math.sqrt(variance) if self.seen_ns else math.hypot(math.sqrt(variance), mean)

    def mark_usd(self, index_usd: float, now_ns: int) -> float:
        """What the perpetual trades at now, as far as is known."""
        return index_usd * math.exp(self.premium(now_ns))

    def see(self, log_premium: float, error: float, now_ns: int) -> bool:
        """Takes a price seen, as ln(price / index) with a standard error; says whether it was believed."""
        accepted = self._take(self.model.gate, log_premium, error * error, now_ns)
        if accepted:
            self.seen_ns = now_ns
        return accepted

    def take_funding(self, rate: float, hours: float, now_ns: int) -> None:
        """Funding of `rate` was paid for the `hours` until now: what it says of the premium of those hours."""
        self.funding_rate_8h, self.funding_ns = rate * 8 / hours, now_ns
        low, high = np.log1p(self.model.rule.premiums(rate * self.model.rule.interval_hours / hours))
        # The rate is of the hours' average; from their middle until now the premium went its own way.
        moved = self.model.deviation**2 * -math.expm1(-hours / self.model.reversion_hours)
        self._take(_OPEN, 0.5 * (low + high), moved + (high - low) ** 2 / 12, now_ns)

    def revert_to(self, carry_rate: float, now_ns: int) -> None:
        """Spot's carry is `carry_rate` a year from here on: the premium reverts to what is fair under it."""
        self._premium, self._variance = self._belief(now_ns)
        self._updated_ns = now_ns
        self.fair_premium = math.log1p(fair_premium(self.model.rule, carry_rate, self.model.deviation))
        self._expected = (math.nan, 0, math.nan)

    def expected_funding(self, hours: float, now_ns: int) -> float:
        """What a long is expected to pay over the next `hours`, of its notional; negative where it is paid.

        Made anew when something was learnt, and every ten minutes: it moves slowly.
        """
        asked, at_ns, expected = self._expected
        if asked != hours or not 0 <= now_ns - at_ns < _KEPT_NS:
            expected = self._average_rate(hours, now_ns)[0] * hours / self.model.rule.interval_hours
            self._expected = (hours, now_ns, expected)
        return expected

    def implied_carry(self, now_ns: int) -> CarryRate:
        """What spot carries in the next interval if funding pays for it, with the error of not knowing the premium."""
        hours = self.model.rule.interval_hours
        rate, error = self._average_rate(hours, now_ns)
        return CarryRate(hours / HOURS_PER_YEAR, *(value * HOURS_PER_YEAR / hours for value in (rate, error)))

    def _average_rate(self, hours: float, now_ns: int) -> tuple[float, float]:
        """Rate per interval, averaged over the law of the premium in the next `hours`, and its standard deviation.

        The premium's errors at all moments count as one error, which overstates the average's a little.
        """
        mean, variance = self._belief(now_ns)
        ahead = (np.arange(_STEPS) + 0.5) / _STEPS * hours / self.model.reversion_hours
        means = self.fair_premium + (mean - self.fair_premium) * np.exp(-ahead)
        spread = self.model.deviation**2 * -np.expm1(-2 * ahead) + variance * np.exp(-2 * ahead)
        log_premium = means[:, None] + np.sqrt(spread)[:, None] * _SCORES
        rates = self.model.rule.rate(np.expm1(log_premium))
        expected = rates @ _WEIGHTS
        deviation = np.sqrt(np.maximum((rates * rates) @ _WEIGHTS - expected * expected, 0.0))
        return float(np.mean(expected)), float(np.mean(deviation))

    def _belief(self, now_ns: int) -> tuple[float, float]:
        """Mean and variance of the log premium now."""
        if not self._updated_ns:
            return self.fair_premium, self.model.deviation**2
        kept = math.exp(-max(now_ns - self._updated_ns, 0) / NS_PER_HOUR / self.model.reversion_hours)
        mean = self.fair_premium + (self._premium - self.fair_premium) * kept
        return mean, self.model.deviation**2 * (1 - kept * kept) + self._variance * kept * kept

    def _take(self, gate: Gate, log_premium: float, noise_variance: float, now_ns: int) -> bool:
        mean, variance = self._belief(now_ns)
        step = observe(gate, mean, variance, self._refused, log_premium, noise_variance)
        self._refused = step.refused
        if step.accepted:
            self._premium, self._variance, self._updated_ns = step.mean, step.variance, now_ns
            self._expected = (math.nan, 0, math.nan)
        return step.accepted


def top_error(event: TopOfBook, mark_error: float, spot_vol: float, apart_ns: int) -> float:
    """Relative standard error of a contract's mid against an index of `apart_ns` before or after.

    The mid is anywhere in the spread, and the index moved meanwhile by `spot_vol` (annual); a mark has `mark_error`.
    """
    half = 0.5 * (event.ask - event.bid) / event.mid
    error = mark_error if math.isnan(half) else half / math.sqrt(3)
    return max(math.hypot(error, spot_vol * math.sqrt(abs(apart_ns) / NS_PER_YEAR)), _LEAST_ERROR)


def fair_premium(rule: FundingRule, carry_rate: float, deviation: float = 0.0) -> float:
    """The premium (fraction of the index) about which a perpetual's funding pays for spot's carry.

    It solves E[rule(p + deviation Z)] = carry over the rule's interval, of the perpetual's own price 1 + p. Of a rule
    of kappa p + iota a year without deviation it is Ackerer, Hugonnier and Jermann's (kappa - iota) / (kappa - carry).

    Domain      carry_rate per year, continuous; one that a rule's caps cannot pay gets the premium farthest out
    Errors      BadInputError where the carry is not a number
    """
    if not math.isfinite(carry_rate):
        raise BadInputError(f"a carry of {carry_rate:g} a year has no fair premium")
    carry = carry_rate * rule.interval_hours / HOURS_PER_YEAR

    def missing(premium: float) -> float:
        return float(rule.rate(premium + deviation * _SCORES) @ _WEIGHTS) - carry * (1 + premium)

    if missing(-_FAR) >= 0.0:
        return -_FAR
    return _FAR if missing(_FAR) <= 0.0 else float(brentq(missing, -_FAR, _FAR, xtol=1e-10))
