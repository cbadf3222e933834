"""What is watched of a run, once a second of market time at most: exposures, P&L, quotes, ages of data, the venue.

Alarms go into the run's log and change no decision. An event leaves a time behind, an answer of the venue two numbers;
all else is read when a look is due.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from flatbook.domain.events import AnyEvent, ChainQuotes, TradePrint
from flatbook.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from flatbook.execution.lifecycle import OrderState
from flatbook.report.facts import LogEntry, MonitorFacts
from flatbook.risk.monitors import Monitor, MonitorAlarm, MonitorPolicy, Of, Watched
from flatbook.valuation.chain import VEGA

if TYPE_CHECKING:
    from flatbook.engine.state import State

WATCHED = (
    Watched("delta", "exposures", "of its bound", Of.MOST, least=0.1, bound=1.0),
    Watched("gamma", "exposures", "of its bound", Of.MOST, least=0.1, bound=1.0),
    Watched("vega", "exposures", "of its bound", Of.MOST, least=0.1, bound=1.0),
    Watched("stress loss", "exposures", "of its bound", Of.MOST, least=0.1, bound=1.0),
    Watched("P&L", "P&L", "USD", Of.CHANGE),
    Watched("quotes away", "quotes", "of the time", Of.MEAN, least=0.05),
    Watched("one-sided quotes", "quotes", "of all", Of.MEAN, least=0.25),
    Watched("half-spread", "quotes", "of the market's", Of.MEAN, least=0.5),
    Watched("lost in a minute", "quotes", "bp of what was filled", Of.MEAN, least=1.0),
    Watched("index", "ages", "s", Of.MOST, least=5.0),
    Watched("index in doubt", "ages", "s", Of.MOST, least=30.0, bound=30.0),
    Watched("perpetual", "ages", "s", Of.MOST, least=5.0),
    Watched("surface", "ages", "s", Of.MOST, least=30.0),
    Watched("trades", "ages", "s", Of.MOST, least=60.0),
    Watched("chain", "ages", "s", Of.MOST, least=60.0),
    Watched("answers", "venue", "ms", Of.MOST, least=10.0),
    Watched("refused", "venue", "of answers", Of.MEAN, least=0.01),
    Watched("unanswered", "venue", "s", Of.MOST, least=0.5),
)

_QUOTES_EVERY_NS = 10 * NS_PER_SECOND
_SHOWN_NS = 600 * NS_PER_SECOND
"""How old the market's quote of an option may be for ours to be held against it."""

_NEVER = -(2**62)


class Monitoring:
    """The monitors of a run, and what happened since they last looked.

    alarms      how many began
    """

    def __init__(self, policy: MonitorPolicy) -> None:
        each = policy.false_alarms_per_week / len(WATCHED)
        self.policy = policy
        self.monitors = {watched.name: Monitor(watched, each) for watched in WATCHED}
        self.alarms = 0
        self.heard_ns: dict[type[AnyEvent], int] = {}
        self.looked_ns = _NEVER
        self._quotes_ns = _NEVER
        self._every_ns = round(policy.every_s * NS_PER_SECOND)
        self._happened: dict[str, list[float]] = {}

    def is_due(self, now_ns: int) -> bool:
        """Whether it is time to look again."""
        return now_ns - self.looked_ns >= self._every_ns

    def happened(self, name: str, value: float) -> None:
        """Something that a monitor counts by the event, told to it at the next look."""
        self._happened.setdefault(name, []).append(value)

    def look(self, state: State) -> list[MonitorAlarm]:
        """Takes every number as of now; the alarms that begin or end."""
        now_ns, before_ns = state.now_ns, self.looked_ns
        self.looked_ns = now_ns
        alarms: list[MonitorAlarm] = []
        if now_ns // NS_PER_MINUTE != before_ns // NS_PER_MINUTE:
            for monitor in self.monitors.values():
                alarms += monitor.tick(now_ns)
        for name, value in self._numbers(state):
            alarms += self.monitors[name].note(now_ns, value)
        for name, values in self._happened.items():
            of_most = self.monitors[name].watched.of is Of.MOST
            alarms += self.monitors[name].note(
                now_ns, max(values) if of_most else sum(values) / len(values), len(values)
            )
        self._happened.clear()
        if alarms:
            self.alarms += sum(alarm.begins for alarm in alarms)
        return alarms

    def _numbers(self, state: State) -> Iterator[tuple[str, float]]:
        limits, risk, now_ns = state.setup.policy.limits, state.risk, state.now_ns
        yield "delta", abs(risk.delta_coin) / limits.delta_coin
        yield "gamma", abs(risk.gamma_1pct_usd) / limits.gamma_1pct_usd
        yield "vega", abs(risk.vega_usd) / limits.vega_usd
        yield "stress loss", risk.stress_loss_usd / limits.stress_loss_usd
        yield "P&L", state.pnl.equity_usd
        yield "index in doubt", state.index_check.doubted_s(now_ns)
        yield from self._ages(state)
        if state.table.acknowledges:
            yield "unanswered", _waited_ns(state) / NS_PER_SECOND
        if now_ns - self._quotes_ns >= _QUOTES_EVERY_NS:
            self._quotes_ns = now_ns
            yield from _quotes(state)

    def _ages(self, state: State) -> list[tuple[str, float]]:
        """Of what was ever heard of."""
        market = state.market
        seen_ns = (
            ("index", market.forwards.index_ns),
            ("perpetual", market.perpetual.seen_ns),
            ("surface", int(market.surface.seen_ns[: market.universe.slots].max(initial=0))),
            ("trades", self.heard_ns.get(TradePrint, 0)),
            ("chain", self.heard_ns.get(ChainQuotes, 0)),
        )
        return [(name, (state.now_ns - ns) / NS_PER_SECOND) for name, ns in seen_ns if ns]


