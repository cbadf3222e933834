"""What each position of a standing book is worth and how that moves, a column entry each.

All kinds of contract have the same columns, so that sums, explanations and stresses ask one thing of them. A value in
dollars U is a function of spot S (with forwards moving alike and the logs of forward over spot held), of the position's
own vol, of time, and of its log basis; the columns are the position's value and the derivatives of U.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Marks:
    """Positions marked in one market.

    Shapes      all (n,); `method` n texts
    Units       price in the contract's own: coin for a coin-settled option, else its quote currency
                value in the settlement currency; value_usd
                delta_coin      coins of underlying: the venue's, Black's for an option
                net_delta_coin  the same less the coin that the position is worth: what hedges a coin-settled position
                delta_usd       S dU/dS; delta2_usd likewise to a second underlying
                gamma_1pct_usd  change of `delta_usd` (coins held fixed) when spot moves 1 %
                vega_usd        per vol point (0.01); theta_usd a calendar day
                vanna_usd       change of `delta_usd` per vol point; volga_usd of `vega_usd` per vol point
                basis_usd       dU per 1.00 of log basis
                index_usd, log_basis, vol, years: where the position was marked, NaN where it has none
    Convention  a second underlying has its own delta, gamma and vega; the rest is to the first
    """

    price: Floats
    value: Floats
    value_usd: Floats
    delta_coin: Floats
    net_delta_coin: Floats
    delta_usd: Floats
    gamma_1pct_usd: Floats
    vega_usd: Floats
    theta_usd: Floats
    vanna_usd: Floats
    volga_usd: Floats
    basis_usd: Floats
    delta2_coin: Floats
    delta2_usd: Floats
    gamma2_1pct_usd: Floats
    vega2_usd: Floats
    index_usd: Floats
    index2_usd: Floats
    log_basis: Floats
    vol: Floats
    vol2: Floats
    years: Floats
    method: list[str]

    @classmethod
    def blank(cls, count: int) -> Marks:
        """Room for `count` positions: no sensitivity to anything, marked nowhere."""
        nowhere = ("index_usd", "index2_usd", "log_basis", "vol", "vol2", "years")
        names = [field.name for field in fields(cls) if field.name != "method"]
        columns = {name: np.full(count, np.nan if name in nowhere else 0.0) for name in names}
        return cls(**columns, method=[""] * count)
