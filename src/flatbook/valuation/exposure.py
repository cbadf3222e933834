"""A standing book's positions as loadings on the risk factors: what R charges, for listed contracts of every kind.

The five primitives of `kernels.factors` are columns of `Marks`: the spot loading is the move of the position with its
settlement coin's worth taken off (what it would be paid for in), half the dollar gamma is 50 times `gamma_1pct_usd`,
and vega lies at the option's own time and moneyness. A contract over the counter has no strike to place its vega by,
and moves with the level alone. A perpetual's premium is a risk as large as its spot.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.instruments import Kind
from flatbook.kernels.chain import FACTORS, PREMIUM, SPOT
from flatbook.kernels.factors import PRIMITIVES, WING, map_factors
from flatbook.valuation.marks import Marks
from flatbook.valuation.portfolio import BookPosition

Floats = NDArray[np.float64]


def position_loadings(positions: Sequence[BookPosition], marks: Marks, tenor_years: Floats) -> Floats:
    """What each position adds to the exposures to its first underlying's factors, (n, FACTORS), USD per unit of factor.

    `marks` are those of `positions`, in order; `tenor_years` (TENORS,) rising, as the covariance has them.
    """
    vega = np.nan_to_num(marks.vega_usd) * 100
    z = np.clip(standard_moneyness(positions, marks), -WING, WING)
    primitives = np.stack([marks.basis_usd, 50 * marks.gamma_1pct_usd, vega, vega * z, vega * z * z])
    factor_map = np.empty((len(positions), PRIMITIVES * FACTORS))
    map_factors(tenor_years, np.nan_to_num(marks.years), factor_map)
    loadings = np.einsum("pn,npf->nf", primitives, factor_map.reshape(-1, PRIMITIVES, FACTORS))
    perpetual = [position.instrument.contract.kind is Kind.PERPETUAL for position in positions]
    loadings[perpetual, PREMIUM] = loadings[perpetual, SPOT]
    return np.asarray(loadings)


def standard_moneyness(positions: Sequence[BookPosition], marks: Marks) -> Floats:
    """ln(K / F) over the vol to expiry, (n,); 0 for what is no vanilla option, and at expiry."""
    z = np.zeros(len(positions))
    for at, position in enumerate(positions):
        width = marks.vol[at] * np.sqrt(max(marks.years[at], 0.0))
        if position.is_vanilla and width > 0.0:
            strike, _ = position.strike_and_sign
            z[at] = (np.log(strike / marks.index_usd[at]) - marks.log_basis[at]) / width
    return z
