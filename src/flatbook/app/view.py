"""The live page's view of a run, made from the engine's state between two events."""

from collections.abc import Callable

import numpy as np

from flatbook.app.markets import NEVER_NS, OpenMarket
from flatbook.domain.instruments import format_expiry
from flatbook.engine import monitoring
from flatbook.engine.recording import smile_points, smile_row
from flatbook.engine.state import State
from flatbook.report.facts import LatencyFacts
from flatbook.report.tables import FillRow, HedgeRow
from flatbook.service.live import (
    FITTED,
    ChainRow,
    ChainView,
    DataAge,
    FillView,
    Gauge,
    HedgeView,
    HistoryKeeper,
    LiveView,
    OwnQuote,
    SmileView,
)

EXPIRIES_SHOWN = 4
STRIKES_SHOWN = 15
TRADES_SHOWN = 12
LOG_SHOWN = 30


class Viewer:
    """Makes views of one run; keeps what a view needs of the past."""

    def __init__(
        self,
        run_id: str,
        market: OpenMarket,
        policy: str,
        pace: str,
        label: str,
        latency: Callable[[], LatencyFacts | None] = lambda: None,
    ) -> None:
        self._run_id = run_id
        self._market = market
        self._policy = policy
        self._pace = pace
        self._label = label
        self._latency = latency
        self._history = HistoryKeeper()

    def empty(self) -> LiveView:
        """The page before the first event."""
        return LiveView(
            run_id=self._run_id,
            policy=self._policy,
            market=self._label,
            state="starting",
            clock_ns=self._market.from_ns,
        )

    def remember(self, state: State) -> None:
        """Offers the instant to the page's history: its curves begin with the run, not when somebody first looks."""
        if not state.values.ts_ns:
            return
        self._history.add(
            state.now_ns,
            index_usd=state.values.index_usd,
            equity_usd=state.pnl.equity_usd,
            delta_usd=float(state.book.exposure[0]),
            vega_usd=state.risk.vega_usd,
        )

    def view(self, state: State, phase: str = "running") -> LiveView:
        """The page now."""
        if not state.values.ts_ns:
            return self.empty()
        self.remember(state)
        tables, slots = state.recorder.tables, self._slots(state)
        grid = state.table.grid
        return LiveView(
            run_id=self._run_id,
            policy=self._policy,
            market=self._label,
            state=phase,
            clock_ns=state.now_ns,
            progress=self._progress(state.now_ns),
            pace=self._pace,
            stage=state.risk.stage.name.lower(),
            index_usd=state.values.index_usd,
            equity_usd=state.pnl.equity_usd,
            parts=state.pnl.by_name(),
            history=self._history.history(),
            fills_count=len(tables.fills),
            hedges_count=len(tables.hedges),
            positions_open=len(state.ledger.open_lots()),
            quotes_live=int(np.count_nonzero(grid[1]) + np.count_nonzero(grid[3])),
            exposures=_gauges(state),
            ages=_ages(state, slots),
            monitors=monitoring.facts(state),
            chains=tuple(_chain(state, slot) for slot in slots),
            smiles=tuple(SmileView.of(smile_row(state, slot), smile_points(state, slot)) for slot in slots),
            fills=tuple(FillView.of(row) for row in _last_fills(state)),
            hedges=tuple(HedgeView.of(row) for row in _last_hedges(state)),
            log=tuple(state.recorder.log[-LOG_SHOWN:][::-1]),
            latency=self._latency(),
        )

    def _progress(self, now_ns: int) -> float:
        market = self._market
        if market.to_ns == NEVER_NS:
            return np.nan
        return min(max((now_ns - market.from_ns) / max(market.to_ns - market.from_ns, 1), 0.0), 1.0)

    def _slots(self, state: State) -> list[int]:
        surface = state.market.surface
        order = state.market.universe.slots_by_expiry(state.now_ns)
        return [int(slot) for slot in order if surface.is_known(int(slot))][:EXPIRIES_SHOWN]


def _gauges(state: State) -> tuple[Gauge, ...]:
    limits, risk, index = state.setup.policy.limits, state.risk, state.values.index_usd
    return (
        Gauge(name="delta", unit="USD", value=risk.delta_coin * index, limit=limits.delta_coin * index),
        Gauge(name="gamma", unit="USD per 1 %", value=risk.gamma_1pct_usd, limit=limits.gamma_1pct_usd),
        Gauge(name="vega", unit="USD per vol point", value=risk.vega_usd, limit=limits.vega_usd),
        Gauge(name="stress loss", unit="USD", value=risk.stress_loss_usd, limit=limits.stress_loss_usd),
        *(
            Gauge(name=f"delta in {coin}", unit="USD", value=usd, limit=limits.other_delta_usd)
            for coin, usd in zip(state.setup.policy.hedging.correlated, risk.others_usd, strict=False)
        ),
    )


def _ages(state: State, slots: list[int]) -> tuple[DataAge, ...]:
    index_s = (state.now_ns - state.market.forwards.index_ns) / 1e9
    surface_s = min(((state.now_ns - int(state.market.surface.seen_ns[slot])) / 1e9 for slot in slots), default=np.nan)
    return (DataAge.of("index", index_s), DataAge.of("surface", surface_s, FITTED))


def _chain(state: State, slot: int) -> ChainView:
    universe, values = state.market.universe, state.values
    forward = state.market.forwards.forward_usd(slot)
    rows = np.flatnonzero(universe.slot[: values.rows] == slot)
    strikes = np.unique(universe.strike_usd[rows])
    near = np.sort(strikes[np.argsort(np.abs(np.log(strikes / forward)), kind="stable")[:STRIKES_SHOWN]])
    by_contract = {(float(universe.strike_usd[row]), float(universe.sign[row])): int(row) for row in rows}
    return ChainView(
        expiry_ns=int(universe.expiry_ns[slot]),
        expiry=format_expiry(int(universe.expiry_ns[slot])),
        forward_usd=forward,
        age_s=(state.now_ns - int(state.market.surface.seen_ns[slot])) / 1e9,
        rows=tuple(
            ChainRow(
                strike=strike,
                call=_own_quote(state, by_contract.get((strike, 1.0))),
                put=_own_quote(state, by_contract.get((strike, -1.0))),
            )
            for strike in near.tolist()
        ),
    )


def _own_quote(state: State, row: int | None) -> OwnQuote | None:
    if row is None:
        return None
    bid_ticks, bid_lots, ask_ticks, ask_lots = state.table.grid[:, row].tolist()
    tick = float(state.market.universe.tick[row])
    return OwnQuote(
        bid=bid_ticks * tick if bid_lots else np.nan,
        fair=float(state.values.fair_coin[row]),
        ask=ask_ticks * tick if ask_lots else np.nan,
        vol=float(state.values.vol[row]),
        position=float(state.inventory.size_coin[row]),
    )


def _last_fills(state: State) -> list[FillRow]:
    return state.recorder.tables.fills.last(TRADES_SHOWN)


def _last_hedges(state: State) -> list[HedgeRow]:
    return state.recorder.tables.hedges.last(TRADES_SHOWN)
