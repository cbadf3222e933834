"""The loss stop: stages of retreat by what was lost, each with an entry and an exit.

    NORMAL → WIDEN → REDUCE_ONLY → FLAT → HALT

Losses are counted from the run's peak and from the highest of the last minute, hour and day; of the book, and of each
strategy alone where the policy asks. Each count has its own stages, and the farthest holds. A stage is entered when its
loss is reached and left, one stage at a time, when half of that loss is regained. HALT is left when a person re-arms,
from when on everything is counted anew. A single mark cannot fire more than WIDEN: a stage above it is entered only
once the loss has stood at it for CONFIRM_NS, and a high is only what equity has stood at for as long.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from flatbook.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND
from flatbook.risk.limits import LossStopPolicy
from flatbook.risk.trailing import TrailingHigh

EXIT_SHARE = 0.5
CONFIRM_NS = 10 * NS_PER_SECOND

BOOK = "book"


class Stage(IntEnum):
    """How far the maker has retreated."""

    NORMAL = 0
    WIDEN = 1
    REDUCE_ONLY = 2
    FLAT = 3
    HALT = 4


_STAGES = tuple(stage for stage in Stage if stage is not Stage.NORMAL)


@dataclass(frozen=True, slots=True)
class StageChange:
    """The loss stop went from one stage to another; `text` says what was lost, or who re-armed and why."""

    ts_ns: int
    before: Stage
    after: Stage
    text: str


class _Ladder:
    """The stages of one loss."""

    def __init__(self, policy: LossStopPolicy, share: float) -> None:
        losses = (0.0, policy.widen_usd, policy.reduce_only_usd, policy.flat_usd, policy.halt_usd)
        self._losses = tuple(share * loss for loss in losses)
        self._least = min(self._losses[1:])
        self.stage = Stage.NORMAL
        self._beyond_since_ns: dict[Stage, int] = {}

    def step(self, loss_usd: float, now_ns: int) -> Stage:
        if loss_usd < self._least and self.stage is Stage.NORMAL:
            # As nearly always: nothing stands, and nothing is to be left.
            self._beyond_since_ns.clear()
            return self.stage
        for stage in _STAGES:
            if loss_usd >= self._losses[stage]:
                self._beyond_since_ns.setdefault(stage, now_ns)
            else:
                self._beyond_since_ns.pop(stage, None)
        entered = max((stage for stage in self._beyond_since_ns if self._stood(stage, now_ns)), default=Stage.NORMAL)
        if entered > self.stage:
            self.stage = entered
        elif Stage.NORMAL < self.stage < Stage.HALT and loss_usd <= EXIT_SHARE * self._losses[self.stage]:
            self.stage = Stage(self.stage - 1)
        return self.stage

    def _stood(self, stage: Stage, now_ns: int) -> bool:
        return stage is Stage.WIDEN or now_ns - self._beyond_since_ns[stage] >= CONFIRM_NS


class _High(Protocol):
    def take(self, value: float, now_ns: int) -> float: ...


class _Peak:
    """The most that equity has stood above for long enough: one good mark makes no loss of the next."""

    def __init__(self, equity_usd: float) -> None:
        self.usd = equity_usd
        self._above_since_ns: int | None = None
        self._above_least_usd = 0.0

    def take(self, value: float, now_ns: int) -> float:
        if value <= self.usd:
            self._above_since_ns = None
            return self.usd
        if self._above_since_ns is None:
            self._above_since_ns, self._above_least_usd = now_ns, value
        self._above_least_usd = min(self._above_least_usd, value)
        if now_ns - self._above_since_ns >= CONFIRM_NS:
            self.usd = self._above_least_usd
            self._above_since_ns, self._above_least_usd = now_ns, value
        return self.usd


@dataclass(slots=True)
class _Count:
    """One loss: of whom, since when, in words."""

    scope: str
    since: str
    high: _High
    ladder: _Ladder
    loss_usd: float = 0.0


class LossStop:
    """The stage now.

    changes         every change of stage, in order
    drill_usd       what a drill adds to the book's losses; it is part of no P&L
    Invariant   HALT is left by `rearm` alone; between two of those `peak_usd` never falls
    """

    def __init__(self, policy: LossStopPolicy) -> None:
        self._policy = policy
        self.stage = Stage.NORMAL
        self.changes: list[StageChange] = []
        self.drill_usd = 0.0
        self._last_usd: dict[str, float] = {}
        self._begin()

    @property
    def peak_usd(self) -> float:
        """The book's peak, from which its first loss is counted."""
        return self._peak.usd

    def _begin(self) -> None:
        policy, book_usd = self._policy, self._last_usd.get(BOOK, 0.0)
        self._peak = _Peak(book_usd)
        peak = _Count(BOOK, "from its peak", self._peak, _Ladder(policy, 1.0))
        self._counts = [peak, *self._trailing(BOOK, 1.0)]
        self._followed = {BOOK}

    def _trailing(self, scope: str, share: float) -> Iterator[_Count]:
        policy, value = self._policy, self._last_usd.get(scope, 0.0)
        within = (
            ("a minute", NS_PER_MINUTE, policy.minute_share),
            ("an hour", NS_PER_HOUR, policy.hour_share),
            ("a day", NS_PER_DAY, policy.day_share),
        )
        shortest = TrailingHigh(NS_PER_MINUTE, CONFIRM_NS, value)
        for name, window_ns, of_losses in within:
            high = shortest if window_ns == NS_PER_MINUTE else shortest.over(window_ns, value)
            yield _Count(scope, f"within {name}", high, _Ladder(policy, share * of_losses))

    def _follow(self, scope: str) -> None:
        """A strategy seen for the first time since the start, or since re-arming."""
        share, value = self._policy.strategy_share, self._last_usd.get(scope, 0.0)
        self._followed.add(scope)
        self._counts.append(_Count(scope, "from its peak", _Peak(value), _Ladder(self._policy, share)))
        self._counts.extend(self._trailing(scope, share))

    def update(self, equity_usd: float, now_ns: int, by_strategy: Mapping[str, float] | None = None) -> Stage:
        """Takes the book's equity, and each strategy's, as marked now; says the stage that follows."""
        marked = {BOOK: equity_usd}
        if by_strategy and self._policy.strategy_share:
            marked.update(by_strategy)
        if not all(map(math.isfinite, marked.values())):
            # What cannot be marked cannot be lost further: nothing new is taken on until it can.
            ladder = self._counts[0].ladder
            ladder.stage = max(ladder.stage, Stage.REDUCE_ONLY)
            return self._become(max(self.stage, Stage.REDUCE_ONLY), now_ns, "the book cannot be marked")
        for scope in marked:
            if scope not in self._followed:
                self._follow(scope)
        self._last_usd = marked
        farthest = Stage.NORMAL
        for count in self._counts:
            worth = marked[count.scope]
            count.loss_usd = count.high.take(worth, now_ns) - worth
            if count.scope == BOOK:
                count.loss_usd += self.drill_usd
            stage = count.ladder.step(count.loss_usd, now_ns)
            if stage > farthest:
                farthest = stage
        if farthest is self.stage:
            return self.stage
        worst = max(self._counts, key=lambda count: (count.ladder.stage, count.loss_usd))
        said = f"the {worst.scope} lost {worst.loss_usd:,.0f} USD {worst.since}"
        if self.drill_usd:
            said = f"drill: {said}, {self.drill_usd:,.0f} of it in play"
        return self._become(worst.ladder.stage, now_ns, said)

    def rearm(self, now_ns: int, who: str, why: str) -> None:
        """A person lets the maker go on: every loss is counted from here, and a drill is over."""
        self.drill_usd = 0.0
        self._begin()
        self._become(Stage.NORMAL, now_ns, f"re-armed by {who}: {why}")

    def _become(self, stage: Stage, now_ns: int, text: str) -> Stage:
        if stage is not self.stage:
            self.changes.append(StageChange(now_ns, self.stage, stage, text))
        self.stage = stage
        return stage