def watch(state: State, event: AnyEvent) -> None:
    """Looks, where that is due, at how things stood when `event` came; then notes that it came."""
    monitoring = state.monitoring
    if monitoring.is_due(state.now_ns) and state.values.ts_ns and state.is_opened:
        for alarm in monitoring.look(state):
            text = alarm.text if alarm.begins else f"{alarm.text} again"
            state.recorder.log.append(LogEntry(ts_ns=alarm.ts_ns, kind="monitor", text=text))
    monitoring.heard_ns[type(event)] = state.now_ns


def facts(state: State) -> tuple[MonitorFacts, ...]:
    """How every monitor stands, horizon by horizon."""
    return tuple(
        MonitorFacts(
            name=reading.watched.name,
            group=reading.watched.group,
            unit=reading.watched.unit,
            of=reading.watched.of,
            horizon=reading.horizon,
            value=reading.value,
            age_s=(state.now_ns - reading.ts_ns) / NS_PER_SECOND if reading.ts_ns else math.nan,
            usual=reading.usual,
            threshold=reading.threshold,
            state=reading.state,
            alarms=reading.alarms,
        )
        for monitor in state.monitoring.monitors.values()
        for reading in monitor.readings()
    )


def _waited_ns(state: State) -> int:
    """For how long the oldest message of quotes, or order, has had no answer."""
    orders = [state.now_ns - one.sent_ns for one in state.orders.working.values() if one.state is OrderState.SENT]
    return max(state.table.waited_ns(state.now_ns), *orders) if orders else state.table.waited_ns(state.now_ns)


def _quotes(state: State) -> Iterator[tuple[str, float]]:
    """How much of the chain we quote, and how wide beside the market."""
    values, touches = state.values, state.market.touches
    grid = state.table.grid[:, : values.rows]
    has_bid, has_ask = grid[1] > 0, grid[3] > 0
    either, both = np.count_nonzero(has_bid | has_ask), has_bid & has_ask
    yield "quotes away", float(either == 0)
    if not either:
        return
    yield "one-sided quotes", 1.0 - float(np.count_nonzero(both) / either)
    rows = np.flatnonzero(both[: len(touches.seen_ns)])
    rows = rows[(state.now_ns - touches.seen_ns[rows] <= _SHOWN_NS) & (touches.ask_vol[rows] > touches.bid_vol[rows])]
    if not len(rows):
        return
    vega_coin = values.greeks[VEGA, rows] / values.forward_usd[rows]
    ours = (grid[2, rows] - grid[0, rows]) * state.market.universe.tick[rows] / np.maximum(vega_coin, 1e-9)
    yield "half-spread", float(np.median(ours / (touches.ask_vol[rows] - touches.bid_vol[rows])))
