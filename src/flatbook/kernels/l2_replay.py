"""A recorded order book replayed with our orders in it: one loop over its rows, as far as we next want to look.

Every row counts twice: at the venue when it happened, where it moves queues and fills orders, and with us when we hear
of it. The two meet only in messages, each under way for its latency, so the venue is taken to a time first and then
what we know. At equal times rows come before the orders that arrive, and we hear of all that is due before we act.

Nothing we do changes the recording: what an order takes is still in the book afterwards.
"""

from flatbook.kernels import l2_layout as at
from flatbook.kernels.jit import Arg, compiled, kernel
from flatbook.kernels.l2_book import answer, apply_row, level_changed, met, rest, unrest
from flatbook.kernels.l2_layout import Codes, Floats, Ints
from flatbook.kernels.l2_plain import advance_rows_plain, cancel_order_plain, submit_order_plain

_NEVER = 2**62
_REPLAY = (
    Arg.IN_INT, Arg.IN_INT, Arg.IN_INT, Arg.IN_CODE, Arg.IN_INT, Arg.IN_INT, Arg.IN_INT, Arg.FLOAT, Arg.OUT_INT_2D,
    Arg.OUT_INT, Arg.OUT_INT_2D, Arg.OUT_2D, Arg.OUT_INT, Arg.OUT_INT_2D, Arg.OUT_INT_2D,
)  # fmt: skip


@compiled
def _run_venue(
    stop_ns: int, wakes: bool, exch_ts_ns: Ints, local_ts_ns: Ints, what: Codes, tick: Ints, lots: Ints, terms: Ints,
    power: float, depth: Ints, cursor: Ints, orders: Ints, front: Floats, live: Ints, answers: Ints,
) -> None:  # fmt: skip
    """Take the venue through its rows up to `stop_ns`, or to the first answer where one `wakes` us."""
    bids, asks = depth[at.VENUE_BIDS], depth[at.VENUE_ASKS]
    bid, ask = cursor[at.VENUE_BID], cursor[at.VENUE_ASK]
    row, answered, is_partial = cursor[at.VENUE_ROW], cursor[at.ANSWERS], terms[at.IS_PARTIAL] != 0
    low_buy, high_buy, low_sell, high_sell = _our_range(cursor, orders, live)
    while row < exch_ts_ns.size and exch_ts_ns[row] <= stop_ns:
        code, level, size, was_bid, was_ask = what[row], tick[row], lots[row], bid, ask
        before = bids[level] if code == at.BID else asks[level] if code == at.ASK else 0
        bid, ask = apply_row(code, level, size, bids, asks, bid, ask)
        row += 1
        if code == at.BID:
            if low_buy <= level <= high_buy:
                level_changed(1, level, before, size, power, cursor, orders, front, live)
            reaches = level >= low_sell and (size > before if is_partial else bid > was_bid)
            side, room = -1, size - before if is_partial else size
        elif code == at.ASK:
            if low_sell <= level <= high_sell:
                level_changed(-1, level, before, size, power, cursor, orders, front, live)
            reaches = level <= high_buy and (size > before if is_partial else ask < was_ask)
            side, room = 1, size - before if is_partial else size
        else:
            reaches = (code == at.BUY_PRINT and level >= low_sell) or (code == at.SELL_PRINT and level <= high_buy)
            side, room = -1 if code == at.BUY_PRINT else 1, size
        if reaches:
            now_ns, delay_ns = exch_ts_ns[row - 1], local_ts_ns[row - 1] - exch_ts_ns[row - 1]
            is_print = code == at.BUY_PRINT or code == at.SELL_PRINT
            met(side, level, room, is_print, now_ns, delay_ns, terms, cursor, orders, front, live, answers)
            low_buy, high_buy, low_sell, high_sell = _our_range(cursor, orders, live)
            if cursor[at.FAULT] != 0 or (wakes and cursor[at.ANSWERS] > answered):
                break
    cursor[at.VENUE_ROW], cursor[at.VENUE_BID], cursor[at.VENUE_ASK] = row, bid, ask


@compiled
def _our_range(cursor: Ints, orders: Ints, live: Ints) -> tuple[int, int, int, int]:
    """The lowest and highest tick of our resting buys, and of our sells; an empty range where there is none."""
    low_buy, high_buy, low_sell, high_sell = _NEVER, -1, _NEVER, -1
    for j in range(cursor[at.LIVE]):
        tick = orders[live[j], at.TICK]
        if orders[live[j], at.SIDE] > 0:
            low_buy, high_buy = min(low_buy, tick), max(high_buy, tick)
        else:
            low_sell, high_sell = min(low_sell, tick), max(high_sell, tick)
    return low_buy, high_buy, low_sell, high_sell


