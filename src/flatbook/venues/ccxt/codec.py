"""The market as ccxt tells it, as events: tickers and best prices, prints, funding. Pure.

What cannot be used is counted under `set_aside` and told on as nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import FundingRate, TopOfBook, TradePrint
from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE
from flatbook.venues.ccxt.amounts import as_float, exact, exch_ts_ns, whole
from flatbook.venues.ccxt.listing import Listed, Listing

Row = Mapping[str, Any]
_SIDES = {"buy": 1, "sell": -1}


class HedgeFeed:
    """A venue's market as events; prints and funding are told once."""

    def __init__(self, listing: Listing) -> None:
        self.set_aside: Counter[str] = Counter()
        self._listing = listing
        self._last_trade: dict[str, tuple[int, frozenset[str]]] = {}
        self._funded_to_ns: dict[str, int] = {}

    def top(self, row: Row, local_ts_ns: int) -> TopOfBook | None:
        """Best prices of a ticker or of bids and asks; amounts in coins, or USD of inverse contracts."""
        listed = self._known(row)
        if listed is None:
            return None
        bid, ask = as_float(row.get("bid")), as_float(row.get("ask"))
        if bid > ask:
            self.set_aside["crossed top of book"] += 1
            return None
        return TopOfBook(
            exch_ts_ns=exch_ts_ns(row, local_ts_ns),
            local_ts_ns=local_ts_ns,
            instrument=listed.instrument.name,
            bid=bid,
            ask=ask,
            bid_amount=as_float(row.get("bidVolume"), listed.per_amount),
            ask_amount=as_float(row.get("askVolume"), listed.per_amount),
            mark_price=as_float(row.get("markPrice")),
        )

    def trades(self, rows: Iterable[Row], local_ts_ns: int) -> list[TradePrint]:
        """Prints not told before, in the venue's order; a list that is asked for again overlaps the last one."""
        prints = []
        for row in rows:
            listed = self._known(row)
            if listed is None or not self._is_new(listed, row):
                continue
            try:
                prints.append(_print(listed, row, local_ts_ns))
            except BadInputError:
                self.set_aside["trade off the tick or not in whole lots"] += 1
        return prints

    def funding(self, rows: Iterable[Row], local_ts_ns: int) -> list[FundingRate]:
        """Funding paid, of a history: each rate over the time since the one before, so the first alone says nothing."""
        told = []
        for row in sorted(rows, key=lambda row: (row["symbol"], int(row["timestamp"]))):
            listed = self._known(row)
            if listed is None:
                continue
            name, paid_ns = listed.instrument.name, exch_ts_ns(row, local_ts_ns)
            before_ns = self._funded_to_ns.get(name)
            if before_ns is not None and paid_ns <= before_ns:
                continue
            self._funded_to_ns[name] = paid_ns
            if before_ns is not None:
                # Venues stamp a payment some milliseconds late; its period is of whole minutes.
                hours = round((paid_ns - before_ns) / NS_PER_MINUTE) * NS_PER_MINUTE / NS_PER_HOUR
                rate = float(exact(row["fundingRate"], "funding rate"))
                told.append(
                    FundingRate(exch_ts_ns=paid_ns, local_ts_ns=local_ts_ns, instrument=name, rate=rate, hours=hours)
                )
        return told

    def _known(self, row: Row) -> Listed | None:
        listed = self._listing.of(row["symbol"])
        if listed is None:
            self.set_aside["an instrument that is not listed"] += 1
        return listed

    def _is_new(self, listed: Listed, row: Row) -> bool:
        name, at_ms, trade_id = listed.instrument.name, int(row["timestamp"]), str(row["id"])
        last_ms, known = self._last_trade.get(name, (-1, frozenset()))
        if at_ms < last_ms or (at_ms == last_ms and trade_id in known):
            return False
        self._last_trade[name] = (at_ms, (known if at_ms == last_ms else frozenset()) | {trade_id})
        return True


def _print(listed: Listed, row: Row, local_ts_ns: int) -> TradePrint:
    price, amount = exact(row["price"], "price"), exact(row["amount"], "amount")
    whole(price, listed.instrument.spec.ticks.finest, "price")
    lots = lots_of(listed, amount)
    if lots < 1 or price <= 0 or row["side"] not in _SIDES:
        raise BadInputError("a print without size, price or side")
    return TradePrint(
        exch_ts_ns=exch_ts_ns(row, local_ts_ns),
        local_ts_ns=local_ts_ns,
        instrument=listed.instrument.name,
        trade_id=str(row["id"]),
        taker_side=_SIDES[row["side"]],
        price=float(price),
        size_lots=lots,
        mark_price=math.nan,
        iv=math.nan,
        index_usd=math.nan,
        off_book=False,
    )


def lots_of(listed: Listed, amount: Decimal) -> int:
    """A venue's amount in lots.

    Errors      BadInputError where it is no whole number of them
    """
    return whole(amount * listed.per_amount, listed.instrument.spec.lot, f"{listed.instrument.name}: amount")
