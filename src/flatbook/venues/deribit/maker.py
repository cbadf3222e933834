"""A maker on Deribit as a machine without a socket: effects go in, the venue's word goes in, events come out.

    DOWN -> UNSURE -> RECONCILING -> READY          a break, or an outcome that is not known -> DOWN or UNSURE

Only a READY maker sends. Whenever it is not sure what the venue did, it stops, waits until no request can be on its way
any more, takes everything of ours away, reads what traded, and tells the engine so: first the fills, then that every
order and quote is gone, then that all its messages are acknowledged. So nothing is guessed, and nothing is sent twice.

How to drive it, with a `Protocol` whose actions are done by whoever has the socket:

    for action in protocol.received(now_ns, raw):        likewise opened, closed, advance
        Told      -> actions += maker.heard(told)
        Settled   -> actions += maker.settled(asked, now_ns)
    actions += maker.advance(now_ns)                     after each of these, and at `protocol.wake_ns` at the latest
    events = maker.take_events()                         to the engine, in this order; they are stamped with `now_ns`
    actions = maker.submit(now_ns, effects)

Every method gives actions for that same driver, `Settled` among them. Times are nanoseconds UTC of ours.
"""

from flatbook.domain.events import AnyEvent, OrderCancelled, OrderRejected, ProtectionTriggered, QuotesAcknowledged
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.domain.units import NS_PER_SECOND
from flatbook.engine.booking import QUOTE_PREFIX
from flatbook.engine.effects import Effects
from flatbook.venues.deribit.client_actions import Action, Phase, Told
from flatbook.venues.deribit.client_protocol import Protocol
from flatbook.venues.deribit.client_requests import Asked, Outcome
from flatbook.venues.deribit.codec_account import MassQuoted, Placed
from flatbook.venues.deribit.codec_own import MmpTrigger, OwnChanges
from flatbook.venues.deribit.codec_requests import MassQuote
from flatbook.venues.deribit.maker_account import Account
from flatbook.venues.deribit.maker_orders import NS_PER_MS, OwnNews
from flatbook.venues.deribit.maker_quotes import QuoteLine
from flatbook.venues.deribit.maker_script import Script
from flatbook.venues.deribit.maker_terms import Known, MakerTerms, Standing, require_no_rival
from flatbook.venues.deribit.statement import Statement

_FOREVER_NS = 2**63 - 1
_LATE_TRADES_NS = 10 * NS_PER_SECOND


