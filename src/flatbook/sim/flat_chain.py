"""A chain at one vol, for a market in which nobody quotes options: it says what a book of them is valued at."""

from collections.abc import Iterable
from decimal import Decimal

import numpy as np

from flatbook.domain.events import ChainQuotes, IndexTick, QuoteRow
from flatbook.domain.instruments import ContractName, Kind, Right
from flatbook.domain.units import NS_PER_YEAR
from flatbook.kernels.black import inverse
from flatbook.sim.calendar import ExpiryPlan

_DEVIATIONS = np.linspace(-2.0, 2.0, 9)
"""Strikes lie so many standard deviations of the log forward from it."""

_NAN = float("nan")


def flat_chain(tick: IndexTick, vol: float, expiries_ns: Iterable[int]) -> ChainQuotes:
    """Prices at `vol` of options of the usual expiries and of `expiries_ns`, at the moment of an index tick.

    Forwards are the index. Rows have prices and no vols: what has vols is taken for what others show.
    """
    now_ns = tick.local_ts_ns
    wanted = {*ExpiryPlan().expiries_ns(now_ns), *(each for each in expiries_ns if each > now_ns)}
    rows = [row for expiry_ns in sorted(wanted) for row in _rows(tick, vol, expiry_ns)]
    return ChainQuotes(exch_ts_ns=tick.exch_ts_ns, local_ts_ns=now_ns, underlying=tick.underlying, rows=tuple(rows))


def _rows(tick: IndexTick, vol: float, expiry_ns: int) -> list[QuoteRow]:
    years, index_usd = (expiry_ns - tick.local_ts_ns) / NS_PER_YEAR, tick.price_usd
    strikes = sorted({round(strike) for strike in index_usd * np.exp(_DEVIATIONS * vol * years**0.5)})
    strike_usd = np.array(strikes, dtype=np.float64)
    sign = np.where(strike_usd < index_usd, -1.0, 1.0)
    price_coin = inverse(index_usd, strike_usd, vol, years, sign).price
    names = [
        str(
            ContractName(
                Kind.OPTION, tick.underlying, "USD", tick.underlying, expiry_ns, Decimal(strike),
                Right.CALL if call > 0.0 else Right.PUT,
            )
        )
        for strike, call in zip(strikes, sign, strict=True)
    ]  # fmt: skip
    return [
        QuoteRow(name, price, price, _NAN, _NAN, _NAN, index_usd)
        for name, price in zip(names, price_coin.tolist(), strict=True)
    ]
