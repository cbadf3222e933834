"""A side's levels as a flat array over ticks: what a row does to it and to orders that rest in it."""

import math

from flatbook.kernels import l2_layout as at
from flatbook.kernels.jit import compiled, inlined
from flatbook.kernels.l2_layout import Floats, Ints


@inlined
def best_from(bids: Ints, tick: int) -> int:
    """The highest tick with a bid at or below `tick`; -1 where there is none."""
    while tick >= 0 and bids[tick] == 0:
        tick -= 1
    return tick


@inlined
def best_to(asks: Ints, tick: int) -> int:
    """The lowest tick with an ask at or above `tick`; the window's size where there is none."""
    while tick < asks.size and asks[tick] == 0:
        tick += 1
    return tick


@inlined
def apply_row(code: int, tick: int, lots: int, bids: Ints, asks: Ints, bid: int, ask: int) -> tuple[int, int]:
    """What a row does to a book; the best bid and ask after it.

    A level that comes at or through the other side's best says that what stood there is gone from the front: that
    best moves behind it. The size itself stays until a row of its own takes it away, as the recording says.
    """
    if code == at.BID:
        bids[tick] = lots
        if lots == 0:
            if tick == bid:
                bid = best_from(bids, tick - 1)
        elif tick > bid:
            bid = tick
            if bid >= ask:
                ask = best_to(asks, bid + 1)
    elif code == at.ASK:
        asks[tick] = lots
        if lots == 0:
            if tick == ask:
                ask = best_to(asks, tick + 1)
        elif tick < ask:
            ask = tick
            if ask <= bid:
                bid = best_from(bids, ask - 1)
    elif code == at.CLEAR_BIDS:
        for level in range(tick, bid + 1):
            bids[level] = 0
        bid = best_from(bids, tick - 1)
    elif code == at.CLEAR_ASKS:
        for level in range(ask, tick + 1):
            asks[level] = 0
        ask = best_to(asks, tick + 1)
    return bid, ask


@compiled
def level_changed(
    side: int, tick: int, before: int, lots: int, power: float, cursor: Ints, orders: Ints, front: Floats, live: Ints
) -> None:
    """Move our orders up in a level of `side` that was `before` lots and now is `lots`.

    Without a `power` what leaves is thought to leave behind us. Else a share of it left before us: with f(x) = x**power
    the chance that it left behind is f(behind) / (f(behind) + f(ahead)). What prints took already is not counted twice.

    Source      E. Rigtorp, "Estimating order queue position", 2013
    """
    for j in range(cursor[at.LIVE]):
        number = live[j]
        if orders[number, at.SIDE] != side or orders[number, at.TICK] != tick:
            continue
        ahead = front[number, at.AHEAD_LOTS]
        left = before - lots - front[number, at.TRADED_LOTS]
        front[number, at.TRADED_LOTS] = 0.0
        if power > 0.0 and left >= 0.0:
            behind = before - ahead
            weight_behind, weight_ahead = max(behind, 0.0) ** power, max(ahead, 0.0) ** power
            total = weight_behind + weight_ahead
            chance = weight_behind / total if total > 0.0 else 1.0
            ahead += min(behind - chance * left, 0.0) - (1.0 - chance) * left
        front[number, at.AHEAD_LOTS] = min(ahead, float(lots))


@compiled
def answer(
    number: int, kind: int, venue_ns: int, tick: int, lots: int, is_maker: int, delay_ns: int, terms: Ints,
    cursor: Ints, answers: Ints,
) -> None:  # fmt: skip
    """Put an answer on the line to us; it does not overtake the one before it."""
    n = cursor[at.ANSWERS]
    if n == answers.shape[0]:
        cursor[at.FAULT] = at.MESSAGES_FULL
        return
    heard_ns = venue_ns + terms[at.RESPONSE_NS] + terms[at.FEED_PPM] * delay_ns // 1_000_000
    if n > 0:
        heard_ns = max(heard_ns, answers[n - 1, at.HEARD_NS])
    answers[n, at.HEARD_NS] = heard_ns
    answers[n, at.ANSWERED] = number
    answers[n, at.ANSWER] = kind
    answers[n, at.VENUE_NS] = venue_ns
    answers[n, at.AT_TICK] = tick
    answers[n, at.ANSWER_LOTS] = lots
    answers[n, at.IS_MAKER] = is_maker
    cursor[at.ANSWERS] = n + 1


@compiled
def rest(number: int, cursor: Ints, orders: Ints, live: Ints) -> None:
    """Put an order among those that rest: buys, then sells, each best price first, then the older."""
    rank = orders[number, at.SIDE] * orders[number, at.TICK]
    j = cursor[at.LIVE]
    while j > 0 and orders[live[j - 1], at.SIDE] * orders[live[j - 1], at.TICK] < rank:
        live[j] = live[j - 1]
        j -= 1
    live[j] = number
    cursor[at.LIVE] += 1


@compiled
def unrest(j: int, cursor: Ints, live: Ints) -> None:
    """Take the `j`-th of the resting orders out."""
    cursor[at.LIVE] -= 1
    for k in range(j, cursor[at.LIVE]):
        live[k] = live[k + 1]


@compiled
def met(
    side: int, tick: int, lots: int, is_print: bool, venue_ns: int, delay_ns: int, terms: Ints, cursor: Ints,
    orders: Ints, front: Floats, live: Ints, answers: Ints,
) -> None:  # fmt: skip
    """Fill our resting orders of `side` that `lots` of the other side's interest at `tick` reach.

    What lies beyond our price reaches us; a print at our price does once those before us in the queue are served. An
    order is filled whole, or, where the terms are partial, up to what is left of `lots`, best price first.
    """
    is_partial = terms[at.IS_PARTIAL] != 0
    j = 0
    while j < cursor[at.LIVE] and lots > 0:
        number = live[j]
        beyond = side * (orders[number, at.TICK] - tick)
        if orders[number, at.SIDE] != side or beyond < 0:
            j += 1
            continue
        left = orders[number, at.LEFT_LOTS]
        take = left
        if is_print and beyond == 0:
            front[number, at.AHEAD_LOTS] -= lots
            front[number, at.TRADED_LOTS] += lots
            reached = math.floor(at.HALF_LOT - front[number, at.AHEAD_LOTS])
            take = 0 if reached < 1 else min(left, reached) if is_partial else left
        if is_partial:
            take = min(take, lots)
            lots -= take
        if take > 0:
            orders[number, at.LEFT_LOTS] = left - take
            answer(number, at.FILLED, venue_ns, orders[number, at.TICK], take, 1, delay_ns, terms, cursor, answers)
            front[number, at.AHEAD_LOTS] = 0.0
        if take == left:
            unrest(j, cursor, live)
        else:
            j += 1
