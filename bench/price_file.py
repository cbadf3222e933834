"""`flatbook price` on a million European rows: pricing them against reading the file and writing the result."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from bench.measure import Bar, Work, local
from flatbook.store.price_csv import read_contracts, write_prices
from flatbook.store.price_table import price_table

ROWS = 1_000_000
FILES = "polars, reading the file as text and writing the result"


def works() -> list[Work]:
    """Ours is everything between the file read and the table to be written; the file lies in the page cache."""
    folder = tempfile.TemporaryDirectory(prefix="flatbook-bench-")
    source, target = Path(folder.name) / "in.csv", Path(folder.name) / "out.csv"
    contracts(ROWS).write_csv(source)
    frame = read_contracts(source)
    priced = price_table(frame)

    def files() -> None:
        read_contracts(source)
        write_prices(priced, target)
        assert folder.name  # the folder lives as long as the contender that uses it

    return [
        Work(
            "flatbook price, a million European rows",
            [
                local("flatbook, from text to prices and Greeks", lambda: price_table(frame)),
                local(FILES, files),
            ],
            ROWS,
            "ms",
            [Bar(FILES, 2.0)],
        )
    ]


def contracts(rows: int) -> pl.DataFrame:
    """Calls and puts about the money, hours to years, as a user's table would give them."""
    rng = np.random.default_rng(3)
    return pl.DataFrame(
        {
            "id": np.arange(rows),
            "style": "european",
            "right": np.where(rng.random(rows) < 0.5, "call", "put"),
            "strike": np.round(rng.uniform(40_000, 160_000, rows), -2),
            "years": np.round(rng.uniform(0.002, 1.5, rows), 6),
            "vol": np.round(rng.uniform(0.2, 1.2, rows), 4),
            "rate": 0.0,
            "carry": 0.0,
            "forward": np.round(rng.uniform(70_000, 90_000, rows), 2),
        }
    )
