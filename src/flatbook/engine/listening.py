"""The market stage: events of others change what we know; the answer is whether that is worth a requote."""

import math

from flatbook.domain.events import AnyEvent, ChainQuotes, Clock, FundingRate, IndexTick, TopOfBook, TradePrint
from flatbook.engine import index_watch
from flatbook.engine.state import State
from flatbook.market.other_coins import OtherCoins

_WIDTH_PER_PRICE = math.sqrt(2 * math.pi)
"""Vol times root time per share of the forward that an at-the-money option is worth."""


def take_market(state: State, event: AnyEvent) -> bool:
    """Whether an input of the quotes moved beyond its cutoff since they were made."""
    moved, state.tick = False, None
    match event:
        case IndexTick() if event.underlying == state.setup.underlying:
            moved = index_watch.take_tick(state, event) or _index_moved(state)
        case IndexTick():
            return state.market.others is not None and _other_moved(state, state.market.others, event)
        case TradePrint():
            moved = index_watch.hear_options(state, event)
            slot = None if state.index_check.is_lost(state.now_ns) else state.market.take_trade(event)
            _tell_flow(state, event)
            _count_tape(state, event)
            moved |= slot is not None and _surface_moved(state)
        case ChainQuotes() if event.underlying == state.setup.underlying:
            index_watch.hear_options(state, event)
            if not state.index_check.is_lost(state.now_ns):
                state.market.take_chain(event)
            moved = True
        case TopOfBook():
            moved = index_watch.see_top(state, event)
            if not state.index_check.is_lost(state.now_ns):
                state.market.take_top(event)
            if state.market.others is not None:
                state.market.others.take_top(event)
            moved |= _premium_moved(state)
        case FundingRate():
            state.market.take_funding(event)
            if state.market.others is not None:
                state.market.others.take_funding(event)
        case Clock():
            return _index_went_stale(state)
        case _:
            return False
    state.make_room()
    return moved


def _count_tape(state: State, event: TradePrint) -> None:
    row = state.market.universe.row_of.get(event.instrument)
    if state.is_trading and row is not None:
        state.trades_seen += 1
        if not event.off_book:
            state.recorder.tape_usd += event.size_lots * state.market.universe.lot_coin[row] * event.index_usd


def _tell_flow(state: State, event: TradePrint) -> None:
    row = state.market.universe.row_of.get(event.instrument)
    if state.flow is None or row is None or event.off_book:
        return
    resting_ticks = state.table.resting_ticks(row, -event.taker_side)
    state.flow.take_print(event, row, state.market.universe.instruments[row], resting_ticks)


def _index_moved(state: State) -> bool:
    cutoff = state.setup.policy.quoting.index_cutoff_bp * 1e-4
    return not abs(state.market.forwards.index_usd / state.values.index_usd - 1) <= cutoff


def _other_moved(state: State, others: OtherCoins, event: IndexTick) -> bool:
    """A tick of another coin; whether we hold it, and it moved by as much as would be worth a requote of ours."""
    coin = others.of(event.underlying)
    if coin is None:
        return False
    coin.take_index(event)
    place, cutoff = others.names.index(coin.name), state.setup.policy.quoting.index_cutoff_bp * 1e-4
    if not state.inventory.others_coin[place]:
        return False
    return not abs(event.price_usd / float(state.values.others_index_usd[place]) - 1) <= cutoff


def _index_went_stale(state: State) -> bool:
    """Whether the index has become too old for quotes since they were made: nothing else will say so."""
    policy = state.setup.policy
    most_s = min(policy.quoting.max_index_age_s, policy.limits.max_index_age_s)
    return state.risk.index_age_s <= most_s < (state.now_ns - state.market.forwards.index_ns) / 1e9


def _premium_moved(state: State) -> bool:
    """Whether the perpetual moved against the index by as much as would be worth a requote of the index."""
    cutoff = state.setup.policy.quoting.index_cutoff_bp * 1e-4
    mark_usd = state.market.perpetual.mark_usd(state.market.forwards.index_usd, state.now_ns)
    valued = state.values.perp_usd / state.values.index_usd
    return abs(mark_usd / state.market.forwards.index_usd / valued - 1) > cutoff


def _surface_moved(state: State) -> bool:
    """Whether any expiry's smile or forward is too far from where it was valued: one print teaches them all."""
    quoting, width = state.setup.policy.quoting, _WIDTH_PER_PRICE * state.setup.policy.quoting.price_cutoff_coin
    basis = quoting.index_cutoff_bp * 1e-4
    return state.market.have_moved(state.values.level, state.valued_basis, width, basis, state.now_ns)
