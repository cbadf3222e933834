"""Spot bars speak at their end, and only where the tape is silent."""

from pathlib import Path

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.units import NS_PER_MINUTE, parse_utc
from flatbook.store.importers.spot_bars import SILENCE_NS, in_silence, read_bars
from flatbook.store.tables import INDEX

from ..builders import T0, spot_bars, write_gzip


def test_milliseconds_and_microseconds(tmp_path: Path) -> None:
    text = spot_bars((1_722_470_400_000, 64_674.01), (1_740_787_500_000_000, 84_385.09))
    bars = read_bars(write_gzip(tmp_path / "b.csv.gz", text), "BTC")
    assert bars.rows() == [
        (parse_utc("2024-08-01T00:05"), parse_utc("2024-08-01T00:05"), "BTC", 64_674.01),
        (parse_utc("2025-03-01T00:10"), parse_utc("2025-03-01T00:10"), "BTC", 84_385.09),
    ]


def _bars_every_five_minutes(count: int) -> pl.DataFrame:
    ends = [T0 + 5 * NS_PER_MINUTE * place for place in range(count)]
    return pl.DataFrame(
        {"exch_ts_ns": ends, "local_ts_ns": ends, "underlying": "BTC", "price_usd": 84_000.0}, schema=INDEX.schema
    )


def test_bars_fill_a_hole_and_the_tail() -> None:
    tape = pl.Series([T0 + NS_PER_MINUTE * minute for minute in (0, 4, 9, 21, 24)], dtype=pl.Int64)
    taken = in_silence(_bars_every_five_minutes(20), tape, T0, T0 + 36 * NS_PER_MINUTE)
    assert [(ts_ns - T0) // NS_PER_MINUTE for ts_ns in taken["local_ts_ns"]] == [10, 15, 20, 25, 30, 35]


@given(st.lists(st.integers(0, 200), min_size=1, max_size=30, unique=True).map(sorted))
def test_a_bar_is_taken_just_where_its_hole_is_long(minutes: list[int]) -> None:
    tape = pl.Series([T0 + NS_PER_MINUTE * minute for minute in minutes], dtype=pl.Int64)
    end = T0 + 200 * NS_PER_MINUTE
    taken = set(in_silence(_bars_every_five_minutes(60), tape, T0, end)["local_ts_ns"])
    edges = [T0, *tape, end]
    for bar in _bars_every_five_minutes(60)["local_ts_ns"]:
        before = max((edge for edge in edges if edge <= bar), default=None)
        after = min((edge for edge in edges if edge > bar), default=None)
        expected = before is not None and after is not None and before < bar and after - before > SILENCE_NS
        assert (bar in taken) == expected
