"""Plain twins of `l2_replay`: one event after another in the order of time, books searched whole.

Ties go: rows that we hear of, answers that we hear of, rows at the venue, requests that reach it.
"""

import math
from dataclasses import dataclass

import numpy as np

from flatbook.kernels import l2_layout as at
from flatbook.kernels.l2_layout import Codes, Floats, Ints, Replay

_NEVER = 2**62


def advance_rows_plain(
    exch_ts_ns: Ints, local_ts_ns: Ints, heard: Ints, what: Codes, tick: Ints, lots: Ints, terms: Ints, power: float,
    depth: Ints, cursor: Ints, orders: Ints, front: Floats, live: Ints, requests: Ints, answers: Ints,
    until_ns: int, wakes_on_answer: bool,
) -> bool:  # fmt: skip
    """Plain twin of `advance_rows`."""
    world = _World(
        Replay(
            exch_ts_ns, local_ts_ns, heard, what, tick, lots, terms, power, depth, cursor, orders, front, live,
            requests, answers,
        )
    )  # fmt: skip
    while cursor[at.FAULT] == 0:
        times = world.next_times()
        first = int(np.argmin(times))
        if times[first] > until_ns:
            break
        if first == 1 and wakes_on_answer:
            until_ns = times[first]
        (world.hear_row, world.hear_answer, world.venue_row, world.meet_request)[first]()
    cursor[at.NOW_NS] = until_ns
    return bool(cursor[at.FAULT] == 0 and min(world.next_times()) < _NEVER)


