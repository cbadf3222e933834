"""What is odd in recorded order books."""

import heapq
from collections import defaultdict
from collections.abc import Iterator

import polars as pl

from flatbook.domain.units import NS_PER_SECOND, format_utc
from flatbook.kernels import l2_layout as at

SILENCE_NS = 5 * NS_PER_SECOND


def book_oddities(books: pl.DataFrame) -> Iterator[tuple[str, int, str]]:
    """What, how often and what it means, for each instrument of the table `books`."""
    for rows in books.partition_by("instrument", maintain_order=True):
        name = rows["instrument"][0]
        steps = rows["local_ts_ns"].diff()
        silent = int((steps > SILENCE_NS).sum())
        if silent:
            row = int(steps.arg_max() or 0)
            longest = f"{int(steps[row]) / NS_PER_SECOND:,.1f} s from {format_utc(int(rows['local_ts_ns'][row - 1]))}"
            what = f"{name} silent for more than {SILENCE_NS // NS_PER_SECOND} s, the longest {longest}"
            yield what, silent, "The book stands still in the hole: queues do not move, and nobody is filled."
        cleared = int((rows["what"] == at.CLEAR_BIDS).sum()) - 1
        if cleared > 0:
            meaning = "The book was lost, or taken anew from a snapshot: places in queues are guesses after it."
            yield f"{name} begun anew", cleared, meaning
        crossed = crossed_messages(rows)
        if crossed:
            meaning = "Levels that the venue no longer has: the side that moved last is believed."
            yield f"{name} crossed at the end of a message", crossed, meaning


def crossed_messages(rows: pl.DataFrame) -> int:
    """After how many of one instrument's messages (rows of one local time) its best bid is not below its best ask."""
    sizes: dict[int, dict[int, int]] = {at.BID: defaultdict(int), at.ASK: defaultdict(int)}
    heaps: dict[int, list[int]] = {at.BID: [], at.ASK: []}
    crossed, before_ns, is_book = 0, 0, False
    columns = (rows[name].to_list() for name in ("local_ts_ns", "what", "price_ticks", "size_lots"))
    for local_ns, what, tick, lots in zip(*columns, strict=True):
        if local_ns != before_ns and is_book:
            crossed += _is_crossed(sizes, heaps)
            is_book = False
        before_ns = local_ns
        if what in (at.BID, at.ASK):
            is_book = True
            if lots and not sizes[what][tick]:
                heapq.heappush(heaps[what], -tick if what == at.BID else tick)
            sizes[what][tick] = lots
        elif what in (at.CLEAR_BIDS, at.CLEAR_ASKS):
            side = at.BID if what == at.CLEAR_BIDS else at.ASK
            sizes[side].clear()
            heaps[side].clear()
    return crossed + (is_book and _is_crossed(sizes, heaps))


def _is_crossed(sizes: dict[int, dict[int, int]], heaps: dict[int, list[int]]) -> bool:
    best = []
    for side, heap in heaps.items():
        while heap and not sizes[side][abs(heap[0])]:
            heapq.heappop(heap)
        if not heap:
            return False
        best.append(abs(heap[0]))
    return best[0] >= best[1]
