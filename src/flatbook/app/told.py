"""What a person tells a run, put in its place among the market's events.

It is taken after the first event at or after the moment it was said, on that event's clock: so a replay of the journal,
which holds it with both times, takes it after the same event.
"""

from collections import deque
from collections.abc import Iterable, Iterator

import msgspec

from flatbook.domain.events import AnyEvent, LossDrill, OperatorEvent, Rearm
from flatbook.domain.units import NS_PER_MINUTE
from flatbook.risk.limits import LossStopPolicy

TOLD = (Rearm, LossDrill)

OPERATOR = "the operator"
"""Who re-arms by the command line."""


class Told:
    """What waits for its moment: all that a journal holds of it, and of what is new the rest; `passed` was taken."""

    def __init__(self, held: Iterable[AnyEvent], new: Iterable[OperatorEvent], passed: Iterable[AnyEvent] = ()) -> None:
        known = [event for event in held if isinstance(event, TOLD)]
        said = {(type(event), event.exch_ts_ns) for event in (*known, *passed)}
        more = [event for event in new if (type(event), event.exch_ts_ns) not in said]
        self._waiting = deque(sorted([*known, *more], key=lambda event: event.local_ts_ns))

    def due(self, now_ns: int) -> Iterator[OperatorEvent]:
        """What was said by now, on the clock of now."""
        while self._waiting and self._waiting[0].local_ts_ns <= now_ns:
            yield msgspec.structs.replace(self._waiting.popleft(), local_ts_ns=now_ns)

    def is_due(self, now_ns: int) -> bool:
        """Whether anything was said by now and has not been taken."""
        return bool(self._waiting) and self._waiting[0].local_ts_ns <= now_ns

    @property
    def left(self) -> tuple[OperatorEvent, ...]:
        """What no event of the market came for."""
        return tuple(self._waiting)


def rearmed(at_ns: int, who: str, why: str) -> Rearm:
    """A re-arming that is said at a moment."""
    return Rearm(exch_ts_ns=at_ns, local_ts_ns=at_ns, who=who, why=why)


def drill(policy: LossStopPolicy, from_ns: int) -> tuple[OperatorEvent, ...]:
    """From a minute after `from_ns`, each stage's loss for a minute; then none, and the maker is re-armed."""
    losses = (policy.widen_usd, policy.reduce_only_usd, policy.flat_usd, policy.halt_usd, 0.0)
    moments = [from_ns + (1 + minute) * NS_PER_MINUTE for minute in range(len(losses))]
    steps = [LossDrill(exch_ts_ns=ns, local_ts_ns=ns, loss_usd=usd) for ns, usd in zip(moments, losses, strict=True)]
    return (*steps, rearmed(moments[-1], "the drill", "it is over"))
