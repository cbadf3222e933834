"""What one expiry brings to the joint fit: its quotes, or what is left of its past; and what holds it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_YEAR
from flatbook.kernels.svi import svi_vol
from flatbook.kernels.svi_fit import FIT_SIZE, fit_slice
from flatbook.market.calibration.forwards import ForwardErrors
from flatbook.market.calibration.quotes import QuoteBands
from flatbook.market.calibration.slices import CalibratedSlice
from flatbook.market.surface_model import SurfaceModel

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CalibrationModel:
    """What is asked of a slice, and how far its past holds it.

    fewest_two_sided    an expiry with fewer strikes quoted on both sides is not fitted: SVI has five parameters
    mid_weight          share of a quote's weight with which a smile inside its band is drawn to the middle
    shape_error         error of the smile that holds a slice, as a share of its vol at the money: it counts only where
                        quotes are few, for with a quarter of it recorded smiles were held to their past for too long
    outlier             a quote missed by more than this many of its deviations contradicts its neighbours ...
    most_outliers       ... but where more than this share of quotes do, nobody knows which are wrong
    smile_error         what five parameters may miss of a good quote, as a share of its vol
    reach_deviations    quotes farther out are one tick wide or stale, and are not fitted
    residual_limit      a fit that misses its bands by more than this share of its level, and than half their median
                        width, is refused
    oldest_s            a slice whose quotes are older is not published
    motion              how vols are believed to move while nobody looks
    """

    fewest_two_sided: int = 5
    mid_weight: float = 0.2
    shape_error: float = 1.0
    outlier: float = 4.0
    most_outliers: float = 0.34
    smile_error: float = 0.02
    reach_deviations: float = 10.0
    residual_limit: float = 0.05
    oldest_s: float = 12 * 3600.0
    motion: SurfaceModel = field(default_factory=SurfaceModel)
    forwards: ForwardErrors = field(default_factory=ForwardErrors)

    def wander_vol(self, level_vol: float, years: float, elapsed_ns: int) -> float:
        """Standard deviation of what a vol at this tenor moves in some time."""
        relative = float(self.motion.wander(np.array([years]))[0])
        return level_vol * relative * math.sqrt(elapsed_ns / NS_PER_YEAR)


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """The last good slice of an expiry as it would stand now: same vols, less time, more error."""

    params: Floats
    years: float
    atm_vol: float
    error_vol: float
    fitted_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One expiry in the joint fit: columns of quotes, where the search starts, and the slice that holds it.

    at          the expiry's place in the chain
    weight      0 for a quote that is left out
    past        what it is or would be aged from; None for a new expiry, or one too old
    is_aged     whether its quotes are its own past's vols
    left_out    strikes that are quoted and not fitted, by reason
    """

    at: int
    years: float
    k: Floats
    vol_lo: Floats
    vol_hi: Floats
    vol_mid: Floats
    weight: Floats
    start: Floats
    held_by: Floats
    held_weight: float
    past: Past | None
    is_aged: bool = False
    left_out: Mapping[str, int] = field(default_factory=dict)


FAR: Final = "farther out than the fit reaches"
CONTRADICTS: Final = "contradicts its neighbours"

_NOWHERE = np.full(5, np.nan)
_NEAREST = 5  # quotes around the money whose median is the first guess of the level
_AGED_NODES = np.linspace(-3.0, 3.0, 13)
_BUTTERFLY_SHARE = 0.1
_DOUBT = 2.0  # deviations of a miss from which a quote is counted less
_MOST_DOUBTS = 6


def past_of(one: CalibratedSlice, taken_ns: int, now_ns: int, model: CalibrationModel) -> Past | None:
    """A published slice of the calibration taken at `taken_ns`, aged to now; None where too old or expired."""
    years = (one.expiry_ns - now_ns) / NS_PER_YEAR
    if years <= 0.0 or one.age_s(now_ns) > model.oldest_s:
        return None
    params = one.params * np.array([years / one.years, years / one.years, 1.0, 1.0, 1.0])
    moved = model.wander_vol(one.atm_vol, years, now_ns - taken_ns)
    return Past(params, years, one.atm_vol, math.hypot(one.error_vol, moved), one.fitted_ns)


