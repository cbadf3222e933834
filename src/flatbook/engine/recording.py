"""What a run remembers of itself: the series that reports are drawn from, filled as the engine goes."""

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.events import Fill
from flatbook.domain.instruments import format_expiry
from flatbook.domain.units import NS_PER_MINUTE
from flatbook.engine.other_coins import other_coin_rows
from flatbook.kernels.chain import BASIS, LEVELS, PREMIUM, SPOT
from flatbook.kernels.telling import keep_told
from flatbook.market.surface_model import REASONS, SliceStatus
from flatbook.report.facts import LogEntry
from flatbook.report.tables import (
    MARKOUT_HORIZONS_NS,
    EquityRow,
    ExposureRow,
    FillRow,
    QuoteRow,
    SmilePointRow,
    SmileRow,
    Tables,
)
from flatbook.valuation.chain import VEGA

if TYPE_CHECKING:
    from flatbook.engine.state import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SMILES_EVERY_NS = 30 * NS_PER_MINUTE
_WATCHED = 6


class _Ended(NamedTuple):
    """The last entry about quotes that ended: the first of them, how many others, and why."""

    entry: LogEntry
    first: str
    others: int
    reason: str


class Recorder:
    """Series, counters and log of one run; nothing here is read by a decision.

    Invariant   `quoted_fair` and the inventory parts are those of the quote that rests now, row by row
    """

    def __init__(self, sample_ns: int) -> None:
        self.tables = Tables()
        self.log: list[LogEntry] = []
        self.messages = 0
        self.samples = 0
        self.quoting_samples = 0
        self.two_sided: list[float] = []
        self.half_spread_vol: list[float] = []
        self.volume_usd = 0.0
        self.tape_usd = 0.0
        self.breached: dict[str, int] = {}
        self._sample_ns = sample_ns
        self._sampled_ns = 0
        self._smiles_ns = 0
        self._beyond: set[str] = set()
        self._alarms_noted = 0
        self._stages_noted = 0
        self._ended: _Ended | None = None
        self._status: dict[int, str] = {}
        self._watched: list[int] = []
        self._quoted: Floats = np.full((3, 0), np.nan)
        self._markouts: dict[str, deque[tuple[int, int, int, float, float]]] = {
            column: deque() for column in MARKOUT_HORIZONS_NS
        }

    def quoted(self, state: "State", rows: Ints) -> None:
        """Keeps why the quotes of `rows` are where they are, for the day they trade."""
        quotes = state.quotes
        assert quotes is not None
        n = len(quotes.fair_coin)
        if self._quoted.shape[1] < n:
            more = np.full((3, n - self._quoted.shape[1]), np.nan)
            self._quoted = np.concatenate([self._quoted, more], axis=1)
        keep_told(rows, quotes.fair_coin, quotes.bid_inventory_coin, quotes.ask_inventory_coin, self._quoted)

    def filled(self, state: "State", fill: Fill, row: int, edge_usd: float, fee_usd: float) -> None:
        """One of our quotes traded, for an edge over the fair value of the moment."""
        instrument = state.market.universe.instruments[row]
        price = fill.price_ticks * instrument.tick_size
        size = fill.size_lots * instrument.lot_size
        fair = float(self._quoted[0, row])
        inventory = float(self._quoted[1 if fill.side > 0 else 2, row])
        index_usd = state.values.index_usd
        vega = float(state.values.greeks[VEGA, row] * index_usd / state.values.forward_usd[row]) / 100
        number = self.tables.fills.append(
            FillRow(
                ts_ns=state.now_ns,
                trade_id=fill.trade_id,
                instrument=fill.instrument,
                side=fill.side,
                size=size,
                price=price,
                fair=fair,
                spread_part=price - fair - inventory,
                inventory_part=inventory,
                index_usd=index_usd,
                edge_usd=edge_usd,
                fee_usd=fee_usd,
                markout_1m_usd=np.nan,
                markout_10m_usd=np.nan,
                markout_1h_usd=np.nan,
                vega_usd=fill.side * size * vega,
            )
        )
        self.volume_usd += size * index_usd
        for column, horizon_ns in MARKOUT_HORIZONS_NS.items():
            self._markouts[column].append((state.now_ns + horizon_ns, number, row, fill.side * size, price))

    def quote_ended(self, ts_ns: int, order_id: str, reason: str) -> None:
        """Notes that the venue refused or pulled a quote; what it says of many at one moment is one entry."""
        before = self._ended
        if (
            before is not None
            and self.log[-1] is before.entry
            and (ts_ns, reason) == (before.entry.ts_ns, before.reason)
        ):
            self.log.pop()
            first, others = before.first, before.others + 1
        else:
            first, others = order_id, 0
        more = f" and {others} more" if others else ""
        entry = LogEntry(ts_ns=ts_ns, kind="quote", text=f"{first}{more}: {reason}")
        self.log.append(entry)
        self._ended = _Ended(entry, first, others, reason)

    def sample(self, state: "State") -> None:
        """Takes what is due: markouts, breaches, and once every sample a row of each series."""
        self._take_markouts(state)
        self._note_breaches(state)
        self._note_alarms(state)
        if state.now_ns - self._sampled_ns < self._sample_ns:
            return
        self._sampled_ns = state.now_ns
        self.take_sample(state)

    def take_sample(self, state: "State") -> None:
        """A row of each series, now."""
        self.tables.equity.append(
            EquityRow.of(state.now_ns, state.values.index_usd, state.pnl.by_name(), state.risk.stage.name.lower())
        )
        self._sample_exposures(state)
        for row in other_coin_rows(state):
            self.tables.other_coins.append(row)
        self._sample_quotes(state)
        if state.now_ns - self._smiles_ns >= _SMILES_EVERY_NS:
            self._smiles_ns = state.now_ns
            for slot in state.market.universe.slots_by_expiry(state.now_ns):
                self._sample_smile(state, int(slot))

    def _sample_exposures(self, state: "State") -> None:
        book = state.book
        short, mid, long = (book.exposure[LEVELS] / 100).tolist()
        self.tables.exposures.append(
            ExposureRow(
                state.now_ns,
                state.risk.delta_coin,
                float(book.exposure[SPOT]),
                book.gamma_1pct_usd,
                book.vega_usd_per_vol_pt,
                book.theta_usd_per_day,
                short,
                mid,
                long,
                float(book.exposure[BASIS]) / 100,
                float(book.exposure[PREMIUM]) / 10_000,
                state.risk.stress_loss_usd,
                int(np.count_nonzero(state.inventory.size_coin))
                + bool(state.inventory.perp_usd)
                + bool(state.inventory.away_usd)
                + int(np.count_nonzero(state.inventory.others_coin)),
            )
        )

    def _sample_quotes(self, state: "State") -> None:
        grid = state.table.grid[:, : state.values.rows]
        has_bid, has_ask = grid[1] > 0, grid[3] > 0
        either, both = has_bid | has_ask, has_bid & has_ask
        self.samples += 1
        if either.any():
            self.quoting_samples += 1
            self.two_sided.append(float(both.sum() / either.sum()))
        if both.any():
            tick = state.market.universe.tick[: state.values.rows][both]
            vega_coin = (state.values.greeks[VEGA] / state.values.forward_usd)[both]
            half = 0.5 * (grid[2] - grid[0])[both] * tick / np.maximum(vega_coin, 1e-9) * 100
            self.half_spread_vol.append(float(np.median(half)))
        for row in self._rows_to_watch(state):
            self._sample_quote(state, row)

    def _sample_quote(self, state: "State", row: int) -> None:
        bid_ticks, bid_lots, ask_ticks, ask_lots = state.table.grid[:, row]
        instrument = state.market.universe.instruments[row]
        self.tables.quotes.append(
            QuoteRow(
                state.now_ns,
                instrument.name,
                bid_ticks * instrument.tick_size if bid_lots else np.nan,
                ask_ticks * instrument.tick_size if ask_lots else np.nan,
                float(state.values.fair_coin[row]),
                float(state.market.mark_coin[row]),
                (state.now_ns - int(state.market.mark_ns[row])) / 1e9 if state.market.mark_ns[row] else np.nan,
            )
        )

    def _rows_to_watch(self, state: "State") -> list[int]:
        """A few strikes around the money of two expiries; chosen anew when one of them has expired."""
        values = state.values
        alive = [row for row in self._watched if values.years[row] > 0]
        if len(alive) < _WATCHED:
            days = values.years * 365
            near = (days > 2) & (days < 60) & (np.abs(values.moneyness) < 1.2) & (state.market.mark_ns[: len(days)] > 0)
            rank = np.where(near, state.market.mark_ns[: len(days)], 0)
            for row in np.argsort(-rank, kind="stable")[: 4 * _WATCHED].tolist():
                if len(alive) < _WATCHED and near[row] and row not in alive:
                    alive.append(row)
            self._watched = alive
        return alive

    def _sample_smile(self, state: "State", slot: int) -> None:
        surface, universe = state.market.surface, state.market.universe
        if not surface.fitted_ns[slot]:
            return
        smile, status = smile_row(state, slot), SliceStatus(int(surface.status[slot]))
        if smile.status != self._status.get(slot) and status.is_held:
            name = format_expiry(int(universe.expiry_ns[slot]))
            self.log.append(LogEntry(ts_ns=state.now_ns, kind="surface", text=f"{name}: {REASONS[status]}"))
        self._status[slot] = smile.status
        self.tables.smiles.append(smile)
        for point in smile_points(state, slot):
            self.tables.smile_points.append(point)

    def _take_markouts(self, state: "State") -> None:
        for column, waiting in self._markouts.items():
            while waiting and waiting[0][0] <= state.now_ns:
                _, number, row, size, price = waiting.popleft()
                gained = size * (float(state.values.fair_coin[row]) - price) * state.values.index_usd
                self.tables.set_markout(number, column, gained)
                if column == "markout_1m_usd":
                    state.monitoring.happened("lost in a minute", -1e4 * gained / (abs(size) * state.values.index_usd))

    def _note_alarms(self, state: "State") -> None:
        alarms, changes = state.protection.alarms, state.loss_stop.changes
        if len(alarms) == self._alarms_noted and len(changes) == self._stages_noted:
            return
        for alarm in alarms[self._alarms_noted :]:
            text = f"{alarm.reason}: {alarm.text}"
            self.log.append(LogEntry(ts_ns=alarm.ts_ns, kind="protection", text=text))
        self._alarms_noted = len(alarms)
        for change in changes[self._stages_noted :]:
            text = f"{change.before.name.lower()} to {change.after.name.lower()}: {change.text}"
            self.log.append(LogEntry(ts_ns=change.ts_ns, kind="loss_stop", text=text))
        self._stages_noted = len(changes)

    def _note_breaches(self, state: "State") -> None:
        names = state.gate.breaches(state.risk)
        if not names and not self._beyond:
            return
        standing = set(names)
        for name in sorted(standing - self._beyond):
            self.breached[name] = self.breached.get(name, 0) + 1
            self.log.append(LogEntry(ts_ns=state.now_ns, kind="limit", text=f"{name} is beyond its limit"))
        self._beyond = standing


