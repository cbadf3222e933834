"""How well a slice meets its expiry's quotes, and how well it is known."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.svi import svi_vol
from flatbook.market.calibration.quotes import QuoteBands

Floats = NDArray[np.float64]

REACH_DEVIATIONS: Final = 2.0
_PARAMETERS = 5


class Quality(NamedTuple):
    """Of all quotes on both sides within REACH_DEVIATIONS, those left out of the fit among them; NaN without any.

    quotes              how many they are
    rmse_vol            root mean square distance from their mids
    weighted_rmse_vol   the same by their weights: mids of wide bands are nobody's price
    half_spread_vol     median half width
    """

    quotes: int
    rmse_vol: float
    weighted_rmse_vol: float
    half_spread_vol: float

    def level_error(self) -> float:
        """Standard error of the vol at the money: so many quotes, uniform in their bands, share the parameters."""
        return self.half_spread_vol / math.sqrt(3.0) * math.sqrt(min(_PARAMETERS / self.quotes, 1.0))


def quality_of(bands: QuoteBands, at: int, params: Floats) -> Quality:
    """Of a slice of expiry number `at`; of a missing one (NaN), that of no quotes."""
    of, years = bands.of(at), float(bands.years[at])
    k, mid = bands.k[of], bands.vol_mid[of]
    vol = np.empty(k.size + 1)
    svi_vol(params, np.append(k, 0.0), years, vol)
    near = np.isfinite(mid) & (np.abs(k) < REACH_DEVIATIONS * vol[-1] * math.sqrt(years))
    if not near.any():
        return Quality(0, math.nan, math.nan, math.nan)
    square = (vol[:-1] - mid)[near] ** 2
    return Quality(
        quotes=int(near.sum()),
        rmse_vol=math.sqrt(float(np.mean(square))),
        weighted_rmse_vol=math.sqrt(float(np.average(square, weights=bands.weight[of][near] ** 2))),
        half_spread_vol=float(np.median(0.5 * (bands.vol_hi - bands.vol_lo)[of][near])),
    )
