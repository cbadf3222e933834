"""Our single orders and our fills as the venue tells them, by three roads that may overtake each other. Pure.

An order's answer, the channel of our changes and a list of trades asked for later all tell of the same things. Each
trade is told once, by its id; an order's end is told once, and not before all its trades were.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from flatbook.domain.events import AnyEvent, Fill, OrderAccepted, OrderCancelled, OrderRejected
from flatbook.domain.intents import TimeInForce
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.domain.units import NS_PER_DAY, book_amount
from flatbook.engine.booking import MANUAL_PREFIX, QUOTE_PREFIX
from flatbook.engine.effects import Order
from flatbook.venues.deribit.codec_own import OwnOrder, OwnTrade
from flatbook.venues.deribit.codec_requests import PlaceOrder, place_order
from flatbook.venues.deribit.maker_quotes import amount_of, price_of
from flatbook.venues.deribit.maker_terms import MakerTerms

NS_PER_MS = 1_000_000

_IN_FORCE = {TimeInForce.IOC: "immediate_or_cancel", TimeInForce.GTC: "good_til_cancelled"}
_OVER = ("cancelled", "rejected")
_NO_NEWS = ("", "user_request", "mmp_trigger")
"""Ends of a quote that its own message, or the news of the protection, tells."""


@dataclass(slots=True)
class Sent:
    """An order of ours that is not known to have ended. `filled_lots` of its `size_lots` are told; `end` is why it
    ended, where the venue says so and trades of it are still to come, with when that was heard."""

    instrument: Instrument
    size_lots: int
    is_accepted: bool = False
    filled_lots: int = 0
    end: str | None = None
    final_lots: int = 0
    heard_ns: int = 0


@dataclass(slots=True)
class OwnNews:
    """Orders by our id, and the trades that were told.

    seen                the trades of the last day and earlier ones that were told with them, with the venue's time of
                        each, ms: what is asked for again begins a little before the last
    seen_from_ns        the venue's time of the last trade
    """

    terms: MakerTerms
    reference: ReferenceData
    sent: dict[str, Sent] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    seen_from_ns: int = 0

    def keep(self, order_id: str, instrument: str, size_lots: int) -> None:
        """An order is ours from now on, whether or not it will be sent."""
        self.sent[order_id] = Sent(self.reference.instrument(instrument), size_lots)

    def place(self, order: Order) -> tuple[str, dict[str, Any]]:
        """The request that places an order."""
        self.keep(order.order_id, order.intent.instrument, order.intent.size_lots)
        intent, instrument = order.intent, self.sent[order.order_id].instrument
        wanted = PlaceOrder(
            instrument_name=instrument.name,
            amount=amount_of(instrument, intent.size_lots),
            price=price_of(instrument, intent.limit_ticks),
            label=self.terms.label(order.order_id),
            time_in_force=_IN_FORCE[intent.time_in_force],
        )
        return place_order(intent.side, wanted)

    def refused(self, order_id: str, reason: str, exch_ts_ns: int, now_ns: int) -> list[AnyEvent]:
        """The venue does not take an order."""
        if self.sent.pop(order_id, None) is None:
            return []
        return [OrderRejected(exch_ts_ns=exch_ts_ns, local_ts_ns=now_ns, order_id=order_id, reason=reason)]

    def all_ended(self, reason: str, exch_ts_ns: int, now_ns: int) -> list[AnyEvent]:
        """Nothing of ours is at the venue any more."""
        ended, self.sent = list(self.sent), {}
        return [
            OrderCancelled(exch_ts_ns=exch_ts_ns, local_ts_ns=now_ns, order_id=order_id, reason=reason)
            for order_id in ended
        ]

    def overdue(self, now_ns: int, patience_ns: int) -> bool:
        """Whether an order ended and its trades do not come."""
        return any(each.end is not None and now_ns - each.heard_ns > patience_ns for each in self.sent.values())

    def trades(self, trades: Iterable[OwnTrade], now_ns: int) -> list[AnyEvent]:
        """What is new of them: a fill each, and the ends that waited for it.

        Errors      BadInputError for a trade of what no convention explains, or that is off the contract's tick or lot
        """
        told: list[AnyEvent] = []
        for trade in trades:
            if trade.trade_id in self.seen:
                continue
            fill = self._fill(trade, now_ns)
            self.skip([trade])
            told.append(fill)
            own = self.sent.get(fill.order_id)
            if own is not None:
                own.filled_lots += fill.size_lots
                told += self._end(fill.order_id, own, fill.exch_ts_ns, now_ns)
        return told

    def skip(self, trades: Iterable[OwnTrade]) -> None:
        """These are in the books already."""
        for trade in trades:
            self.seen[trade.trade_id] = trade.timestamp
            self.seen_from_ns = max(self.seen_from_ns, trade.timestamp * NS_PER_MS)
        oldest_ms = (self.seen_from_ns - NS_PER_DAY) // NS_PER_MS
        while self.seen and self.seen[first := next(iter(self.seen))] < oldest_ms:
            del self.seen[first]

    def order(self, order: OwnOrder, now_ns: int, name_of: Callable[[str], bool]) -> list[AnyEvent]:
        """What an order's state tells that is new. `name_of` says whether an instrument has a quote of ours."""
        exch_ts_ns = order.last_update_timestamp * NS_PER_MS
        if order.quote:
            is_news = order.order_state in _OVER and (order.cancel_reason or "") not in _NO_NEWS
            if not is_news or order.quote_set_id != self.terms.quote_set or not name_of(order.instrument_name):
                return []
            quote = QUOTE_PREFIX + order.instrument_name
            reason = order.cancel_reason or order.order_state
            return [OrderCancelled(exch_ts_ns=exch_ts_ns, local_ts_ns=now_ns, order_id=quote, reason=reason)]
        order_id = self.terms.order_id(order.label)
        own = self.sent.get(order_id) if order_id is not None else None
        if order_id is None or own is None:
            return []
        if order.order_state == "open":
            was_accepted, own.is_accepted = own.is_accepted, True
            if was_accepted:
                return []
            return [OrderAccepted(exch_ts_ns=exch_ts_ns, local_ts_ns=now_ns, order_id=order_id)]
        own.end = order.cancel_reason or order.order_state
        own.final_lots, own.heard_ns = own.instrument.size_lots(order.filled_amount), now_ns
        return self._end(order_id, own, exch_ts_ns, now_ns)

    def _end(self, order_id: str, own: Sent, exch_ts_ns: int, now_ns: int) -> list[AnyEvent]:
        """The end of an order whose trades are all told. One that is filled has ended with its last fill."""
        is_filled = own.filled_lots >= own.size_lots
        if not is_filled and (own.end is None or own.filled_lots < own.final_lots):
            return []
        del self.sent[order_id]
        if is_filled or own.end is None or own.end == "filled":
            return []
        return [OrderCancelled(exch_ts_ns=exch_ts_ns, local_ts_ns=now_ns, order_id=order_id, reason=own.end)]

    def _fill(self, trade: OwnTrade, now_ns: int) -> Fill:
        """A trade as a fill of a quote, of an order of this run, or of somebody's who trades on our account by hand."""
        instrument = self.reference.instrument(trade.instrument_name)
        if trade.quote_set_id == self.terms.quote_set:
            order_id = QUOTE_PREFIX + instrument.name
        else:
            order_id = self.terms.order_id(trade.label) or MANUAL_PREFIX + trade.order_id
        return Fill(
            exch_ts_ns=trade.timestamp * NS_PER_MS,
            local_ts_ns=now_ns,
            venue=self.terms.venue,
            trade_id=trade.trade_id,
            order_id=order_id,
            instrument=instrument.name,
            side=1 if trade.direction == "buy" else -1,
            price_ticks=instrument.price_ticks(trade.price),
            size_lots=instrument.size_lots(trade.amount),
            # The venue prints whole units; its float is nearer to that number than to any other.
            fee_units=book_amount(trade.fee, trade.fee_currency),
            is_maker=trade.liquidity == "M",
        )