class Maker:
    """One account's maker of one coin's options, hedged with that coin's perpetual.

    standing        whether it sends; `reason` is why not
    account         what the venue said of the account; its `statement` is where the books begin, and later what they
                    are compared with
    """

    def __init__(
        self, protocol: Protocol, terms: MakerTerms, reference: ReferenceData, known: Known | None = None
    ) -> None:
        self.standing, self.reason = Standing.DOWN, "this process has just begun"
        self.reconciliations = 0
        self.quotes = QuoteLine()
        self.news = OwnNews(terms, reference)
        self._events: list[AnyEvent] = []
        self.account = Account(terms, self.news, protocol.codec, self._events.extend, self._expiries_ns)
        self._protocol, self._terms = protocol, terms
        self._placing: dict[int, str] = {}
        self._script: Script | None = None
        self._connection = 0
        self._look_ns = self._settle_ns = self._alone_from_ms = 0
        self._quote_messages = 0
        self._is_ending = False
        self._left_quoted: frozenset[str] = frozenset()
        if known is not None:
            self._resume(known)

    @property
    def channels(self) -> list[str]:
        """What is to be listened to, over every reconnect."""
        return ["user.changes.any.any.raw", f"user.mmp_trigger.{self._terms.index_name}"]

    @property
    def statement(self) -> Statement | None:
        """The venue's last statement."""
        return self.account.statement

    def start(self, now_ns: int) -> list[Action]:
        """Connects, and listens to what happens to us."""
        return [*self._protocol.subscribe(now_ns, self.channels), *self._protocol.start(now_ns)]

    def list_instrument(self, row: int, instrument: Instrument) -> None:
        """As in `engine.venue.Venue`."""
        self.quotes.list_instrument(row, instrument)

    def take_events(self) -> list[AnyEvent]:
        """What happened to us since this was last asked, in order."""
        events = list(self._events)
        self._events.clear()
        return events

    def submit(self, now_ns: int, effects: Effects) -> list[Action]:
        """Sends what the engine wants done, now or, of quotes, when it can be; what it sends while it is not ready is
        kept, not sent, and told as gone when it is ready again."""
        if effects.quotes is not None:
            self.quotes.wish(effects.quotes)
        if self.standing is not Standing.READY:
            for order in effects.orders:
                self.news.keep(order.order_id, order.intent.instrument, order.intent.size_lots)
            return []
        actions: list[Action] = []
        for order_id in effects.cancels:
            label = {"currency": self._terms.underlying, "label": self._terms.label(order_id)}
            actions += self._protocol.ask(now_ns, "private/cancel_by_label", label)[1]
        for order in effects.orders:
            asked, sent = self._protocol.ask(now_ns, *self.news.place(order))
            self._placing[asked.id] = order.order_id
            actions += sent
        return [*actions, *self._quote(now_ns)]

    def heard(self, told: Told) -> list[Action]:
        """A channel spoke. What it says of others is not looked at.

        Errors      BadInputError for a trade on the account that no book can hold, or another maker of ours
        """
        data, now_ns = told.message.data, told.received_ns
        if isinstance(data, OwnChanges):
            if not self.account.is_opened:
                self.news.skip(data.trades)
                return []
            self._events += self.news.trades(data.trades, now_ns)
            self.quotes.saw((*data.trades, *data.orders))
            if self.standing is Standing.READY:
                require_no_rival(data.orders, self._terms, self._alone_from_ms)
            for order in data.orders:
                self._events += self.news.order(order, now_ns, self._has_row)
        elif isinstance(data, MmpTrigger) and data.mmp_group == self._terms.mmp_group:
            self.quotes.doubt()
            self._events.append(self._frozen(data, now_ns))
        return []

    def settled(self, asked: Asked, now_ns: int) -> list[Action]:
        """A request of ours has an outcome.

        Errors      BadInputError where the venue refuses what no maker can be without
        """
        if self._script is not None and self._script.settled(asked):
            return self.advance(now_ns)
        if asked.outcome in (Outcome.UNKNOWN, Outcome.RECONCILED, Outcome.UNSENT):
            if self.standing is Standing.READY:
                self._doubt(f"{asked.method} was not answered")
        elif asked.id in self._placing:
            self._placed(asked, now_ns)
        elif asked.id in self.quotes.under_way:
            self._quoted(asked, now_ns)
        return self.advance(now_ns)

    def advance(self, now_ns: int) -> list[Action]:
        """Time passed, or something was heard: goes on with whatever can be gone on with."""
        account, protocol = self.account, self._protocol
        account.now_ns, account.venue_ns = now_ns, now_ns + (protocol.clock.offset_ns or 0)
        if protocol.phase is not Phase.LIVE:
            if self.standing not in (Standing.DOWN, Standing.OVER):
                self._doubt(protocol.lost or "the connection is gone")
                self.standing = Standing.DOWN
            return []
        if self.standing in (Standing.DOWN, Standing.READY) and self._connection != protocol.connects:
            self._doubt(protocol.lost or ("the connection is new" if self._connection else "it is the first"))
        self._connection = protocol.connects
        if self.standing is Standing.READY and self.news.overdue(now_ns, _LATE_TRADES_NS):
            self._doubt("an order ended and its trades were not told")
        if self.standing is Standing.UNSURE and not protocol.undecided():
            self.standing, self._script = Standing.RECONCILING, Script(account.reconcile())
        if self.standing is Standing.READY and self._script is None:
            self._script = self._due(now_ns)
        return [*self._converse(now_ns), *self._quote(now_ns)]

    def look(self, now_ns: int) -> list[Action]:
        """Asks for payments and a statement now, and not when it is time for it."""
        self._look_ns = now_ns
        return self.advance(now_ns)

    def end(self, now_ns: int) -> list[Action]:
        """Takes everything away for good; over when `standing` is OVER."""
        self._is_ending = True
        if self.standing is Standing.READY:
            self._doubt("the run ends")
        return self.advance(now_ns)

    def _resume(self, known: Known) -> None:
        self.news.seen |= dict.fromkeys(known.trade_ids, known.until_ns // NS_PER_MS)
        self.news.seen_from_ns = known.until_ns
        for order_id, (name, open_lots) in known.orders.items():
            self.news.keep(order_id, name, open_lots)
        self._left_quoted = known.quoted
        self.quotes.last = known.quote_number
        self.account.is_opened = True
        self.account.settled_ns = known.settled_ns
        self.account.logged_ms = self.account.booked_ms = known.paid_ns // NS_PER_MS

    def misheard(self) -> None:
        """Something was said that could not be read: it may have been of us, and nothing says it again."""
        if self.standing is Standing.READY:
            self._doubt("a message could not be read")

    def _doubt(self, reason: str) -> None:
        # The first reason is the cause: whatever else is found until all is clear again follows from it.
        self.standing, self.reason = Standing.UNSURE, self.reason or reason
        if self._script is not None:
            self._script.stop()
            self._script = None

    def _converse(self, now_ns: int) -> list[Action]:
        """Asks what the script asks next; what follows from its end."""
        actions: list[Action] = []
        while self._script is not None:
            script = self._script
            for question in script.next_round():
                asked, sent = self._protocol.ask(now_ns, *question)
                script.asked(asked)
                actions += sent
            if not script.is_over:
                return actions
            self._script = None
            if self.standing is Standing.RECONCILING:
                self._reconciled(script, now_ns)
            elif self.account.has_missed:
                self._doubt("a trade was not told")
        return actions

    def _reconciled(self, script: Script, now_ns: int) -> None:
        if script.has_failed:
            self.standing = Standing.UNSURE
            return
        self._gone(now_ns)
        self.reconciliations += 1
        self._look_ns = now_ns + round(self._terms.poll_s * NS_PER_SECOND)
        self._alone_from_ms = self.account.venue_ns // NS_PER_MS
        self.standing, self.reason = (Standing.OVER if self._is_ending else Standing.READY), ""

    def _due(self, now_ns: int) -> Script | None:
        """What it is time to ask about the account."""
        if self.account.is_settling and now_ns >= self._settle_ns:
            self._settle_ns = now_ns + round(self._terms.settling_s * NS_PER_SECOND)
            return Script(self.account.settle())
        if now_ns >= self._look_ns:
            self._look_ns = now_ns + round(self._terms.poll_s * NS_PER_SECOND)
            return Script(self.account.look())
        return None

    def _gone(self, now_ns: int) -> None:
        """Nothing of ours rests at the venue: the engine is told so of all that it may think does."""
        exch_ts_ns, reason = self.account.venue_ns, f"taken away: {self.reason}"
        self._placing.clear()
        self._events += self.news.all_ended(reason, exch_ts_ns, now_ns)
        left, self._left_quoted = self._left_quoted, frozenset()
        for name in sorted({*left, *self.quotes.forget()}):
            order_id = QUOTE_PREFIX + name
            self._events.append(
                OrderCancelled(exch_ts_ns=exch_ts_ns, local_ts_ns=now_ns, order_id=order_id, reason=reason)
            )
        self._acknowledge(exch_ts_ns, now_ns)

    def _placed(self, asked: Asked, now_ns: int) -> None:
        order_id = self._placing.pop(asked.id)
        if asked.error is not None or asked.answer is None:
            reason = asked.error.describe() if asked.error is not None else asked.outcome.value
            self._events += self.news.refused(order_id, reason, asked.answered_ns, now_ns)
            return
        placed = self._protocol.codec.result(asked.answer, Placed, asked.method)
        self._events += self.news.trades(placed.trades, now_ns)
        self._events += self.news.order(placed.order, now_ns, self._has_row)

    def _quoted(self, asked: Asked, now_ns: int) -> None:
        exch_ts_ns = asked.answered_ns
        if asked.error is not None or asked.answer is None:
            reason = asked.error.describe() if asked.error is not None else asked.outcome.value
            names = [self.quotes.instruments[row].name for row in self.quotes.refused(asked.id)]
            self._reject(dict.fromkeys(names, reason), exch_ts_ns, now_ns)
        else:
            done = self._protocol.codec.result(asked.answer, MassQuoted, asked.method)
            self._events += self.news.trades(done.trades, now_ns)
            self.quotes.saw((*done.trades, *done.orders))
            reasons: dict[str, str] = {}
            for each in done.errors:
                text = f"{each.side}: {each.error.describe()}"
                reasons[each.instrument_name] = "; ".join(filter(None, (reasons.get(each.instrument_name), text)))
            sides = [
                (self.quotes.row_of[each.instrument_name], 1 if each.side == "bid" else -1) for each in done.errors
            ]
            self.quotes.answered(asked.id, sides, done.orders)
            self._reject(reasons, exch_ts_ns, now_ns)
        self._acknowledge(exch_ts_ns, now_ns)

    def _reject(self, reasons: dict[str, str], exch_ts_ns: int, now_ns: int) -> None:
        for name, reason in reasons.items():
            order_id = QUOTE_PREFIX + name
            self._events.append(
                OrderRejected(exch_ts_ns=exch_ts_ns, local_ts_ns=now_ns, order_id=order_id, reason=reason)
            )

    def _acknowledge(self, exch_ts_ns: int, now_ns: int) -> None:
        number = self.quotes.acknowledge()
        if number is not None:
            self._events.append(QuotesAcknowledged(exch_ts_ns=exch_ts_ns, local_ts_ns=now_ns, number=number))

    def _quote(self, now_ns: int) -> list[Action]:
        """Sends what waits, as far as answers to what was sent before have come."""
        actions: list[Action] = []
        while self.standing is Standing.READY and len(self.quotes.under_way) < self._terms.most_under_way:
            batch = self.quotes.next_batch(self._terms.most_quotes)
            if batch is None:
                break
            self._quote_messages += 1
            quote_id, group = self._terms.quote_id(self._quote_messages), self._terms.mmp_group
            message = MassQuote(quote_id=quote_id, mmp_group=group, quotes=batch.entries)
            # What is left out is the venue's default, and that is to answer before it knows, and with counts alone.
            params = message.sent() | {"detailed": True, "wait_for_response": True}
            asked, sent = self._protocol.ask(now_ns, "private/mass_quote", params)
            self.quotes.sent(asked.id, batch)
            actions += sent
        self._acknowledge(self.account.venue_ns, now_ns)
        return actions

    def _frozen(self, told: MmpTrigger, now_ns: int) -> ProtectionTriggered:
        until_ns = told.frozen_until * NS_PER_MS - (self._protocol.clock.offset_ns or 0)
        return ProtectionTriggered(
            exch_ts_ns=self.account.venue_ns,
            local_ts_ns=now_ns,
            frozen_until_ns=until_ns if told.frozen_until else _FOREVER_NS,
        )

    def _has_row(self, name: str) -> bool:
        return name in self.quotes.row_of

    def _expiries_ns(self) -> set[int]:
        return {each.contract.expiry_ns for each in self.quotes.instruments if each.contract.expiry_ns is not None}
