"""A row of the series of other coins that may hedge."""

from typing import NamedTuple


class OtherCoinRow(NamedTuple):
    """A perpetual of another coin that may hedge: what is held of it, and how its coin moves with ours.

    size_coin, delta_usd    held, signed; `as_ours_usd` is what of that moves with ours
    limit_usd               bound on the delta, either way
    correlation, error      with ours, as estimated, and its standard error; `beta` is what is believed of it
    """

    ts_ns: int
    coin: str
    instrument: str
    price_usd: float
    size_coin: float
    delta_usd: float
    as_ours_usd: float
    limit_usd: float
    beta: float
    correlation: float
    error: float
