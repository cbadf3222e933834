"""What a calibration is worth, over many chains: how many expiries are fitted, how well, and which are worst and why.

An expiry counts as a slice where it is quoted enough to be fitted: on both sides at `fewest_two_sided` strikes. One
that is quoted less is published from its past or not at all, and is counted apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.market.calibration.parts import CONTRADICTS, CalibrationModel
from flatbook.market.calibration.quality import REACH_DEVIATIONS
from flatbook.market.calibration.slices import CalibratedSlice, Calibration, SliceStatus
from flatbook.market.calibration.surface import calibrate
from flatbook.market.chain_snapshot import ChainSnapshot

Floats = NDArray[np.float64]

LEAST_FITTED: Final = 0.995
"""Share of slices that must be fitted."""

_WORST = 10


class Judged(NamedTuple):
    """One slice and its chain; `why` says what its distance from the quotes, or its failing, comes from."""

    underlying: str
    ts_ns: int
    one: CalibratedSlice
    why: str

    def badness(self) -> float:
        """Distance from mids over half the bid-ask, both in vol; infinite where it is not fitted."""
        quality = self.one.quality
        if self.one.status is not SliceStatus.FITTED:
            return math.inf
        return quality.rmse_vol / quality.half_spread_vol if quality.quotes else 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Many chains calibrated.

    slices              expiries that were quoted enough to be fitted, and `fitted` of them
    thin_aged           expiries quoted less whose last good slice is published, and `thin_missing` that have none
    arbitrages          published slices with a butterfly or calendar arbitrage at a dense grid of strikes
    rmse_vol            median over slices of the distance from mids within two deviations
    weighted_rmse_vol   the same, weighted as the fit is
    half_spread_vol     median over slices of half the median bid-ask of those quotes
    within              share of slices whose `rmse_vol` is below half of their own median bid-ask
    worst               the worst ten, worst first
    """

    chains: int
    slices: int
    fitted: int
    thin_aged: int
    thin_missing: int
    arbitrages: int
    rmse_vol: float
    weighted_rmse_vol: float
    half_spread_vol: float
    within: float
    worst: tuple[Judged, ...]

    @property
    def share_fitted(self) -> float:
        """Of slices; NaN without any."""
        return self.fitted / self.slices if self.slices else math.nan


def calibrate_all(snapshots: Iterable[ChainSnapshot], model: CalibrationModel | None = None) -> Iterator[Calibration]:
    """Each chain in turn, warm from the one before of the same underlying and settlement."""
    before: dict[tuple[str, str], Calibration] = {}
    for snapshot in snapshots:
        key = (snapshot.underlying, snapshot.settle)
        previous = before.get(key)
        if previous and previous.ts_ns > snapshot.ts_ns:
            previous = None
        before[key] = calibrate(snapshot, previous, model)
        yield before[key]


def judge(calibrations: Iterable[Calibration], model: CalibrationModel | None = None) -> Verdict:
    """The verdict on calibrations, each taken once."""
    fewest = (model or CalibrationModel()).fewest_two_sided
    chains = arbitrages = 0
    counted: list[Judged] = []
    thin = {SliceStatus.FITTED: 0, SliceStatus.AGED: 0, SliceStatus.MISSING: 0}
    for calibration in calibrations:
        chains += 1
        arbitrages += len(arbitrages_of(calibration))
        for at, one in enumerate(calibration.slices):
            if one.two_sided < fewest:
                thin[one.status] += 1
            else:
                counted.append(Judged(calibration.underlying, calibration.ts_ns, one, _why(calibration, at)))
    with_quotes = [judged.one.quality for judged in counted if judged.one.quality.quotes]
    columns = np.array(with_quotes).reshape(len(with_quotes), 4).T
    medians = [float(np.median(column)) if column.size else math.nan for column in columns[1:]]
    return Verdict(
        chains=chains,
        slices=len(counted),
        fitted=sum(judged.one.status is SliceStatus.FITTED for judged in counted),
        thin_aged=thin[SliceStatus.AGED],
        thin_missing=thin[SliceStatus.MISSING],
        arbitrages=arbitrages,
        rmse_vol=medians[0],
        weighted_rmse_vol=medians[1],
        half_spread_vol=medians[2],
        within=float(np.mean(columns[1] < columns[3])) if with_quotes else math.nan,
        worst=tuple(sorted(counted, key=Judged.badness, reverse=True)[:_WORST]),
    )


def _why(calibration: Calibration, at: int) -> str:
    """What a slice's distance from its mids comes from, in words."""
    one, bands = calibration.slices[at], calibration.bands
    if one.status is not SliceStatus.FITTED or not one.quality.quotes:
        return one.reason
    of = bands.of(at)
    k, lo, hi = bands.k[of], bands.vol_lo[of], bands.vol_hi[of]
    near = np.isfinite(lo + hi) & (np.abs(k) < REACH_DEVIATIONS * one.atm_vol * math.sqrt(one.years))
    off = np.where(near, np.abs(one.vol(k) - bands.vol_mid[of]), 0.0)
    worst = int(np.argmax(off))
    share = off[worst] ** 2 / float(off @ off)
    met = lo[worst] <= one.vol(k)[worst] <= hi[worst]
    quoted = f"{bands.strike_usd[of][worst]:g} quoted {100 * lo[worst]:.0f} to {100 * hi[worst]:.0f}"
    words = [f"{share:.0%} of it from {quoted}, {'which is met' if met else 'missed'}"]
    words += [f"{count} {CONTRADICTS}" for reason, count in one.rows.items() if reason == CONTRADICTS]
    return "; ".join(words)


def arbitrages_of(calibration: Calibration) -> list[int]:
    """Expiries of published slices that admit arbitrage on dense strikes, by formulas written out anew.

    Durrleman's g on 4,001 strikes to ten deviations, on each side of the bend on its own scale, and far out; total
    variance against the slice before on the strikes of both, and the slopes of both wings.
    """
    found, near = [], None
    for one in calibration.published():
        k = _strikes(one)
        slopes = one.params[1] * (np.array([-1.0, 1.0]) + one.params[2])
        if _least_density(one.params, k) < 0.0 or np.max(np.abs(slopes)) > 2.0:
            found.append(one.expiry_ns)
        elif near is not None:
            both = np.concatenate([k, _strikes(near)])
            rise = _variance(one.params, both)[0] - _variance(near.params, both)[0]
            flatter = np.abs(slopes) < np.abs(near.params[1] * (np.array([-1.0, 1.0]) + near.params[2]))
            if rise.min() < 0.0 or flatter.any():
                found.append(one.expiry_ns)
        near = one
    return found


def _strikes(one: CalibratedSlice) -> Floats:
    deviation = one.atm_vol * math.sqrt(one.years)
    far = np.geomspace(10.0, 1e4, 61) * deviation
    beside = np.geomspace(1e-3 * one.params[4], deviation, 401)
    centre = one.params[3]
    return np.concatenate([np.linspace(-10.0, 10.0, 4001) * deviation, far, -far, centre + beside, centre - beside])


def _least_density(params: Floats, k: Floats) -> float:
    w, dw, d2w = _variance(params, k)
    return float(np.min((1.0 - k * dw / (2.0 * w)) ** 2 - dw**2 / 4.0 * (1.0 / w + 0.25) + d2w / 2.0))


def _variance(params: Floats, k: Floats) -> tuple[Floats, Floats, Floats]:
    a, b, rho, m, s = params
    root = np.hypot(k - m, s)
    return a + b * (rho * (k - m) + root), b * (rho + (k - m) / root), b * s**2 / root**3
