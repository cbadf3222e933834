"""What a calibration hands on: slices of one surface, each with where it comes from, and why it is not better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_SECOND
from flatbook.kernels.svi import svi_vol
from flatbook.market.analytics.smile import Smile
from flatbook.market.calibration.forwards import ForwardEstimate
from flatbook.market.calibration.quality import Quality
from flatbook.market.calibration.quotes import QuoteBands
from flatbook.market.term import TermStructure

Floats = NDArray[np.float64]


class SliceStatus(StrEnum):
    """What is published of an expiry: a fit to its quotes, the last good one, or nothing."""

    FITTED = "fitted"
    AGED = "aged"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, eq=False)
class CalibratedSlice:
    """One expiry as calibrated.

    reason          why it is not fitted; empty where it is
    params          raw SVI (a, b, rho, m, s) in total variance at `years`; NaN where missing
    fitted_ns       when the quotes it stands on were taken: older than the calibration where aged
    error_vol       one standard error of the vol at the money; grown by age where aged
    quality         against all quotes on both sides within two standard deviations
    outside_vol     root mean square distance to the bands that were fitted, weighted; 0 where all are met
    two_sided       strikes quoted on both sides, within two deviations or not
    least_g         least value of Durrleman's function at any strike: no butterfly arbitrage where >= 0
    calendar_gap    least rise of total variance since the published slice before, at any strike; NaN for the first
    rows            rows of the chain by what became of them; those used make strikes, of which some are not fitted
    """

    expiry_ns: int
    years: float
    forward: ForwardEstimate
    status: SliceStatus
    reason: str
    params: Floats
    fitted_ns: int
    error_vol: float
    quality: Quality
    outside_vol: float
    two_sided: int
    least_g: float
    calendar_gap: float
    rows: Mapping[str, int]

    @property
    def is_published(self) -> bool:
        """Whether there is a slice to quote on."""
        return self.status is not SliceStatus.MISSING

    @property
    def atm_vol(self) -> float:
        """Vol at the forward; NaN where missing."""
        return float(self.vol(np.zeros(1))[0])

    def age_s(self, now_ns: int) -> float:
        """Seconds since the quotes that it stands on."""
        return (now_ns - self.fitted_ns) / NS_PER_SECOND

    def smile(self) -> Smile:
        """As the analytics take it; BadInputError where missing."""
        return Smile(self.params, self.years, self.forward.forward_usd)

    def vol(self, k: Floats) -> Floats:
        """Vols at log-moneyness k, shape (n,); NaN where missing."""
        out = np.empty(k.size)
        svi_vol(self.params, np.ascontiguousarray(k), self.years, out)
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """One chain calibrated: a slice for each of its expiries, nearest first, and the quotes that they met.

    Invariant   the published slices together are free of butterfly and calendar arbitrage, wings included
    """

    underlying: str
    settle: str
    ts_ns: int
    index_usd: float
    slices: tuple[CalibratedSlice, ...]
    bands: QuoteBands

    def published(self) -> tuple[CalibratedSlice, ...]:
        """Those with something to quote on, nearest first."""
        return tuple(one for one in self.slices if one.is_published)

    def term(self) -> TermStructure:
        """The published smiles at any time to expiry."""
        published = self.published()
        params = np.array([one.params for one in published]).reshape(len(published), 5)
        return TermStructure(np.array([one.years for one in published]), params)

    def slice_of(self, expiry_ns: int) -> CalibratedSlice | None:
        """The slice of one expiry; None where the chain did not have it."""
        return next((one for one in self.slices if one.expiry_ns == expiry_ns), None)