@compiled
def _arrive(
    now_ns: int, delay_ns: int, number: int, terms: Ints, depth: Ints, cursor: Ints, orders: Ints, front: Floats,
    live: Ints, answers: Ints,
) -> None:  # fmt: skip
    """An order reaches the venue: it takes what it may, rests, or expires."""
    side, limit, kind = orders[number, at.SIDE], orders[number, at.TICK], orders[number, at.KIND]
    best = cursor[at.VENUE_ASK] if side > 0 else cursor[at.VENUE_BID]
    left = orders[number, at.LEFT_LOTS]
    if kind != at.POST_ONLY:
        levels = depth[at.VENUE_ASKS] if side > 0 else depth[at.VENUE_BIDS]
        level = best
        while left > 0 and 0 <= level < levels.size and side * (limit - level) >= 0:
            take = min(left, levels[level]) if terms[at.IS_PARTIAL] != 0 else left
            if take > 0:
                answer(number, at.FILLED, now_ns, level, take, 0, delay_ns, terms, cursor, answers)
            left -= take
            level += side
        orders[number, at.LEFT_LOTS] = left
    if left == 0:
        return
    crosses = side * (limit - best) >= 0 and 0 <= best < depth.shape[1]
    if kind == at.IMMEDIATE_OR_CANCEL or (kind == at.POST_ONLY and crosses):
        answer(number, at.EXPIRED, now_ns, limit, left, 0, delay_ns, terms, cursor, answers)
        return
    front[number, at.AHEAD_LOTS] = depth[at.VENUE_BIDS if side > 0 else at.VENUE_ASKS, limit]
    front[number, at.TRADED_LOTS] = 0.0
    rest(number, cursor, orders, live)
    answer(number, at.ACCEPTED, now_ns, limit, left, 0, delay_ns, terms, cursor, answers)


@compiled
def _withdraw(
    now_ns: int, delay_ns: int, number: int, terms: Ints, cursor: Ints, orders: Ints, live: Ints, answers: Ints
) -> None:
    """A cancel reaches the venue, in time or too late."""
    limit, left = orders[number, at.TICK], orders[number, at.LEFT_LOTS]
    for j in range(cursor[at.LIVE]):
        if live[j] == number:
            unrest(j, cursor, live)
            orders[number, at.LEFT_LOTS] = 0
            answer(number, at.CANCELLED, now_ns, limit, left, 0, delay_ns, terms, cursor, answers)
            return
    answer(number, at.CANCEL_REJECTED, now_ns, limit, 0, 0, delay_ns, terms, cursor, answers)


@compiled
def _hear(
    until_ns: int, local_ts_ns: Ints, heard: Ints, what: Codes, tick: Ints, lots: Ints, depth: Ints, cursor: Ints,
    orders: Ints, answers: Ints,
) -> None:  # fmt: skip
    """Take what we know of the book and of our orders to `until_ns`."""
    bids, asks = depth[at.KNOWN_BIDS], depth[at.KNOWN_ASKS]
    bid, ask, n = cursor[at.KNOWN_BID], cursor[at.KNOWN_ASK], cursor[at.HEARD_ROW]
    while n < heard.size and local_ts_ns[heard[n]] <= until_ns:
        row = heard[n]
        bid, ask = apply_row(what[row], tick[row], lots[row], bids, asks, bid, ask)
        n += 1
    cursor[at.KNOWN_BID], cursor[at.KNOWN_ASK], cursor[at.HEARD_ROW] = bid, ask, n
    n = cursor[at.ANSWERS_HEARD]
    while n < cursor[at.ANSWERS] and answers[n, at.HEARD_NS] <= until_ns:
        number, kind = answers[n, at.ANSWERED], answers[n, at.ANSWER]
        if kind == at.FILLED:
            orders[number, at.UNFILLED_LOTS] -= answers[n, at.ANSWER_LOTS]
            cursor[at.POSITION_LOTS] += orders[number, at.SIDE] * answers[n, at.ANSWER_LOTS]
            if orders[number, at.UNFILLED_LOTS] == 0:
                orders[number, at.STATE] = at.DONE
        elif kind == at.CANCELLED or kind == at.EXPIRED:
            orders[number, at.STATE] = at.DONE
        elif orders[number, at.STATE] != at.DONE:
            orders[number, at.STATE] = at.OPEN
        n += 1
    cursor[at.ANSWERS_HEARD] = n


