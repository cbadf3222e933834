"""The others on the venue in a recorded market: its quotes stand in the books, its takers come when they came.

Makers show the recorded best prices, one level deep, in a size that the recording does not know. A recorded taker goes
as far as the price it paid, so it trades first with whoever is better or was there before the makers; what is left
trades at its price with the makers, as it did. Nothing anybody does here moves what was recorded.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from flatbook.domain.errors import UnknownInstrumentError
from flatbook.domain.events import ChainQuotes, IndexTick, MarketEvent, QuoteRow, TopOfBook, TradePrint
from flatbook.domain.instruments import Kind
from flatbook.domain.units import NS_PER_YEAR
from flatbook.sim.options import Contracts
from flatbook.sim.ticks import ceil_tick, floor_tick
from flatbook.sim.venue.cycle import Cycle
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.house import House, Target
from flatbook.sim.venue.listing import Listing
from flatbook.sim.venue.marks import mark_options

MAKERS, TAKERS = "makers", "takers"


@dataclass(frozen=True, slots=True)
class TapeParameters:
    """Sizes the recording does not have: lots of an option's best prices, USD of a future's."""

    option_lots: int = 50
    linear_usd: float = 100_000.0


class Tape:
    """Recorded events, in order of local time, as trade on the exchange. `volatility` is not recorded."""

    def __init__(
        self,
        exchange: Exchange,
        cycle: Cycle,
        events: Iterable[MarketEvent],
        parameters: TapeParameters | None = None,
    ) -> None:
        self.volatility: list[tuple[int, float]] = []
        self._exchange, self._cycle = exchange, cycle
        self._p = parameters or TapeParameters()
        self._house = House(exchange, MAKERS)
        self._events: Iterator[MarketEvent] = iter(events)
        self._next = next(self._events, None)

    @property
    def has_ended(self) -> bool:
        """Whether the recording is over."""
        return self._next is None

    def run_until(self, now_ns: int) -> None:
        """Everything that happened up to and at `now_ns`."""
        exchange = self._exchange
        while self._next is not None and self._next.local_ts_ns <= now_ns:
            event, self._next = self._next, next(self._events, None)
            exchange.now_ns = max(exchange.now_ns, event.local_ts_ns)
            self._happen(event)
        exchange.now_ns = max(exchange.now_ns, now_ns)
        exchange.take_prints()

    def _happen(self, event: MarketEvent) -> None:
        """What an event is here. Funding, settlement and delivery are the venue's own."""
        if isinstance(event, IndexTick):
            self._cycle.tick(event.underlying, event.price_usd)
        elif isinstance(event, ChainQuotes):
            self._quote_chain(event)
        elif isinstance(event, TopOfBook):
            if (listing := self._open(event.instrument)) is not None:
                self._quote_top(listing, event)
        elif isinstance(event, TradePrint) and (listing := self._open(event.instrument)) is not None:
            self._take(listing, event)

    def _open(self, name: str) -> Listing | None:
        """The listing, made when a name is first met; None where nothing trades, or can, under it."""
        try:
            listing = self._exchange.list_instrument(name)
        except UnknownInstrumentError:
            return None
        expiry_ns = listing.instrument.contract.expiry_ns
        is_over = expiry_ns is not None and expiry_ns <= self._exchange.now_ns
        return None if is_over or not listing.is_open else listing

    def _quote_chain(self, event: ChainQuotes) -> None:
        shown = [(row, listing) for row in event.rows if (listing := self._open(row.instrument)) is not None]
        if not shown:
            return
        rows, listings = [row for row, _ in shown], [listing for _, listing in shown]
        names = [each.instrument.contract for each in listings]
        contracts = Contracts(
            np.array([float(each.strike or 0) for each in names]),
            np.array([float(each.right.sign) if each.right else math.nan for each in names]),
            np.array([each.expiry_ns or 0 for each in names], np.int64),
        )
        years = (contracts.expiry_ns - self._exchange.now_ns) / NS_PER_YEAR
        forward_usd, vol = np.array([row.forward_usd for row in rows]), np.array([row.mark_iv for row in rows])
        mark_options(self._exchange, [each.name for each in listings], contracts, forward_usd, vol, years)
        for row, listing in shown:
            self._house.quote(listing, self._targets(listing, row, self._p.option_lots, self._p.option_lots))

    def _quote_top(self, listing: Listing, event: TopOfBook) -> None:
        bid_lots, ask_lots = (
            self._lots(listing, price, amount)
            for price, amount in ((event.bid, event.bid_amount), (event.ask, event.ask_amount))
        )
        self._house.quote(listing, self._targets(listing, event, bid_lots, ask_lots))

    def _lots(self, listing: Listing, price: float, amount: float) -> int:
        instrument = listing.instrument
        if math.isnan(amount):
            amount = self._p.linear_usd / (1.0 if instrument.is_reciprocal or math.isnan(price) else price)
        return max(round(amount / instrument.lot_size), 1)

    def _targets(self, listing: Listing, quote: QuoteRow | TopOfBook, bid_lots: int, ask_lots: int) -> list[Target]:
        """The best prices as orders, on the grid; a side without a price, or that would cross, has none."""
        steps, tick = listing.instrument.spec.ticks, listing.instrument.tick_size
        targets = []
        if quote.bid > 0:
            targets.append(Target(1, floor_tick(steps, quote.bid / tick), bid_lots))
        if quote.ask > 0 and not quote.bid >= quote.ask:
            targets.append(Target(-1, ceil_tick(steps, quote.ask / tick), ask_lots))
        return [target for target in targets if target.price_ticks > 0]

    def _mark(self, listing: Listing, event: TradePrint) -> None:
        """A print carries the venue's mark, which is newer than the chain's; where no chain was seen the index stands
        for the forward."""
        mark = listing.mark
        if not listing.is_option or math.isnan(event.mark_price):
            return
        vol = event.iv if math.isnan(mark.iv) else mark.iv
        forward_usd = event.index_usd if math.isnan(mark.underlying_usd) else mark.underlying_usd
        listing.mark = mark._replace(price=event.mark_price, iv=vol, underlying_usd=forward_usd)
        self._exchange.touched[listing.name] = None

    def _take(self, listing: Listing, event: TradePrint) -> None:
        """A recorded taker; a block or a combo met no book."""
        if event.off_book:
            return
        exchange, side = self._exchange, event.taker_side
        self._mark(listing, event)
        steps, exact = listing.instrument.spec.ticks, event.price / listing.instrument.tick_size
        ticks = floor_tick(steps, exact) if side > 0 else ceil_tick(steps, exact)
        if ticks <= 0 or listing.instrument.contract.kind is Kind.OTC:
            return
        _, outcome = exchange.house_order(TAKERS, listing.name, side, ticks, event.size_lots, rests=False)
        if outcome.left_lots and not listing.book.crosses(-side, ticks):
            exchange.house_order(MAKERS, listing.name, -side, ticks, outcome.left_lots, rests=True)
            exchange.house_order(TAKERS, listing.name, side, ticks, outcome.left_lots, rests=False)
