"""The ledger stage: what happened to us is booked exactly, once, and its P&L put under its cause."""

import math
from typing import TYPE_CHECKING

import numpy as np

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import (
    AnyEvent,
    ChainQuotes,
    DailySettlement,
    Delivery,
    Fill,
    FundingPaid,
    FundingRate,
    IndexTick,
    LossDrill,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    Payoff,
    ProtectionTriggered,
    QuotesAcknowledged,
    Rearm,
    TopOfBook,
    TradePrint,
)
from flatbook.domain.instruments import DOLLAR, format_expiry
from flatbook.domain.reference import Instrument
from flatbook.domain.units import NS_PER_SECOND, risk_amount
from flatbook.engine import index_watch, valuing
from flatbook.engine.attributing import cell_of
from flatbook.engine.hedge_desk import book_hedge
from flatbook.engine.setup import HEDGING, MAKING
from flatbook.engine.state import State
from flatbook.engine.stressing import NO_STRESS
from flatbook.execution.lifecycle import OrderState
from flatbook.execution.orders import WorkingOrder
from flatbook.kernels.explain import HEDGING as HEDGING_CELL
from flatbook.ledger.positions import Position, PositionKey
from flatbook.report.facts import LogEntry
from flatbook.risk.loss_stop import Stage
from flatbook.valuation.chain import DELTA, VEGA

if TYPE_CHECKING:
    from flatbook.valuation.otc_book import OtcBook

QUOTE_PREFIX = "quote:"
"""A venue's answers name a resting quote by this and its instrument."""

MANUAL_PREFIX = "manual:"
"""Begins the order id of a fill that somebody made on the account by hand."""


def take_own(state: State, event: AnyEvent) -> bool:
    """Books what concerns us; says whether the book changed."""
    match event:
        case IndexTick() | TopOfBook() | TradePrint() | ChainQuotes():
            return state.otc is not None and state.tick is not None and _take_tick(state, state.otc, state.tick)
        case Fill():
            return _take_fill(state, event)
        case OrderAccepted() | OrderRejected() | OrderCancelled():
            return _take_answer(state, event)
        case FundingRate() if not state.setup.funding_is_told:
            price_usd = state.perpetual_usd(event.instrument)
            if math.isnan(price_usd) and state.other_place(event.instrument) is not None:
                return False  # Its coin's index was not heard yet, so nothing of it is held.
            state.ledger.book_funding(event, state.setup.venue, price_usd)
            return _booked(state, "funding", event.instrument)
        case FundingPaid():
            state.ledger.book_funding_paid(event, state.setup.venue, HEDGING)
            return _booked(state, "funding", event.instrument)
        case DailySettlement():
            state.ledger.book_daily_settlement(event, state.setup.venue)
            return _booked(state, "settlement", event.instrument)
        case QuotesAcknowledged():
            state.monitoring.happened("answers", state.table.waited_ns(state.now_ns) / 1e6)
            state.monitoring.happened("refused", 0.0)
            state.table.acknowledged(event.number)
            return False
        case ProtectionTriggered():
            state.table.all_gone()
            state.protection.venue_pulled(state.now_ns, event.frozen_until_ns)
            return False
        case Rearm():
            return _rearm(state, event)
        case LossDrill():
            state.loss_stop.drill_usd = event.loss_usd
            return True
        case Delivery():
            return _take_delivery(state, event)
        case _:
            return False


def _rearm(state: State, event: Rearm) -> bool:
    stopped, doubted = state.loss_stop.stage is Stage.HALT, index_watch.rearm(state)
    if doubted:
        text = f"{event.who} takes the feed's word for the index: {event.why}"
        state.recorder.log.append(LogEntry(ts_ns=state.now_ns, kind="index", text=text))
    if stopped:
        state.loss_stop.rearm(state.now_ns, event.who, event.why)
    elif not doubted:
        text = f"re-armed by {event.who}: {event.why}; it was not halted, nothing changes"
        state.recorder.log.append(LogEntry(ts_ns=state.now_ns, kind="loss_stop", text=text))
    return stopped or doubted


def _take_answer(state: State, event: OrderAccepted | OrderRejected | OrderCancelled) -> bool:
    """A hedge lives on by its table; a quote that the venue refused or pulled rests no more."""
    state.monitoring.happened("refused", float(isinstance(event, OrderRejected)))
    order = state.orders.working.get(event.order_id)
    if order is not None:
        _time_answer(state, order)
        state.orders.take(event)
        _forget_ended(state, event.order_id)
        return True
    row = state.market.universe.row_of.get(event.order_id.removeprefix(QUOTE_PREFIX))
    if row is None:
        state.orders.take(event)
    elif not isinstance(event, OrderAccepted):
        state.table.gone(row)
        state.recorder.quote_ended(state.now_ns, event.order_id, event.reason)
    return False


