"""The series of a run: the tables that every report is drawn from, one row type each.

A row type is the schema: its fields are the columns, in order, and their types the column types. `Tables` takes rows
as the engine makes them; `frames` gives them as polars frames, the shape of `series/*.parquet`.

Amounts are USD where a name ends in `_usd`, coin where it ends in `_coin`; prices of options are in the settlement
coin. Times are integer nanoseconds UTC on the engine's clock. An unknown float is NaN, never zero.
"""

from array import array
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar, get_type_hints

import numpy as np
import polars as pl

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE
from flatbook.report.other_coin_row import OtherCoinRow
from flatbook.report.rfq_row import RfqRow
from flatbook.valuation.explain import PNL_PARTS

PARTS = PNL_PARTS
"""The parts of P&L, in the order every report shows them; they sum to the total."""

STAGES = ("normal", "widen", "reduce_only", "flat", "halt")
"""The loss stop's stages, mildest first."""

NO_EXPIRY = "none"
"""The expiry of what has none of the chain's."""

MARKOUT_HORIZONS_NS = {
    "markout_1m_usd": NS_PER_MINUTE,
    "markout_10m_usd": 10 * NS_PER_MINUTE,
    "markout_1h_usd": NS_PER_HOUR,
}
"""How long after a fill each markout column is measured."""


class EquityRow(NamedTuple):
    """Equity and its parts, USD, cumulative since the run began; `equity_usd` is the sum of the parts."""

    ts_ns: int
    index_usd: float
    equity_usd: float
    spread: float
    adverse_selection: float
    delta: float
    gamma: float
    theta: float
    vega: float
    vanna: float
    volga: float
    funding: float
    basis: float
    fees: float
    hedge_cost: float
    settlement: float
    unexplained: float
    stage: str
    other_coins: float = 0.0

    @classmethod
    def of(cls, ts_ns: int, index_usd: float, parts: Mapping[str, float], stage: str) -> "EquityRow":
        """The row whose equity is the sum of `parts`; a part not named is zero, an unknown one raises KeyError."""
        if unknown := parts.keys() - set(PARTS):
            raise KeyError(f"{', '.join(sorted(unknown))}: not a part of P&L; the parts are {', '.join(PARTS)}")
        values = {name: parts.get(name, 0.0) for name in PARTS}
        return cls(ts_ns=ts_ns, index_usd=index_usd, equity_usd=sum(values.values()), stage=stage, **values)


class ExposureRow(NamedTuple):
    """The book's exposures: gamma per 1 % move, vega per 0.01 vol (by tenor too), theta per day; losses positive.

    Basis is per 0.01 of the annual carry rate, premium per 0.0001 of the perpetual's.
    """

    ts_ns: int
    delta_coin: float
    delta_usd: float
    gamma_1pct_usd: float
    vega_usd: float
    theta_usd_day: float
    vega_short_usd: float
    vega_mid_usd: float
    vega_long_usd: float
    basis_1pct_usd: float
    premium_1bp_usd: float
    stress_loss_usd: float
    open_positions: int


class QuoteRow(NamedTuple):
    """One instrument's quote beside the market's last known price, and that price's age; NaN where there is none."""

    ts_ns: int
    instrument: str
    bid: float
    ask: float
    fair: float
    market: float
    market_age_s: float


class FillRow(NamedTuple):
    """A fill of ours: `price == fair + spread_part + inventory_part`; `side` +1 bought; `fee_usd` paid is positive."""

    ts_ns: int
    trade_id: str
    instrument: str
    side: int
    size: float
    price: float
    fair: float
    spread_part: float
    inventory_part: float
    index_usd: float
    edge_usd: float
    fee_usd: float
    markout_1m_usd: float
    markout_10m_usd: float
    markout_1h_usd: float
    vega_usd: float


class HedgeRow(NamedTuple):
    """A hedge fill: what it did to the book, what it cost over the mark, the fee apart, and why it was done.

    kind            perpetual, future or option; `size_usd` is notional, of an option that of its coins
    expected_usd    what it was expected to cost when it was decided; NaN of what nothing was expected of
    waited_usd      what not yet being hedged earned between decision and fill, `waited_s` later, by the index's move
    delta_drift_coin, gamma_drift_1pct_usd, vega_drift_usd      how the book moved meanwhile, the hedge apart
    loop_gain       of hedging when it was decided (`decide.hedge.stability`)
    """

    ts_ns: int
    trade_id: str
    instrument: str
    side: int
    size_usd: float
    price: float
    index_usd: float
    cost_usd: float
    fee_usd: float
    delta_before_coin: float
    delta_after_coin: float
    reason: str
    kind: str = "perpetual"
    expected_usd: float = np.nan
    gamma_added_1pct_usd: float = 0.0
    vega_added_usd: float = 0.0
    waited_s: float = np.nan
    waited_usd: float = np.nan
    delta_drift_coin: float = np.nan
    gamma_drift_1pct_usd: float = np.nan
    vega_drift_usd: float = np.nan
    loop_gain: float = np.nan


class PnlRow(NamedTuple):
    """What one part of P&L came to in one UTC day, of one strategy and expiry; all rows sum to the total.

    `day` and `expiry` are dates, 2025-03-28; `NO_EXPIRY` for the perpetual and contracts over the counter. A coin part
    is the USD part over the index step by step, and delta is what spot moved beyond the equity that is coin.
    """

    day: str
    strategy: str
    expiry: str
    part: str
    usd: float
    coin: float


class SmileRow(NamedTuple):
    """A fitted slice: raw SVI total variance in k = ln(strike / forward), its error, age and status."""

    ts_ns: int
    expiry_ns: int
    forward_usd: float
    a: float
    b: float
    rho: float
    m: float
    s: float
    years: float
    rmse_vol: float
    age_s: float
    status: str


