"""The replay against its plain twins, what holds of any replay, and one strategy in Python and compiled."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from bench.l2 import LOTS_A_TICK, SIZE_LOTS, STEP_NS, compiled, drawn_rows, fills_of, quoting
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels import l2_layout as at
from flatbook.kernels.l2 import advance, cancel, submit
from flatbook.kernels.l2_layout import Replay
from flatbook.kernels.l2_plain import advance_rows_plain, cancel_order_plain, submit_order_plain
from flatbook.sim.books.tape import BookTape, BookTerms, book_tape

WINDOW = 12
Call = Callable[..., Any]


def on(plain: Callable[..., Any]) -> Call:
    """A plain twin called as `kernels.l2` is."""
    return lambda replay, *rest: plain(*replay, *rest)


KERNELS: tuple[Call, Call, Call] = (advance, submit, cancel)
PLAIN: tuple[Call, Call, Call] = (on(advance_rows_plain), on(submit_order_plain), on(cancel_order_plain))

ROWS = st.lists(
    st.tuples(
        st.integers(0, 5),  # time to the next row at the venue
        st.integers(0, 12),  # its delay to us
        st.sampled_from([at.BID, at.ASK] * 3 + [at.BUY_PRINT, at.SELL_PRINT] * 2 + [at.CLEAR_BIDS, at.CLEAR_ASKS]),
        st.integers(1, WINDOW - 1),
        st.integers(0, 6),
    ),
    min_size=1,
    max_size=60,
)
TERMS = st.builds(
    BookTerms,
    entry_ns=st.integers(0, 6),
    response_ns=st.integers(0, 6),
    feed_share=st.sampled_from([0.0, 0.5, 1.0]),
    queue_power=st.sampled_from([0.0, 1.5, 3.0]),
    is_partial=st.booleans(),
)
ACTS = st.lists(
    st.tuples(
        st.integers(0, 20),  # when to look next
        st.booleans(),
        st.sampled_from([-1, 1]),
        st.integers(1, WINDOW - 1),
        st.integers(1, 4),
        st.integers(0, 2),
        st.integers(0, 9),  # which order to cancel
    ),
    max_size=25,
)


def tape_of(rows: list[tuple[int, int, int, int, int]]) -> BookTape:
    steps, delays, what, tick, lots = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    exch_ts_ns = 1_000 + np.cumsum(steps)
    is_print = (what == at.BUY_PRINT) | (what == at.SELL_PRINT)
    local_ts_ns = exch_ts_ns + delays
    return BookTape(
        exch_ts_ns, local_ts_ns, np.argsort(local_ts_ns, kind="stable"), what.astype(np.int8), tick,
        np.where(is_print, lots + 1, lots), 0, WINDOW, 0,
    )  # fmt: skip


def act(tape: BookTape, terms: BookTerms, acts: list[Any], calls: tuple[Call, Call, Call]) -> Replay:
    """Orders and cancels as drawn, each after time has passed; then all there is."""
    go, send, withdraw = calls
    replay = tape.replay(terms, orders=64)
    for wait_ns, wakes, side, tick, lots, kind, number in acts:
        go(replay, int(replay.cursor[at.NOW_NS]) + wait_ns, wakes)
        send(replay, side, tick, lots, kind)
        if number < replay.cursor[at.ORDERS]:
            withdraw(replay, number)
    assert not go(replay, 10**9, False)
    return replay


@settings(max_examples=150)
@given(ROWS, TERMS, ACTS)
def test_a_replay_is_its_plain_twins_and_breaks_no_rule(
    rows: list[tuple[int, int, int, int, int]], terms: BookTerms, acts: list[Any]
) -> None:
    tape = tape_of(rows)
    replay = act(tape, terms, acts, KERNELS)
    twin = act(tape, terms, acts, PLAIN)
    for name, ours, theirs in zip(Replay._fields, replay, twin, strict=True):
        np.testing.assert_allclose(
            np.asarray(ours), np.asarray(theirs), rtol=0, atol=1e-9 if name == "front" else 0, err_msg=name
        )
    _quantity_is_conserved(replay)
    _nothing_is_heard_too_soon(replay, terms)
    _fills_are_no_better_than_the_limit(replay)
    if terms.is_partial:
        _makers_fill_no_more_than_came(replay)


def _said(replay: Replay) -> NDArray[np.int64]:
    return replay.answers[: replay.cursor[at.ANSWERS]]


def _quantity_is_conserved(replay: Replay) -> None:
    said = _said(replay)
    position = 0
    for number in range(replay.cursor[at.ORDERS]):
        order = replay.orders[number]
        own = said[said[:, at.ANSWERED] == number]
        filled = int(own[own[:, at.ANSWER] == at.FILLED, at.ANSWER_LOTS].sum())
        ended = own[np.isin(own[:, at.ANSWER], (at.CANCELLED, at.EXPIRED)), at.ANSWER_LOTS]
        resting = order[at.LEFT_LOTS] if number in replay.live[: replay.cursor[at.LIVE]] else 0
        assert filled + ended.sum() + resting == order[at.LOTS]
        assert order[at.UNFILLED_LOTS] == order[at.LOTS] - filled
        position += int(order[at.SIDE]) * filled
    assert replay.cursor[at.POSITION_LOTS] == position


def _nothing_is_heard_too_soon(replay: Replay, terms: BookTerms) -> None:
    said = _said(replay)
    assert (np.diff(said[:, at.HEARD_NS]) >= 0).all()
    assert (said[:, at.HEARD_NS] >= said[:, at.VENUE_NS] + terms.response_ns).all()
    arrived = {int(r[at.REQUESTED]): r[at.ARRIVES_NS] for r in replay.requests[: replay.cursor[at.REQUESTS]][::-1]}
    for answer in said:
        assert answer[at.VENUE_NS] >= arrived[int(answer[at.ANSWERED])]


def _fills_are_no_better_than_the_limit(replay: Replay) -> None:
    for answer in _said(replay):
        if answer[at.ANSWER] == at.FILLED:
            order = replay.orders[answer[at.ANSWERED]]
            better = order[at.SIDE] * (order[at.TICK] - answer[at.AT_TICK])
            assert better >= 0
            assert better == 0 or not answer[at.IS_MAKER]
            assert not answer[at.IS_MAKER] or order[at.KIND] != at.IMMEDIATE_OR_CANCEL
            assert answer[at.IS_MAKER] or order[at.KIND] != at.POST_ONLY


def _makers_fill_no_more_than_came(replay: Replay) -> None:
    said = _said(replay)
    makers = said[(said[:, at.ANSWER] == at.FILLED) & (said[:, at.IS_MAKER] == 1)]
    for moment in np.unique(makers[:, at.VENUE_NS]):
        came = replay.lots[(replay.exch_ts_ns == moment) & (replay.what <= at.SELL_PRINT)].sum()
        assert makers[makers[:, at.VENUE_NS] == moment, at.ANSWER_LOTS].sum() <= came


@pytest.mark.parametrize("terms", [BookTerms(), BookTerms(queue_power=3.0, is_partial=True, feed_share=1.0)])
def test_a_strategy_decides_the_same_in_python_compiled_and_woken_by_answers(terms: BookTerms) -> None:
    tape = book_tape(drawn_rows(4_000))
    replays = [tape.replay(terms) for _ in range(3)]
    strategy = quoting(*KERNELS)
    for replay, run in zip(replays, (strategy, compiled(strategy), quoting(*KERNELS, wakes=True)), strict=True):
        run(replay, STEP_NS, SIZE_LOTS, LOTS_A_TICK)
    assert len(fills_of(replays[0])) > 30
    for replay in replays:
        replay.cursor[at.NOW_NS] = 0  # the end is a look, or the last answer
    for other in replays[1:]:
        for name, ours, theirs in zip(Replay._fields, replays[0], other, strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=name)


def _book(*rows: tuple[int, int, int, int]) -> BookTape:
    """A tape of (time, what, tick, lots), heard at once."""
    frame = pl.DataFrame(rows, schema=["exch_ts_ns", "what", "price_ticks", "size_lots"], orient="row")
    return book_tape(frame.with_columns(local_ts_ns="exch_ts_ns"), reach=0.5)


@pytest.mark.parametrize(("printed", "filled"), [(7, 0), (8, 4), (20, 4)])
def test_a_print_reaches_us_once_those_before_us_are_served(printed: int, filled: int) -> None:
    tape = _book(
        (10, at.BID, 100, 10), (10, at.ASK, 101, 5), (30, at.BID, 100, 7), (40, at.SELL_PRINT, 100, printed)
    )  # fmt: skip
    replay = tape.replay(BookTerms(entry_ns=5, response_ns=5))
    advance(replay, 15, False)
    submit(replay, 1, 100 - tape.base_ticks, 4, at.POST_ONLY)
    advance(replay, 1_000, False)
    assert replay.cursor[at.POSITION_LOTS] == filled
    assert replay.front[0, at.AHEAD_LOTS] == (0 if filled else 7 - printed)


def test_a_table_without_room_stops_the_replay_and_says_so() -> None:
    tape = _book((10, at.BID, 100, 10), (10, at.ASK, 101, 5), (30, at.BID, 100, 7))
    replay = tape.replay(BookTerms(), orders=1)
    assert advance(replay, 15, False)
    assert submit(replay, 1, 1, 1, at.POST_ONLY) == 0
    assert submit(replay, 1, 1, 1, at.POST_ONLY) == -1
    assert replay.cursor[at.FAULT] == at.ORDERS_FULL
    assert not advance(replay, 20, False)
