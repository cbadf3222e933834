"""What of the simulated market hedges beside the perpetual, each with its spread and impact, shown once a minute.

A dated future is listed for each month's last expiry, at the expiry's forward, until an hour before it expires: then
its price becomes an average, which nobody here trades. Spot trades at the index, and the dollar-settled perpetual at
the premium of the other.
"""

import math
from collections.abc import Iterator, Sequence

from flatbook.domain.events import TopOfBook
from flatbook.domain.instruments import DOLLAR, format_expiry
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import NS_PER_HOUR, NS_PER_YEAR
from flatbook.sim.calendar import is_last_of_month
from flatbook.sim.clocks import Clocks
from flatbook.sim.perpetual import PerpetualMarket


class Futures:
    """Prices them, and shows them."""

    def __init__(self, underlying: str, reference: ReferenceData, market: PerpetualMarket) -> None:
        self._underlying = underlying
        self._reference = reference
        self._market = market
        self._listed: set[str] = set()
        spot = f"{underlying}_{DOLLAR}"
        market.premium_of[spot] = 0.0
        self._in_dollars = {spot, f"{spot}-PERPETUAL"}

    def show(
        self, expiries_ns: Sequence[int], carry_per_year: float, index_usd: float, clocks: Clocks
    ) -> Iterator[TopOfBook]:
        """Every future's price from now on, and all tops of the book."""
        self._list(expiries_ns, carry_per_year, clocks.exch_ns)
        for name in sorted(self._listed | self._in_dollars):
            instrument = self._reference.instrument(name)
            bid, ask = (ticks * instrument.tick_size for ticks in self._market.shown_ticks(instrument, index_usd))
            yield TopOfBook(
                exch_ts_ns=clocks.exch_ns,
                local_ts_ns=clocks.local_ns,
                instrument=name,
                bid=bid,
                ask=ask,
                bid_amount=math.nan,
                ask_amount=math.nan,
                mark_price=round(self._market.mid_usd(name, index_usd), 2),
            )

    def _list(self, expiries_ns: Sequence[int], carry_per_year: float, now_ns: int) -> None:
        listed = set()
        for expiry_ns in expiries_ns:
            if is_last_of_month(expiry_ns) and expiry_ns - now_ns > NS_PER_HOUR:
                name = f"{self._underlying}-{format_expiry(expiry_ns)}"
                self._market.premium_of[name] = math.expm1(carry_per_year * (expiry_ns - now_ns) / NS_PER_YEAR)
                listed.add(name)
        for name in self._listed - listed:
            del self._market.premium_of[name]
        self._listed = listed