@dataclass(frozen=True, slots=True)
class _World:
    r: Replay

    def next_times(self) -> list[int]:
        """When the next of the four kinds of event is due."""
        r, c = self.r, self.r.cursor
        heard, answer, row, request = (
            c[field] for field in (at.HEARD_ROW, at.ANSWERS_HEARD, at.VENUE_ROW, at.REQUESTS_MET)
        )
        return [
            int(r.local_ts_ns[r.heard[heard]]) if heard < r.heard.size else _NEVER,
            int(r.answers[answer, at.HEARD_NS]) if answer < c[at.ANSWERS] else _NEVER,
            int(r.exch_ts_ns[row]) if row < r.exch_ts_ns.size else _NEVER,
            int(r.requests[request, at.ARRIVES_NS]) if request < c[at.REQUESTS] else _NEVER,
        ]

    def hear_row(self) -> None:
        c = self.r.cursor
        self._apply(int(self.r.heard[c[at.HEARD_ROW]]), at.KNOWN_BIDS, at.KNOWN_BID)
        c[at.HEARD_ROW] += 1

    def hear_answer(self) -> None:
        c, orders = self.r.cursor, self.r.orders
        said = self.r.answers[c[at.ANSWERS_HEARD]]
        c[at.ANSWERS_HEARD] += 1
        number, kind, lots = said[at.ANSWERED], said[at.ANSWER], said[at.ANSWER_LOTS]
        if kind == at.FILLED:
            c[at.POSITION_LOTS] += orders[number, at.SIDE] * lots
            orders[number, at.UNFILLED_LOTS] -= lots
        is_done = kind in (at.CANCELLED, at.EXPIRED) or orders[number, at.UNFILLED_LOTS] == 0
        if is_done:
            orders[number, at.STATE] = at.DONE
        elif kind in (at.ACCEPTED, at.CANCEL_REJECTED) and orders[number, at.STATE] != at.DONE:
            orders[number, at.STATE] = at.OPEN

    def venue_row(self) -> None:
        r, c = self.r, self.r.cursor
        row = int(c[at.VENUE_ROW])
        code, tick, lots = int(r.what[row]), int(r.tick[row]), int(r.lots[row])
        side = {at.BID: at.VENUE_BIDS, at.ASK: at.VENUE_ASKS}.get(code)
        before = 0 if side is None else int(r.depth[side, tick])
        bests = int(c[at.VENUE_BID]), int(c[at.VENUE_ASK])
        self._apply(row, at.VENUE_BIDS, at.VENUE_BID)
        c[at.VENUE_ROW] += 1
        is_partial = bool(r.terms[at.IS_PARTIAL])
        match code:
            case at.BID | at.ASK:
                ours = 1 if code == at.BID else -1
                self._queues(ours, tick, before, lots)
                is_better = c[at.VENUE_BID] > bests[0] if code == at.BID else c[at.VENUE_ASK] < bests[1]
                if is_partial:
                    self._meet(-ours, tick, lots - before, is_print=False)
                elif is_better:
                    self._meet(-ours, tick, lots, is_print=False)
            case at.BUY_PRINT:
                self._meet(-1, tick, lots, is_print=True)
            case at.SELL_PRINT:
                self._meet(1, tick, lots, is_print=True)

    def meet_request(self) -> None:
        r, c = self.r, self.r.cursor
        now_ns, number, is_cancel = (int(value) for value in r.requests[c[at.REQUESTS_MET]])
        c[at.REQUESTS_MET] += 1
        order = r.orders[number]
        if is_cancel:
            was_live = number in self._resting()
            left = int(order[at.LEFT_LOTS]) if was_live else 0
            if was_live:
                self._keep([other for other in self._resting() if other != number])
                order[at.LEFT_LOTS] = 0
            self._answer(number, at.CANCELLED if was_live else at.CANCEL_REJECTED, now_ns, order[at.TICK], left)
            return
        kind = int(order[at.KIND])
        within = self._within(number)
        if kind != at.POST_ONLY:
            opposite = at.VENUE_ASKS if order[at.SIDE] > 0 else at.VENUE_BIDS
            for level in within:
                take = int(order[at.LEFT_LOTS])
                if r.terms[at.IS_PARTIAL]:
                    take = min(take, int(r.depth[opposite, level]))
                if take:
                    order[at.LEFT_LOTS] -= take
                    self._answer(number, at.FILLED, now_ns, level, take)
        left = int(order[at.LEFT_LOTS])
        if left == 0:
            return
        if kind == at.IMMEDIATE_OR_CANCEL or (kind == at.POST_ONLY and within):
            self._answer(number, at.EXPIRED, now_ns, order[at.TICK], left)
            return
        own = at.VENUE_BIDS if order[at.SIDE] > 0 else at.VENUE_ASKS
        r.front[number] = r.depth[own, order[at.TICK]], 0.0
        rank = r.orders[:, at.SIDE] * r.orders[:, at.TICK]
        self._keep(sorted([*self._resting(), number], key=lambda other: -rank[other]))
        self._answer(number, at.ACCEPTED, now_ns, order[at.TICK], left)

    def _within(self, number: int) -> list[int]:
        """Levels of the other side that the order may take, best first."""
        r, c, order = self.r, self.r.cursor, self.r.orders[number]
        if order[at.SIDE] > 0:
            levels = np.flatnonzero(r.depth[at.VENUE_ASKS])
            return [int(t) for t in levels if c[at.VENUE_ASK] <= t <= order[at.TICK]]
        levels = np.flatnonzero(r.depth[at.VENUE_BIDS])[::-1]
        return [int(t) for t in levels if order[at.TICK] <= t <= c[at.VENUE_BID]]

    def _apply(self, row: int, bids_at: int, bid_at: int) -> None:
        r, c = self.r, self.r.cursor
        bids, asks, ask_at = r.depth[bids_at], r.depth[bids_at + 1], bid_at + 1
        code, tick, lots = int(r.what[row]), int(r.tick[row]), int(r.lots[row])
        bid, ask = int(c[bid_at]), int(c[ask_at])
        match code:
            case at.BID:
                bids[tick] = lots
                c[bid_at] = max(bid, tick) if lots else (_highest(bids[:tick]) if tick == bid else bid)
                if c[bid_at] >= ask:
                    c[ask_at] = _lowest(asks, int(c[bid_at]) + 1)
            case at.ASK:
                asks[tick] = lots
                c[ask_at] = min(ask, tick) if lots else (_lowest(asks, tick + 1) if tick == ask else ask)
                if c[ask_at] <= bid:
                    c[bid_at] = _highest(bids[: c[ask_at]])
            case at.CLEAR_BIDS:
                bids[tick : bid + 1] = 0
                c[bid_at] = _highest(bids[:tick])
            case at.CLEAR_ASKS:
                asks[ask : tick + 1] = 0
                c[ask_at] = _lowest(asks, tick + 1)

    def _queues(self, side: int, tick: int, before: int, lots: int) -> None:
        for number in self._resting():
            if tuple(self.r.orders[number, [at.SIDE, at.TICK]]) != (side, tick):
                continue
            ahead, traded = (float(value) for value in self.r.front[number])
            left = before - lots - traded
            if self.r.power > 0 and left >= 0:
                weights = np.power(np.maximum([before - ahead, ahead], 0.0), self.r.power)
                chance = weights[0] / weights.sum() if weights.sum() > 0 else 1.0
                ahead = ahead - (1 - chance) * left + min(before - ahead - chance * left, 0.0)
            self.r.front[number] = min(ahead, lots), 0.0

    def _meet(self, side: int, tick: int, lots: int, *, is_print: bool) -> None:
        r = self.r
        is_partial, now_ns = bool(r.terms[at.IS_PARTIAL]), int(r.exch_ts_ns[r.cursor[at.VENUE_ROW] - 1])
        for number in self._resting():
            order = r.orders[number]
            if lots <= 0 or order[at.SIDE] != side or side * (order[at.TICK] - tick) < 0:
                continue
            left = int(order[at.LEFT_LOTS])
            reached: float = left
            if is_print and order[at.TICK] == tick:
                r.front[number] += (-lots, lots)
                reached = math.floor(at.HALF_LOT - r.front[number, at.AHEAD_LOTS])
            if reached < 1:
                continue
            take = min(left, int(reached), lots) if is_partial else left
            lots -= take if is_partial else 0
            order[at.LEFT_LOTS] -= take
            r.front[number, at.AHEAD_LOTS] = 0.0
            self._answer(number, at.FILLED, now_ns, order[at.TICK], take, is_maker=True)
        self._keep([number for number in self._resting() if r.orders[number, at.LEFT_LOTS] > 0])

    def _resting(self) -> list[int]:
        return [int(number) for number in self.r.live[: self.r.cursor[at.LIVE]]]

    def _keep(self, resting: list[int]) -> None:
        self.r.live[: len(resting)] = resting
        self.r.cursor[at.LIVE] = len(resting)

    def _answer(self, number: int, kind: int, now_ns: int, tick: int, lots: int, *, is_maker: bool = False) -> None:
        r, n = self.r, int(self.r.cursor[at.ANSWERS])
        if n == len(r.answers):
            r.cursor[at.FAULT] = at.MESSAGES_FULL
            return
        row = int(r.cursor[at.VENUE_ROW]) - 1
        delay_ns = int(r.local_ts_ns[row] - r.exch_ts_ns[row]) if row >= 0 else 0
        heard_ns = now_ns + int(r.terms[at.RESPONSE_NS]) + int(r.terms[at.FEED_PPM]) * delay_ns // 1_000_000
        before_ns = int(r.answers[:n, at.HEARD_NS].max(initial=0))
        r.answers[n] = max(heard_ns, before_ns), number, kind, now_ns, tick, lots, is_maker
        r.cursor[at.ANSWERS] = n + 1


