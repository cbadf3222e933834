import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.report.tables import (
    PARTS,
    ROW_TYPES,
    EquityRow,
    FillRow,
    Series,
    SmilePointRow,
    Tables,
    conform,
    schema_of,
)

AMOUNTS = st.floats(-1e9, 1e9)


def test_a_row_type_is_the_schema() -> None:
    schema = schema_of(SmilePointRow)
    assert list(schema) == ["ts_ns", "expiry_ns", "strike", "vol_low", "vol_high", "age_s"]
    assert schema["ts_ns"] == pl.Int64
    assert schema["strike"] == pl.Float64


def test_every_part_of_pnl_is_a_column_of_equity() -> None:
    assert {name for name in EquityRow._fields if name in PARTS} == set(PARTS)


@given(st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 2**62), *[AMOUNTS] * 4), max_size=20))
def test_rows_come_back_as_they_went_in(rows: list[tuple[int, int, float, float, float, float]]) -> None:
    series = Series(SmilePointRow)
    numbers = [series.append(SmilePointRow(*row)) for row in rows]
    assert numbers == list(range(len(rows)))
    assert series.frame().rows() == rows
    assert series.frame().schema == schema_of(SmilePointRow)


def test_a_frame_is_a_copy() -> None:
    series = Series(SmilePointRow)
    series.append(SmilePointRow(1, 2, 3.0, 4.0, 5.0, 6.0))
    before = series.frame()
    series.append(SmilePointRow(2, 2, 3.0, 4.0, 5.0, 6.0))
    series.amend(0, "age_s", 9.0)
    assert before.rows() == [(1, 2, 3.0, 4.0, 5.0, 6.0)]
    assert series.frame()["age_s"].to_list() == [9.0, 6.0]


@given(st.dictionaries(st.sampled_from(PARTS), AMOUNTS))
def test_equity_is_the_sum_of_its_parts(parts: dict[str, float]) -> None:
    row = EquityRow.of(1, 80_000.0, parts, "normal")
    assert row.equity_usd == pytest.approx(math.fsum(parts.values()), abs=1e-6)
    assert {name: getattr(row, name) for name in parts} == parts


def test_a_misspelt_part_is_refused() -> None:
    with pytest.raises(KeyError, match="hedge_costs: not a part"):
        EquityRow.of(1, 80_000.0, {"hedge_costs": 1.0}, "normal")


def test_a_markout_is_unknown_until_its_time(tables: Tables) -> None:
    fills = tables.frames()["fills"]
    assert fills["markout_1m_usd"].is_nan().sum() == 0
    assert 0 < fills["markout_1h_usd"].is_nan().sum() < fills.height
    with pytest.raises(KeyError, match="edge_usd: not a markout"):
        tables.set_markout(0, "edge_usd", 1.0)


def test_fill_prices_are_their_three_parts(tables: Tables) -> None:
    fills = tables.frames()["fills"]
    gap = fills["price"] - fills["fair"] - fills["spread_part"] - fills["inventory_part"]
    assert gap.abs().max() == pytest.approx(0, abs=1e-15)


def test_empty_tables_have_their_columns() -> None:
    frames = Tables().frames()
    assert list(frames) == list(ROW_TYPES)
    assert all(frames[name].schema == schema_of(row_type) for name, row_type in ROW_TYPES.items())


def test_conform_takes_absent_tables_and_other_column_orders(tables: Tables) -> None:
    frames = tables.frames()
    fills = frames["fills"]
    conformed = conform({"fills": fills.select(reversed(fills.columns)).with_columns(extra=1)})
    assert conformed["fills"].equals(fills, null_equal=True)
    assert conformed["hedges"].is_empty()
    assert conformed["fills"].columns == list(FillRow._fields)


def test_conform_names_what_is_missing(tables: Tables) -> None:
    with pytest.raises(BadInputError, match="'fills' has no column edge_usd, vega_usd"):
        conform({"fills": tables.frames()["fills"].drop("edge_usd", "vega_usd")})