class SmilePointRow(NamedTuple):
    """A vol observed at a strike: bid and ask vols, or the same vol twice for a trade, and its age."""

    ts_ns: int
    expiry_ns: int
    strike: float
    vol_low: float
    vol_high: float
    age_s: float


ROW_TYPES: dict[str, type[tuple[object, ...]]] = {
    "equity": EquityRow,
    "exposures": ExposureRow,
    "other_coins": OtherCoinRow,
    "quotes": QuoteRow,
    "fills": FillRow,
    "hedges": HedgeRow,
    "rfqs": RfqRow,
    "pnl": PnlRow,
    "smiles": SmileRow,
    "smile_points": SmilePointRow,
}
"""Every table by name."""

_DTYPES: dict[type, type[pl.DataType]] = {int: pl.Int64, float: pl.Float64, str: pl.String}

Row = TypeVar("Row", bound=tuple[object, ...])


def schema_of(row_type: type[tuple[object, ...]]) -> pl.Schema:
    """The polars schema that a row type means."""
    return pl.Schema({name: _DTYPES[kind] for name, kind in get_type_hints(row_type).items()})


class Series(Generic[Row]):
    """Rows of one type, kept as columns of machine numbers (8 bytes a number) so that a long run stays small."""

    def __init__(self, row_type: type[Row]) -> None:
        kinds = get_type_hints(row_type)
        self._row_type: Callable[..., Row] = row_type
        self._schema = schema_of(row_type)
        self._floats: dict[str, array[float]] = {name: array("d") for name, kind in kinds.items() if kind is float}
        self._ints: dict[str, array[int]] = {name: array("q") for name, kind in kinds.items() if kind is int}
        self._texts: dict[str, list[str]] = {name: [] for name, kind in kinds.items() if kind is str}
        self._length = 0
        self._bind()

    def _bind(self) -> None:
        """Finds the columns' own appends once, in the order of a row."""
        columns: dict[str, Any] = {**self._floats, **self._ints, **self._texts}
        self._appends = tuple(columns[name].append for name in self._schema)

    def __getstate__(self) -> dict[str, Any]:
        # A bound append would go with its column, and a schema is the library's own.
        return {key: value for key, value in vars(self).items() if key not in ("_appends", "_schema")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._schema = schema_of(state["_row_type"])
        self._bind()

    def __len__(self) -> int:
        return self._length

    def append(self, row: Row) -> int:
        """Adds a row and returns its number."""
        for append, value in zip(self._appends, row, strict=True):
            append(value)
        self._length += 1
        return self._length - 1

    def amend(self, number: int, column: str, value: float) -> None:
        """Sets a float of an earlier row that was not known when the row was made."""
        self._floats[column][number] = value

    def last(self, count: int) -> list[Row]:
        """Up to `count` of the newest rows, newest first."""
        columns: dict[str, Any] = {**self._floats, **self._ints, **self._texts}
        numbers = range(self._length - 1, max(self._length - count, 0) - 1, -1)
        return [self._row_type(*(columns[name][number] for name in self._schema)) for number in numbers]

    def frame(self) -> pl.DataFrame:
        """A copy of the rows so far."""
        numbers = {name: np.array(column) for name, column in {**self._floats, **self._ints}.items()}
        data: dict[str, Any] = {**numbers, **self._texts}
        return pl.DataFrame({name: data[name] for name in self._schema}, schema=self._schema)


class Tables:
    """Every series of a run, filled by the engine as it goes: `tables.equity.append(EquityRow(...))`."""

    def __init__(self) -> None:
        self.equity = Series(EquityRow)
        self.exposures = Series(ExposureRow)
        self.other_coins = Series(OtherCoinRow)
        self.quotes = Series(QuoteRow)
        self.fills = Series(FillRow)
        self.hedges = Series(HedgeRow)
        self.rfqs = Series(RfqRow)
        self.pnl = Series(PnlRow)
        self.smiles = Series(SmileRow)
        self.smile_points = Series(SmilePointRow)

    def set_markout(self, fill: int, column: str, usd: float) -> None:
        """Fills in a markout when its horizon has passed; `fill` is what `fills.append` returned."""
        if column not in MARKOUT_HORIZONS_NS:
            raise KeyError(f"{column}: not a markout; use one of {', '.join(MARKOUT_HORIZONS_NS)}")
        self.fills.amend(fill, column, usd)

    def frames(self) -> dict[str, pl.DataFrame]:
        """The tables so far as frames, by name; each has its full schema even when empty."""
        series: dict[str, Series[Any]] = vars(self)
        return {name: series[name].frame() for name in ROW_TYPES}


def conform(frames: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Frames read from elsewhere, columns in order; an absent table is empty.

    An absent column has the default of its field, where it has none that is an error.
    """
    out = {}
    for name, row_type in ROW_TYPES.items():
        schema = schema_of(row_type)
        frame = frames.get(name)
        if frame is None:
            out[name] = pl.DataFrame(schema=schema)
            continue
        defaults = row_type._field_defaults  # type: ignore[attr-defined]
        absent = {column: value for column, value in defaults.items() if column not in frame.columns}
        frame = frame.with_columns(**{column: pl.lit(value) for column, value in absent.items()})
        if missing := [column for column in schema if column not in frame.columns]:
            raise BadInputError(
                f"series {name!r} has no column {', '.join(missing)}; run again to write the series anew"
            )
        out[name] = frame.select(pl.col(column).cast(dtype) for column, dtype in schema.items())
    return out
