"""What is believed of a market beside its levels: how its factors move, and how well its smiles are known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from flatbook.market.covariance import CovarianceModel
from flatbook.market.market import Market
from flatbook.market.snapshot import MarketSnapshot

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Beliefs:
    """Of one underlying at one moment.

    Shapes      covariance (FACTORS, FACTORS) per year; vol_error and expiry_ns (n,) the expiries of its snapshot
    Units       vol_error one standard error of the smile, in vol; NaN where there is no smile
    """

    covariance: Floats
    tenor_days: tuple[float, ...]
    expiry_ns: Ints
    vol_error: Floats

    @classmethod
    def of(cls, market: Market, snapshot: MarketSnapshot) -> Beliefs:
        """Those of a live market, at its snapshot's time."""
        universe = market.universe
        _, errors = market.surface.levels_and_errors(universe.slots, snapshot.ts_ns)
        vol_error = errors[[universe.slot_of[expiry] for expiry in snapshot.expiry_ns.tolist()]]
        return cls(
            market.covariance.matrix(), market.model.covariance.tenor_days, snapshot.expiry_ns, np.asarray(vol_error)
        )

    @classmethod
    def prior(cls, expiry_ns: Ints, vol_error: Floats) -> Beliefs:
        """Where no time series was seen: Σ is the model's prior."""
        model = CovarianceModel()
        return cls(model.prior(), model.tenor_days, expiry_ns, vol_error)

    @cached_property
    def tenor_years(self) -> Floats:
        """Tenors between which vega is shared, rising."""
        return np.array(self.tenor_days) / 365

    def error_at(self, expiry_ns: int | None) -> float:
        """Of the smile of one expiry; NaN where it has none."""
        at = np.flatnonzero(self.expiry_ns == expiry_ns)
        return float(self.vol_error[at[0]]) if at.size else float("nan")
