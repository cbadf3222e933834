"""The others on the venue in the simulated market: makers who quote everything, takers who come, and what they leave.

The world, the beliefs and the takers are those of `drawn`: one seed, one world, whoever else trades in it. Here the
makers' quotes are orders in the books, several levels deep, and a taker is an order that goes as far as it will. What
a taker has eaten grows back after a while, and a future's quotes lean away from what was traded there.
"""

import heapq
import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from flatbook.domain.instruments import Kind, format_expiry
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND, NS_PER_YEAR
from flatbook.market.analytics.smile import Smile
from flatbook.market.analytics.variance import smile_variance_between
from flatbook.market.analytics.vix import DVOL_REACH, THIRTY_DAYS_YEARS
from flatbook.sim.board import Ints, Shown, show_chain
from flatbook.sim.drawn import UNDERLYING, DrawnMarket, MarketParameters
from flatbook.sim.floor import Wish
from flatbook.sim.flow import moment
from flatbook.sim.perpetual import BASIS_POINT, PerpetualTerms
from flatbook.sim.streams import stream
from flatbook.sim.ticks import ceil_tick, floor_tick
from flatbook.sim.venue.cycle import TOLD_NS, Cycle
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.house import House, Target
from flatbook.sim.venue.linear_flow import LinearFlow
from flatbook.sim.venue.listing import Listing
from flatbook.sim.venue.marks import mark_options

LINEARS = (f"{UNDERLYING}-PERPETUAL", f"{UNDERLYING}_USDC-PERPETUAL", f"{UNDERLYING}_USDC")
MAKERS, TAKERS = "makers", "takers"


@dataclass(frozen=True, slots=True)
class CrowdParameters:
    """How deep the others quote, and how fast what was eaten grows back.

    option_levels     levels a side of an option's book, each so many steps beyond the one before as its number ...
    option_lots       ... of a size drawn once for each, between these
    linear_levels     levels a side of a future's, perpetual's and spot's book ...
    linear_usd        ... of a size drawn once for each, between these, larger the farther out
    future_half_bp    half the spread of dated futures, basis points; the perpetual's is that of its terms
    recovery_s        mean of the exponential time after which an option's book is filled up again
    """

    option_levels: int = 3
    option_lots: tuple[int, int] = (10, 200)
    linear_levels: int = 10
    linear_usd: tuple[float, float] = (20_000.0, 150_000.0)
    future_half_bp: float = 2.0
    recovery_s: float = 4.0


