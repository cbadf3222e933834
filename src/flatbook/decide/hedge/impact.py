"""What a trade moves the price by: estimated before it, and learnt from what it did.

    I(Q) = Y σ sqrt(Q / V)        σ a day's standard deviation, V a day's volume, Y of order one

The law holds over decades of size on most markets, bitcoin's among them; only Y is ours to learn. An order taken at
once pays the peak I(Q); one worked patiently pays two thirds of it on average.

Source      Toth et al. (2011), Physical Review X 1; Donier and Bonart (2015), "A million metaorder analysis of market
            impact on the Bitcoin"
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WORKED_SHARE = 2.0 / 3.0
"""Average over the trades of a metaorder of the square root of what is done: the integral of sqrt from 0 to 1."""


@dataclass(frozen=True, slots=True)
class SquareRootLaw:
    """The law for one instrument.

    y                   of order one
    daily_vol           σ, decimal
    daily_volume_usd    V
    """

    y: float
    daily_vol: float
    daily_volume_usd: float

    def peak_rate(self, size_usd: float) -> float:
        """Move of the price, as a fraction of it, once `size_usd` (of either sign) is done."""
        return self.y * self.daily_vol * math.sqrt(abs(size_usd) / self.daily_volume_usd)

    def paid_rate(self, size_usd: float, worked: bool) -> float:
        """What the order pays of it on average: two thirds if worked, all of it if taken at once."""
        return (WORKED_SHARE if worked else 1.0) * self.peak_rate(size_usd)

    def quadratic_rate_per_usd(self, size_usd: float, worked: bool) -> float:
        """η such that a cost of η Q² has at Q = `size_usd` the slope of the law's own cost, which goes with Q^(3/2).

        A hedge chosen with it stops where one chosen with the law would, if it ends near that size.
        """
        return 0.75 * self.paid_rate(size_usd, worked) / abs(size_usd)

    def worth_usd(self, saved_rate: float, curvature: float) -> float:
        """The size at which a charge that falls by `saved_rate` - `curvature` Q per USD pays for no more impact.

        That is where saved - κQ = 3/2 I(Q), a parabola in sqrt(Q); 0 where nothing is saved.
        """
        if saved_rate <= 0.0:
            return 0.0
        steep = 1.5 * self.peak_rate(1.0)
        root = 2.0 * saved_rate / (steep + math.sqrt(steep * steep + 4.0 * curvature * saved_rate))
        return root * root


@dataclass(frozen=True, slots=True)
class ImpactBelief:
    """What is believed of Y, as a normal distribution, and how the estimates have done.

    precision           one over the variance of the belief
    orders              observed, of effective number
    surprise            their squared errors in standard deviations, summed
    """

    y: float = 1.0
    precision: float = 4.0
    orders: float = 0.0
    surprise: float = 0.0

    @property
    def error(self) -> float:
        """Standard error of `y`."""
        return 1.0 / math.sqrt(self.precision)

    @property
    def mean_surprise(self) -> float:
        """Mean squared error of the estimates made before each order, in their own deviations: about 1 if right."""
        return self.surprise / self.orders if self.orders > 0 else math.nan

    def observe(self, unit_rate: float, slippage_rate: float, noise_rate: float, decay: float = 1.0) -> "ImpactBelief":
        """After an order that slipped by `slippage_rate` of its price (positive: against us).

        unit_rate       what it would have slipped by at Y = 1
        noise_rate      standard deviation of the price over the time it took
        decay           of all before
        """
        precision, gained = decay * self.precision, (unit_rate / noise_rate) ** 2
        error = slippage_rate - self.y * unit_rate
        variance = noise_rate**2 + unit_rate**2 / self.precision
        return replace(
            self,
            y=self.y + error * unit_rate / noise_rate**2 / (precision + gained),
            precision=precision + gained,
            orders=decay * self.orders + 1.0,
            surprise=decay * self.surprise + error**2 / variance,
        )


class SlippageBySize(NamedTuple):
    """Orders of similar size: how many, and what they were expected to slip by and did, with the error of the latter.

    Rates are of the price, weighted by size.
    """

    least_usd: float
    most_usd: float
    orders: int
    expected_rate: float
    realised_rate: float
    realised_error: float


def slippage_by_size(
    size_usd: Floats, expected_rate: Floats, realised_rate: Floats, groups: int
) -> tuple[SlippageBySize, ...]:
    """The estimate held to what happened, in groups of as many orders each, small ones first."""
    order = np.argsort(np.abs(size_usd), kind="stable")
    out = []
    for part in np.array_split(order, groups):
        if part.size == 0:
            continue
        size = np.abs(size_usd[part])
        weight = size / size.sum()
        realised = float(weight @ realised_rate[part])
        spread = float(np.sqrt(np.sum(weight**2 * (realised_rate[part] - realised) ** 2)))
        expected = float(weight @ expected_rate[part])
        out.append(SlippageBySize(float(size[0]), float(size[-1]), part.size, expected, realised, spread))
    return tuple(out)