@kernel(*_REPLAY, Arg.INT, Arg.BOOL, plain=advance_rows_plain)
def advance_rows(
    exch_ts_ns: Ints, local_ts_ns: Ints, heard: Ints, what: Codes, tick: Ints, lots: Ints, terms: Ints, power: float,
    depth: Ints, cursor: Ints, orders: Ints, front: Floats, live: Ints, requests: Ints, answers: Ints,
    until_ns: int, wakes_on_answer: bool,
) -> bool:  # fmt: skip
    """Replay up to `until_ns`, its events included, or to the first answer to us where that `wakes_on_answer`.

    Whether anything is left to happen; False with a FAULT in `cursor` where a table was full. `cursor[NOW_NS]` says how
    far it came.

    Domain      `until_ns` never falls; rows rise in `exch_ts_ns`, and `heard` by `local_ts_ns`
    """
    while cursor[at.FAULT] == 0:
        if wakes_on_answer and cursor[at.ANSWERS_HEARD] < cursor[at.ANSWERS]:
            until_ns = min(until_ns, answers[cursor[at.ANSWERS_HEARD], at.HEARD_NS])
        request = cursor[at.REQUESTS_MET]
        arrives_ns = requests[request, at.ARRIVES_NS] if request < cursor[at.REQUESTS] else _NEVER
        stop_ns, sent = min(until_ns, arrives_ns), cursor[at.ANSWERS]
        _run_venue(
            stop_ns, wakes_on_answer, exch_ts_ns, local_ts_ns, what, tick, lots, terms, power, depth, cursor, orders,
            front, live, answers,
        )  # fmt: skip
        if wakes_on_answer and cursor[at.ANSWERS] > sent:
            continue
        if arrives_ns > until_ns:
            break
        row, number = cursor[at.VENUE_ROW] - 1, requests[request, at.REQUESTED]
        delay_ns = local_ts_ns[row] - exch_ts_ns[row] if row >= 0 else 0
        cursor[at.REQUESTS_MET] += 1
        if requests[request, at.IS_CANCEL] != 0:
            _withdraw(arrives_ns, delay_ns, number, terms, cursor, orders, live, answers)
        else:
            _arrive(arrives_ns, delay_ns, number, terms, depth, cursor, orders, front, live, answers)
    _hear(until_ns, local_ts_ns, heard, what, tick, lots, depth, cursor, orders, answers)
    cursor[at.NOW_NS] = until_ns
    is_over = cursor[at.VENUE_ROW] == exch_ts_ns.size and cursor[at.HEARD_ROW] == heard.size
    is_quiet = cursor[at.REQUESTS_MET] == cursor[at.REQUESTS] and cursor[at.ANSWERS_HEARD] == cursor[at.ANSWERS]
    return cursor[at.FAULT] == 0 and not (is_over and is_quiet)


@compiled
def _send(
    number: int, is_cancel: int, exch_ts_ns: Ints, local_ts_ns: Ints, heard: Ints, terms: Ints, cursor: Ints,
    requests: Ints,
) -> bool:  # fmt: skip
    """Put a request on the line to the venue; it does not overtake the one before it. False where there is no room."""
    n, row = cursor[at.REQUESTS], cursor[at.HEARD_ROW] - 1
    if n == requests.shape[0]:
        cursor[at.FAULT] = at.MESSAGES_FULL
        return False
    delay_ns = local_ts_ns[heard[row]] - exch_ts_ns[heard[row]] if row >= 0 else 0
    arrives_ns = cursor[at.NOW_NS] + terms[at.ENTRY_NS] + terms[at.FEED_PPM] * delay_ns // 1_000_000
    if n > 0:
        arrives_ns = max(arrives_ns, requests[n - 1, at.ARRIVES_NS])
    requests[n, at.ARRIVES_NS] = arrives_ns
    requests[n, at.REQUESTED] = number
    requests[n, at.IS_CANCEL] = is_cancel
    cursor[at.REQUESTS] = n + 1
    return True


@kernel(*_REPLAY, Arg.INT, Arg.INT, Arg.INT, Arg.INT, plain=submit_order_plain)
def submit_order(
    exch_ts_ns: Ints, local_ts_ns: Ints, heard: Ints, what: Codes, tick: Ints, lots: Ints, terms: Ints, power: float,
    depth: Ints, cursor: Ints, orders: Ints, front: Floats, live: Ints, requests: Ints, answers: Ints,
    side: int, limit: int, size: int, kind: int,
) -> int:  # fmt: skip
    """Send an order of `size` lots at tick `limit`; its number, or -1 and a FAULT where there is no room for it.

    Domain      side +1 buys, -1 sells; 1 <= limit < window; size >= 1
    """
    number: int = cursor[at.ORDERS]
    if number == orders.shape[0]:
        cursor[at.FAULT] = at.ORDERS_FULL
        return -1
    if not _send(number, 0, exch_ts_ns, local_ts_ns, heard, terms, cursor, requests):
        return -1
    orders[number, at.SIDE], orders[number, at.TICK], orders[number, at.KIND] = side, limit, kind
    orders[number, at.LOTS], orders[number, at.LEFT_LOTS], orders[number, at.UNFILLED_LOTS] = size, size, size
    orders[number, at.STATE] = at.SENT
    cursor[at.ORDERS] = number + 1
    return number


@kernel(*_REPLAY, Arg.INT, plain=cancel_order_plain)
def cancel_order(
    exch_ts_ns: Ints, local_ts_ns: Ints, heard: Ints, what: Codes, tick: Ints, lots: Ints, terms: Ints, power: float,
    depth: Ints, cursor: Ints, orders: Ints, front: Floats, live: Ints, requests: Ints, answers: Ints,
    number: int,
) -> bool:  # fmt: skip
    """Ask for the end of an order; False, and nothing sent, unless we know it to be open and undisturbed."""
    if orders[number, at.STATE] != at.OPEN:
        return False
    if not _send(number, 1, exch_ts_ns, local_ts_ns, heard, terms, cursor, requests):
        return False
    orders[number, at.STATE] = at.CANCELLING
    return True
