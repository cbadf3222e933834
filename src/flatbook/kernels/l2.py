"""A replay as a strategy sees it: time passes, orders go out. The same calls in Python and in what numba compiles.

What the strategy knows is in the replay: the best prices and its position in `cursor`, the levels of both sides in
`depth`, its orders in `orders`, what it was told in `answers`; the names are in `l2_layout`.
"""

from flatbook.kernels.jit import shared
from flatbook.kernels.l2_layout import Replay
from flatbook.kernels.l2_replay import advance_rows, cancel_order, submit_order


@shared
def advance(r: Replay, until_ns: int, wakes_on_answer: bool) -> bool:
    """`advance_rows` of a replay: whether anything is left to happen."""
    return advance_rows(
        r.exch_ts_ns, r.local_ts_ns, r.heard, r.what, r.tick, r.lots, r.terms, r.power, r.depth, r.cursor, r.orders,
        r.front, r.live, r.requests, r.answers, until_ns, wakes_on_answer,
    )  # fmt: skip


@shared
def submit(r: Replay, side: int, tick: int, lots: int, kind: int) -> int:
    """`submit_order` in a replay: the order's number, or -1 where there is no room."""
    return submit_order(
        r.exch_ts_ns, r.local_ts_ns, r.heard, r.what, r.tick, r.lots, r.terms, r.power, r.depth, r.cursor, r.orders,
        r.front, r.live, r.requests, r.answers, side, tick, lots, kind,
    )  # fmt: skip


@shared
def cancel(r: Replay, number: int) -> bool:
    """`cancel_order` in a replay: whether the request went out."""
    return cancel_order(
        r.exch_ts_ns, r.local_ts_ns, r.heard, r.what, r.tick, r.lots, r.terms, r.power, r.depth, r.cursor, r.orders,
        r.front, r.live, r.requests, r.answers, number,
    )  # fmt: skip