def smile_row(state: "State", slot: int) -> SmileRow:
    """The slot's published slice as of now."""
    surface, universe = state.market.surface, state.market.universe
    years = float(state.market.years(state.now_ns)[slot])
    a, b, rho, m, s = surface.at(slot, years).tolist()
    return SmileRow(
        state.now_ns,
        int(universe.expiry_ns[slot]),
        state.market.forwards.forward_usd(slot),
        a,
        b,
        rho,
        m,
        s,
        years,
        float(surface.rmse_vol[slot]),
        (state.now_ns - int(surface.fitted_ns[slot])) / 1e9,
        SliceStatus(int(surface.status[slot])).name.lower(),
    )


def smile_points(state: "State", slot: int) -> list[SmilePointRow]:
    """What the slot's slice was fitted to, with each point's age."""
    k, low, high, seen_ns = state.market.surface.points(slot)
    forward = state.market.forwards.forward_usd(slot)
    expiry_ns = int(state.market.universe.expiry_ns[slot])
    return [
        SmilePointRow(
            state.now_ns,
            expiry_ns,
            forward * float(np.exp(at)),
            float(lo),
            float(hi),
            (state.now_ns - int(ns)) / 1e9,
        )
        for at, lo, hi, ns in zip(k, low, high, seen_ns, strict=True)
    ]
