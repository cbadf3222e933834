"""Tables as their sources wrote them: which columns a Parquet or CSV file has, its rows, and how a number is read.

A file is Parquet, gzip or plain text by its first bytes, never by its name.
"""

import gzip
import io
import zlib
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from flatbook.domain.errors import BadInputError

_PARQUET, _GZIP = b"PAR1", b"\x1f\x8b"
_LONGEST_HEADER = 1 << 20


def header(path: Path) -> list[str]:
    """Column names of a Parquet or CSV file, without reading its rows.

    Errors      BadInputError where the file has no readable header
    """
    try:
        if _begins_with(path, _PARQUET):
            return list(pl.read_parquet_schema(path))
        return pl.read_csv(io.BytesIO(_first_bytes(path)), n_rows=0).columns
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


def is_json(path: Path) -> bool:
    """Whether the file's text, unpacked where it is gzip, begins as JSON does."""
    return _first_bytes(path).lstrip()[:1] in (b"{", b"[")


def read_bytes(path: Path) -> bytes:
    """The whole file, unpacked where it is gzip."""
    return gzip.decompress(path.read_bytes()) if _begins_with(path, _GZIP) else path.read_bytes()


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


def _first_bytes(path: Path) -> bytes:
    """The first line of the text, unpacked where it is gzip."""
    with gzip.open(path, "rb") if _begins_with(path, _GZIP) else path.open("rb") as file:
        return file.readline(_LONGEST_HEADER)
