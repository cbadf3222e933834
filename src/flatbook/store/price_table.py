"""Prices and Greeks of a table of contracts.

European and inverse rows, however many, are valued by column; the others one by one. A row that cannot be priced says
why in its `error` and stops no other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flatbook.domain.errors import FlatbookError
from flatbook.kernels.implied import OK, REASONS
from flatbook.valuation.contracts import COLUMNS, VANILLA, Contract, Style, parse_contract, parse_price
from flatbook.valuation.measures import PRINTED_SCALE, VOL_POINT, Measures, SecondAsset
from flatbook.valuation.vanilla import VanillaColumns, columns_of, implied_vol_columns, value_columns

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

_NUMBERS: Final = ("strike", "years", "vol", "rate", "carry", "spot", "forward", "price")
_SECOND: Final = {"delta2": 1.0, "gamma2": 1.0, "vega2": VOL_POINT}
"""Greeks to a second asset, and their printed scale."""

_NO_VOL: Final = {
    "below_intrinsic": "is below the contract's intrinsic value; check spot, strike and right",
    "above_bound": "is above what any vol gives; check spot, strike and right",
    "no_information": "says nothing of vol: any vol gives it to the last digit",
    "bad_input": "cannot be used with this row's other numbers",
}
_NOT_FINITE: Final = "no finite price for these numbers; check years, vol, rate and carry"


@dataclass(frozen=True, slots=True)
class PricedTable:
    """A row of `frame` per contract, in order: `id, price`, the Greeks in printed units, `method, error`.

    A Greek that is no number is null. A table of implied vols has `vol` after `price`; one with contracts on two assets
    has `delta2, gamma2, vega2` at the end. `errors` are row numbers with the reason for no price.
    """

    frame: pl.DataFrame
    errors: dict[int, str]


class _Results:
    """What is being filled, by row, in natural units; rows that are not `put` are to be refused."""

    def __init__(self, count: int) -> None:
        self.measures: Floats = np.empty((len(Measures._fields), count))
        self.second: dict[int, SecondAsset] = {}
        self.vol: Floats = np.empty(count)
        self.errors: dict[int, str] = {}
        self._method = np.zeros(count, dtype=np.uint32)  # a place in _methods
        self._methods: list[str | None] = [None]

    def put(self, rows: Indices, measures: Floats) -> None:
        """`measures`, shape (12, rows), of `rows`."""
        if rows.size == self.vol.size:
            self.measures = measures
        else:
            self.measures[:, rows] = measures

    def say_method(self, rows: Indices | int, method: str) -> None:
        """How `rows` were valued."""
        if method not in self._methods:
            self._methods.append(method)
        self._method[rows] = self._methods.index(method)

    def refuse(self, row: int, reason: object) -> None:
        """No price for `row`, and nothing left of what was computed of it."""
        self.errors[row] = str(reason)
        self._method[row] = 0
        self.measures[:, row] = self.vol[row] = np.nan
        self.second.pop(row, None)

    def texts(self) -> tuple[pl.Series, pl.Series]:
        """The columns `method` and `error`."""
        method = pl.Series("method", self._methods, dtype=pl.String).gather(pl.Series(self._method))
        error = pl.repeat(None, self._method.size, dtype=pl.String, eager=True).alias("error")
        return method, error.scatter(list(self.errors), list(self.errors.values())) if self.errors else error


def unknown_columns(frame: pl.DataFrame) -> list[str]:
    """Columns that no style reads."""
    return [name for name in frame.columns if name not in COLUMNS]


def price_table(frame: pl.DataFrame, *, implied: bool = False) -> PricedTable:
    """Prices and Greeks of every row that has any; with `implied` at the vol that gives its `price`.

    `frame` holds text, as `price_csv.read_contracts` gives it.
    """
    count = frame.height
    results = _Results(count)
    typed = _typed(frame)
    in_order = typed.select(_in_order(typed, implied=implied)).to_series().to_numpy()
    by_column = np.flatnonzero(in_order)
    columns = _columns(typed if by_column.size == count else typed.filter(pl.Series(in_order)), implied=implied)
    prices = _floats(typed["price"])[by_column] if implied else None
    _fill_columns(results, by_column, columns, prices)
    _fill_rows(results, frame, np.flatnonzero(~in_order), implied=implied)
    return PricedTable(_assemble(frame, results, implied=implied), results.errors)


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    """The shared columns: words in lower case, numbers as such (null where they are none), which prices are given."""

    def given(name: str) -> pl.Expr:
        return (pl.col(name).str.len_bytes().fill_null(0) > 0) if name in frame.columns else pl.lit(value=False)

    return frame.select(
        _words(frame["style"]),
        _words(frame["right"]),
        one_price=given("spot") ^ given("forward"),
        has_method=given("method"),
    ).hstack(_numbers(frame))


def _words(column: pl.Series) -> pl.Series:
    """In lower case without blanks around them; a column that is so already costs a look at its few different words."""
    different = column.unique().drop_nulls()
    if (different == different.str.strip_chars().str.to_lowercase()).all():
        return column
    return column.str.strip_chars().str.to_lowercase()


def _numbers(frame: pl.DataFrame) -> pl.DataFrame:
    """The shared numbers; blanks around them are looked for only in a column where some cell has no number without."""
    present = [name for name in _NUMBERS if name in frame.columns]
    numbers = frame.select(pl.col(present).cast(pl.Float64, strict=False))
    again = [name for name in present if numbers[name].null_count() > frame[name].null_count()]
    if again:
        numbers = numbers.with_columns(frame[name].str.strip_chars().cast(pl.Float64, strict=False) for name in again)
    absent = [pl.lit(None, pl.Float64).alias(name) for name in _NUMBERS if name not in present]
    return numbers.with_columns(absent)


def _in_order(typed: pl.DataFrame, *, implied: bool) -> pl.Expr:
    """European and inverse rows fit to be valued by column; any other is parsed alone, and refused there if bad."""

    def least(name: str, bound: float) -> pl.Expr:
        return pl.col(name).is_finite() & (pl.col(name) >= bound)

    def positive(name: str) -> pl.Expr:
        return pl.col(name).is_finite() & (pl.col(name) > 0.0)

    in_order = (
        pl.col("style").is_in([style.value for style in VANILLA])
        & pl.col("right").is_in(["call", "put"])
        & positive("strike")
        & least("years", 0.0)
        & least("price" if implied else "vol", 0.0)
        & pl.col("rate").is_finite()
        & pl.col("carry").is_finite()
        & pl.col("one_price")
        & (positive("spot").fill_null(value=False) | positive("forward").fill_null(value=False))
        & ~pl.col("has_method")
    )
    return in_order.fill_null(value=False)


def _columns(typed: pl.DataFrame, *, implied: bool) -> VanillaColumns:
    is_forward = typed["spot"].is_null().to_numpy()
    return VanillaColumns(
        quoted=np.where(is_forward, _floats(typed["forward"]), _floats(typed["spot"])),
        is_forward=is_forward,
        strike=_floats(typed["strike"]),
        years=_floats(typed["years"]),
        vol=np.full(typed.height, np.nan) if implied else _floats(typed["vol"]),
        rate=_floats(typed["rate"]),
        carry=_floats(typed["carry"]),
        sign=np.where((typed["right"] == "call").to_numpy(), 1.0, -1.0),
        in_coin=(typed["style"] == Style.INVERSE.value).to_numpy(),
    )


def _floats(column: pl.Series) -> Floats:
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _fill_columns(results: _Results, rows: Indices, columns: VanillaColumns, prices: Floats | None) -> None:
    """Values of European and inverse `rows`; at implied vols where there are `prices`."""
    if prices is not None:
        columns = _at_implied_vols(results, rows, columns, prices)
    values = value_columns(columns)
    results.put(rows, values)
    results.say_method(rows, "black")
    for place in np.flatnonzero(~np.isfinite(values[0])):
        row = int(rows[place])
        results.refuse(row, results.errors.get(row, _NOT_FINITE))


def _at_implied_vols(results: _Results, rows: Indices, columns: VanillaColumns, prices: Floats) -> VanillaColumns:
    """`columns` at the vols that give `prices`, NaN with an error where there is none."""
    vol, reasons = implied_vol_columns(columns, prices)
    results.vol[rows] = vol
    for place in np.flatnonzero(reasons != OK):
        results.errors[int(rows[place])] = f"price: {prices[place]:g} {_NO_VOL[REASONS[reasons[place]]]}"
    return replace(columns, vol=vol)


def _fill_rows(results: _Results, frame: pl.DataFrame, rows: Indices, *, implied: bool) -> None:
    """Values of all other `rows`, one by one; vanilla ones that only needed a closer look by column after all."""
    vanilla: dict[int, tuple[Contract, float]] = {}
    for row, cells in zip(rows.tolist(), frame[rows].iter_rows(named=True), strict=True):
        try:
            contract = parse_contract(cells, implied=implied)
            quoted = parse_price(cells) if implied else np.nan
            if contract.style in VANILLA:
                vanilla[row] = contract, quoted
            else:
                _fill_row(results, row, contract, quoted if implied else None)
        except FlatbookError as error:
            results.refuse(row, error)
    if vanilla:
        contracts, prices = zip(*vanilla.values(), strict=True)
        _fill_columns(
            results, np.array(list(vanilla)), columns_of(list(contracts)), np.array(prices) if implied else None
        )


def _fill_row(results: _Results, row: int, contract: Contract, quoted: float | None) -> None:
    # Loaded here, for a table of vanillas needs no QuantLib and should not wait for it.
    from flatbook.valuation import exotics

    if quoted is not None:
        vol = exotics.implied_vol(contract, quoted)
        contract = replace(contract, asset=replace(contract.asset, vol=vol))
        results.vol[row] = vol
    valuation = exotics.value(contract)
    results.measures[:, row] = valuation.measures
    if valuation.second is not None:
        results.second[row] = valuation.second
    results.say_method(row, valuation.method)
    if not np.isfinite(valuation.measures.price):
        results.refuse(row, _NOT_FINITE)


def _assemble(frame: pl.DataFrame, results: _Results, *, implied: bool) -> pl.DataFrame:
    def printed(values: Floats, scale: float) -> pl.Series:
        scaled = values * scale if scale != 1.0 else values
        finite = np.isfinite(scaled)
        return pl.Series(scaled) if finite.all() else pl.Series(np.where(finite, scaled, np.nan)).fill_nan(None)

    columns = [frame["id"]]
    for name, values, scale in zip(Measures._fields, results.measures, PRINTED_SCALE, strict=True):
        columns.append(printed(values, scale).alias(name))
    if implied:
        columns.insert(2, printed(results.vol, 1.0).alias("vol"))
    columns += results.texts()
    if results.second:
        second = np.full((len(_SECOND), frame.height), np.nan)
        second[:, list(results.second)] = np.array(list(results.second.values())).T
        for (name, scale), values in zip(_SECOND.items(), second, strict=True):
            columns.append(pl.Series(name, values * scale).fill_nan(None))
    return pl.DataFrame(columns)
