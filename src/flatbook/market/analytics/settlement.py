"""An option on its way through the settlement window: it pays on an average, and its delta fades.

The delivery price is the average of the index over the window before expiry. With a share a of the window passed at
an average A, what is open is 1 - a of an option on the average of the rest, struck at K' = (K - a A) / (1 - a). The
average of the rest is taken as lognormal with the variance of a continuous average: vol^2 times the time until it
starts plus a third of its length. Over half an hour the second-order difference is of no account.

The delta is the open share times that of a European struck at K': it falls linearly to 0 where the outcome is
settled, and near the money it also steepens, for the deviation that is left shrinks faster than the time. The venue's
own fade is linear from its Black delta, wherever the strike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_MINUTE, NS_PER_YEAR
from flatbook.kernels.black import black

DERIBIT_WINDOW_YEARS = 30 * NS_PER_MINUTE / NS_PER_YEAR


@dataclass(frozen=True, slots=True)
class Window:
    """Where an expiry stands.

    years_left      to expiry
    window_years    length of the averaging before expiry
    average_usd     of the index since the window opened; not read before that
    """

    years_left: float
    window_years: float = DERIBIT_WINDOW_YEARS
    average_usd: float = math.nan

    def __post_init__(self) -> None:
        if not (self.years_left >= 0.0 and self.window_years > 0.0):
            raise BadInputError(
                f"{self.years_left:g} years to expiry and a window of {self.window_years:g}: the first must be 0 or "
                "more, the second above 0"
            )
        if self.passed_share > 0.0 and not 0.0 < self.average_usd < math.inf:
            raise BadInputError(f"an average of {self.average_usd:g} USD inside the window; give the running average")

    @property
    def passed_share(self) -> float:
        """Share of the window that is averaged already, 0 to 1."""
        return min(max(1.0 - self.years_left / self.window_years, 0.0), 1.0)

    @property
    def variance_years(self) -> float:
        """Years of variance left in the open part of the average: the wait for it and a third of its length."""
        open_years = min(self.years_left, self.window_years)
        return self.years_left - open_years + open_years / 3.0


class OpenOption(NamedTuple):
    """The option on what is still open: `scale` of a European struck at `strike_usd` with `years` of variance."""

    scale: float
    strike_usd: float
    years: float


class SettlementValue(NamedTuple):
    """Of a contract on one coin, undiscounted, in USD: gamma per USD, vega per 1.00 of vol, theta is not given.

    delta is per USD of the forward: what hedges the open part; what is averaged already needs no hedge.
    """

    price: float
    delta: float
    gamma: float
    vega: float


def open_option(strike_usd: float, window: Window) -> OpenOption:
    """What is left of an option; its strike may be negative: then a call is sure to be exercised.

    With nothing open the scale is 0 and the strike NaN.
    """
    passed = window.passed_share
    if passed == 0.0:
        return OpenOption(1.0, strike_usd, window.variance_years)
    scale = 1.0 - passed
    strike = (strike_usd - passed * window.average_usd) / scale if scale > 0.0 else math.nan
    return OpenOption(scale, strike, window.variance_years)


def settlement_value(forward_usd: float, strike_usd: float, vol: float, sign: float, window: Window) -> SettlementValue:
    """Value and Greeks of a call (`sign` +1.0) or put (-1.0) at any time up to expiry.

    `forward_usd` is of the index over the open part of the window, `vol` of the index. Before the window the price is
    that of a European with two thirds of the window's length taken off its time; at expiry it is the intrinsic value
    of the average. The coin price is this over the forward, to a relative error of the window's variance.
    """
    scale, strike, years = open_option(strike_usd, window)
    if scale == 0.0:
        return SettlementValue(max(sign * (window.average_usd - strike_usd), 0.0), 0.0, 0.0, 0.0)
    if strike <= 0.0:
        is_call = sign > 0.0
        return SettlementValue(scale * (forward_usd - strike) if is_call else 0.0, scale if is_call else 0.0, 0.0, 0.0)
    value = black(forward_usd, strike, vol, years, sign)
    return SettlementValue(scale * value.price, scale * value.delta, scale * value.gamma, scale * value.vega)


def venue_delta(black_delta: float, window: Window) -> float:
    """Delta as the venue reports it: faded linearly to 0 over the window."""
    return black_delta * (1.0 - window.passed_share)
