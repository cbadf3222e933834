"""No arbitrage in our own quotes: no ask under intrinsic value, and how high a bid may be under our own asks."""

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.jit import Arg, inlined, kernel
from flatbook.kernels.quotes import NO_ASK, NO_BID

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SLACK_COIN = 1e-12


@inlined
def floored_ask(strike: float, sign: float, forward: float, ask: float) -> float:
    """An ask lifted to what exercise at the forward is worth: under it, an option and a forward are sure money.

    Units       asks in coin, strike and forward USD; a NaN ask stays one
    """
    worth = sign * (1.0 - strike / forward)
    return worth if ask < worth else ask


@inlined
def may_be_capped(bid_over: float, ask_over: float) -> bool:
    """Whether, by these sides' distances over fair value, a bid of the chain might make an arbitrage.

    Fair values allow none: bids under theirs, and asks over, make none. What is said of all rows alike is enough to
    leave the caps out; `cap_bids` looks closer.
    """
    return (bid_over > -_SLACK_COIN) | (ask_over < 0.0)


def cap_bids_plain(
    order: Ints,
    later: Ints,
    first: Ints,
    strike: Floats,
    sign: Floats,
    forward: Floats,
    fair: Floats,
    tick: Floats,
    bid_ticks: Ints,
    ask_ticks: Ints,
    cap: Floats,
) -> None:
    """Plain twin of `cap_bids`: every ask, and every pair of asks, of an expiry, one by one, whatever is bid."""
    ask = np.where(ask_ticks < NO_ASK, ask_ticks * tick, np.inf)
    parity = np.where(sign > 0, 0.0, 1.0 - strike / forward)
    run = np.repeat(np.arange(len(first) - 1), np.diff(first))
    for at_run, i in zip(run, order, strict=True):
        ways = [(0.0, 1.0)] + [(strike[j], ask[j] + parity[j]) for j in order[run == at_run]]
        at = strike[i]
        bound = min(price + max(k - at, 0.0) / forward[i] for k, price in ways)
        for low, low_price in ways:
            for high, high_price in ways:
                if low < at < high:
                    share = (high - at) / (high - low)
                    bound = min(bound, share * low_price + (1 - share) * high_price)
        cap[i] = bound - parity[i]
    for i in order:
        j = later[i]
        while j >= 0:
            if sign[i] * (forward[j] - forward[i]) >= 0:
                cap[i] = min(cap[i], cap[j])
            j = later[j]


@inlined
def _cheapest_calls(rows: Ints, strike: Floats, sign: Floats, forward: float, ask: Floats, ladder: Floats) -> int:
    """Fill one expiry's strikes, rising from zero, and what a call costs there: itself, or a put and the forward."""
    calls = 0
    while calls < rows.size and sign[rows[calls]] > 0:
        calls += 1
    ladder[0, 0], ladder[1, 0] = 0.0, 1.0
    n, c, p = 1, 0, calls
    while c < calls or p < rows.size:
        call_strike = strike[rows[c]] if c < calls else np.inf
        put_strike = strike[rows[p]] if p < rows.size else np.inf
        cheapest = np.inf
        if call_strike <= put_strike:
            cheapest = ask[rows[c]]
            c += 1
        if put_strike <= call_strike:
            cheapest = min(cheapest, ask[rows[p]] + 1.0 - put_strike / forward)
            p += 1
        ladder[0, n], ladder[1, n] = min(call_strike, put_strike), cheapest
        n += 1
    return n


@inlined
def _bound_calls(ladder: Floats, n: int, forward: float, stack: Ints) -> None:
    """Lower each price to the greatest convex curve, falling by at most the strikes' difference, under all of them."""
    strike, price, bound = ladder[0], ladder[1], ladder[2]
    least = np.inf
    for i in range(n):
        least = min(least, price[i])
        bound[i] = least
    least = np.inf
    for i in range(n - 1, -1, -1):
        least = min(least, price[i] + strike[i] / forward)
        bound[i] = min(bound[i], least - strike[i] / forward)
    depth = 0
    for i in range(n):
        if not price[i] < np.inf:
            continue
        while depth >= 2:
            left, top = stack[depth - 2], stack[depth - 1]
            chord = (price[i] - price[left]) * (strike[top] - strike[left]) / (strike[i] - strike[left])
            if price[top] < price[left] + chord:
                break
            depth -= 1
        stack[depth] = i
        depth += 1
    at = 0
    for i in range(n):
        while at + 1 < depth and strike[stack[at + 1]] < strike[i]:
            at += 1
        if at + 1 < depth and strike[stack[at]] < strike[i] < strike[stack[at + 1]]:
            left, right = stack[at], stack[at + 1]
            share = (strike[right] - strike[i]) / (strike[right] - strike[left])
            bound[i] = min(bound[i], share * price[left] + (1.0 - share) * price[right])


