"""Matching: orders into one book, against the same book said plainly (one list, searched whole)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.measure import Bar, Work, local
from flatbook.sim.matching import Book, Resting, SelfTrade, TimeInForce
from flatbook.sim.matching.plain import PlainBook

ORDERS = 20_000
PEER = "plain Python book"

Script = list[tuple[str, int, int, int, int]]


def works() -> list[Work]:
    """Places, cancels and takes around a mid that walks, some 300 orders resting, as a lively perpetual's."""
    script = drawn_script()
    contenders = [local("flatbook", run_with(Book, script)), local(PEER, run_with(PlainBook, script))]
    return [Work("orders and cancels matched", contenders, ORDERS, "M/s", [Bar(PEER, 10.0)])]


def run_with(make: Callable[[], Book | PlainBook], script: Script) -> Callable[[], object]:
    """The script through a fresh book; what it traded comes back, so that neither can do less."""

    def run() -> int:
        book, traded = make(), 0
        for what, number, side, price_ticks, lots in script:
            if what == "cancel":
                try:
                    book.cancel(number)
                except KeyError:
                    continue
            else:
                order = Resting(number, "taker" if what == "take" else "maker", side, price_ticks, lots)
                kind = TimeInForce.IMMEDIATE_OR_CANCEL if what == "take" else TimeInForce.GOOD_TIL_CANCELLED
                traded += len(book.submit(order, kind, SelfTrade.CANCEL_MAKER).trades)
        return traded

    return run


def drawn_script() -> Script:
    """Half orders that mostly rest, 45 % cancels of orders of the last few hundred, and takers."""
    draw = np.random.default_rng(7)
    mid = 100_000 + np.cumsum(draw.integers(-1, 2, ORDERS))
    script: Script = []
    for number, chance in enumerate(draw.random(ORDERS).tolist()):
        side = int(draw.choice((-1, 1)))
        lots = int(draw.integers(1, 50))
        if chance < 0.45:
            script.append(("cancel", number - int(draw.integers(1, 600)), 0, 0, 0))
        elif chance < 0.95:
            script.append(("place", number, side, int(mid[number]) - side * int(draw.integers(1, 40)), lots))
        else:
            script.append(("take", number, side, int(mid[number]) + side * 20, lots))
    return script
