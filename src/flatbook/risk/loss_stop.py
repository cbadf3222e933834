"""The loss stop: stages of retreat by the loss from the run's peak, each with an entry and an exit.

    NORMAL → WIDEN → REDUCE_ONLY → FLAT → HALT

A stage is entered when the drawdown reaches its loss and left, one stage at a time, when half of that loss is regained.
HALT is left by a person only. A single index tick cannot fire it: equity is marked on the filtered market, and a stage
above WIDEN is entered only once the drawdown has stood at that stage's loss for CONFIRM_NS.
"""

import math
from enum import IntEnum

from flatbook.domain.units import NS_PER_SECOND
from flatbook.risk.limits import LossStopPolicy

EXIT_SHARE = 0.5
CONFIRM_NS = 10 * NS_PER_SECOND


class Stage(IntEnum):
    """How far the maker has retreated."""

    NORMAL = 0
    WIDEN = 1
    REDUCE_ONLY = 2
    FLAT = 3
    HALT = 4


_STAGES = tuple(stage for stage in Stage if stage is not Stage.NORMAL)


class LossStop:
    """The stage now.

    Invariant   HALT is never left here; `peak_usd` never falls
    """

    def __init__(self, policy: LossStopPolicy) -> None:
        self._losses = (0.0, policy.widen_usd, policy.reduce_only_usd, policy.flat_usd, policy.halt_usd)
        self.stage = Stage.NORMAL
        self.peak_usd = 0.0
        self._beyond_since_ns: dict[Stage, int] = {}
        self._above_since_ns: int | None = None
        self._above_least_usd = 0.0

    def update(self, equity_usd: float, now_ns: int) -> Stage:
        """Takes the equity as marked now; says the stage that follows."""
        if not math.isfinite(equity_usd):
            # What cannot be marked cannot be lost further: nothing new is taken on until it can.
            self.stage = max(self.stage, Stage.REDUCE_ONLY)
            return self.stage
        self._raise_peak(equity_usd, now_ns)
        loss = self.peak_usd - equity_usd
        for stage in _STAGES:
            if loss >= self._losses[stage]:
                self._beyond_since_ns.setdefault(stage, now_ns)
            else:
                self._beyond_since_ns.pop(stage, None)
        entered = max((stage for stage in self._beyond_since_ns if self._stood(stage, now_ns)), default=Stage.NORMAL)
        if entered > self.stage:
            self.stage = entered
        elif Stage.NORMAL < self.stage < Stage.HALT and loss <= EXIT_SHARE * self._losses[self.stage]:
            self.stage = Stage(self.stage - 1)
        return self.stage

    def _raise_peak(self, equity_usd: float, now_ns: int) -> None:
        """The peak is what equity has stood above for long enough: one good mark makes no loss of the next."""
        if equity_usd <= self.peak_usd:
            self._above_since_ns = None
            return
        if self._above_since_ns is None:
            self._above_since_ns, self._above_least_usd = now_ns, equity_usd
        self._above_least_usd = min(self._above_least_usd, equity_usd)
        if now_ns - self._above_since_ns >= CONFIRM_NS:
            self.peak_usd = self._above_least_usd
            self._above_since_ns, self._above_least_usd = now_ns, equity_usd

    def _stood(self, stage: Stage, now_ns: int) -> bool:
        return stage is Stage.WIDEN or now_ns - self._beyond_since_ns[stage] >= CONFIRM_NS
