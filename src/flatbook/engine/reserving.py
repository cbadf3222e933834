"""The gate's last check: what everything that rests, works or is about to leave could do at once stays in bounds."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from flatbook.domain.intents import OrderIntent
from flatbook.domain.units import NS_PER_SECOND
from flatbook.engine import packages
from flatbook.engine.hedging import Wanted
from flatbook.engine.state import State
from flatbook.kernels.fill_units import LINEAR
from flatbook.kernels.gate import largest_quote
from flatbook.risk.reservation import MARGIN, Exposed, Resting

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def fit(state: State, grid: Ints, wanted: Sequence[Wanted]) -> list[Wanted]:
    """Quotes of `grid` give way until everything fits, and orders that still do not are cut; gives the orders left.

    Orders come first, for they relieve the book: quotes give way to them, and to answers to requests that stand.
    """
    gate, table, risk, margin = state.gate, state.table, state.risk, state.margin_limit
    wanted = [one for one in wanted if _may_go(state, one)]
    working = [(order.intent, order.open_lots) for order in state.orders.working.values()]
    # One order alone counts for margin by what it does to the book; beside others by what it asks for alone.
    alone = len(working) + len(wanted) == 1
    added = [_added(state, one.intent, one.intent.size_lots, alone) for one in wanted]
    orders = _ordered(state, (*added, *[_added(state, *order, alone) for order in working]))
    book = Exposed(
        (risk.delta_coin, risk.gamma_1pct_usd, risk.vega_usd, *risk.vega_tenor_usd),
        state.stress.pnl_usd,
        state.inventory.size_coin[: state.values.rows],
        orders,
        _through_coin(state, grid),
        gate.only_reduces(risk),
        None if margin is None else margin.quote_costs_usd(state.values.rows),
        math.inf if margin is None else max(margin.shared_room_usd, 0.0),
        math.inf if margin is None else max(margin.quotes_room_usd, 0.0),
    )
    resting = Resting(table.grid, table.loose, table.unsure)
    gate.reservation.fit(grid, state.market.universe, state.values, resting, book)
    if not wanted:
        return []
    excess = gate.reservation.excess()
    return [cut for one, axes in zip(wanted, added, strict=True) if (cut := _cut(state, one, axes, excess))]


def _ordered(state: State, orders: Sequence[Floats]) -> Floats:
    """What orders, and answers to requests that stand, may add up and down, (2, axes)."""
    total = np.zeros((2, state.gate.reservation.axes))
    for axes in orders:
        total += _both_ways(axes)
    total[1, MARGIN] = total[0, MARGIN]
    if state.rfqs is not None:
        state.rfqs.reserved = packages.kept_axes(state, state.rfqs)
        total += state.rfqs.reserved
        total[:, MARGIN] = total[:, MARGIN].max()
    return total


def _both_ways(axes: Floats) -> Floats:
    return np.stack([np.maximum(axes, 0.0), np.maximum(-axes, 0.0)])


def _added(state: State, intent: OrderIntent, lots: int, is_alone: bool) -> Floats:
    """What an order's lots add on each axis."""
    row = state.market.universe.row_of.get(intent.instrument, -1)
    coin, other = _coin(state, intent, lots), state.other_place(intent.instrument)
    added = state.gate.reservation.added(row, coin)
    if other is not None:
        # In scenarios it may move one to one with ours, where that loses, or not at all.
        assert state.comovement is not None
        added[0] *= float(state.comovement.beta[other])
        added[len(LINEAR) : MARGIN] = np.minimum(added[len(LINEAR) : MARGIN], 0.0)
    if state.margin_limit is not None:
        added[MARGIN] = state.margin_limit.order_usd(state, intent, coin, is_alone=is_alone)
    return added


def _coin(state: State, intent: OrderIntent, lots: int) -> float:
    """An order's lots as coins of the underlying, signed; of another coin as many as it is worth."""
    instrument = state.setup.reference.instrument(intent.instrument)
    if (other := state.other_place(intent.instrument)) is not None:
        return intent.side * lots * instrument.lot_size * float(state.values.others_usd[other]) / state.values.index_usd
    return intent.side * lots * instrument.lot_size / (state.values.index_usd if instrument.is_reciprocal else 1.0)


def _may_go(state: State, wanted: Wanted) -> bool:
    """Whether an order keeps its option's share of the book, and hedging's own capital suffices; counts a refusal."""
    intent, order, gate = wanted.intent, wanted.risk, state.gate
    row, reason = state.market.universe.row_of.get(intent.instrument, -1), None
    if 0 <= row < len(gate.reservation.position):
        after, bound = abs(order.held + order.size), float(gate.reservation.position[row])
        reason = None if after <= max(bound, abs(order.held)) else "concentration"
    if reason is None and state.margin_limit is not None:
        reason = state.margin_limit.hedge_refusal(state, intent, _coin(state, intent, intent.size_lots))
    if reason is not None:
        gate.count_refusal(reason)
    return reason is None


def _cut(state: State, wanted: Wanted, added: Floats, excess: Floats) -> Wanted | None:
    """The order less what resting quotes leave no room for; None where nothing is left, or the rate is reached.

    `excess` (2, axes) is what lies beyond the bounds; what is cut is taken off it.
    """
    whole = wanted.intent.size_lots
    push = _both_ways(added)
    over = (push > 0) & ~(excess <= 0)
    share = float(np.max(excess[over] / push[over], initial=0.0))
    lots = 0 if math.isnan(share) or share >= 1 else whole - math.ceil(share * whole)
    excess -= push * (whole - lots) / whole
    if lots == 0:
        state.gate.count_refusal("reserved")
        return None
    if not state.gate.may_send(state.now_ns):
        return None
    return wanted if lots == whole else wanted._replace(intent=msgspec.structs.replace(wanted.intent, size_lots=lots))


def _through_coin(state: State, grid: Ints) -> float:
    """Contracts that can fill before we hear of it: what two of the venue's windows let through, if it keeps them.

    One may end and another begin while an answer is on its way; the quote that fills the second may be filled whole. A
    venue that has been silent for half a window may be in its third by now: then all that rests counts.
    """
    protection = state.setup.policy.protection
    largest_coin = largest_quote(state.market.universe.ladders().columns.lot_coin, grid)
    state.largest_quote_coin = max(state.largest_quote_coin, largest_coin)
    is_late = state.table.waited_ns(state.now_ns) > 0.5 * protection.mmp_window_s * NS_PER_SECOND
    if not protection.mmp_at_venue or (is_late and state.table.acknowledges):
        return math.inf
    return 2 * protection.mmp_quantity_coin + state.largest_quote_coin