def _forget_ended(state: State, order_id: str) -> None:
    if order_id not in state.orders.working:
        state.desk.decided.pop(order_id, None)
        state.desk.pulled.discard(order_id)


def _time_answer(state: State, order: WorkingOrder) -> None:
    """The first answer to an order says how late the venue is; what comes after it is the market's doing."""
    if order.state is OrderState.SENT:
        late_ms = 1e3 * (state.now_ns - order.sent_ns) / NS_PER_SECOND
        state.protection.answered(state.now_ns, late_ms)
        state.monitoring.happened("answers", late_ms)


def _take_manual(state: State, fill: Fill) -> bool:
    """A trade by hand on the account: the book has it as if a strategy had traded, and the desk hedges what it left.

    Errors      BadInputError for what no run holds: somebody must take it over
    """
    is_hedge = fill.instrument == state.setup.hedge.name
    if not is_hedge and fill.instrument not in state.market.universe.row_of:
        raise BadInputError(
            f"trade {fill.trade_id} of {fill.instrument} was made by hand, and is neither in the chain nor the hedge; "
            "nothing is booked: close it, or trade it on another account"
        )
    if state.ledger.book_fill(fill, HEDGING if is_hedge else MAKING) is None:
        return False
    text = f"{fill.order_id}: {fill.side * fill.size_lots:+d} lots of {fill.instrument} were traded by hand; booked"
    state.recorder.log.append(LogEntry(ts_ns=state.now_ns, kind="manual", text=text))
    valuing.mark(state)
    sync(state, fill.instrument)
    state.pnl.booked("hedge_cost" if is_hedge else "spread", state.values, state.inventory, state.otc_usd)
    state.stress = NO_STRESS
    return True


def _take_fill(state: State, fill: Fill) -> bool:
    if fill.order_id.startswith(MANUAL_PREFIX):
        return _take_manual(state, fill)
    is_hedge = not fill.order_id.startswith(QUOTE_PREFIX)
    if not is_hedge and fill.instrument not in state.market.universe.row_of:
        raise BadInputError(
            f"fill {fill.trade_id} is of {fill.instrument}, which is neither in the chain nor the hedge; "
            "nothing is booked: take it over by hand"
        )
    if state.ledger.book_fill(fill, HEDGING if is_hedge else MAKING) is None:
        return False
    if state.flow is not None and not is_hedge:
        row = state.market.universe.row_of[fill.instrument]
        state.flow.take_fill(fill, row, state.market.universe.instruments[row])
    # The edge and the hedge's cost are against the mark of the moment, not of the last requote.
    valuing.mark(state)
    fee_usd = _fee_usd(state, fill)
    if is_hedge:
        if (order := state.orders.working.get(fill.order_id)) is not None:
            _time_answer(state, order)
        order, before = state.orders.take(fill), state.measure()
        sync(state, fill.instrument)
        cost = state.pnl.booked("hedge_cost", state.values, state.inventory, state.otc_usd)
        book_hedge(state, fill, order.intent.reason, before, -cost, fee_usd)
        _forget_ended(state, fill.order_id)
        state.stress = NO_STRESS
        return True
    row = state.market.universe.row_of[fill.instrument]
    state.table.filled(row, fill.side, fill.size_lots)
    sync(state, fill.instrument)
    state.inventory.add_fresh(
        row, fill.side * fill.size_lots * state.setup.reference.instrument(fill.instrument).lot_size,
        state.now_ns + state.setup.markout_ns,
    )  # fmt: skip
    count_fill(state, row, fill.side * fill.size_lots * state.setup.reference.instrument(fill.instrument).lot_size)
    edge = state.pnl.booked("spread", state.values, state.inventory, state.otc_usd)
    state.recorder.filled(state, fill, row, edge, fee_usd)
    state.stress = NO_STRESS
    return True


def _fee_usd(state: State, fill: Fill) -> float:
    settle = state.setup.reference.instrument(fill.instrument).contract.settle
    return risk_amount(fill.fee_units, settle) * (1.0 if settle == DOLLAR else state.values.index_usd)


def count_fill(state: State, row: int, size: float) -> None:
    """Tells protection and the hedger of contracts filled, signed; what is not known of them is left out."""
    values = state.values
    vega_usd = values.greeks[VEGA, row] * values.index_usd / values.forward_usd[row] / 100
    delta, vega = np.nan_to_num([size * values.greeks[DELTA, row], size * vega_usd]).tolist()
    state.protection.filled(state.now_ns, size, delta, vega)
    net_of_premium = delta - np.nan_to_num(size * values.fair_coin[row])
    state.desk.flow_delta_usd += abs(float(net_of_premium)) * values.index_usd