def aged_part(at: int, past: Past) -> Part:
    """The past as quotes: its own vols, each within its error."""
    k = _AGED_NODES * past.atm_vol * math.sqrt(past.years)
    vol = np.empty(k.size)
    svi_vol(past.params, k, past.years, vol)
    weight = np.full(k.size, 1.0 / past.error_vol)
    return Part(at, past.years, k, vol, vol, vol, weight, past.params, _NOWHERE, 0.0, past, is_aged=True)


def own_part(
    at: int, bands: QuoteBands, past: Past | None, model: CalibrationModel, *, is_held: bool = True
) -> Part | str:
    """The expiry's own quotes, without those that contradict the others; or why they do not make a smile.

    Held by its past where it has one, or else, and where not `is_held`, by a plain smile.
    """
    of = bands.of(at)
    two_sided = np.isfinite(bands.vol_mid[of])
    if not math.isfinite(bands.forward_usd[at]):
        return "nothing speaks of its forward"
    if two_sided.sum() < model.fewest_two_sided:
        return f"strikes quoted on both sides: {two_sided.sum()}; needed: {model.fewest_two_sided}"
    years = float(bands.years[at])
    k, weight = bands.k[of], bands.weight[of]
    level = _level(k[two_sided], bands.vol_mid[of][two_sided])
    far = np.abs(k) > model.reach_deviations * level * math.sqrt(years)
    shape = _plain(level, years) if past is None or not is_held else _at_level(past, level)
    return _without_outliers(
        Part(
            at,
            years,
            k,
            bands.vol_lo[of],
            bands.vol_hi[of],
            bands.vol_mid[of],
            np.where(far, 0.0, weight),
            start=shape,
            held_by=shape,
            held_weight=1.0 / (model.shape_error * level),
            past=past,
            left_out={FAR: int(far.sum())} if far.any() else {},
        ),
        model,
    )


def _level(k: Floats, mid: Floats) -> float:
    """Vol at the money by the quotes nearest to it: one of them may be wrong."""
    return float(np.median(mid[np.argsort(np.abs(k))[:_NEAREST]]))


def _plain(level_vol: float, years: float) -> Floats:
    """A symmetric smile of moderate wings."""
    deviation = level_vol * math.sqrt(years)
    return np.array([0.5 * deviation**2, 0.5 * deviation, 0.0, 0.0, deviation])


def _at_level(past: Past, level_vol: float) -> Floats:
    """The past's smile per standard deviation, at another level."""
    ratio = level_vol / past.atm_vol
    return np.asarray(past.params * np.array([ratio * ratio, ratio, 1.0, ratio, ratio]))


def _without_outliers(part: Part, model: CalibrationModel) -> Part | str:
    """The part without quotes that a smile through the others misses by far.

    Quotes are doubted as they are missed and the smile is fitted again, as long as one is missed by far: least squares
    would follow one stale quote a long way.
    """
    weight, used = part.weight, part.weight > 0.0
    deviation = np.hypot(1.0 / np.where(used, weight, 1.0), model.smile_error * _aim(part))
    fit = np.empty(FIT_SIZE)
    stale = np.zeros(weight.size, dtype=bool)
    for _ in range(_MOST_DOUBTS):
        butterfly = _BUTTERFLY_SHARE * float(np.linalg.norm(weight))
        quotes = (part.k, part.vol_lo, part.vol_hi, part.vol_mid, weight)
        held = (part.years, part.start, part.held_by, part.held_weight)
        fit_slice(*quotes, *held, model.mid_weight, butterfly, fit)
        missed = _missed(part, fit) / deviation
        stale = used & (missed > model.outlier)
        if not stale.any():
            break
        weight = part.weight / np.hypot(1.0, missed / _DOUBT)
    if stale.sum() > model.most_outliers * used.sum():
        return f"{stale.sum()} of {used.sum()} quotes contradict the others"
    return replace(
        part,
        weight=np.where(stale, 0.0, part.weight),
        start=fit[:5].copy() if np.isfinite(fit[0]) else part.start,
        left_out={**part.left_out, **({CONTRADICTS: int(stale.sum())} if stale.any() else {})},
    )


def _aim(part: Part) -> Floats:
    return np.asarray(np.where(np.isnan(part.vol_mid), np.fmax(part.vol_lo, part.vol_hi), part.vol_mid))


def _missed(part: Part, fit: Floats) -> Floats:
    """Distance of a slice's vols to the bands."""
    vol = np.empty(part.k.size)
    svi_vol(fit[:5], part.k, part.years, vol)
    return np.asarray(np.fmax(np.fmax(part.vol_lo - vol, vol - part.vol_hi), 0.0))