@inlined
def _cap_expiry(rows: Ints, strike: Floats, sign: Floats, ladder: Floats, forward: float, cap: Floats) -> None:
    at = 0
    for n in range(rows.size):
        i = rows[n]
        if n > 0 and sign[i] != sign[rows[n - 1]]:
            at = 0
        while ladder[0, at] < strike[i]:
            at += 1
        cap[i] = ladder[2, at] if sign[i] > 0 else ladder[2, at] - 1.0 + strike[i] / forward


@inlined
def _find_bound(order: Ints, first: Ints, bid_over: Floats, ask_over: Floats, is_bound: Ints) -> None:
    """Say which runs may have a bid above what our own asks allow: fair values alone allow no arbitrage, so bids that
    are over theirs by no more than any ask is over its own make none."""
    later_least = np.inf
    is_later_bound = False
    for r in range(first.size - 2, -1, -1):
        least, most = np.inf, -np.inf
        for n in range(first[r], first[r + 1]):
            i = order[n]
            least = ask_over[i] if ask_over[i] < least else least
            most = bid_over[i] if bid_over[i] > most else most
        crosses_later = most > min(later_least, 0.0) - _SLACK_COIN
        is_bound[r] = 1 if crosses_later or most > min(least, 0.0) - _SLACK_COIN else 0
        if crosses_later and not is_later_bound:
            # What this run may not cross must be known of all later ones.
            is_later_bound = True
            is_bound[r:] = 1
        later_least = min(later_least, least)


@kernel(*[Arg.IN_INT] * 3, *[Arg.IN] * 5, *[Arg.IN_INT] * 2, Arg.OUT, plain=cap_bids_plain)
def cap_bids(
    order: Ints,
    later: Ints,
    first: Ints,
    strike: Floats,
    sign: Floats,
    forward: Floats,
    fair: Floats,
    tick: Floats,
    bid_ticks: Ints,
    ask_ticks: Ints,
    cap: Floats,
) -> None:
    """Fill the highest bid of each row that makes no arbitrage against our own asks; only bids ever give way.

    Shapes      order (m,) rows by expiry, calls before puts, strike; first (runs + 1,) where its expiries begin; all
                else (n,); ticks NO_BID and NO_ASK where there is none
    Units       coin prices; strike and forward USD
    Domain      `fair` allows no arbitrage; where a bid cannot make one either, its cap is +inf
    Checks      within an expiry every static arbitrage: parity about its one forward makes a call of each put, and a
                call's bid lies under every vertical and every butterfly of those asks, the coin itself being the call
                struck at zero. Between expiries at one strike, where the carry makes the later option worth more, the
                nearer bid lies under the later one's cap. Asks alone bound bids, so one pass suffices
    """
    stack, ladder = np.empty(order.size + 1, np.int64), np.empty((3, order.size + 1))
    is_bound, ask, over = np.empty(first.size, np.int64), np.empty(fair.size), np.empty((2, fair.size))
    for i in range(fair.size):
        ask[i] = ask_ticks[i] * tick[i] if ask_ticks[i] < NO_ASK else np.inf
        over[0, i] = bid_ticks[i] * tick[i] - fair[i] if bid_ticks[i] > NO_BID else -np.inf
        over[1, i] = ask[i] - fair[i]
    _find_bound(order, first, over[0], over[1], is_bound)
    for r in range(first.size - 1):
        rows = order[first[r] : first[r + 1]]
        if is_bound[r]:
            strikes = _cheapest_calls(rows, strike, sign, forward[rows[0]], ask, ladder)
            _bound_calls(ladder, strikes, forward[rows[0]], stack)
            _cap_expiry(rows, strike, sign, ladder, forward[rows[0]], cap)
        else:
            for n in range(rows.size):
                cap[rows[n]] = np.inf
    for r in range(first.size - 1):
        if not is_bound[r]:
            continue
        for n in range(first[r], first[r + 1]):
            i = order[n]
            j = later[i]
            while j >= 0:
                if sign[i] * (forward[j] - forward[i]) >= 0.0:
                    cap[i] = min(cap[i], cap[j])
                j = later[j]
