"""Σ along a crisis: what the engine would have made of the factors' moves by each step, from those before it.

The estimator is the engine's own (`market.covariance`), its half-life and its shrinkage with it, and what was believed
before the crisis is its prior. Spot is read at every step, ten minutes apart at least. Smiles and carry are read, and
averaged over two hours, as a run reads them where each step has its own. Where they were recorded less often than that
they are read where they were recorded, and spot with them: between two recordings a path is a straight line, which
would teach that vols hardly move.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_DAY, NS_PER_SECOND
from flatbook.kernels.chain import FACTORS, SPOT
from flatbook.market.beliefs import Beliefs
from flatbook.market.covariance import CovarianceModel, FactorCovariance
from flatbook.market.factors import FactorMeter, FactorMoves, MeterModel
from flatbook.market.snapshot import MarketSnapshot
from flatbook.risk.var.history import levels_of
from flatbook.sim.crises.path import CrisisPath

Floats = NDArray[np.float64]

_NOTHING = np.full(FACTORS, np.nan)

_LONGEST_GAP_S = 3 * NS_PER_DAY / NS_PER_SECOND
"""Recordings farther apart have no move between them."""


class PathCovariance:
    """Σ per year of one coin, online along a path.

    Invariant   `matrix` is of the steps seen, which come in order
    """

    def __init__(self, before: Beliefs, path: CrisisPath) -> None:
        model, smiles = CovarianceModel(), _smile_meter(path)
        self._path, self._tenor_years = path, before.tenor_years
        self._spot = FactorMeter(replace(_step_meter(path), window_steps=1), before.tenor_days)
        self._smiles = FactorMeter(smiles, before.tenor_days)
        self._sigma = FactorCovariance(
            before.covariance, model.half_life_hours, model.prior_error, smiles.overlap, (SPOT,)
        )
        self.matrix = before.covariance

    def see(self, market: MarketSnapshot, step: int) -> None:
        """The market at a step, our own pushes in it: a run could not tell them from others' either."""
        now_ns, seen = int(self._path.ts_ns[step]), self._path.smiles_seen
        if self._spot.is_due(now_ns):
            levels = _NOTHING.copy()
            levels[SPOT] = math.log(market.index_usd)
            moves = self._spot.take(levels, now_ns)
            self._take(None if moves is None else moves._replace(averaged=_NOTHING), now_ns)
        if self._smiles.is_due(now_ns) if seen is None else seen[step]:
            moves = self._smiles.take(levels_of(market, self._tenor_years), now_ns)
            self._take(None if moves is None else moves._replace(single=_NOTHING), now_ns)

    def _take(self, moves: FactorMoves | None, now_ns: int) -> None:
        if moves is not None:
            self._sigma.observe(moves, now_ns)
            self.matrix = self._sigma.matrix()


def _step_meter(path: CrisisPath) -> MeterModel:
    """The engine's, on a path that may step more slowly."""
    usual = MeterModel()
    step_s = max(usual.step_s, float(path.ts_ns[1] - path.ts_ns[0]) / NS_PER_SECOND)
    return replace(usual, step_s=step_s, gap_s=max(usual.gap_s, 3.0 * step_s))


def _smile_meter(path: CrisisPath) -> MeterModel:
    if path.smiles_seen is not None:
        return replace(MeterModel(), window_steps=1, gap_s=_LONGEST_GAP_S)
    meter, usual = _step_meter(path), MeterModel()
    return replace(meter, window_steps=max(1, round(usual.window_steps * usual.step_s / meter.step_s)))
