"""At or before: the answer of a history is what a plain walk over its rows finds."""

from collections.abc import Iterator

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from flatbook.store.chains.history import History
from flatbook.store.chains.quotes import Quotes, Updates, quote_rows
from flatbook.store.chains.sift import sift

from .builders import T0_NS

SECOND_NS = 10**9
NAMES = [f"BTC-27MAR26-{strike}-C" for strike in (80_000, 90_000, 100_000)]
CROSSED = "crossed"

_seconds = st.integers(0, 20)
_rows = st.lists(st.tuples(_seconds, st.sampled_from(NAMES), st.sampled_from([0.02, 0.03, CROSSED])), max_size=24)


def _frame(rows: list[tuple[int, str, float | str]], run: list[str] | None = None) -> pl.DataFrame:
    """Quotes at seconds after T0; a crossed one has its bid above its ask."""
    made = pl.DataFrame(
        {
            "at": [T0_NS + at * SECOND_NS for at, _, _ in rows],
            "name": [name for _, name, _ in rows],
            "bid": [1.0 if bid == CROSSED else float(bid) for _, _, bid in rows],
            "run": run or [None] * len(rows),
        },
        schema={"at": pl.Int64, "name": pl.String, "bid": pl.Float64, "run": pl.String},
    )
    columns = {"ts_ns": pl.col("at"), "instrument": pl.col("name"), "bid": pl.col("bid"), "ask": pl.lit(0.04)}
    return quote_rows(made, run=pl.col("run"), **columns)


def _found(history: History | None, second: int) -> tuple[int, dict[str, float]] | None:
    found = history.at(T0_NS + second * SECOND_NS) if history else None
    if found is None:
        return None
    return (found.ts_ns - T0_NS) // SECOND_NS, dict(zip(found.instrument, found.bid.tolist(), strict=True))


@given(_rows, st.integers(-1, 22), st.integers(1, 5))
def test_updates(rows: list[tuple[int, str, float | str]], asked: int, batch: int) -> None:
    in_time = sorted(rows, key=lambda row: row[0])
    frame = _frame(in_time)

    def batches() -> Iterator[pl.DataFrame]:
        return (frame[start : start + batch] for start in range(0, frame.height, batch))

    due = [row for row in in_time if row[0] <= asked]
    standing = {name: bid for _, name, bid in due}
    quoted = {name: bid for name, bid in standing.items() if bid != CROSSED}
    expected = (due[-1][0], quoted) if quoted else None
    sifted = sift(Updates(batches))
    assert _found(sifted.histories.get("BTC"), asked) == expected
    crossed = sum(bid == CROSSED for _, _, bid in rows)
    assert (sifted.taken, sifted.left_out) == (len(rows) - crossed, {"crossed quote": crossed} if crossed else {})


@given(st.lists(st.tuples(_seconds, st.sets(st.sampled_from(NAMES), min_size=1)), min_size=1), st.integers(-1, 22))
def test_runs(runs: list[tuple[int, set[str]]], asked: int) -> None:
    rows: list[tuple[int, str, float | str]] = []
    names: list[str] = []
    for number, (at, instruments) in enumerate(runs):
        # An instrument a second: the run is taken when its last row is.
        rows += [(at + place, name, 0.02 + number * 1e-6) for place, name in enumerate(sorted(instruments))]
        names += [f"{number:03}"] * len(instruments)
    taken = {number: at + len(instruments) - 1 for number, (at, instruments) in enumerate(runs)}
    due = [(at, number) for number, at in taken.items() if at <= asked]
    expected = None
    if due:
        at, number = max(due)
        expected = (at, dict.fromkeys(sorted(runs[number][1]), 0.02 + number * 1e-6))
    history = sift(Quotes(_frame(rows, names))).histories["BTC"]
    assert _found(history, asked) == expected
    assert (history.times_ns[1:] >= history.times_ns[:-1]).all()
    assert len(history.times_ns) == len(runs)


def test_what_expired_since_its_last_update_stands_no_more() -> None:
    day_name, week_name = "BTC-15JAN26-90000-C", "BTC-23JAN26-90000-C"
    last = 30 * 3_600
    history = sift(
        Updates(lambda: iter([_frame([(0, day_name, 0.02), (0, week_name, 0.02), (last, week_name, 0.03)])]))
    )
    assert _found(history.histories["BTC"], last - 1) == (0, {day_name: 0.02, week_name: 0.02})
    assert _found(history.histories["BTC"], last) == (last, {week_name: 0.03})


def test_an_end_that_leaves_no_option_lists_no_snapshot() -> None:
    frame = _frame([(0, NAMES[0], 0.02), (1, NAMES[0], CROSSED)])
    history = sift(Updates(lambda: iter([frame]))).histories["BTC"]
    assert history.times_ns.tolist() == []
    assert history.at(T0_NS + SECOND_NS) is None
    assert _found(history, 0) == (0, {NAMES[0]: 0.02})