def _take_delivery(state: State, event: Delivery) -> bool:
    if event.underlying != state.setup.underlying:
        return False
    valuing.mark(state)
    delivered = state.ledger.book_delivery(event, state.setup.venue)
    universe = state.market.universe
    slot = universe.slot_of.get(event.expiry_ns)
    for row in range(universe.count):
        if universe.slot[row] == slot:
            state.inventory.drop_fresh(row)
            state.table.expired(row)
    state.stress = NO_STRESS
    if delivered:
        what = f"{len(delivered)} position{'s' if len(delivered) > 1 else ''} of ours"
        text = f"{format_expiry(event.expiry_ns)} is delivered at {event.price_usd:,.2f} USD: {what}"
        state.recorder.log.append(LogEntry(ts_ns=state.now_ns, kind="settlement", text=text))
    expiry_of = {key.instrument: _expiry_ns(state, key.instrument) for key in state.ledger.positions()}
    return _booked(state, "settlement", *(name for name, at_ns in expiry_of.items() if at_ns == event.expiry_ns))


def _expiry_ns(state: State, name: str) -> int | None:
    return state.setup.reference.instrument(name).contract.expiry_ns


def _take_tick(state: State, otc: "OtcBook", tick: IndexTick) -> bool:
    """Contracts over the counter see every tick; those that it ends are paid."""
    ended = otc.take_index(tick.price_usd, tick.local_ts_ns)
    if not ended:
        return False
    valuing.mark(state)
    for name, amount_coin in ended:
        clocks = {"exch_ts_ns": tick.exch_ts_ns, "local_ts_ns": tick.local_ts_ns}
        state.ledger.book_payoff(Payoff(**clocks, instrument=name, amount=amount_coin), state.setup.venue)
        otc.drop(name, state.market, state.now_ns)
        state.recorder.log.append(
            LogEntry(ts_ns=state.now_ns, kind="otc", text=f"{name} has ended: {amount_coin:.8f} each")
        )
    state.stress = NO_STRESS
    return _booked(state, "settlement", *(one.name for one in ended))


def _booked(state: State, cause: str, *names: str) -> bool:
    sync(state, *names)
    state.pnl.booked(cause, state.values, state.inventory, state.otc_usd)
    return True


def sync(state: State, *names: str) -> None:
    """Copies what the ledger holds into the risk columns: of the instruments named, and all coin and futures."""
    ledger, inventory, setup = state.ledger, state.inventory, state.setup
    for name in names:
        instrument, held = setup.reference.instrument(name), ledger.positions_in(name)
        if instrument.contract.settle == DOLLAR:
            _sync_dollars(state)
            continue
        for key, position in held:
            _sync_cell(state, key, position, instrument)
        row = state.market.universe.row_of.get(name)
        if row is not None:
            hedge_lots = sum(position.size_lots for key, position in held if key.strategy == HEDGING)
            inventory.size_coin[row] = ledger.net_lots(name) * instrument.lot_size
            inventory.hedged_coin[row] = hedge_lots * instrument.lot_size
    inventory.carried_coin = risk_amount(ledger.carried_units(setup.underlying), setup.underlying)
    inventory.perp_usd = ledger.net_lots(setup.hedge.name) * setup.hedge.lot_size
    if setup.away is not None:
        inventory.away_usd = ledger.net_lots(setup.away.instrument.name) * setup.away.instrument.lot_size
    for slot, future in state.market.touches.future.items():
        inventory.future_usd[slot] = ledger.net_lots(future.name) * future.lot_size


def _sync_cell(state: State, key: PositionKey, position: Position, instrument: Instrument) -> None:
    cell, currency = cell_of(state.market.universe, instrument, key.strategy), instrument.contract.settle
    state.cells.take(key, position, cell)
    state.inventory.cells_coin[cell] = risk_amount(state.cells.carried_units[cell], currency)
    fees_coin = risk_amount(state.cells.fees_units[cell], currency)
    state.inventory.fees_coin[cell] = fees_coin + (state.cells.dollar_fees_coin if cell == HEDGING_CELL else 0.0)


def _sync_dollars(state: State) -> None:
    """What hedging holds in dollars, and coin that it exchanged for them."""
    ledger, inventory, setup, cells = state.ledger, state.inventory, state.setup, state.cells
    inventory.dollars = risk_amount(ledger.carried_units(DOLLAR), DOLLAR)
    inventory.hold_others(np.array([ledger.net_lots(one.name) * one.lot_size for one in setup.others]))
    inventory.linear_coin = ledger.net_lots(setup.linear.name) * setup.linear.lot_size
    cells.exchange(ledger.totals(setup.underlying).exchange_units)
    cells.pay_dollars(risk_amount(ledger.totals(DOLLAR).fees_paid_units, DOLLAR), state.values.index_usd)
    inventory.cells_coin[HEDGING_CELL] = risk_amount(cells.carried_units[HEDGING_CELL], setup.underlying)
    fees_coin = risk_amount(cells.fees_units[HEDGING_CELL], setup.underlying)
    inventory.fees_coin[HEDGING_CELL] = fees_coin + cells.dollar_fees_coin