def _highest(bids: Ints) -> int:
    return int(np.flatnonzero(bids).max(initial=-1))


def _lowest(asks: Ints, begin: int) -> int:
    return int(np.flatnonzero(asks[begin:]).min(initial=asks.size - begin)) + begin


def submit_order_plain(
    exch_ts_ns: Ints, local_ts_ns: Ints, heard: Ints, what: Codes, tick: Ints, lots: Ints, terms: Ints, power: float,
    depth: Ints, cursor: Ints, orders: Ints, front: Floats, live: Ints, requests: Ints, answers: Ints,
    side: int, limit: int, size: int, kind: int,
) -> int:  # fmt: skip
    """Plain twin of `submit_order`."""
    number = int(cursor[at.ORDERS])
    if number == len(orders):
        cursor[at.FAULT] = at.ORDERS_FULL
        return -1
    if not _send_plain(number, 0, exch_ts_ns, local_ts_ns, heard, terms, cursor, requests):
        return -1
    orders[number] = side, limit, size, size, kind, at.SENT, size
    cursor[at.ORDERS] += 1
    return number


def cancel_order_plain(
    exch_ts_ns: Ints, local_ts_ns: Ints, heard: Ints, what: Codes, tick: Ints, lots: Ints, terms: Ints, power: float,
    depth: Ints, cursor: Ints, orders: Ints, front: Floats, live: Ints, requests: Ints, answers: Ints,
    number: int,
) -> bool:  # fmt: skip
    """Plain twin of `cancel_order`."""
    if orders[number, at.STATE] != at.OPEN:
        return False
    if not _send_plain(number, 1, exch_ts_ns, local_ts_ns, heard, terms, cursor, requests):
        return False
    orders[number, at.STATE] = at.CANCELLING
    return True


def _send_plain(
    number: int, is_cancel: int, exch_ts_ns: Ints, local_ts_ns: Ints, heard: Ints, terms: Ints, cursor: Ints,
    requests: Ints,
) -> bool:  # fmt: skip
    n = int(cursor[at.REQUESTS])
    if n == len(requests):
        cursor[at.FAULT] = at.MESSAGES_FULL
        return False
    known = heard[: cursor[at.HEARD_ROW]]
    delay_ns = int(local_ts_ns[known[-1]] - exch_ts_ns[known[-1]]) if known.size else 0
    due_ns = int(cursor[at.NOW_NS]) + int(terms[at.ENTRY_NS]) + int(terms[at.FEED_PPM]) * delay_ns // 1_000_000
    requests[n] = max(due_ns, int(requests[:n, at.ARRIVES_NS].max(initial=0))), number, is_cancel
    cursor[at.REQUESTS] += 1
    return True
