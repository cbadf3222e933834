"""A table of a venue's accounts: `account, instrument, size` and perhaps `price`; balances as `account, currency,
amount`, under the same header.

It is read whole or not at all: the first row that cannot be used ends it, with the line and the remedy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import DECIMALS
from flatbook.risk.margin.accounts import AccountMargins, Accounts
from flatbook.store.atomic import new_file
from flatbook.store.price_csv import lines_of

Ints = NDArray[np.int64]

_TEXTS: Final = ("account", "instrument", "currency")
_NUMBERS: Final = ("size", "price", "amount")
_SHAPE: Final = "give rows of account, instrument and size, or of account, currency and amount"


def read_accounts(path: Path, reference: ReferenceData) -> Accounts:
    """The accounts in a CSV file, in order of first appearance.

    Errors      BadInputError for the first thing that cannot be used, with its place
    """
    frame = _typed(path, _text(path))
    positions = frame.filter(pl.col("instrument").is_not_null())
    balances = frame.filter(pl.col("currency").is_not_null())
    instruments, held = _numbered(positions["instrument"])
    currencies, owned = _numbered(balances["currency"])
    _refuse(path, frame, pl.col("currency").is_not_null() & ~pl.col("currency").is_in(list(DECIMALS)), "currency",
            f"is not known; use one of {', '.join(DECIMALS)}")  # fmt: skip
    listed = []
    for name in instruments:
        try:
            listed.append(reference.instrument(name))
        except BadInputError as error:
            row = int(positions.filter(pl.col("instrument") == name)["row"][0])
            raise BadInputError(f"{_place(path, row)}: {error}") from None
    names = frame["account"].unique(maintain_order=True)
    number = dict(zip(names.to_list(), range(len(names)), strict=True))
    return Accounts(
        names=tuple(names.to_list()),
        instruments=tuple(listed),
        currencies=tuple(currencies),
        account=_replaced(positions["account"], number),
        instrument=held,
        size=positions["size"].to_numpy().astype(np.float64),
        price=positions["price"].fill_null(np.nan).to_numpy().astype(np.float64),
        owner=_replaced(balances["account"], number),
        currency=owned,
        amount=balances["amount"].to_numpy().astype(np.float64),
    )


def write_margins(accounts: Accounts, margins: AccountMargins, path: Path) -> None:
    """A row an account, amounts in USD; `path` is written whole or not at all.

    Errors      BadInputError where the place cannot be written
    """
    columns = {f"{name}_usd": values for name, values in margins._asdict().items()}
    frame = pl.DataFrame({"account": accounts.names, **columns, "surplus_usd": margins.surplus})
    try:
        with new_file(path) as scratch:
            frame.write_csv(scratch)
    except OSError as error:
        raise BadInputError(f"--out {path}: cannot be written ({error.strerror}); name a file in a directory") from None


def _text(path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_csv(path, infer_schema=False, comment_prefix="#")
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror}); name a CSV file of accounts") from None
    except pl.exceptions.NoDataError:
        raise BadInputError(f"{path}: is empty; {_SHAPE}") from None
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise BadInputError(f"{path}: is not a table of comma-separated values ({reason}); mend it") from None
    names = set(frame.columns)
    if "account" not in names or not ({"instrument", "size"} <= names or {"currency", "amount"} <= names):
        raise BadInputError(f"{path}: the header has {', '.join(frame.columns)}; {_SHAPE}")
    absent = [pl.lit(None, pl.String).alias(name) for name in (*_TEXTS, *_NUMBERS) if name not in names]
    stripped = frame.with_columns(*absent).select(pl.col(*_TEXTS, *_NUMBERS).str.strip_chars().replace("", None))
    return stripped.filter(~pl.all_horizontal(pl.all().is_null())).with_row_index("row")


def _typed(path: Path, text: pl.DataFrame) -> pl.DataFrame:
    """Numbers as such, each row a position or a balance of somebody.

    Errors      BadInputError for the first row that is neither
    """
    if not text.height:
        raise BadInputError(f"{path}: holds no accounts; {_SHAPE}")
    both = pl.col("instrument").is_not_null() == pl.col("currency").is_not_null()
    _refuse(path, text, pl.col("account").is_null(), "account", f"is missing; {_SHAPE}")
    _refuse(path, text, both, "instrument", f"and a currency, or neither; {_SHAPE}")
    frame = text.with_columns(pl.col(*_NUMBERS).cast(pl.Float64, strict=False).name.suffix("_number"))
    for name, of in (("size", "instrument"), ("amount", "currency"), ("price", None)):
        value = pl.col(f"{name}_number")
        wrong = ~(value.is_finite().fill_null(value=False))
        wanted = pl.col(of).is_not_null() if of else pl.col(name).is_not_null()
        _refuse(path, frame, wanted & wrong, name, "is no number; give one")
    # A price of an option is what was paid for it, and no part of what it is worth.
    _refuse(path, frame, pl.col("price_number") <= 0.0, "price", "is not above 0; give it, or leave it out")
    numbers = [pl.col(f"{name}_number").alias(name) for name in _NUMBERS]
    return frame.with_columns(*numbers, pl.col("currency").str.to_uppercase())


def _refuse(path: Path, frame: pl.DataFrame, wrong: pl.Expr, column: str, why: str) -> None:
    found = frame.filter(wrong)
    if found.height:
        value = found[column][0]
        raise BadInputError(
            f"{_place(path, int(found['row'][0]))}: {column} {'' if value is None else f'{value!r} '}{why}"
        )


def _place(path: Path, row: int) -> str:
    return f"{path}:{lines_of(path, {row})[row]}"


def _numbered(column: pl.Series) -> tuple[list[str], Ints]:
    """Different values in order of first appearance, and each row's place in them."""
    values = column.unique(maintain_order=True).to_list()
    return values, _replaced(column, dict(zip(values, range(len(values)), strict=True)))


def _replaced(column: pl.Series, number: dict[str, int]) -> Ints:
    if not number:
        return np.zeros(0, dtype=np.int64)
    return column.replace_strict(number, return_dtype=pl.Int64).to_numpy()
