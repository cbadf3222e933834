"""Which recorded rows a contract can explain: known names, prices on the tick, sizes in whole lots.

The rest is set aside and counted, so that one odd row does not end a batch. An importer and the reader ask the same.
"""

from collections import Counter
from collections.abc import Iterable

import polars as pl

from flatbook.domain.errors import UnknownInstrumentError
from flatbook.domain.instruments import Kind
from flatbook.domain.reference import Instrument, ReferenceData

_MULTIPLE_TOLERANCE = 1e-3
"""As in `Instrument.price_ticks`: a float price within a thousandth of a tick of the grid is on it."""


def known_instruments(names: Iterable[str], reference: ReferenceData) -> dict[str, Instrument]:
    """The instruments among `names` that `reference` can explain, by name."""
    known = {}
    for name in names:
        try:
            known[name] = reference.instrument(name)
        except UnknownInstrumentError:
            continue
    return known


def tradable_trades(trades: pl.DataFrame, reference: ReferenceData, set_aside: Counter[str]) -> pl.DataFrame:
    """`trades` (`instrument, price, amount` and more) with `size_lots` added; odd rows counted in `set_aside`."""
    contracts = _contract_table(trades["instrument"].unique(), reference)
    joined = trades.join(contracts, on="instrument", how="left", maintain_order="left")
    lots = pl.col("amount") / pl.col("lot")
    reason = (
        pl.when(pl.col("tick").is_null())
        .then(pl.lit("trade of an unknown instrument"))
        .when(_off_grid(pl.col("price") / pl.col("tick")))
        .then(pl.lit("trade price off the tick"))
        .when(_off_grid(lots) | (lots.round() < 1))
        .then(pl.lit("trade size not in whole lots"))
    )
    return keep_sound(joined.with_columns(reason=reason), set_aside).with_columns(
        size_lots=lots.round().cast(pl.Int64)
    )[[*trades.columns, "size_lots"]]


def tradable_chain(chain: pl.DataFrame, reference: ReferenceData, set_aside: Counter[str]) -> pl.DataFrame:
    """`chain` without rows of unknown instruments and crossed rows (bid above ask, in price or vol), counted."""
    known = list(known_instruments(chain["instrument"].unique(), reference))
    reason = (
        pl.when(~pl.col("instrument").is_in(known))
        .then(pl.lit("quote of an unknown instrument"))
        .when(crossed())
        .then(pl.lit("crossed quote"))
    )
    return keep_sound(chain.with_columns(reason=reason), set_aside)[chain.columns]


def tradable_quotes(quotes: pl.DataFrame, reference: ReferenceData, set_aside: Counter[str]) -> pl.DataFrame:
    """`quotes` without rows of unknown instruments, of options, and with a bid above the ask, counted.

    An option's best prices belong to the chain, which has their vols.
    """
    known = known_instruments(quotes["instrument"].unique(), reference)
    options = [name for name, instrument in known.items() if instrument.contract.kind is Kind.OPTION]
    reason = (
        pl.when(~pl.col("instrument").is_in(list(known)))
        .then(pl.lit("top of book of an unknown instrument"))
        .when(pl.col("instrument").is_in(options))
        .then(pl.lit("top of book of an option"))
        .when(_above("bid", "ask"))
        .then(pl.lit("crossed top of book"))
    )
    return keep_sound(quotes.with_columns(reason=reason), set_aside)[quotes.columns]


def crossed() -> pl.Expr:
    """Whether a chain row's bid is above its ask, in price or vol; never where one of the two is NaN."""
    return _above("bid", "ask") | _above("bid_iv", "ask_iv")


def _above(bid: str, ask: str) -> pl.Expr:
    return pl.col(bid).is_not_nan() & pl.col(ask).is_not_nan() & (pl.col(bid) > pl.col(ask))


def _contract_table(names: Iterable[str], reference: ReferenceData) -> pl.DataFrame:
    known = known_instruments(names, reference)
    return pl.DataFrame(
        {
            "instrument": list(known),
            "tick": [instrument.tick_size for instrument in known.values()],
            "lot": [instrument.lot_size for instrument in known.values()],
        },
        schema={"instrument": pl.String, "tick": pl.Float64, "lot": pl.Float64},
    )


def _off_grid(exact: pl.Expr) -> pl.Expr:
    return (exact - exact.round()).abs() > _MULTIPLE_TOLERANCE


def keep_sound(frame: pl.DataFrame, set_aside: Counter[str]) -> pl.DataFrame:
    """The rows whose column `reason` is null, without it; the others counted by reason."""
    for reason, count in frame["reason"].drop_nulls().value_counts().iter_rows():
        set_aside[reason] += count
    return frame.filter(pl.col("reason").is_null()).drop("reason")
