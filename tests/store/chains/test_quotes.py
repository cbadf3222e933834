"""Rows of one schema, and what their names say."""

import polars as pl
import pytest

from flatbook.store.chains.quotes import SCHEMA, quote_rows, with_contracts


def test_what_is_not_given_is_unknown() -> None:
    rows = quote_rows(pl.DataFrame({"x": [1, 2], "bid": [9.0, 9.0]}), ts_ns=pl.col("x"), mark=pl.lit(None))
    assert dict(rows.schema) == SCHEMA
    assert rows["ts_ns"].to_list() == [1, 2]
    assert rows.select(pl.col(pl.Float64).is_nan().all()).row(0) == (True,) * 10
    assert rows.select("run", "instrument", "reason").null_count().row(0) == (2, 2, 2)


def test_no_row_stays_no_row() -> None:
    assert quote_rows(pl.DataFrame({"x": []}), reason=pl.lit("none")).height == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("BTC-27MAR26-90000-C", ("BTC", "option", 1_774_598_400_000_000_000, 90_000.0, 1.0)),
        ("XRP_USDC-27MAR26-0d48-P", ("XRP_USDC", "option", 1_774_598_400_000_000_000, 0.48, -1.0)),
        ("ETH-27MAR26", ("ETH", "future", 1_774_598_400_000_000_000, 0.0, 0.0)),
        ("BTC_USDC-PERPETUAL", ("BTC_USDC", "perpetual", None, 0.0, 0.0)),
        ("BTC_USDC", ("BTC_USDC", "spot", None, 0.0, 0.0)),
        ("BTC-27MAR26-90000-X", (None,) * 5),
        (None, (None,) * 5),
    ],
)
def test_names(name: str | None, said: tuple[object, ...]) -> None:
    rows = with_contracts(pl.DataFrame({"instrument": [name]}, schema={"instrument": pl.String}))
    assert rows.drop("instrument").row(0) == said
