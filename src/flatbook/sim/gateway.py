"""Our side of a venue: quotes and orders on their way in, fills and answers on their way out, each at its own time.

Two clocks run here. The venue's decides what meets what: a quote stands, and an order is taken, only once that clock
has passed the moment they were sent plus their latency. Ours decides what we hear, and when: market events at their
`local_ts_ns`, answers a feed's latency after they were made. A venue drives it so, for each market event in turn:

    yield from gateway.deliver_before(moment)    everything we learn before, with what we send back
    ... what the event does to our quotes ...    gateway.meet(…)
    gateway.publish(event)                       and the event itself goes on its way to us
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from flatbook.domain.events import (
    AnyEvent,
    Clock,
    DailySettlement,
    Delivery,
    MarketEvent,
    OrderRejected,
    ProtectionTriggered,
    QuotesAcknowledged,
    RfqEvent,
)
from flatbook.domain.instruments import Kind
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.engine.effects import Effects, Order
from flatbook.sim.books.desk import BookDesk
from flatbook.sim.clocks import Clocks
from flatbook.sim.fills import FillModel, FillModels, FillRules, FillTally
from flatbook.sim.latency import DelayStream, Latency
from flatbook.sim.mailbox import NEVER_NS, Mailbox
from flatbook.sim.option_market import OptionMarket, OptionTerms, no_touch
from flatbook.sim.orders import Cashier, OrderDesk
from flatbook.sim.perpetual import PerpetualMarket, PerpetualTerms
from flatbook.sim.quotes import LiveQuotes
from flatbook.sim.streams import stream
from flatbook.sim.venue.mmp import MmpConfig, MmpGroup


@dataclass(frozen=True, slots=True)
class VenueTerms:
    """How a venue treats us: its name on our fills, who fills, how long things take, what taking costs, and when it
    pulls our quotes for us.

    sends_requests          whether requests for quotes come to us, who said that we answer them
    cheaper_side_discount   of a package's fees: share by which the cheaper of its bought and sold legs is reduced
    """

    name: str = "sim"
    fills: FillRules = field(default_factory=FillRules)
    latency: Latency = field(default_factory=Latency)
    perpetual: PerpetualTerms = field(default_factory=PerpetualTerms)
    options: OptionTerms = field(default_factory=OptionTerms)
    protection: MmpConfig = field(default_factory=MmpConfig)
    sends_requests: bool = False
    cheaper_side_discount: float = 1.0


@dataclass(frozen=True, slots=True)
class Taker:
    """Who trades against resting quotes: `side` +1 buys; mark in quote currency and index in USD, NaN where unknown."""

    side: int
    size_lots: int
    mark_price: float
    index_usd: float
    exch_ns: int


@dataclass(frozen=True, slots=True)
class Standing:
    """One side of our quote on a row; no lots where there is none."""

    row: int
    price_ticks: int
    size_lots: int


_NOTHING = Standing(-1, 0, 0)


def quote_id(instrument: str) -> str:
    """The order id by which answers name our resting quote of an instrument."""
    return f"quote:{instrument}"


class Gateway:
    """What we have at a venue and what is under way, in both directions.

    reached_ns  everything we learn until then is delivered
    Invariant   events leave in local-time order (`mailbox`), and each way keeps its order: what was sent first arrives
                first, whatever the jitter
    """

    def __init__(self, reference: ReferenceData, terms: VenueTerms, seed: int, book: BookDesk | None = None) -> None:
        """Orders for what `book` replays go into it, by its own latency."""
        self._book = book
        self.quotes = LiveQuotes()
        self.perpetual = PerpetualMarket(terms.perpetual)
        self.options = OptionMarket(terms.options, no_touch)
        self.index_usd: dict[str, float] = {}
        self.tallies = dict.fromkeys(FillModel, FillTally())
        self._terms = terms
        self._cashier = Cashier(terms.name)
        self._orders = OrderDesk(reference, self.perpetual, self._cashier, self.options)
        self._models = FillModels(terms.fills)
        self._feed_delays = DelayStream(terms.latency.feed, stream(seed, "answers"))
        self._quote_delays = DelayStream(terms.latency.quote, stream(seed, "quotes"))
        self._acknowledge_delays = DelayStream(terms.latency.feed, stream(seed, "acknowledgements"))
        self._protection = MmpGroup(terms.protection)
        self._order_delays = DelayStream(terms.latency.order, stream(seed, "orders"))
        self._perpetuals: set[str] = set()
        self._mailbox = Mailbox()
        self._inbox: deque[tuple[int, Order | str]] = deque()
        self._unanswered: deque[tuple[int, int]] = deque()
        self._last_arrival_ns = 0
        self._last_answer_ns = 0
        self.reached_ns = 0

    def list_instrument(self, row: int, instrument: Instrument) -> None:
        """As in `engine.venue.Venue`."""
        self.quotes.list_instrument(row, instrument)
        if instrument.contract.kind is Kind.PERPETUAL:
            self._perpetuals.add(instrument.name)

    def submit(self, effects: Effects) -> None:
        """As in `engine.venue.Venue`: everything sent leaves at `effects.ts_ns`."""
        if effects.quotes is not None:
            self.quotes.queue(effects.ts_ns + self._quote_delays.next_ns(), effects.quotes)
            if effects.quotes.number:
                self._unanswered.append((self.quotes.last_effective_ns, effects.quotes.number))
        sendings: tuple[Order | str, ...] = (*effects.orders, *effects.cancels)
        for sent in sendings:
            if self._book is not None and self._book.takes(sent):
                self._book.send(effects.ts_ns, sent)
                continue
            arrival_ns = effects.ts_ns + self._order_delays.next_ns()
            self._last_arrival_ns = max(self._last_arrival_ns, arrival_ns)
            self._inbox.append((self._last_arrival_ns, sent))

    @property
    def perpetuals(self) -> list[str]:
        """Perpetuals that we listed or traded, by name."""
        return sorted(self._perpetuals | self._orders.traded)

    def perpetual_prices_usd(self, names: Iterable[str]) -> dict[str, float]:
        """Prices in USD of those of `names` whose index has been seen, by name."""
        bases = {name: name.split("-")[0].split("_")[0] for name in sorted(names)}
        return {
            name: self.perpetual.mid_usd(name, self.index_usd[base])
            for name, base in bases.items()
            if base in self.index_usd
        }

    def deliver_before(self, exch_ns: int) -> Iterator[AnyEvent]:
        """Everything we learn before `exch_ns`, in order; our orders that reach the venue before it are taken too."""
        while True:
            arrival_ns = self._inbox[0][0] if self._inbox else NEVER_NS
            taken_ns = self._unanswered[0][0] if self._unanswered else NEVER_NS
            learnt_ns = self._mailbox.next_ns
            if self._book is not None and (
                heard := self._book.heard_before(min(arrival_ns, taken_ns, learnt_ns, exch_ns))
            ):
                yield from heard
            elif taken_ns < exch_ns and taken_ns <= min(arrival_ns, learnt_ns):
                self._acknowledge(*self._unanswered.popleft())
            elif arrival_ns < exch_ns and arrival_ns <= learnt_ns:
                self._take_order(*self._inbox.popleft())
            elif learnt_ns < exch_ns:
                yield self._mailbox.pop()
            else:
                self.reached_ns = max(self.reached_ns, exch_ns)
                return

    def close(self) -> Iterator[AnyEvent]:
        """Everything still under way to us when the market ends; what we send from then on is not answered."""
        while True:
            if self._book is not None and (heard := self._book.heard_before(self._mailbox.next_ns)):
                yield from heard
            elif self._mailbox.next_ns < NEVER_NS:
                yield self._mailbox.pop()
            else:
                return

    def deliver_published(self, local_ns: int) -> Iterator[AnyEvent]:
        """What reaches us by `local_ns`, at once: whoever hears a market happen does not wait for its next word.

        An order that the venue takes at a moment before is answered later than all of it.
        """
        while self._mailbox.next_ns <= local_ns:
            yield self._mailbox.pop()
        self.reached_ns = max(self.reached_ns, local_ns)

    def publish(self, event: MarketEvent | Clock) -> None:
        """Sends a market event to us; local times do not fall from one to the next."""
        self._mailbox.publish(event)

    def settle(self, event: DailySettlement | Delivery) -> None:
        """Sends a settlement to us, in its place among the market events of its moment."""
        self._mailbox.place(event)

    def tell(self, event: RfqEvent) -> None:
        """Sends what concerns us alone, in its place; its clocks are of `clocks`."""
        self._mailbox.place(event)

    def tick(self, underlying: str, index_usd: float, exch_ns: int) -> None:
        """The index moves: orders that rest may fill."""
        self.index_usd[underlying] = index_usd
        if self._orders.has_resting:
            for answer in self._orders.tick(underlying, index_usd, lambda: self.clocks(exch_ns)):
                self._mailbox.place(answer)

    def standing(self, instrument: str, side: int, exch_ns: int) -> Standing:
        """Our bid (`side` +1) or ask (-1) at a moment.

        Before the first index tick of its underlying nothing stands: fees could not be charged.
        """
        row = self.quotes.row_of.get(instrument)
        if row is None or self.quotes.instruments[row].contract.base not in self.index_usd:
            return _NOTHING
        self.refresh(exch_ns)
        return Standing(row, *self.quotes.standing(row, side, exch_ns))

    def refresh(self, exch_ns: int) -> None:
        """Lets every quote that is due before `exch_ns` take effect, and answers those that the venue refuses."""
        for effective_ns, rows in self.quotes.apply_until(exch_ns):
            for row in rows.tolist():
                name = self.quotes.instruments[row].name
                clocks = self.clocks(effective_ns)
                self._mailbox.place(
                    OrderRejected(
                        exch_ts_ns=clocks.exch_ns,
                        local_ts_ns=clocks.local_ns,
                        order_id=quote_id(name),
                        reason="bid meets ask, or a price or size that the contract does not have",
                    )
                )

    def meet(self, taker: Taker, standing: Standing, through: int) -> int:
        """Holds a taker `through` ticks beyond our quote against all models; feeds back what the chosen one fills.

        Gives the lots that traded with us.
        """
        if through < 0 or standing.size_lots == 0:
            return 0
        lots = self._models.lots(standing.row, taker.side, through, taker.size_lots, standing.size_lots)
        for model, filled in lots.items():
            if filled:
                self._count(model, taker, standing, filled)
        chosen = lots[self._terms.fills.model]
        if chosen:
            self._fill(taker, standing, chosen)
        return chosen

    def fill_tally(self) -> Mapping[FillModel, FillTally]:
        """What each model would have filled so far, against the same quotes."""
        return dict(self.tallies)

    def _fill(self, taker: Taker, standing: Standing, size_lots: int) -> None:
        instrument = self.quotes.instruments[standing.row]
        self.quotes.take(standing.row, -taker.side, size_lots)
        self._mailbox.place(
            self._cashier.fill(
                quote_id(instrument.name), instrument, -taker.side, standing.price_ticks, size_lots,
                self.index_usd[instrument.contract.base], is_maker=True, clocks=self.clocks(taker.exch_ns),
            )
        )  # fmt: skip
        # Greeks are not known here: contracts alone are counted.
        if self._protection.filled(taker.exch_ns, size_lots * instrument.lot_size, 0.0, 0.0):
            self._freeze(taker.exch_ns)

    def _freeze(self, exch_ns: int) -> None:
        """All quotes are pulled, and we are told."""
        frozen_until_ns = self._protection.frozen_until_ns
        self.quotes.freeze(frozen_until_ns)
        clocks = self.clocks(exch_ns)
        self._mailbox.place(
            ProtectionTriggered(exch_ts_ns=clocks.exch_ns, local_ts_ns=clocks.local_ns, frozen_until_ns=frozen_until_ns)
        )

    def _acknowledge(self, taken_ns: int, number: int) -> None:
        """A message of quotes has taken effect: what it replaced fills no more, and we hear so after all its fills."""
        self.refresh(taken_ns + 1)
        learnt_ns = taken_ns + max(self._acknowledge_delays.next_ns(), 1)
        self._last_answer_ns = max(learnt_ns, self._last_answer_ns, self.reached_ns)
        self._mailbox.place(QuotesAcknowledged(exch_ts_ns=taken_ns, local_ts_ns=self._last_answer_ns, number=number))

    def _count(self, model: FillModel, taker: Taker, standing: Standing, size_lots: int) -> None:
        instrument = self.quotes.instruments[standing.row]
        edge_usd = _edge_usd(instrument, taker, standing.price_ticks, size_lots)
        self.tallies[model] = self.tallies[model].plus(size_lots, size_lots * instrument.lot_size, edge_usd)

    def _take_order(self, arrival_ns: int, order: Order | str) -> None:
        """An order arrives, or the id of one that is to be pulled."""
        if isinstance(order, str):
            for answer in self._orders.cancel(order, lambda: self.clocks(arrival_ns)):
                self._mailbox.place(answer)
            return
        for answer in self._orders.arrive(order, self.clocks(arrival_ns), self.index_usd.get):
            self._mailbox.place(answer)

    def clocks(self, exch_ns: int) -> Clocks:
        """When we learn of what the venue does for us at `exch_ns`: later, and never before what it answered before."""
        learnt_ns = exch_ns + max(self._feed_delays.next_ns(), 1)
        self._last_answer_ns = max(learnt_ns, self._last_answer_ns, self.reached_ns)
        return Clocks(exch_ns, self._last_answer_ns)


def _edge_usd(instrument: Instrument, taker: Taker, price_ticks: int, size_lots: int) -> float | None:
    """What lots filled at `price_ticks` are worth to us in USD at the taker's mark; None where that is not known."""
    price = price_ticks * instrument.tick_size
    edge = -taker.side * (taker.mark_price - price) * size_lots * instrument.lot_size
    if instrument.is_reciprocal:
        edge /= price
    elif instrument.contract.is_inverse:
        edge *= taker.index_usd
    return None if math.isnan(edge) else edge
