"""The rows every format is read into, and which of them a chain can use.

A row is one instrument's quotes at one time: an option, or a future or perpetual that stands in the same file. What
cannot be used is left out under one reason, the first that holds.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import polars as pl

from flatbook.domain.errors import UnknownInstrumentError
from flatbook.domain.instruments import ContractName, Kind, parse_name
from flatbook.domain.units import NS_PER_MINUTE
from flatbook.store.tradable import crossed

SCHEMA: dict[str, type[pl.DataType]] = {
    "run": pl.String,
    "ts_ns": pl.Int64,
    "instrument": pl.String,
    **dict.fromkeys(("bid", "ask", "mark", "bid_size", "ask_size"), pl.Float64),
    **dict.fromkeys(("bid_iv", "ask_iv", "mark_iv", "forward_usd", "index_usd"), pl.Float64),
    "reason": pl.String,
}
"""`run` names the snapshot that a row belongs to, null where the file does not say. Prices are in the instrument's own
currency (coin for inverse options, USD for futures), vols decimal; NaN where there is none; a mark may be 0.
`reason` is why a reader leaves a row out, null where it does not."""

BESIDE_TOLERANCE_NS = 10 * NS_PER_MINUTE
"""How far the quotes of a file beside may be from the snapshot that they are joined to."""

_NUMBERS = tuple(name for name, dtype in SCHEMA.items() if dtype is pl.Float64)
_TRADED = (Kind.OPTION, Kind.FUTURE, Kind.PERPETUAL)


@dataclass(frozen=True, slots=True)
class Quotes:
    """What a reader made of a file that holds one chain or many.

    rows        `SCHEMA`, in the file's order; where no row has a `run`, they are found out
    notes       what was assumed, a sentence each
    beside      futures and perpetuals of other files, joined by run; `SCHEMA`
    beside_note what to say of them where any is joined
    """

    rows: pl.DataFrame
    notes: tuple[str, ...] = ()
    beside: pl.DataFrame | None = None
    beside_note: str = ""


@dataclass(frozen=True, slots=True)
class Updates:
    """What a reader makes of a file of updates, each of them all that is known of its instrument from then on.

    batches     gives the rows of `SCHEMA` anew each time it is asked, in the order of time
    """

    batches: Callable[[], Iterator[pl.DataFrame]]
    notes: tuple[str, ...] = ()


def quote_rows(frame: pl.DataFrame, **columns: pl.Expr) -> pl.DataFrame:
    """`frame` as rows of `SCHEMA`, each column as given; NaN, or null where it is no number, for what is not."""
    nothing = {name: pl.lit(float("nan") if name in _NUMBERS else None) for name in SCHEMA}
    made = nothing | columns
    typed = frame.with_columns(made[name].cast(dtype).alias(name) for name, dtype in SCHEMA.items())
    return typed.select(*SCHEMA).with_columns(pl.col(*_NUMBERS).fill_null(float("nan")))


def with_contracts(rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` with what each name says: `pair, kind, expiry_ns, strike_usd, sign`; nulls for a name that says nothing.

    `pair` is how Deribit's names begin: BTC for coin-settled contracts, BTC_USDC for linear ones.
    """
    contracts = _contracts(rows["instrument"].drop_nulls().unique(maintain_order=True))
    table = pl.DataFrame(
        [
            (name, pair_of(c), str(c.kind), c.expiry_ns, float(c.strike or 0), float(c.right.sign if c.right else 0))
            for name, c in contracts.items()
        ],
        schema={
            "instrument": pl.String,
            "pair": pl.String,
            "kind": pl.String,
            "expiry_ns": pl.Int64,
            "strike_usd": pl.Float64,
            "sign": pl.Float64,
        },
        orient="row",
    )
    return rows.join(table, on="instrument", how="left", maintain_order="left")


def pair_of(contract: ContractName) -> str:
    """The underlying as Deribit's names begin, which says the settlement too."""
    return contract.base if contract.is_inverse else f"{contract.base}_{contract.quote}"


def is_option() -> pl.Expr:
    """Whether a row of `with_contracts` is an option."""
    return pl.col("kind").eq_missing(pl.lit(str(Kind.OPTION)))


def fault() -> pl.Expr:
    """Why a row of `with_contracts` cannot be used, null where it can: the reader's reason first.

    Besides them it reads `beside` (whether it came from a file beside) and `taken_ns`, its snapshot's time.
    """
    off_ns = (pl.col("ts_ns") - pl.col("taken_ns")).abs()
    stated = ("bid", "ask", "bid_iv", "ask_iv", "mark_iv")
    worthless = pl.col("mark").is_nan() | (pl.col("mark") == 0)
    nothing = pl.all_horizontal(worthless, *(pl.col(name).is_nan() for name in stated))
    reasons = {
        "row without a time": pl.col("ts_ns").is_null(),
        "unknown instrument": pl.col("kind").is_null(),
        "neither option, future nor perpetual": ~pl.col("kind").is_in([str(kind) for kind in _TRADED]),
        "row of no snapshot": pl.col("taken_ns").is_null(),
        "negative price or vol": pl.any_horizontal(pl.col(name) < 0 for name in _NUMBERS),
        "crossed quote": crossed(),
        "future or perpetual of another time": pl.col("beside") & (off_ns > BESIDE_TOLERANCE_NS),
        "expired when the snapshot was taken": pl.col("expiry_ns") <= pl.col("taken_ns"),
        "no quote and no mark": nothing,
    }
    found = (pl.when(holds).then(pl.lit(reason)) for reason, holds in reasons.items())
    return pl.coalesce("reason", *found)


def _contracts(names: Iterable[str]) -> dict[str, ContractName]:
    found = {}
    for name in names:
        try:
            found[name] = parse_name(name)
        except UnknownInstrumentError:
            continue
    return found
