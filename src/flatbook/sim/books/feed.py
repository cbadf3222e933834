"""A replayed book as a live feed tells it: the engine's events, moment by moment, and orders in between."""

from collections.abc import Iterator
from dataclasses import dataclass

from flatbook.domain.errors import BadInputError, ConfigurationError
from flatbook.domain.events import (
    Fill,
    OrderAccepted,
    OrderCancelled,
    OrderEvent,
    OrderRejected,
    TopOfBook,
    TradePrint,
)
from flatbook.domain.reference import Instrument
from flatbook.domain.units import book_amount
from flatbook.kernels import l2_layout as at
from flatbook.kernels.l2 import advance, cancel, submit
from flatbook.sim.books.tape import BookTape, BookTerms

_NAN = float("nan")

BookEvent = TopOfBook | TradePrint | OrderEvent
"""What a replayed book tells."""


@dataclass(frozen=True, slots=True)
class BookListing:
    """What is replayed: its name and venue, tick and lot, what it settles in, and fees as rates of the notional.

    A lot of an inverse contract is in USD, of any other in coins. A negative rate is a rebate.
    """

    venue: str
    instrument: str
    settles_in: str
    tick: float
    lot: float
    is_inverse: bool
    maker_rate: float = 0.0
    taker_rate: float = 0.0

    def __post_init__(self) -> None:
        if not (self.tick > 0 and self.lot > 0):
            raise ConfigurationError(f"{self.instrument}: tick {self.tick} and lot {self.lot} must be above zero")

    @classmethod
    def of(cls, instrument: Instrument, venue: str) -> "BookListing":
        """The listing of a contract as reference data has it; fees are rounded to the nearest unit."""
        return cls(
            venue=venue,
            instrument=instrument.name,
            settles_in=instrument.contract.settle,
            tick=instrument.tick_size,
            lot=instrument.lot_size,
            is_inverse=instrument.contract.is_inverse,
            maker_rate=float(instrument.spec.fees.maker),
            taker_rate=float(instrument.spec.fees.taker),
        )

    def fee_units(self, price_ticks: int, lots: int, *, is_maker: bool) -> int:
        """The fee of a fill in the smallest units of the settlement currency."""
        price, amount = price_ticks * self.tick, lots * self.lot
        notional = amount / price if self.is_inverse else amount * price
        return book_amount(notional * (self.maker_rate if is_maker else self.taker_rate), self.settles_in)


