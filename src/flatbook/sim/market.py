"""A market from one seed, as a venue: an index, a moving surface, other makers, and takers who see our quotes too.

What happens without us is drawn first: paths, beliefs, who comes and what they want (`world`, `makers`, `takers`). Time
then passes from one index tick to the next, and each taker who comes between them meets the best of our quotes and the
others'. So two policies can be compared in one world: under the same seed they differ by what they quote, not by luck.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import AnyEvent, FundingRate, IndexTick, TopOfBook
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND
from flatbook.engine.effects import Effects
from flatbook.sim.board import show_chain, touch_ticks
from flatbook.sim.books.desk import BookDesk
from flatbook.sim.calendar import SettlementClock
from flatbook.sim.clocks import Clocks
from flatbook.sim.drawn import UNDERLYING, DrawnMarket, MarketParameters
from flatbook.sim.fills import FillModel, FillTally
from flatbook.sim.floor import Floor
from flatbook.sim.flow import moment
from flatbook.sim.futures import Futures
from flatbook.sim.gateway import Gateway, VenueTerms
from flatbook.sim.latency import FeedLine
from flatbook.sim.mailbox import NEVER_NS
from flatbook.sim.options import value
from flatbook.sim.other_coins import OtherCoins
from flatbook.sim.perpetual import funding_rate_8h
from flatbook.sim.request_floor import RequestFloor
from flatbook.sim.streams import stream

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PERPETUAL = "BTC-PERPETUAL"
FUNDING_NS = 8 * NS_PER_HOUR


class SimulatedVenue:
    """`engine.venue.Venue` over a market drawn from `seed`, from `start_ns` on for `hours`.

    Our quotes meet every taker: where we are better than the other makers we trade first, at the same price we share as
    the fill model in `terms` says. The perpetual's premium is the simulation's; that of `terms` is not used. Orders for
    what `book` replays meet that.
    """

    def __init__(
        self,
        reference: ReferenceData,
        *,
        seed: int,
        hours: float,
        start_ns: int,
        terms: VenueTerms | None = None,
        parameters: MarketParameters | None = None,
        book: BookDesk | None = None,
        other_coins: Sequence[str] = (),
    ) -> None:
        """`other_coins` are shown beside, for who would hedge with them."""
        if not 0 < hours < 1e5:
            raise BadInputError(f"a simulation of {hours} hours cannot be run; use more than 0")
        terms = terms or VenueTerms(name="simulated")
        self.parameters = p = parameters or MarketParameters()
        self._step_ns = p.index_every_s * NS_PER_SECOND
        if start_ns % self._step_ns:
            raise BadInputError(f"start {start_ns} ns is not a multiple of the index step of {p.index_every_s} s")
        self._steps = max(math.ceil(hours * NS_PER_HOUR / self._step_ns), 1)
        self._start_ns = start_ns
        self._gateway = Gateway(reference, terms, seed, book)
        drawn = DrawnMarket(reference, p, seed=seed, start_ns=start_ns, steps=self._steps)
        self._drawn, self._chain, self._stage = drawn, drawn.chain, drawn.stage
        span_ns = self._steps * self._step_ns
        line = FeedLine(terms.latency.feed, stream(seed, "feed"), start_ns, span_ns // NS_PER_SECOND + 1)
        self._line = line
        self._gateway.options.touch = lambda option, side, now_ns: touch_ticks(self._stage, option.name, side, now_ns)
        self._futures = Futures(UNDERLYING, reference, self._gateway.perpetual)
        self._others = OtherCoins(
            other_coins, p.others, reference, self._gateway.perpetual, (p.world, self._stage.world, seed)
        )
        self._floor = Floor(self._gateway, self._chain, line, p.takers)
        self._requests = None
        if terms.sends_requests:
            self._requests = RequestFloor(
                self._gateway, self._stage, reference.instrument(PERPETUAL), terms, (p.requesters, p.dealers),
                seed=seed, start_ns=start_ns, span_ns=span_ns,
            )  # fmt: skip
        self._clock = SettlementClock()
        self._funded_ns = start_ns
        self._perpetual = reference.instrument(PERPETUAL)
        self._shown_ticks = (0, 0)
        self._show_ns = start_ns

    @property
    def informed_trades(self) -> frozenset[str]:
        """Ids of the prints whose taker knew something: what a maker would give much to know, and is never told."""
        return frozenset(self._floor.informed)

    def fair_coin(self, instruments: Sequence[str], now_ns: Ints) -> Floats:
        """What listed options are worth by the true surface, each at its moment before expiry; coin per contract.

        For judging a maker, not for quoting.
        """
        rows = np.array([self._chain.row_of[name] for name in instruments], np.int64)
        contracts = self._chain.contracts(rows)
        return value(self._stage.surface, self._stage.world, contracts, moment(self._stage.world, now_ns)).price_coin

    def list_instrument(self, row: int, instrument: Instrument) -> None:
        """As in `engine.venue.Venue`."""
        self._gateway.list_instrument(row, instrument)

    def submit(self, effects: Effects) -> None:
        """As in `engine.venue.Venue`."""
        self._gateway.submit(effects)
        if self._requests is not None and effects.rfqs:
            self._requests.take(effects.ts_ns, effects.rfqs)

    def fill_tally(self) -> Mapping[FillModel, FillTally]:
        """What each fill model made of the takers so far, all against the quotes that the chosen one left standing."""
        return self._gateway.fill_tally()

    def events(self) -> Iterator[AnyEvent]:
        """As in `engine.venue.Venue`."""
        gateway, floor = self._gateway, self._floor
        self._clock.start(self._start_ns)
        for step, index_usd in enumerate(self._stage.world.index_usd.tolist()):
            now_ns = self._start_ns + step * self._step_ns
            while (next_ns := min(floor.next_ns, self._requests_ns)) < now_ns:
                yield from gateway.deliver_before(next_ns)
                if self._requests is not None and next_ns == self._requests_ns:
                    self._requests.act()
                else:
                    floor.trade_next()
            yield from gateway.deliver_before(now_ns)
            self._tick(step, now_ns, index_usd)
        yield from gateway.close()

    @property
    def _requests_ns(self) -> int:
        """When something happens to a request next; never, where none come to us."""
        return NEVER_NS if self._requests is None else self._requests.next_ns

    def _tick(self, step: int, now_ns: int, index_usd: float) -> None:
        """What the venue does on a tick, in the order of `domain.events`: index, the perpetual's top, funding,
        settlement, then quotes."""
        clocks = Clocks(now_ns, self._line.local_ns(now_ns))
        self._clock.tick(UNDERLYING, now_ns, index_usd)
        gateway = self._gateway
        gateway.publish(
            IndexTick(exch_ts_ns=now_ns, local_ts_ns=clocks.local_ns, underlying=UNDERLYING, price_usd=index_usd)
        )
        seconds = step * self.parameters.index_every_s
        if seconds % 60 == 0:
            gateway.perpetual.premium = float(self._stage.world.minute_at(np.array([now_ns])).premium[0])
        gateway.tick(UNDERLYING, index_usd, now_ns)
        for tick in self._others.ticks(step, clocks):
            gateway.publish(tick)
            gateway.tick(tick.underlying, tick.price_usd, now_ns)
        if now_ns >= self._show_ns:
            self._show_perpetual(clocks, index_usd)
        if seconds % 60 == 0:
            self._show_futures(clocks, index_usd)
            for top in self._others.show(step, clocks):
                gateway.publish(top)
        if now_ns % FUNDING_NS == 0 and step:
            self._pay_funding(clocks)
        if now_ns >= self._clock.next_ns:
            self._settle(clocks)
        if now_ns % NS_PER_HOUR == 0 or step == 0:
            self._open_hour(now_ns, index_usd)
        if seconds % self.parameters.slice_every_s == 0:
            self._publish_chain(clocks, seconds)

    def _show_perpetual(self, clocks: Clocks, index_usd: float) -> None:
        """Sends the top of the perpetual's book where it is another than the one sent last."""
        shown = self._gateway.perpetual.shown_ticks(self._perpetual, index_usd)
        if shown == self._shown_ticks:
            return
        self._shown_ticks = shown
        self._show_ns = clocks.exch_ns + self.parameters.top_every_s * NS_PER_SECOND
        bid, ask = (ticks * self._perpetual.tick_size for ticks in shown)
        self._gateway.publish(
            TopOfBook(
                exch_ts_ns=clocks.exch_ns,
                local_ts_ns=clocks.local_ns,
                instrument=PERPETUAL,
                bid=bid,
                ask=ask,
                bid_amount=math.nan,
                ask_amount=math.nan,
                mark_price=round(self._gateway.perpetual.mid_usd(PERPETUAL, index_usd), 2),
            )
        )

    def _show_futures(self, clocks: Clocks, index_usd: float) -> None:
        carry = float(self._stage.world.minute_at(np.array([clocks.exch_ns])).carry[0])
        for top in self._futures.show(self._chain.expiries_ns(clocks.exch_ns), carry, index_usd, clocks):
            self._gateway.publish(top)

    def _pay_funding(self, clocks: Clocks) -> None:
        """Funding accrues by the minute at the rate of its premium, and is paid every eight hours."""
        minutes = np.arange(self._funded_ns, clocks.exch_ns, NS_PER_MINUTE)
        hours = (clocks.exch_ns - self._funded_ns) / NS_PER_HOUR
        rate_8h = float(funding_rate_8h(self._stage.world.minute_at(minutes).premium).mean())
        for event in self._others.funding(self._funded_ns, clocks):
            self._gateway.publish(event)
        self._funded_ns = clocks.exch_ns
        for name in self._perpetuals():
            if name in self._others.names:
                continue
            self._gateway.publish(
                FundingRate(
                    exch_ts_ns=clocks.exch_ns,
                    local_ts_ns=clocks.local_ns,
                    instrument=name,
                    rate=rate_8h * hours / 8,
                    hours=hours,
                )
            )

    def _perpetuals(self) -> list[str]:
        return sorted({PERPETUAL, *self._gateway.perpetuals})

    def _settle(self, clocks: Clocks) -> None:
        prices = self._gateway.perpetual_prices_usd(self._perpetuals())
        for event in self._clock.settlements(prices, clocks):
            self._gateway.publish(event)
        self._clock.advance()

    def _open_hour(self, now_ns: int, index_usd: float) -> None:
        """Lists what is missing, and learns what the takers of the hour want of what is listed."""
        if self._drawn.list_missing(now_ns, index_usd):
            for expiry_ns in self._chain.expiries_ns(now_ns):
                self._clock.expect(UNDERLYING, expiry_ns)
        self._floor.expect(self._drawn.wishes_of_hour(now_ns))

    def _publish_chain(self, clocks: Clocks, seconds: int) -> None:
        """Sends the makers' quotes, of all expiries or of the one whose turn it is; those of ours they cross trade."""
        now_ns = clocks.exch_ns
        rows = self._drawn.rows_due(now_ns, seconds)
        shown = show_chain(self._stage, rows, now_ns)
        self._floor.lift_crossed(shown, clocks)
        self._gateway.publish(shown.event(UNDERLYING, clocks))
