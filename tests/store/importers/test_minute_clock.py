"""Order and times inside a minute."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.units import NS_PER_MINUTE
from flatbook.store.importers.minute_clock import (
    INDEX_LEAD_NS,
    continuous_order,
    index_times,
    spread_over_minute,
    tape_order,
)

_ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(80_000, 80_020)), min_size=1, max_size=12)
_TAPE = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from("abc"), st.integers(80_000, 80_020)), min_size=1, max_size=20
).map(lambda rows: sorted(rows, key=lambda row: row[0]))


def test_instruments_are_merged_along_the_index() -> None:
    # By expiry and strike the file has all of a before b; the index ran 100 → 101 → 102 → 103.
    instrument = ["a", "a", "b", "b"]
    index_usd = [100.0, 102.0, 101.0, 103.0]
    assert continuous_order(instrument, index_usd, 99.0) == [0, 2, 1, 3]


def test_where_two_are_as_near_the_file_decides() -> None:
    assert continuous_order(["b", "a", "c"], [101.0, 99.0, 100.0], 100.0) == [2, 0, 1]


@given(_ROWS, st.integers(79_990, 80_030))
def test_each_instrument_keeps_its_order_and_no_row_is_lost(rows: list[tuple[str, int]], start: int) -> None:
    instrument, index_usd = [name for name, _ in rows], [float(level) for _, level in rows]
    order = continuous_order(instrument, index_usd, start)
    assert sorted(order) == list(range(len(rows)))
    for name in "abc":
        own = [position for position in order if instrument[position] == name]
        assert own == sorted(own)


@given(_ROWS, st.integers(79_990, 80_030))
def test_every_step_is_the_shortest_that_is_open(rows: list[tuple[str, int]], start: int) -> None:
    instrument, index_usd = [name for name, _ in rows], [float(level) for _, level in rows]
    left, level = list(range(len(rows))), float(start)
    for position in continuous_order(instrument, index_usd, start):
        heads = [next(at for at in left if instrument[at] == name) for name in {instrument[at] for at in left}]
        assert abs(index_usd[position] - level) == min(abs(index_usd[head] - level) for head in heads)
        left.remove(position)
        level = index_usd[position]


@given(_TAPE, st.integers(0, 3))
def test_no_later_minute_moves_a_trade(tape: list[tuple[int, str, int]], last: int) -> None:
    def ordered(rows: list[tuple[int, str, int]]) -> list[int]:
        minutes, names, levels = ([row[field] for row in rows] for field in range(3))
        return tape_order(
            [int(minute) for minute in minutes], [str(n) for n in names], [float(v) for v in levels], [None] * len(rows)
        )

    past = [row for row in tape if row[0] <= last]
    assert ordered(tape)[: len(past)] == ordered(past)


def test_ids_rule_where_all_have_one() -> None:
    minute = [0, 0, 0, 1, 1, 1]
    names, index_usd = ["a", "a", "b"] * 2, [100.0, 105.0, 101.0] * 2
    assert tape_order(minute, names, index_usd, [12, 13, 11, 21, 23, 22]) == [2, 0, 1, 3, 5, 4]
    assert tape_order(minute, names, index_usd, [12, 13, 11, None, 23, 22]) == [2, 0, 1, 5, 3, 4]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40).map(sorted))
def test_a_minutes_trades_are_spread_evenly_inside_it(minutes: list[int]) -> None:
    stamps = np.array(minutes, dtype=np.int64) * NS_PER_MINUTE
    times = spread_over_minute(stamps)
    assert np.all(np.diff(times) > 0)
    assert np.all((times > stamps) & (times < stamps + NS_PER_MINUTE))
    for minute in set(minutes):
        own = (times[stamps == minute * NS_PER_MINUTE] - minute * NS_PER_MINUTE) / NS_PER_MINUTE
        count = len(own)
        np.testing.assert_allclose(own, (np.arange(count) + 0.5) / count, atol=1e-10)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=20))
def test_an_index_comes_between_its_trade_and_the_one_before(steps: list[int]) -> None:
    trades = np.cumsum([10**12, *(step + 1 for step in steps)]).astype(np.int64)
    ticks = index_times(trades)
    assert np.all(ticks < trades)
    assert np.all(ticks[1:] > trades[:-1])
    assert np.all(trades - ticks <= INDEX_LEAD_NS)
    wide = np.diff(trades) >= 2 * INDEX_LEAD_NS
    assert np.all((trades - ticks)[1:][wide] == INDEX_LEAD_NS)


def test_the_order_found_without_ids_has_the_index_path_that_ids_tell(tape_folder: Path) -> None:
    """Squared index moves inside minutes, against the truth where ids tell it: ours within 5 %, the file's 7 times."""
    (path,) = tape_folder.glob("trades*.parquet")
    tape = (
        pl.read_parquet(path, columns=["Entry Date", "Instrument", "Underlying Price", "Trade ID"])
        .drop_nulls("Trade ID")
        .with_columns(minute=pl.col("Entry Date").rank("dense").cast(pl.Int64))
    )
    minute, names = tape["minute"].to_list(), tape["Instrument"].to_list()
    index_usd, ids = tape["Underlying Price"].to_list(), tape["Trade ID"].to_list()

    def squared_moves(order: list[int]) -> float:
        steps = pairwise(order)
        return float(sum((index_usd[b] - index_usd[a]) ** 2 for a, b in steps if minute[a] == minute[b]))

    truth = squared_moves(tape_order(minute, names, index_usd, ids))
    unknown: list[int | None] = [None] * len(ids)
    assert squared_moves(tape_order(minute, names, index_usd, unknown)) / truth == pytest.approx(0.98, abs=0.05)
    assert squared_moves(list(range(len(ids)))) / truth == pytest.approx(7.2, abs=0.1)