class BookFeed:
    """One instrument's replay, stepwise.

    Between two events of `events` orders may be placed and cancelled: they are sent at the time of the event before.
    Fills are those that a strategy gets which calls the kernels itself at the same times.
    """

    def __init__(self, tape: BookTape, terms: BookTerms, listing: BookListing, *, orders: int = 4_096) -> None:
        self.replay = tape.replay(terms, orders=orders)
        self._tape = tape
        self._listing = listing
        self._touch: tuple[int, int, int, int] | None = None
        self._accepted: set[int] = set()

    @property
    def instrument(self) -> str:
        """The name of what is replayed."""
        return self._listing.instrument

    @property
    def now_ns(self) -> int:
        """Our time."""
        return int(self.replay.cursor[at.NOW_NS])

    def place(self, side: int, price_ticks: int, lots: int, kind: int) -> str:
        """Send an order (`kind` as in `l2_layout`); its id.

        Errors      BadInputError for a price beyond the recorded levels or a size below one lot, and where the replay
                    has no room for another order
        """
        tick = price_ticks - self._tape.base_ticks
        if not 1 <= tick < self._tape.window or lots < 1 or side not in (-1, 1):
            raise BadInputError(
                f"order of {side * lots} lots at tick {price_ticks}: beyond what was recorded, or no size"
            )
        number = submit(self.replay, side, tick, lots, kind)
        self._check()
        return str(number)

    def cancel(self, order_id: str) -> bool:
        """Ask for an order's end; False, and nothing sent, where we do not know it to be open."""
        is_sent = cancel(self.replay, int(order_id))
        self._check()
        return is_sent

    def events(self, until_ns: int) -> Iterator[BookEvent]:
        """What we hear up to `until_ns`, that moment included: best prices, then answers, then prints of each moment.

        Errors      BadInputError where the replay has no room for another message
        """
        is_more = True
        while is_more and self.now_ns < until_ns:
            heard, is_more = self._step(until_ns)
            yield from heard

    def moment(self, until_ns: int) -> list[BookEvent]:
        """The same of the next moment at which we hear anything; nothing where there is none up to `until_ns`."""
        heard, is_more = list[BookEvent](), True
        while is_more and not heard and self.now_ns < until_ns:
            heard, is_more = self._step(until_ns)
        return heard

    def _step(self, until_ns: int) -> tuple[list[BookEvent], bool]:
        """What we hear at the next row or answer, and whether anything is left to happen."""
        cursor, heard = self.replay.cursor, self.replay.heard
        first, answered = int(cursor[at.HEARD_ROW]), int(cursor[at.ANSWERS_HEARD])
        due_ns = int(self.replay.local_ts_ns[heard[first]]) if first < heard.size else until_ns
        is_more = advance(self.replay, max(self.now_ns, min(until_ns, due_ns)), True)
        self._check()
        rows = [int(row) for row in heard[first : cursor[at.HEARD_ROW]]]
        answers = (event for n in range(answered, int(cursor[at.ANSWERS_HEARD])) for event in self._answer(n))
        return [*self._top(rows), *answers, *self._prints(rows)], is_more

    def _check(self) -> None:
        if self.replay.cursor[at.FAULT]:
            room = len(self.replay.orders)
            raise BadInputError(f"{self._listing.instrument}: the replay has room for {room:,} orders; give it more")

    def _top(self, rows: list[int]) -> Iterator[TopOfBook]:
        r, c = self.replay, self.replay.cursor
        bid, ask = int(c[at.KNOWN_BID]), int(c[at.KNOWN_ASK])
        bid_lots = int(r.depth[at.KNOWN_BIDS, bid]) if bid >= 0 else 0
        ask_lots = int(r.depth[at.KNOWN_ASKS, ask]) if ask < self._tape.window else 0
        touch = (bid, ask, bid_lots, ask_lots)
        if not rows or touch == self._touch:
            return
        self._touch = touch
        lot = self._listing.lot
        yield TopOfBook(
            exch_ts_ns=int(r.exch_ts_ns[rows[-1]]),
            local_ts_ns=self.now_ns,
            instrument=self._listing.instrument,
            bid=self._price(bid) if bid_lots else _NAN,
            ask=self._price(ask) if ask_lots else _NAN,
            bid_amount=bid_lots * lot if bid_lots else _NAN,
            ask_amount=ask_lots * lot if ask_lots else _NAN,
            mark_price=_NAN,
        )

    def _prints(self, rows: list[int]) -> Iterator[TradePrint]:
        r = self.replay
        for row in rows:
            if r.what[row] in (at.BUY_PRINT, at.SELL_PRINT):
                yield TradePrint(
                    exch_ts_ns=int(r.exch_ts_ns[row]),
                    local_ts_ns=self.now_ns,
                    instrument=self._listing.instrument,
                    trade_id=str(row),
                    taker_side=1 if r.what[row] == at.BUY_PRINT else -1,
                    price=self._price(int(r.tick[row])),
                    size_lots=int(r.lots[row]),
                    mark_price=_NAN,
                    iv=_NAN,
                    index_usd=_NAN,
                    off_book=False,
                )

    def _answer(self, n: int) -> Iterator[OrderEvent]:
        said = [int(value) for value in self.replay.answers[n]]
        number, kind, lots = said[at.ANSWERED], said[at.ANSWER], said[at.ANSWER_LOTS]
        clocks = {"exch_ts_ns": said[at.VENUE_NS], "local_ts_ns": said[at.HEARD_NS]}
        order = self.replay.orders[number]
        if kind == at.EXPIRED and order[at.KIND] == at.POST_ONLY:
            yield OrderRejected(**clocks, order_id=str(number), reason="post-only, and would have taken")
            return
        if number not in self._accepted and kind != at.CANCEL_REJECTED:
            self._accepted.add(number)
            yield OrderAccepted(**clocks, order_id=str(number))
        if kind == at.FILLED:
            price_ticks = said[at.AT_TICK] + self._tape.base_ticks
            is_maker = bool(said[at.IS_MAKER])
            yield Fill(
                **clocks,
                venue=self._listing.venue,
                trade_id=f"{self._listing.instrument}-{n}",
                order_id=str(number),
                instrument=self._listing.instrument,
                side=int(order[at.SIDE]),
                price_ticks=price_ticks,
                size_lots=lots,
                fee_units=self._listing.fee_units(price_ticks, lots, is_maker=is_maker),
                is_maker=is_maker,
            )
        elif kind == at.CANCELLED:
            yield OrderCancelled(**clocks, order_id=str(number), reason="asked for")
        elif kind == at.EXPIRED:
            yield OrderCancelled(**clocks, order_id=str(number), reason="immediate or cancel")

    def _price(self, tick: int) -> float:
        return (tick + self._tape.base_ticks) * self._listing.tick
