"""Ticks of the index on their way in: those that jump are held until a second source agrees; see `market.index_check`.

While one is held, or the perpetual has left the index, `risk.protection` pulls all quotes, nothing is hedged and no
loss is counted. Where that lasts for longer than `hold_s` forwards and smiles learn nothing, for there is no index to
measure them against.
"""

import msgspec

from flatbook.domain.events import ChainQuotes, IndexTick, TopOfBook, TradePrint
from flatbook.domain.units import NS_PER_SECOND
from flatbook.engine.state import State
from flatbook.market.index_sources import index_of_chain, index_of_future, index_of_print
from flatbook.risk.protection import Reason

_ERROR_SHARE = 0.5
"""A source speaks that knows the index within this share of the bound."""


def take_tick(state: State, event: IndexTick) -> bool:
    """A tick of the feed: the market's, where it is believed. Whether quotes are pulled by it, or may come back."""
    if state.index_check.take(event):
        _take(state, event)
    return _tell_protection(state)


def see_top(state: State, event: TopOfBook) -> bool:
    """Best prices: the perpetual's are always watched. Whether quotes are pulled by them, or may come back."""
    check, held = state.index_check, state.index_check.held
    if event.instrument == state.setup.hedge.name:
        is_believed = check.see_perpetual(event.mid, state.now_ns)
    elif held is not None:
        instrument = state.setup.reference.instrument(event.instrument)
        is_believed = check.hear(event.instrument, index_of_future(state.market, instrument, event), state.now_ns)
    else:
        return False
    if is_believed and held is not None:
        _take(state, held.tick)
    return _tell_protection(state)


def hear_options(state: State, event: TradePrint | ChainQuotes) -> bool:
    """Prices of options, listened to while a tick is held. Whether quotes may come back."""
    check, held = state.index_check, state.index_check.held
    if held is None:
        return False
    error = _ERROR_SHARE * check.bound(state.now_ns)
    if isinstance(event, TradePrint):
        source, said_usd = f"a trade of {event.instrument}", index_of_print(state.market, event, error)
    else:
        source, said_usd = "put-call parity", index_of_chain(state.market, event, error)
    if not check.hear(source, said_usd, state.now_ns):
        return False
    _take(state, held.tick)
    return _tell_protection(state)


def rearm(state: State) -> bool:
    """A person takes the feed's word for the index; whether it was in doubt."""
    check, held = state.index_check, state.index_check.held
    if not check.is_doubted:
        return False
    if check.rearm(state.now_ns) and held is not None:
        _take(state, held.tick)
    _tell_protection(state)
    return True


def _take(state: State, tick: IndexTick) -> None:
    state.tick = msgspec.structs.replace(tick, local_ts_ns=state.now_ns)
    state.market.take_index(state.tick)


def _tell_protection(state: State) -> bool:
    check, protection, now_ns = state.index_check, state.protection, state.now_ns
    if check.held is None and not check.is_apart and protection.is_calm:
        return False
    rest_ns, is_news = round(state.setup.policy.index_check.rest_s * NS_PER_SECOND), False
    for reason, is_doubted, why in (
        (Reason.INDEX_HELD, check.held is not None, check.why_held),
        (Reason.INDEX_APART, check.is_apart, check.why_apart),
    ):
        if is_doubted:
            is_news |= protection.doubt(reason, why, now_ns)
        else:
            is_news |= protection.trust(reason, why, now_ns, rest_ns)
    return is_news
