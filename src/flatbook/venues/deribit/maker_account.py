"""Our account as the venue has it: what rests cleared, trades caught up with, payments, settlements, a statement. Pure.

Every conversation is a generator of `maker_script`. What it learns goes to `tell` as events, in an order that the books
take: fills before whatever ends the orders they are of, funding before the statement that has it.
"""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from flatbook.domain.errors import BadInputError, UnknownInstrumentError
from flatbook.domain.events import AnyEvent, DailySettlement, Delivery, FundingPaid
from flatbook.domain.instruments import Kind
from flatbook.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_SECOND, book_amount, parse_utc
from flatbook.venues.deribit.client_requests import Asked
from flatbook.venues.deribit.codec import Codec
from flatbook.venues.deribit.codec_account import (
    DeliveryPrices,
    LogPage,
    OwnPosition,
    OwnSummary,
    Protected,
    SettledPage,
    TradesPage,
)
from flatbook.venues.deribit.codec_own import OwnOrder
from flatbook.venues.deribit.maker_orders import NS_PER_MS, OwnNews
from flatbook.venues.deribit.maker_script import Question, Steps
from flatbook.venues.deribit.maker_terms import LABEL, MakerTerms, require_granted
from flatbook.venues.deribit.statement import Statement, statement_of

T = TypeVar("T")

_RECENT_MS = 23 * 3_600_000
"""The venue keeps trades at hand for a day; older ones are in its history, which they reach after a while."""

_MOST_TRADES = 1_000
_MOST_ROWS = 250
_ROUNDS_TO_CLEAR = 10
_EIGHT_NS = 8 * NS_PER_HOUR


def settlement_before(venue_ns: int) -> int:
    """The last 08:00 UTC."""
    return (venue_ns - _EIGHT_NS) // NS_PER_DAY * NS_PER_DAY + _EIGHT_NS


