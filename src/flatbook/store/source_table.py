"""Tables as their sources wrote them: which columns a Parquet or CSV file has, its rows, and how a number is read.

A file is Parquet, gzip or plain text by its first bytes, never by its name.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl

from flatbook.domain.errors import BadInputError

_PARQUET, _GZIP = b"PAR1", b"\x1f\x8b"
_LONGEST_HEADER = 1 << 20
_OPENING = 1 << 12
_BATCH = 1 << 24


def header(path: Path) -> list[str]:
    """Column names of a Parquet or CSV file, without reading its rows.

    Errors      BadInputError where the file has no readable header
    """
    try:
        if _begins_with(path, _PARQUET):
            return list(pl.read_parquet_schema(path))
        with _opened(path) as file:
            return pl.read_csv(file.readline(_LONGEST_HEADER), n_rows=0).columns
    except (pl.exceptions.PolarsError, OSError, EOFError, zlib.error) as error:
        raise BadInputError(f"{path}: cannot read its columns ({first_line(error)}); fetch the file again") from None


def read_rows(path: Path, columns: Iterable[str], *, as_text: bool = False) -> pl.DataFrame:
    """`columns` of a Parquet or CSV file; CSV columns all as text where asked, for a caller that converts itself.

    Errors      BadInputError where the file is not whole
    """
    names = list(columns)
    try:
        if _begins_with(path, _PARQUET):
            return pl.read_parquet(path, columns=names)
        return pl.read_csv(path, columns=names, infer_schema=not as_text).select(names)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BadInputError(f"{path}: not a whole file ({first_line(error)}); fetch it again") from None


def read_batches(path: Path, columns: Iterable[str]) -> Iterator[pl.DataFrame]:
    """`columns` of a file too large to hold, all as text: CSV some 100,000 rows at a time, Parquet whole.

    Errors      BadInputError where the file is not whole
    """
    names = list(columns)
    try:
        if _begins_with(path, _PARQUET):
            yield read_rows(path, names).select(pl.all().cast(pl.String))
            return
        places = {name: place for place, name in enumerate(header(path)) if name in names}
        with _opened(path) as file:
            file.readline()
            while block := file.read(_BATCH):
                text = block + file.readline()
                cells = pl.read_csv(text, has_header=False, columns=list(places.values()), infer_schema=False)
                yield cells.rename(dict(zip(cells.columns, places, strict=True)))
    except (pl.exceptions.PolarsError, OSError, EOFError, zlib.error) as error:
        raise BadInputError(f"{path}: not a whole file ({first_line(error)}); fetch it again") from None


def is_json(path: Path) -> bool:
    """Whether the file's text begins as JSON does.

    Errors      BadInputError where it cannot be read
    """
    try:
        with _opened(path) as file:
            return file.read(_OPENING).lstrip()[:1] in (b"{", b"[")
    except (OSError, EOFError, zlib.error) as error:
        raise BadInputError(f"{path}: cannot be read ({first_line(error)}); fetch the file again") from None


def read_bytes(path: Path) -> bytes:
    """The whole file, unpacked where it is gzip."""
    with _opened(path) as file:
        return file.read()


def divided(column: pl.Expr, by: float) -> pl.Expr:
    """`column` over `by`, rounded once: 3 over 10,000 is 0.0003.

    Polars divides by a constant through its reciprocal, which is an ulp off.
    """
    return column.map_batches(lambda values: pl.Series(values.to_numpy() / by), return_dtype=pl.Float64)


def quoted(column: str) -> pl.Expr:
    """The number, NaN where it is empty or zero: no quote."""
    value = pl.col(column).cast(pl.Float64)
    return pl.when(value > 0).then(value).otherwise(float("nan"))


def first_line(error: Exception) -> str:
    """What an error says, for the middle of a line of ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _begins_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _opened(path: Path) -> BinaryIO:
    """The file's bytes, unpacked where it is gzip."""
    return cast(BinaryIO, gzip.open(path, "rb")) if _begins_with(path, _GZIP) else path.open("rb")
