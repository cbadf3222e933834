"""A recorded order book as arrays, and a replay of it with our orders."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError, ConfigurationError
from flatbook.kernels import l2_layout as at
from flatbook.kernels.l2_layout import Codes, Ints, Replay

COLUMNS = ("exch_ts_ns", "local_ts_ns", "what", "price_ticks", "size_lots")
"""What a tape is made of: `what` as in `l2_layout`, prices and sizes in whole ticks and lots."""


@dataclass(frozen=True, slots=True)
class BookTerms:
    """How the venue is believed to treat us.

    entry_ns, response_ns     our line to the venue and back, beside the feed's share
    feed_share                this share of the recorded feed's delay of the moment is added to both
    queue_power               0: what leaves a level leaves behind us; else the exponent of the chance that it does
    is_partial                whether an order may be filled in part, by what was shown or printed; else it is filled
                              whole, at the best where it takes
    """

    entry_ns: int = 10_000_000
    response_ns: int = 5_000_000
    feed_share: float = 0.0
    queue_power: float = 0.0
    is_partial: bool = False

    def __post_init__(self) -> None:
        for name in ("entry_ns", "response_ns", "feed_share", "queue_power"):
            if not 0 <= getattr(self, name) < 1e18:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; use 0 or more")


@dataclass(frozen=True, slots=True, eq=False)
class BookTape:
    """Rows of one instrument in the venue's order, their numbers in ours, over `window` ticks from `base_ticks`.

    `set_aside` rows lay outside the window.
    """

    exch_ts_ns: Ints
    local_ts_ns: Ints
    heard: Ints
    what: Codes
    tick: Ints
    lots: Ints
    base_ticks: int
    window: int
    set_aside: int

    def replay(self, terms: BookTerms, *, orders: int = 4_096) -> Replay:
        """A replay at its beginning, with room for `orders` orders and for three messages of each.

        Errors      BadInputError where there is no row
        """
        if self.exch_ts_ns.size == 0:
            raise BadInputError("the recorded book has no row; give an instrument and a time that were recorded")
        cursor = np.zeros(at.CURSOR, dtype=np.int64)
        cursor[[at.VENUE_BID, at.KNOWN_BID]] = -1
        cursor[[at.VENUE_ASK, at.KNOWN_ASK]] = self.window
        cursor[at.NOW_NS] = min(self.exch_ts_ns[0], self.local_ts_ns[self.heard[0]])
        feed_ppm = round(terms.feed_share * 1_000_000)

        def table(rows: int, columns: int) -> NDArray[np.int64]:
            return np.zeros((rows, columns), dtype=np.int64)

        return Replay(
            exch_ts_ns=self.exch_ts_ns,
            local_ts_ns=self.local_ts_ns,
            heard=self.heard,
            what=self.what,
            tick=self.tick,
            lots=self.lots,
            terms=np.array([terms.entry_ns, terms.response_ns, feed_ppm, terms.is_partial], dtype=np.int64),
            power=float(terms.queue_power),
            depth=table(at.SIDES, self.window),
            cursor=cursor,
            orders=table(orders, at.ORDER_FIELDS),
            front=np.zeros((orders, at.FRONT_FIELDS)),
            live=np.zeros(orders, dtype=np.int64),
            requests=table(2 * orders, at.REQUEST_FIELDS),
            answers=table(4 * orders, at.ANSWER_FIELDS),
        )


def book_tape(rows: pl.DataFrame, *, reach: float = 0.05) -> BookTape:
    """The tape of one instrument's `rows` (`COLUMNS`, in the order in which we heard of them).

    Levels farther than `reach` (a share of the price) beyond every traded price are set aside: they are never the best,
    and an array over all of them would not fit a cache. Without a trade the middle of all levels counts as one.

    Errors      BadInputError where a size is negative, or the rows do not rise in `local_ts_ns`
    """
    if rows.height and (bool((rows["size_lots"] < 0).any()) or (rows["local_ts_ns"].diff() < 0).any()):
        raise BadInputError("a recorded book has a negative size or a clock that runs backwards; import it again")
    columns = {name: rows[name].to_numpy().astype(np.int64) for name in COLUMNS}
    ticks, what = columns["price_ticks"], columns["what"]
    traded = ticks[(what == at.BUY_PRINT) | (what == at.SELL_PRINT)]
    around = traded if traded.size else np.sort(ticks)[ticks.size // 2 :][:1]
    low = int(around.min(initial=2**62) * (1 - reach)) if around.size else 0
    high = int(around.max(initial=0) * (1 + reach)) + 1
    kept = (low < ticks) & (ticks < high) | (what == at.CLEAR_BIDS) | (what == at.CLEAR_ASKS)
    columns = {name: column[kept] for name, column in columns.items()}
    order = np.argsort(columns["exch_ts_ns"], kind="stable")
    heard = np.empty_like(order)
    heard[order] = np.arange(order.size)
    window = max(high - low, 1)
    return BookTape(
        exch_ts_ns=columns["exch_ts_ns"][order],
        local_ts_ns=columns["local_ts_ns"][order],
        heard=heard,
        what=columns["what"][order].astype(np.int8),
        tick=np.clip(columns["price_ticks"][order] - low, 0, window - 1),
        lots=columns["size_lots"][order],
        base_ticks=low,
        window=window,
        set_aside=int(np.sum(~kept)),
    )
