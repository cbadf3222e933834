"""Where everything lies in the arrays of an order-book replay; see `l2_replay`.

Two books are kept over one window of ticks: the venue's, which moves at `exch_ts_ns` and fills our orders, and the one
we know, which moves at `local_ts_ns`. A tick is an index into the window. An order's number is its row.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int8]

BID, ASK, BUY_PRINT, SELL_PRINT, CLEAR_BIDS, CLEAR_ASKS = range(6)
"""What a row is: a level's new size, a taker's print, or an end of a side's levels from the best to the row's tick."""

VENUE_BIDS, VENUE_ASKS, KNOWN_BIDS, KNOWN_ASKS, SIDES = range(5)
"""Rows of `depth`: lots by tick."""

ENTRY_NS, RESPONSE_NS, FEED_PPM, IS_PARTIAL, TERMS = range(5)
"""Entries of `terms`: our line's constant delays, millionths of the feed's delay added to each, how fills go."""

(
    NOW_NS, VENUE_ROW, HEARD_ROW, VENUE_BID, VENUE_ASK, KNOWN_BID, KNOWN_ASK, ORDERS, LIVE, REQUESTS_MET, REQUESTS,
    ANSWERS_HEARD, ANSWERS, POSITION_LOTS, FAULT, CURSOR,
) = range(16)  # fmt: skip
"""Entries of `cursor`. A best bid of -1 and a best ask as large as the window mean that there is none."""

SIDE, TICK, LOTS, LEFT_LOTS, KIND, STATE, UNFILLED_LOTS, ORDER_FIELDS = range(8)
"""Columns of `orders`: `LEFT_LOTS` is what the venue holds, `UNFILLED_LOTS` and `STATE` are what we know."""

GOOD_TIL_CANCELLED, POST_ONLY, IMMEDIATE_OR_CANCEL = range(3)
SENT, OPEN, CANCELLING, DONE = range(4)

AHEAD_LOTS, TRADED_LOTS, FRONT_FIELDS = range(3)
"""Columns of `front`: lots before us in the queue, and lots printed there since the level's size last came."""

HALF_LOT = 0.5 + 1e-9
"""A print has reached a lot of our order that it reaches into by half: places in a queue are rounded."""

ARRIVES_NS, REQUESTED, IS_CANCEL, REQUEST_FIELDS = range(4)

HEARD_NS, ANSWERED, ANSWER, VENUE_NS, AT_TICK, ANSWER_LOTS, IS_MAKER, ANSWER_FIELDS = range(8)
ACCEPTED, FILLED, CANCELLED, EXPIRED, CANCEL_REJECTED = range(5)
"""An order expires that was post-only and would have taken, or of which immediate-or-cancel left something."""

ORDERS_FULL, MESSAGES_FULL = 1, 2
"""Faults: a table has no room, and the replay stands still."""


class Replay(NamedTuple):
    """A recording and the state of its replay, in the order in which the kernels take them: `advance(*replay, ...)`.

    Shapes      rows (n,); `heard` has row numbers by local time; depth (SIDES, window); the tables by their columns
    """

    exch_ts_ns: Ints
    local_ts_ns: Ints
    heard: Ints
    what: Codes
    tick: Ints
    lots: Ints
    terms: Ints
    power: float
    depth: Ints
    cursor: Ints
    orders: Ints
    front: Floats
    live: Ints
    requests: Ints
    answers: Ints
