"""Subscriptions: what happened at the venue becomes notifications, at once or a tenth of a second's worth together.

A raw book channel tells every change with the id before it; an interval's tells what changed since its last, and who
came between gets a snapshot then. So on every channel a client can hold the ids together and rebuild the book.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from flatbook.domain.units import NS_PER_SECOND
from flatbook.service.exchange import own_shapes, shapes, tellings
from flatbook.service.exchange.session import Session
from flatbook.service.exchange.shapes import Json, ms
from flatbook.sim.matching import LevelChange
from flatbook.sim.venue import events as said
from flatbook.sim.venue.block_rfq import BlockRfq, RfqDesk
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.listing import Listing
from flatbook.venues.deribit.channels import Channel
from flatbook.venues.deribit.rpc import encode_notification

INTERVAL_NS = {"100ms": NS_PER_SECOND // 10, "agg2": NS_PER_SECOND}


@dataclass(slots=True)
class _Stream:
    """One interval book channel: the id it last told, and what each level changed since was before."""

    told_id: int
    before: dict[tuple[int, int], int] = field(default_factory=dict)
    newcomers: list[Session] = field(default_factory=list)


class Hub:
    """Who listens to what, and what is to be told at the end of an interval."""

    def __init__(self, exchange: Exchange, volatility: Sequence[tuple[int, float]], rfqs: RfqDesk) -> None:
        self._exchange = exchange
        self._rfqs = rfqs
        self._volatility = volatility
        self._channels: dict[str, Channel] = {}
        self._listeners: dict[str, dict[int, Session]] = {}
        # Channels by instrument, and by sort where they are of none.
        self._of_instrument: dict[str, dict[str, Channel]] = {}
        self._of_sort: dict[str, dict[str, Channel]] = {}
        self._streams: dict[str, _Stream] = {}
        # Lists to be told whole (trades, orders), and values of which the last is told (tickers), by channel.
        self._lists: dict[tuple[str, int], list[Json]] = {}
        self._stale: dict[str, Channel] = {}
        self._quoted: dict[str, Json] = {}
        # Names of the channels that news of an instrument may belong on, by topic and instrument, with the interval.
        self._names_of: dict[tuple[str, str], list[tuple[str, str]]] = {}
        self._next_ns = dict.fromkeys(INTERVAL_NS, 0)

    def subscribe(self, session: Session, channel: Channel) -> None:
        """Adds a listener; what a channel starts with is told by `greet`."""
        session.channels[channel.name] = channel
        self._channels[channel.name] = channel
        self._listeners.setdefault(channel.name, {})[session.number] = session
        if channel.instrument:
            self._of_instrument.setdefault(channel.instrument, {})[channel.name] = channel
        else:
            self._of_sort.setdefault(channel.sort, {})[channel.name] = channel

    def unsubscribe(self, session: Session, name: str) -> None:
        """Takes a listener away."""
        channel = session.channels.pop(name, None)
        listeners = self._listeners.get(name, {})
        listeners.pop(session.number, None)
        if channel is not None and not listeners:
            self._listeners.pop(name, None)
            self._channels.pop(name, None)
            self._streams.pop(name, None)
            self._of_instrument.get(channel.instrument, {}).pop(name, None)
            self._of_sort.get(channel.sort, {}).pop(name, None)

    def greet(self, session: Session, channel: Channel) -> None:
        """Tells a new listener how things stand."""
        listing = self._exchange.listings.get(channel.instrument)
        if listing is not None:
            self.settle(listing)
        if channel.sort == "book" and listing is not None:
            if channel.interval == "raw":
                session.outbox.append(encode_notification(channel.name, tellings.snapshot(self._exchange, listing)))
            else:
                stream = self._streams.setdefault(channel.name, _Stream(listing.change_id))
                stream.newcomers.append(session)
        elif channel.sort in ("ticker", "grouped_book", "quote", "perpetual") and listing is not None:
            session.outbox.append(encode_notification(channel.name, self._value(channel, listing)))
        elif channel.sort == "user_portfolio":
            self._stale[channel.name] = channel

    def publish(self, events: Iterable[said.VenueEvent], touched: Iterable[str]) -> None:
        """Tells what happened, or keeps it for the end of its interval."""
        for event in events:
            self._hear(event)
        for name in touched:
            self._touch(self._exchange.listings[name])

    def settle(self, listing: Listing) -> None:
        """Takes a book's changes and tells them."""
        before_id, changes = listing.take_changes()
        if not changes:
            return
        for channel in self._of_instrument.get(listing.name, {}).values():
            if channel.sort != "book":
                continue
            if channel.interval == "raw":
                self._send(channel, tellings.change(self._exchange, listing, before_id, changes))
            else:
                stream = self._streams.setdefault(channel.name, _Stream(before_id))
                for change in changes:
                    stream.before.setdefault((change.side, change.price_ticks), change.before_lots)

    def flush(self, now_ns: int) -> None:
        """Tells what intervals that are over have gathered."""
        for interval, length_ns in INTERVAL_NS.items():
            if now_ns < self._next_ns[interval]:
                continue
            self._next_ns[interval] = (now_ns // length_ns + 1) * length_ns
            for name, stream in list(self._streams.items()):
                if self._channels[name].interval == interval:
                    self._flush_book(self._channels[name], stream)
            for name, channel in list(self._stale.items()):
                if (channel.interval or "100ms") == interval:
                    del self._stale[name]
                    self._tell_value(channel)
            for (name, number), items in list(self._lists.items()):
                known = self._channels.get(name)
                if known is None or known.interval == interval:
                    del self._lists[name, number]
                    session = self._listeners.get(name, {}).get(number)
                    if session is not None:
                        session.outbox.append(encode_notification(name, items))

    def _touch(self, listing: Listing) -> None:
        self.settle(listing)
        for channel in list(self._of_instrument.get(listing.name, {}).values()):
            if channel.sort == "quote":
                now = shapes.quote(self._exchange, listing)
                before = self._quoted.get(channel.name, {}) | {"timestamp": now["timestamp"]}
                if now != before:
                    self._quoted[channel.name] = now
                    self._send(channel, now)
            elif channel.sort in ("ticker", "perpetual") and channel.interval == "raw":
                self._send(channel, self._value(channel, listing))
            elif channel.sort in ("ticker", "perpetual", "grouped_book"):
                self._stale[channel.name] = channel

    def _hear(self, event: said.VenueEvent) -> None:
        match event:
            case said.Printed(trade=printed):
                listing = self._exchange.listings[printed.instrument]
                if heard := self._heard("trades", listing):
                    self._list(heard, [shapes.trade(listing, printed)], None)
                for channel in self._of_instrument.get(listing.name, {}).values():
                    if channel.sort == "chart":
                        self._stale[channel.name] = channel
            case said.Executed(execution=done):
                listing = self._exchange.listings[done.printed.instrument]
                self._own(listing, done.account, "trades", lambda: own_shapes.execution(listing, done))
            case said.OrderChanged(account=account, order=order):
                listing = self._exchange.listings[order.request.instrument]
                self._own(listing, account, "orders", lambda: own_shapes.order(listing, order))
            case said.MmpTriggered():
                self._mmp(event)
            case said.IndexMoved(base=base):
                self._index(base)
            case said.CashMoved(account=account, currency=currency):
                self._portfolio(account, currency)
            case said.RfqChanged(rfq=number):
                self._rfq(self._rfqs.requests[number])
            case said.ListingChanged(instrument=name, state=state):
                self._state(name, state)

    def _heard(self, topic: str, listing: Listing) -> list[tuple[str, str]]:
        """The channels of a topic that news of an instrument belongs on, as far as somebody listens, with intervals."""
        names = self._names_of.get((topic, listing.name))
        if names is None:
            intervals = ("raw", *INTERVAL_NS)
            names = [(f"{stem}.{interval}", interval) for stem in _names(topic, listing) for interval in intervals]
            self._names_of[topic, listing.name] = names
        return [each for each in names if each[0] in self._listeners]

    def _own(self, listing: Listing, account: str, what: str, shaped: Callable[[], Json]) -> None:
        """Tells an account of its own trade or order, which takes a shape where somebody listens."""
        alone, among_changes = self._heard(f"user.{what}", listing), self._heard("user.changes", listing)
        if alone or among_changes:
            shape = shaped()
            self._list(alone, [shape], account)
            self._changes(among_changes, listing, account, {what: [shape]})
        self._portfolio(account, shapes.currency_of(listing))

    def _list(self, names: list[tuple[str, str]], items: list[Json], account: str | None) -> None:
        """Tells a list on the raw channels of these, and keeps it for those with an interval."""
        for name, interval in names:
            for session in self._to(name, account):
                if interval == "raw":
                    session.outbox.append(encode_notification(name, items))
                else:
                    self._lists.setdefault((name, session.number), []).extend(items)

    def _changes(
        self, names: list[tuple[str, str]], listing: Listing, account: str, news: dict[str, list[Json]]
    ) -> None:
        positions = []
        if names and "trades" in news:
            positions = [own_shapes.position(self._exchange, self._exchange.accounts[account], listing)]
        data = {"instrument_name": listing.name, "trades": [], "orders": [], "positions": positions} | news
        for name, _ in names:
            for session in self._to(name, account):
                session.outbox.append(encode_notification(name, data))

    def _to(self, name: str, account: str | None) -> list[Session]:
        listeners = self._listeners.get(name)
        if not listeners:
            return []
        return [
            each
            for each in listeners.values()
            if account is None or (each.account is not None and each.account.name == account)
        ]

    def _send(self, channel: Channel, data: Json, account: str | None = None) -> None:
        told = encode_notification(channel.name, data)
        for session in self._to(channel.name, account):
            session.outbox.append(told)

    def _flush_book(self, channel: Channel, stream: _Stream) -> None:
        listing = self._exchange.listings[channel.instrument]
        self.settle(listing)
        changes = []
        for (side, ticks), before_lots in stream.before.items():
            now_lots = sum(each.left_lots for each in listing.book.queue(side, ticks))
            if now_lots != before_lots:
                changes.append(LevelChange(side, ticks, before_lots, now_lots))
        new = {session.number for session in stream.newcomers}
        if changes:
            told = encode_notification(channel.name, tellings.change(self._exchange, listing, stream.told_id, changes))
            for session in self._to(channel.name, None):
                if session.number not in new:
                    session.outbox.append(told)
            stream.told_id = listing.change_id
        stream.before.clear()
        if new:
            snapshot = tellings.snapshot(self._exchange, listing) | {"change_id": stream.told_id}
            for session in stream.newcomers:
                session.outbox.append(encode_notification(channel.name, snapshot))
            stream.newcomers = []

    def _value(self, channel: Channel, listing: Listing) -> Json:
        if channel.sort == "grouped_book":
            self.settle(listing)
        return tellings.value(self._exchange, listing, channel)

    def _mmp(self, event: said.MmpTriggered) -> None:
        data = {
            "index_name": event.index_name,
            "mmp_group": event.group,
            "frozen_until": own_shapes.frozen_until(event.frozen_until_ns),
        }
        for name in (f"user.mmp_trigger.{event.index_name}", "user.mmp_trigger.any"):
            if name in self._channels:
                self._send(self._channels[name], data, event.account)

    def _index(self, base: str) -> None:
        """The index moved: its own channels now, those of marks with the interval."""
        for channel in self._of_sort.get("index", {}).values():
            if channel.index_name.startswith(f"{base.lower()}_"):
                self._send(channel, tellings.index(self._exchange, base, channel.index_name))
        for sort in ("expiration", "marks", "volatility"):
            for channel in self._of_sort.get(sort, {}).values():
                if channel.index_name.startswith(f"{base.lower()}_"):
                    self._stale[channel.name] = channel

    def _rfq(self, rfq: BlockRfq) -> None:
        """The taker hears of its request and quotes, the makers it asks of the request."""
        legs = [self._exchange.listings[leg.instrument] for leg in rfq.legs]
        currencies = {"any", *map(shapes.currency_of, legs)}
        for channel in self._of_sort.get("user_rfq", {}).values():
            for session in self._to(channel.name, None) if channel.currency in currencies else ():
                name = session.account.name if session.account else ""
                if name == rfq.taker if channel.topic == "taker" else rfq.asks(name):
                    told = own_shapes.block_rfq(self._rfqs, name, rfq)
                    session.outbox.append(encode_notification(channel.name, told))

    def _state(self, name: str, state: str) -> None:
        listing = self._exchange.listings[name]
        data = {"timestamp": ms(self._exchange.now_ns), "instrument_name": name, "state": state}
        for stem in _names("instrument.state", listing)[1:]:
            if stem in self._channels:
                self._send(self._channels[stem], data)

    def _portfolio(self, account: str, currency: str) -> None:
        for channel in self._of_sort.get("user_portfolio", {}).values():
            if channel.currency.upper() in ("ANY", currency):
                self._stale[channel.name] = channel

    def _tell_portfolio(self, channel: Channel) -> None:
        currency = channel.currency.upper()
        for session in self._to(channel.name, None):
            if session.account is None:
                continue
            for each in session.account.currencies if currency == "ANY" else [currency]:
                data = own_shapes.portfolio(self._exchange, session.account, each)
                session.outbox.append(encode_notification(channel.name, data))

    def _tell_value(self, channel: Channel) -> None:
        if channel.sort == "user_portfolio":
            self._tell_portfolio(channel)
        elif channel.instrument in self._exchange.listings:
            self._send(channel, self._value(channel, self._exchange.listings[channel.instrument]))
        elif (data := tellings.of_index(self._exchange, channel, self._volatility)) is not None:
            self._send(channel, data)


def _names(topic: str, listing: Listing) -> list[str]:
    """Every channel of a topic that an instrument's news belongs on, without its interval."""
    kinds, currencies = ("any", shapes.kind_of(listing)), ("any", shapes.currency_of(listing))
    return [f"{topic}.{listing.name}", *(f"{topic}.{kind}.{currency}" for kind in kinds for currency in currencies)]