class Crowd:
    """Everybody else. `run_until` lets time pass; it comes to an end after `steps` ticks of the index."""

    def __init__(
        self,
        exchange: Exchange,
        cycle: Cycle,
        reference: ReferenceData,
        *,
        seed: int,
        steps: int,
        parameters: CrowdParameters | None = None,
        market: MarketParameters | None = None,
    ) -> None:
        self.volatility: deque[tuple[int, float]] = deque(maxlen=TOLD_NS // NS_PER_MINUTE)
        self._exchange, self._cycle = exchange, cycle
        self._p = parameters or CrowdParameters()
        self._start_ns = exchange.now_ns
        market = market or MarketParameters()
        self._drawn = DrawnMarket(reference, market, seed=seed, start_ns=self._start_ns, steps=steps)
        self._house = House(exchange, MAKERS)
        self._flow = LinearFlow(PerpetualTerms(), stream(seed, "linear takers"), self._start_ns)
        self._sizes = stream(seed, "makers' sizes")
        self._recoveries = stream(seed, "recoveries")
        self._ladders: dict[str, list[tuple[int, int]]] = {}
        self._waiting: list[Wish] = []
        self._due: list[tuple[int, int]] = []
        self._step = 0
        for name in LINEARS:
            exchange.list_instrument(name)

    @property
    def has_ended(self) -> bool:
        """Whether the drawn world is over."""
        return self._step >= self._drawn.steps

    def run_until(self, now_ns: int) -> None:
        """Everything that happens up to and at `now_ns`, in the order of time."""
        exchange = self._exchange
        while (next_ns := self._next_ns()) <= now_ns:
            exchange.now_ns = max(exchange.now_ns, next_ns)
            if self._waiting and self._waiting[-1].exch_ns == next_ns:
                self._take(self._waiting.pop())
            elif self._flow.next_ns == next_ns:
                self._take_linear()
            elif self._due and self._due[0][0] == next_ns:
                self._refill(heapq.heappop(self._due)[1])
            else:
                self._tick(next_ns)
        exchange.now_ns = max(exchange.now_ns, now_ns)

    def _next_ns(self) -> int:
        if self.has_ended:
            return 2**63 - 1
        step_ns = self._start_ns + self._step * self._drawn.step_ns
        wish_ns = self._waiting[-1].exch_ns if self._waiting else step_ns
        due_ns = self._due[0][0] if self._due else step_ns
        # At the first step there is nobody to trade with yet.
        return min(step_ns, wish_ns, due_ns, self._flow.next_ns) if self._step else step_ns

    def _tick(self, now_ns: int) -> None:
        stage, drawn = self._drawn.stage, self._drawn
        index_usd = float(stage.world.index_at(np.asarray(now_ns)))
        seconds = self._step * drawn.parameters.index_every_s
        if now_ns % NS_PER_HOUR == 0 or self._step == 0:
            self._open_hour(now_ns, index_usd)
        self._step += 1
        self._cycle.tick(UNDERLYING, index_usd)
        self._quote_linears(now_ns, index_usd)
        if self._step == 1:
            # The first marks of what is marked by its book need the book.
            self._cycle.tick(UNDERLYING, index_usd)
        if seconds % drawn.parameters.slice_every_s == 0:
            self._quote_options(drawn.rows_due(now_ns, seconds), now_ns)
        if now_ns % NS_PER_MINUTE == 0:
            self.volatility.append((now_ns, self._volatility_index(now_ns)))
        self._notice_trades(now_ns)

    def _open_hour(self, now_ns: int, index_usd: float) -> None:
        drawn, exchange = self._drawn, self._exchange
        known = len(drawn.chain.instruments)
        if drawn.list_missing(now_ns, index_usd):
            for instrument in drawn.chain.instruments[known:]:
                exchange.list_instrument(instrument.name)
            # Quoted when their turn comes; the venue's mark is there from the first moment.
            self._mark_options(np.arange(known, len(drawn.chain.instruments)), now_ns)
            for expiry_ns in drawn.chain.expiries_ns(now_ns):
                if expiry_ns - now_ns > 6 * NS_PER_DAY:
                    exchange.list_instrument(f"{UNDERLYING}-{format_expiry(expiry_ns)}")
        self._waiting = Wish.rows(drawn.wishes_of_hour(now_ns))

    def _quote_options(self, rows: Ints, now_ns: int) -> None:
        rows = rows[self._drawn.chain.contracts(rows).expiry_ns > now_ns]
        if not rows.size:
            return
        shown = self._mark_options(rows, now_ns)
        bids, asks = shown.market.bid_ticks.tolist(), shown.market.ask_ticks.tolist()
        for name, bid, ask in zip(shown.names, bids, asks, strict=True):
            listing = self._exchange.listings[name]
            self._house.quote(listing, self._option_targets(listing, bid, ask))

    def _mark_options(self, rows: Ints, now_ns: int) -> Shown:
        shown = show_chain(self._drawn.stage, rows, now_ns)
        believed = shown.believed
        mark_options(self._exchange, shown.names, shown.contracts, believed.delivery_usd, believed.vol, believed.years)
        return shown

    def _option_targets(self, listing: Listing, bid: int, ask: int) -> list[Target]:
        steps = listing.instrument.spec.ticks
        sizes = self._ladder(listing.name, self._p.option_levels)
        targets = []
        for level, (bid_lots, ask_lots) in enumerate(sizes):
            low = floor_tick(steps, bid - level * (level + 1) // 2) if bid else 0
            if low > 0:
                targets.append(Target(1, low, bid_lots))
            if ask:
                targets.append(Target(-1, ceil_tick(steps, ask + level * (level + 1) // 2), ask_lots))
        return targets

    def _ladder(self, name: str, levels: int) -> list[tuple[int, int]]:
        """Sizes of a book's levels, drawn when it is first quoted."""
        if name not in self._ladders:
            low, high = self._p.option_lots
            drawn = self._sizes.integers(low, high + 1, (levels, 2)).tolist()
            self._ladders[name] = [(int(bid), int(ask)) for bid, ask in drawn]
        return self._ladders[name]

    def _quote_linears(self, now_ns: int, index_usd: float) -> None:
        minute = self._drawn.stage.world.minute_at(np.array([now_ns]))
        carry, premium = float(minute.carry[0]), float(minute.premium[0])
        for listing in self._exchange.linears.values():
            contract = listing.instrument.contract
            if not listing.is_open:
                continue
            half_bp = self._flow.terms.half_spread_bp
            fair_usd = index_usd
            if contract.kind is Kind.PERPETUAL:
                fair_usd *= 1 + premium
            elif contract.expiry_ns is not None:
                fair_usd *= math.exp(carry * (contract.expiry_ns - now_ns) / NS_PER_YEAR)
                half_bp = self._p.future_half_bp
            fair_usd *= 1 + self._flow.lean(listing.name, now_ns)
            self._house.quote(listing, self._linear_targets(listing, fair_usd, half_bp))

    def _linear_targets(self, listing: Listing, fair_usd: float, half_bp: float) -> list[Target]:
        steps, tick = listing.instrument.spec.ticks, listing.instrument.tick_size
        usd_per_lot = listing.instrument.lot_size * (1.0 if listing.instrument.is_reciprocal else fair_usd)
        low, high = self._p.linear_usd
        targets = []
        for level, (bid_share, ask_share) in enumerate(self._ladder(listing.name, self._p.linear_levels)):
            away = fair_usd * BASIS_POINT * half_bp * (1 + 0.8 * level)
            for side, share in ((1, bid_share), (-1, ask_share)):
                usd = (low + (high - low) * share / self._p.option_lots[1]) * (1 + 0.3 * level)
                exact = (fair_usd - side * away) / tick
                ticks = floor_tick(steps, exact) if side > 0 else ceil_tick(steps, exact)
                targets.append(Target(side, ticks, max(round(usd / usd_per_lot), 1)))
        return targets

    def _take(self, wish: Wish) -> None:
        """A taker of an option goes up to the worst price it accepts."""
        instrument = self._drawn.chain.instruments[wish.row]
        listing = self._exchange.listings[instrument.name]
        limit, wanted = None, wish.size_lots
        for price_ticks, lots in listing.book.depth(-wish.side):
            if wanted <= 0 or not wish.accepts(self._drawn.parameters.takers, instrument, price_ticks):
                break
            limit, wanted = price_ticks, wanted - lots
        if limit is not None and listing.is_open:
            self._exchange.house_order(TAKERS, instrument.name, wish.side, limit, wish.size_lots, rests=False)
            self._notice_trades(wish.exch_ns)

    def _take_linear(self) -> None:
        """A taker of a perpetual, a future or spot; some know where the index will be."""
        exchange, now_ns = self._exchange, self._flow.next_ns
        names = [each.name for each in exchange.linears.values() if each.is_open]
        index = self._drawn.stage.world.index_at(np.array([now_ns, now_ns + self._flow.horizon_ns]))
        taker = self._flow.pop(names, float(index[1] / index[0] - 1))
        listing = exchange.listings[taker.instrument]
        best = listing.book.best_ticks(-taker.side)
        if best is None:
            return
        usd_per_lot = listing.instrument.lot_size
        if not listing.instrument.is_reciprocal:
            usd_per_lot *= float(index[0])
        lots = max(round(taker.usd / usd_per_lot), 1)
        limit = round(best * (1 + taker.side * taker.reach))
        exchange.house_order(TAKERS, taker.instrument, taker.side, limit, lots, rests=False)
        self._notice_trades(now_ns)

    def _notice_trades(self, now_ns: int) -> None:
        """Books that were eaten into: options grow back after a while, the rest leans and is quoted by the second."""
        for printed in self._exchange.take_prints():
            listing = self._exchange.listings[printed.instrument]
            if listing.is_option:
                row = self._drawn.chain.row_of.get(listing.name)
                delay_ns = round(self._recoveries.exponential(self._p.recovery_s) * NS_PER_SECOND) + 1
                if row is not None and delay_ns < NS_PER_MINUTE:
                    heapq.heappush(self._due, (now_ns + delay_ns, row))
            else:
                price = listing.price(printed.price_ticks)
                usd = listing.coins(printed.size_lots, price) * price
                self._flow.press(listing.name, printed.side * usd, now_ns)

    def _refill(self, row: int) -> None:
        self._quote_options(np.array([row]), self._exchange.now_ns)

    def _volatility_index(self, now_ns: int) -> float:
        """The makers' surface integrated at thirty days, as far out as the venue's index reaches; vol points."""
        stage = self._drawn.stage
        factors = stage.beliefs.at(np.asarray(now_ns))
        theta = float(stage.surface.atm_total_variance(factors, np.asarray(THIRTY_DAYS_YEARS)))
        rho, phi = float(factors.skew), float(factors.convexity) / math.sqrt(theta * (1 + theta))
        root = math.sqrt(1 - rho * rho)
        raw = np.array([0.5 * theta * root * root, 0.5 * theta * phi, rho, -rho / phi, root / phi])
        smile = Smile(raw, THIRTY_DAYS_YEARS, float(moment(stage.world, np.asarray(now_ns)).index_usd))
        end = DVOL_REACH * smile.deviation()
        return 100 * math.sqrt(smile_variance_between(smile, -end, end))