@dataclass(slots=True)
class Account:
    """Our account. `now_ns` is our time and `venue_ns` the venue's, both set by whoever runs the steps.

    is_opened       whether the books have begun: before that, what is found is where they begin, and no event
    statement       the last that the venue gave
    settled_ns      the last 08:00 UTC whose settlement and delivery are told
    booked_ms       rows of the log before this are in the books, or were when they began
    has_missed      whether the last look found a trade that no channel had told
    notes           what a person should know, once each
    """

    terms: MakerTerms
    news: OwnNews
    codec: Codec
    tell: Callable[[Iterable[AnyEvent]], None]
    expiries_ns: Callable[[], set[int]]
    now_ns: int = 0
    venue_ns: int = 0
    is_opened: bool = False
    statement: Statement | None = None
    settled_ns: int = 0
    has_missed: bool = False
    notes: list[str] = field(default_factory=list)
    logged_ms: int = 0
    booked_ms: int = 0
    _rows_seen: set[int] = field(default_factory=set)

    def reconcile(self) -> Steps:
        """Leaves nothing of ours at the venue, and nothing that traded untold."""
        yield from self._protect()
        yield from self._clear()
        yield from self.look()
        self.has_missed = False
        if not self.is_opened:
            self.is_opened, self.settled_ns = True, settlement_before(self.venue_ns)

    def look(self) -> Steps:
        """What traded and was not told, what was paid to us, and how the account stands then: that is asked in one
        breath, so that it is of one moment."""
        self.has_missed = yield from self._catch_up()
        self.logged_ms = self.logged_ms or (self.venue_ns - self._overlap_ns) // NS_PER_MS
        continuation: int | None = None
        while True:
            asked = yield self._questions_of_look(continuation)
            log, positions, summary = asked
            page = self._read(log, LogPage)
            self._take_log(page)
            continuation = page.continuation
            if continuation is None:
                break
        held, cash = self._read(positions, list[OwnPosition]), self._read(summary, OwnSummary)
        # A session's funding is in the equity, and in the books when the session's settlement names it.
        pending = {cash.currency: book_amount(cash.session_funding, cash.currency)}
        self.statement = statement_of(self.news.reference, held, [cash], self.now_ns, pending)

    def settle(self) -> Steps:
        """Days whose 08:00 UTC has passed: sessions that ended, and what expired."""
        prices, sessions = yield [
            Question("public/get_delivery_prices", {"index_name": self.terms.index_name, "count": 30}),
            Question(
                "public/get_last_settlements_by_currency",
                {"currency": self.terms.underlying, "type": "settlement", "count": 500},
            ),
        ]
        delivered = {parse_utc(each.date) + _EIGHT_NS: each for each in self._read(prices, DeliveryPrices).data}
        page = self._read(sessions, SettledPage)
        # A trade that no channel told is in the books before what it traded is delivered.
        self.has_missed = yield from self._catch_up()
        while (day_ns := self.settled_ns + NS_PER_DAY) <= self.venue_ns:
            told = self._sessions(page, day_ns)
            if not told or (day_ns in self.expiries_ns() and day_ns not in delivered):
                return
            if day_ns in delivered:
                told.append(
                    Delivery(
                        exch_ts_ns=day_ns, local_ts_ns=self.now_ns, underlying=self.terms.underlying,
                        expiry_ns=day_ns, price_usd=delivered[day_ns].delivery_price,
                    )
                )  # fmt: skip
            self.tell(told)
            self.settled_ns = day_ns

    @property
    def is_settling(self) -> bool:
        """Whether a day's settlement is due and not told."""
        return self.is_opened and self.venue_ns >= self.settled_ns + NS_PER_DAY

    def _sessions(self, page: SettledPage, day_ns: int) -> list[AnyEvent]:
        told: list[AnyEvent] = []
        for row in page.settlements:
            if abs(row.timestamp * NS_PER_MS - day_ns) >= NS_PER_HOUR:
                continue
            try:
                contract = self.news.reference.instrument(row.instrument_name).contract
            except UnknownInstrumentError:
                continue
            if contract.kind in (Kind.PERPETUAL, Kind.FUTURE):
                clocks = {"exch_ts_ns": row.timestamp * NS_PER_MS, "local_ts_ns": self.now_ns}
                told.append(DailySettlement(**clocks, instrument=row.instrument_name, price_usd=row.mark_price))
        return told

    def _protect(self) -> Steps:
        asked = yield [
            Question("private/enable_cancel_on_disconnect", {"scope": "connection"}),
            Question("private/set_mmp_config", self.terms.protection.sent()),
        ]
        for each in asked:
            if each.error is not None:
                raise BadInputError(
                    f"the venue refuses {each.method}: {each.error.describe()}; without it no quote is sent: ask the "
                    "venue to enable mass quotes and market-maker protection for the account"
                )
        # Its pages show one; they once showed a list.
        granted = self._read(asked[1], Protected | list[Protected])  # type: ignore[arg-type]
        require_granted(self.terms.protection, granted if isinstance(granted, list) else [granted])

    def _clear(self) -> Steps:
        """Nothing of ours rests: neither quotes nor orders, of this run or of one before."""
        for _ in range(_ROUNDS_TO_CLEAR):
            yield [
                Question(
                    "private/cancel_quotes",
                    {"cancel_type": "quote_set_id", "quote_set_id": self.terms.quote_set, "detailed": False},
                )
            ]
            (found,) = yield [Question("private/get_open_orders", {})]
            resting = self._read(found, list[OwnOrder])
            ours = [order for order in resting if _is_ours(order, self.terms)]
            if not ours:
                self._note_foreign(resting)
                return
            yield [Question("private/cancel", {"order_id": order.order_id}) for order in ours]
        raise BadInputError("orders of ours rest at the venue however often they are cancelled; look at the account")

    def _note_foreign(self, resting: list[OwnOrder]) -> None:
        if resting:
            names = ", ".join(sorted({order.instrument_name for order in resting}))
            note = f"{len(resting)} orders on the account are not ours and are left as they are: {names}"
            if note not in self.notes:
                self.notes.append(note)

    def _catch_up(self) -> Generator[list[Question], list[Asked], bool]:
        """Trades since the last that was heard, and from some time before it; whether any was news."""
        start_ms = ((self.news.seen_from_ns or self.venue_ns) - self._overlap_ns) // NS_PER_MS
        is_old = self.venue_ns // NS_PER_MS - start_ms > _RECENT_MS
        was_news = (yield from self._trades_since(start_ms, {"historical": True})) if is_old else False
        return (yield from self._trades_since(start_ms, {})) or was_news

    def _trades_since(self, start_ms: int, beside: dict[str, bool]) -> Generator[list[Question], list[Asked], bool]:
        """Every page of trades; whether any was news. The venue's recent ones and its history are asked for apart."""
        is_news = False
        while True:
            params = {
                "currency": self.terms.underlying,
                "start_timestamp": start_ms,
                "end_timestamp": self._until_ms(),
                "count": _MOST_TRADES,
                "sorting": "asc",
            }
            (answer,) = yield [Question("private/get_user_trades_by_currency_and_time", params | beside)]
            page = self._read(answer, TradesPage)
            if self.is_opened:
                told = self.news.trades(page.trades, self.now_ns)
                is_news |= bool(told)
                self.tell(told)
            else:
                self.news.skip(page.trades)
            if not page.has_more:
                return is_news
            if page.trades[-1].timestamp == start_ms:
                raise BadInputError(
                    f"more than {_MOST_TRADES} trades of one millisecond, {start_ms}; book them by hand"
                )
            start_ms = page.trades[-1].timestamp

    def _questions_of_look(self, continuation: int | None) -> list[Question]:
        currency = {"currency": self.terms.underlying}
        log = currency | {
            "start_timestamp": self.logged_ms,
            "end_timestamp": self._until_ms(),
            "count": _MOST_ROWS,
        }
        if continuation is not None:
            log |= {"continuation": continuation}
        return [
            Question("private/get_transaction_log", log),
            Question("private/get_positions", currency),
            Question("private/get_account_summary", currency),
        ]

    @property
    def _overlap_ns(self) -> int:
        return round(self.terms.overlap_s * NS_PER_SECOND)

    def _take_log(self, page: LogPage) -> None:
        rows = sorted((row for row in page.logs if row.id not in self._rows_seen), key=lambda row: row.id)
        told = [
            FundingPaid(
                exch_ts_ns=row.timestamp * NS_PER_MS,
                local_ts_ns=self.now_ns,
                instrument=row.instrument_name,
                payment_id=f"{row.id}",
                units=book_amount(row.funding, row.currency),
            )
            for row in rows
            if row.funding and row.instrument_name and row.timestamp >= self.booked_ms
        ]
        if self.is_opened:
            self.tell(told)
        self._rows_seen |= {row.id for row in rows}
        if page.continuation is None:
            self.logged_ms = max([self.logged_ms, *(row.timestamp for row in page.logs)])

    def _until_ms(self) -> int:
        """Beyond now: the venue's clock may be ahead of what we think."""
        return (self.venue_ns + NS_PER_HOUR) // NS_PER_MS

    def _read(self, asked: Asked, kind: type[T]) -> T:
        """What was answered.

        Errors      BadInputError where the venue refused to tell
        """
        assert asked.answer is not None, "a script is sent answers alone"
        if asked.error is not None:
            raise BadInputError(f"the venue refuses {asked.method}: {asked.error.describe()}")
        return self.codec.result(asked.answer, kind, asked.method)


def _is_ours(order: OwnOrder, terms: MakerTerms) -> bool:
    """Of this run or another of ours."""
    return order.label.startswith(f"{LABEL}-") or order.quote_set_id == LABEL or order.mmp_group == terms.mmp_group
