"""A recorded market as a venue: the tape goes by, and our quotes and orders meet it under a named fill model.

Nothing we do moves the tape. Block and combo prints pass by and fill nothing. Settlement is the venue's own: at 08:00
UTC the perpetuals' session ends, and every expiry seen is delivered at the index's average over the half hour before.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from flatbook.domain.errors import BadInputError, UnknownInstrumentError
from flatbook.domain.events import (
    AnyEvent,
    ChainQuotes,
    Clock,
    FundingRate,
    IndexTick,
    MarketEvent,
    QuoteRow,
    TopOfBook,
    TradePrint,
)
from flatbook.domain.instruments import Kind, parse_name
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.domain.ticks import ceil_tick, floor_tick
from flatbook.domain.units import NS_PER_SECOND, format_utc
from flatbook.engine.effects import Effects
from flatbook.sim.books.desk import BookDesk
from flatbook.sim.calendar import SettlementClock
from flatbook.sim.clocks import Clocks
from flatbook.sim.fills import FillModel, FillTally, through_ticks
from flatbook.sim.gateway import Gateway, Taker, VenueTerms

TOUCH_KEPT_NS = 60 * NS_PER_SECOND
"""A recorded price of an option can be taken for so long, at most; the index moves on, and it does not."""


class RecordedVenue:
    """`engine.venue.Venue` over recorded market events.

    `market_events` come in local-time order. Recorded settlements and deliveries are left out: the venue makes them,
    on both clocks at their moment, so that none is missing and none comes twice.

    With `is_heard_live` each event reaches us as it is taken, and does not wait until the next shows that nothing else
    came before it: the events are of a market that is happening, or of one as it was heard then. Orders for what `book`
    replays meet that, and what it tells is among the events.
    """

    def __init__(
        self,
        market_events: Iterable[MarketEvent | Clock],
        reference: ReferenceData,
        terms: VenueTerms | None = None,
        seed: int = 0,
        *,
        is_heard_live: bool = False,
        book: BookDesk | None = None,
    ) -> None:
        self.has_book = book is not None
        self._is_heard_live = is_heard_live
        self._market = iter(market_events)
        self._heard = 0
        self._last_ns = 0
        self._under_way: MarketEvent | Clock | None = None
        self._is_taken = False
        self._gateway = Gateway(reference, terms or VenueTerms(name="recorded"), seed, book)
        self._clock = SettlementClock()
        self._seen: set[str] = set()
        self._perpetuals: set[str] = set()
        self._futures: set[str] = set()
        self._shown: dict[str, tuple[QuoteRow, int]] = {}
        self._gateway.options.touch = self._option_touch

    def list_instrument(self, row: int, instrument: Instrument) -> None:
        """As in `engine.venue.Venue`."""
        self._gateway.list_instrument(row, instrument)
        self._notice(instrument.name)

    def submit(self, effects: Effects) -> None:
        """As in `engine.venue.Venue`."""
        self._gateway.submit(effects)

    def fill_tally(self) -> Mapping[FillModel, FillTally]:
        """What each fill model made of the tape so far, all against the quotes that the chosen one left standing."""
        return self._gateway.fill_tally()

    def events(self) -> Iterator[AnyEvent]:
        """As in `engine.venue.Venue`.

        Errors      BadInputError where the recording's local clock runs backwards, or an expiry has no index before it
        """
        if self._under_way is not None:
            yield from self._pass_by(self._under_way)
        for event in self._market:
            if event.local_ts_ns < self._last_ns:
                raise _backwards(event, self._last_ns)
            self._heard += 1
            self._last_ns = event.local_ts_ns
            self._under_way, self._is_taken = event, False
            yield from self._pass_by(event)
        yield from self._gateway.close()

    def _pass_by(self, event: MarketEvent | Clock) -> Iterator[AnyEvent]:
        """What we learn before an event, and with it; begun again from any of that, it goes on from there."""
        if not self._is_taken:
            # A venue's clock that runs ahead of ours is cut back: nothing can be known before it happens.
            moment_ns = min(event.exch_ts_ns, event.local_ts_ns)
            if moment_ns >= self._clock.next_ns:
                yield from self._settle_until(moment_ns)
            yield from self._gateway.deliver_before(moment_ns)
            self._take(event)
            self._is_taken = True
        if self._is_heard_live:
            yield from self._gateway.deliver_published(event.local_ts_ns)

    def __getstate__(self) -> dict[str, Any]:
        """All but the tape, for a snapshot between two events."""
        return {name: value for name, value in vars(self).items() if name != "_market"}

    def take_up(self, fresh: "RecordedVenue") -> None:
        """This venue, out of a snapshot, goes on with the tape of one that is at its start."""
        self._market = islice(fresh._market, self._heard, None)

    def _take(self, event: MarketEvent | Clock) -> None:
        if isinstance(event, IndexTick):
            self._clock.tick(event.underlying, event.exch_ts_ns, event.price_usd)
            self._gateway.tick(event.underlying, event.price_usd, event.exch_ts_ns)
        elif isinstance(event, TradePrint):
            instrument = event.instrument
            if instrument not in self._seen:
                self._notice(instrument)
            if not event.off_book:
                self._match(event)
        elif isinstance(event, ChainQuotes):
            for row in event.rows:
                if row.instrument not in self._seen:
                    self._notice(row.instrument)
                self._shown[row.instrument] = (row, event.exch_ts_ns)
        elif isinstance(event, FundingRate):
            self._notice(event.instrument)
        elif isinstance(event, TopOfBook):
            self._notice(event.instrument)
            self._follow(event)
        elif not isinstance(event, Clock):
            return
        self._gateway.publish(event)

    def _follow(self, event: TopOfBook) -> None:
        """From here on hedges meet a perpetual or future at its recorded premium; the spread is that of the terms."""
        index_usd = self._gateway.index_usd.get(event.instrument.split("-")[0].split("_")[0])
        if event.instrument in self._perpetuals | self._futures and index_usd is not None and not math.isnan(event.mid):
            self._gateway.perpetual.premium_of[event.instrument] = event.mid / index_usd - 1

    def _option_touch(self, instrument: Instrument, side: int, now_ns: int) -> int:
        """The price that was recorded last, if that is not long ago: what it was since, the tape does not say."""
        row, shown_ns = self._shown.get(instrument.name, (None, 0))
        if row is None or not 0 <= now_ns - shown_ns <= TOUCH_KEPT_NS:
            return 0
        price = row.ask if side > 0 else row.bid
        return round(price / instrument.tick_size) if price > 0 else 0

    def _match(self, event: TradePrint) -> None:
        """Meets a print with our quote; a price between ticks, as of a liquidation, counts as the tick it reached."""
        side = event.taker_side
        standing = self._gateway.standing(event.instrument, -side, event.exch_ts_ns)
        if standing.size_lots == 0:
            return
        instrument = self._gateway.quotes.instruments[standing.row]
        steps, exact = instrument.spec.ticks, event.price / instrument.tick_size
        print_ticks = floor_tick(steps, exact) if side > 0 else ceil_tick(steps, exact)
        through = through_ticks(side, print_ticks, standing.price_ticks)
        taker = Taker(side, event.size_lots, event.mark_price, event.index_usd, event.exch_ts_ns)
        self._gateway.meet(taker, standing, through)

    def _notice(self, name: str) -> None:
        """Remembers what settles: an expiry, or a perpetual; names that no convention explains pass by unnoticed."""
        if name in self._seen:
            return
        self._seen.add(name)
        try:
            contract = parse_name(name)
        except UnknownInstrumentError:
            return
        if contract.expiry_ns is not None:
            self._clock.expect(contract.base, contract.expiry_ns)
        elif contract.kind is Kind.PERPETUAL:
            self._perpetuals.add(name)
        if contract.kind is Kind.FUTURE:
            self._futures.add(name)

    def _settle_until(self, moment_ns: int) -> Iterator[AnyEvent]:
        clock, gateway = self._clock, self._gateway
        if clock.next_ns == 0:
            clock.start(moment_ns)
        while clock.next_ns <= moment_ns:
            now_ns = clock.next_ns
            yield from gateway.deliver_before(now_ns)
            names = self._perpetuals.union(gateway.perpetuals)
            clocks = Clocks(now_ns, max(now_ns, gateway.reached_ns))
            for event in clock.settlements(gateway.perpetual_prices_usd(names), clocks):
                gateway.settle(event)
            clock.advance()


def _backwards(event: MarketEvent | Clock, last_ns: int) -> BadInputError:
    return BadInputError(
        f"the recording's clock runs backwards: {type(event).__name__} at {format_utc(event.local_ts_ns)} "
        f"({event.local_ts_ns}) follows {format_utc(last_ns)} ({last_ns}); sort the session by local_ts_ns"
    )
