"""What the venue does by its clock: marks of what has no vol, funding, settlement, delivery, liquidation."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace

from flatbook.domain.events import DailySettlement, Delivery, FundingRate
from flatbook.domain.instruments import Kind
from flatbook.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND
from flatbook.market.analytics.funding import DERIBIT
from flatbook.sim.calendar import SettlementClock
from flatbook.sim.clocks import Clocks
from flatbook.sim.matching import TimeInForce
from flatbook.sim.venue import events as said
from flatbook.sim.venue.account import VENUE, Account
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.listing import Listing, Mark
from flatbook.sim.venue.margin import margin_of, requirement
from flatbook.sim.venue.orders import OrderKind, OrderRequest, RefusalError

TOLD_NS = 31 * NS_PER_DAY
"""The venue tells this much of its past: hours of funding, settlements, deliveries."""

_BASIS_MEMORY_NS = 30 * NS_PER_SECOND
_PERPETUAL_BAND = 0.005


class FundingHour(NamedTuple):
    """Funding of one perpetual over one hour: its rate, and the 8-hour rate as of its end."""

    end_ns: int
    instrument: str
    index_usd: float
    previous_index_usd: float
    rate_1h: float
    rate_8h: float


class Settled(NamedTuple):
    """A session's end or a delivery, as the venue publishes it."""

    ts_ns: int
    instrument: str
    is_delivery: bool
    index_usd: float
    price: float
    position_lots: int


@dataclass(slots=True)
class _Basis:
    """A book's mid over the index, averaged over the last half minute or so."""

    ratio: float
    ts_ns: int


class Cycle:
    """Time at one venue. `tick` is to be called with every index price, in order."""

    def __init__(self, exchange: Exchange) -> None:
        self.clock = SettlementClock()
        self.clock.start(exchange.now_ns)
        self.funding: list[FundingHour] = []
        self.settled: list[Settled] = []
        self._exchange = exchange
        self._basis: dict[str, _Basis] = {}
        self._funded_ns = exchange.now_ns
        self._hour_rates: dict[str, list[float]] = {}
        self._hour_index: dict[str, float] = {}

    def tick(self, base: str, price_usd: float) -> None:
        """The index of `base` now; all that follows from it and from the time."""
        exchange, now_ns = self._exchange, self._exchange.now_ns
        exchange.index_usd[base] = price_usd
        exchange.events.append(said.IndexMoved(base))
        self.clock.tick(base, now_ns, price_usd)
        linears = [each for each in exchange.linears.values() if _follows(each, base)]
        for listing in linears:
            self._mark(listing, price_usd)
        if now_ns > self.clock.next_ns:
            self._begin_session()
        if now_ns - self._funded_ns >= NS_PER_MINUTE:
            self._fund([each for each in linears if each.instrument.contract.kind is Kind.PERPETUAL], price_usd)
            exchange.forget()
            self._forget()
        if now_ns >= self.clock.next_ns:
            if now_ns == self.clock.next_ns:
                self._begin_session()
            self._settle(base, linears)
        for account in exchange.accounts.values():
            self._liquidate(account)

    def _forget(self) -> None:
        """Drops what is told no more."""
        oldest_ns = self._exchange.now_ns - TOLD_NS
        del self.funding[: bisect_left(self.funding, oldest_ns, key=lambda hour: hour.end_ns)]
        del self.settled[: bisect_left(self.settled, oldest_ns, key=lambda settled: settled.ts_ns)]

    def _begin_session(self) -> None:
        """What accrues after the settlement is of the next session; what accrues at it is of the last."""
        for account in self._exchange.accounts.values():
            account.ended_funding, account.session_funding = account.session_funding, {}

    def _mark(self, listing: Listing, index_usd: float) -> None:
        bid, ask = listing.book.best_ticks(1), listing.book.best_ticks(-1)
        now_ns, tick = self._exchange.now_ns, listing.instrument.tick_size
        basis = self._basis.setdefault(listing.name, _Basis(0.0, now_ns))
        if bid is not None and ask is not None:
            ratio = 0.5 * (bid + ask) * tick / index_usd - 1
            first = math.isnan(listing.mark.price)
            keep = 0.0 if first else math.exp(-(now_ns - basis.ts_ns) / _BASIS_MEMORY_NS)
            basis.ratio = keep * basis.ratio + (1 - keep) * ratio
        basis.ts_ns = now_ns
        is_perpetual = listing.instrument.contract.kind is Kind.PERPETUAL
        ratio = min(max(basis.ratio, -_PERPETUAL_BAND), _PERPETUAL_BAND) if is_perpetual else basis.ratio
        listing.mark = Mark(round(index_usd * (1 + ratio), 4), index_usd)
        if is_perpetual:
            listing.funding_8h = float(DERIBIT.rate(ratio))
        self._exchange.touched[listing.name] = None

    def _fund(self, perpetuals: list[Listing], index_usd: float) -> None:
        """Funding accrues by the minute, at the rate of the mark, and is cash when the session ends; the history keeps
        it by the hour."""
        exchange, now_ns = self._exchange, self._exchange.now_ns
        hours = (now_ns - self._funded_ns) / NS_PER_HOUR
        is_full_hour = now_ns // NS_PER_HOUR > self._funded_ns // NS_PER_HOUR
        self._funded_ns = now_ns
        for listing in perpetuals:
            rate = listing.funding_8h * hours / 8
            event = FundingRate(exch_ts_ns=now_ns, local_ts_ns=now_ns, instrument=listing.name, rate=rate, hours=hours)
            for account in exchange.accounts.values():
                if not account.position(listing.name).size_lots:
                    continue
                before = account.position(listing.name).funding_units
                account.ledger.book_funding(event, VENUE, listing.mark.price)
                received = account.position(listing.name).funding_units - before
                account.session_funding[listing.name] = account.session_funding.get(listing.name, 0) + received
            rates = self._hour_rates.setdefault(listing.name, [])
            rates.append(rate)
            if is_full_hour:
                previous = self._hour_index.get(listing.name, index_usd)
                self.funding.append(
                    FundingHour(now_ns, listing.name, index_usd, previous, sum(rates), listing.funding_8h)
                )
                self._hour_index[listing.name] = index_usd
                rates.clear()

    def _settle(self, base: str, linears: list[Listing]) -> None:
        """The session ends: futures' profit becomes cash, and what expires is delivered on one price."""
        exchange = self._exchange
        now_ns = self.clock.next_ns
        for listing in exchange.listings.values():
            contract = listing.instrument.contract
            if listing.is_open and contract.expiry_ns == now_ns and contract.base == base:
                self.clock.expect(base, now_ns)
        margined = (Kind.PERPETUAL, Kind.FUTURE)
        prices = {each.name: each.mark.price for each in linears if each.instrument.contract.kind in margined}
        for event in self.clock.settlements(prices, Clocks(now_ns, now_ns)):
            if isinstance(event, Delivery):
                # Booked at the price that is published, to its last digit.
                self._deliver(replace(event, price_usd=round(event.price_usd, 4)))
            else:
                self._end_session(event)
        self.clock.advance()

    def _end_session(self, event: DailySettlement) -> None:
        exchange = self._exchange
        listing = exchange.listings[event.instrument]
        if listing.instrument.contract.expiry_ns == event.exch_ts_ns:
            return
        listing.settlement_price = event.price_usd
        self._publish(listing, is_delivery=False, price=event.price_usd)
        for account in exchange.accounts.values():
            before = account.ledger.balance(VENUE, listing.instrument.contract.settle)
            account.ledger.book_daily_settlement(event, VENUE)
            after = account.ledger.balance(VENUE, listing.instrument.contract.settle)
            funding = account.ended_funding.pop(listing.name, 0)
            if account.position(listing.name).size_lots or funding:
                self._moved(account, listing, after - before, funding)

    def _deliver(self, event: Delivery) -> None:
        exchange = self._exchange
        for listing in exchange.listings.values():
            contract = listing.instrument.contract
            if contract.base == event.underlying and contract.expiry_ns == event.expiry_ns and listing.is_open:
                self._close(listing, event.price_usd)
        for account in exchange.accounts.values():
            before = {currency: account.ledger.balance(VENUE, currency) for currency in account.ledger.balances()}
            account.ledger.book_delivery(event, VENUE)
            for currency, units in before.items():
                delivered = account.ledger.balance(VENUE, currency) - units
                if delivered:
                    moved = (account.name, currency, "delivery", event.underlying, delivered, event.exch_ts_ns)
                    exchange.events.append(said.CashMoved(*moved))

    def _close(self, listing: Listing, price_usd: float) -> None:
        """Ends trading in what expires: its book is emptied and it stays listed as closed."""
        exchange, name = self._exchange, listing.name
        for account in exchange.accounts.values():
            exchange.cancel_where(account, lambda order: order.request.instrument == name, "settlement")
            account.entry_prices.pop(name, None)
        for side in (1, -1):
            for price_ticks, _ in listing.book.depth(side):
                for resting in listing.book.queue(side, price_ticks):
                    listing.book.cancel(resting.number)
        listing.is_open, listing.delivery_usd = False, price_usd
        self._publish(listing, is_delivery=True, price=price_usd)
        listing.holdings.clear()
        exchange.touched[name] = None
        exchange.events.append(said.ListingChanged(name, "settled"))

    def _publish(self, listing: Listing, *, is_delivery: bool, price: float) -> None:
        index_usd = self._exchange.index_of(listing)
        self.settled.append(Settled(self.clock.next_ns, listing.name, is_delivery, index_usd, price, listing.open_lots))

    def _liquidate(self, account: Account) -> None:
        """While maintenance margin is more than the margin balance: orders go first, then the costliest position."""
        exchange = self._exchange
        for currency in account.currencies:
            margin = margin_of(account, exchange.listings, currency)
            if margin.maintenance <= max(margin.margin_balance, 0.0):
                continue
            exchange.cancel_where(account, lambda order: True, "liquidation")
            held = [
                (requirement(account.margin, exchange.listings[name], lots)[1], name, lots)
                for name, lots in account.ledger.open_lots().items()
                if exchange.listings[name].instrument.contract.settle == currency and exchange.listings[name].is_open
            ]
            if held:
                _, name, lots = max(held)
                self._sell_off(account, name, lots)

    def _sell_off(self, account: Account, name: str, lots: int) -> None:
        """A tenth of a position, at least a lot, at what the market pays within its bounds."""
        request = OrderRequest(
            instrument=name,
            side=-1 if lots > 0 else 1,
            size_lots=-(-abs(lots) // 10),
            kind=OrderKind.MARKET,
            time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL,
            reduce_only=True,
        )
        try:
            self._exchange.place(account, request, is_liquidation=True)
        except RefusalError:
            return

    def _moved(self, account: Account, listing: Listing, profit_units: int, funding_units: int) -> None:
        settle, units, now_ns = listing.instrument.contract.settle, profit_units + funding_units, self._exchange.now_ns
        moved = said.CashMoved(account.name, settle, "settlement", listing.name, units, now_ns, funding_units)
        self._exchange.events.append(moved)


def _follows(listing: Listing, base: str) -> bool:
    """Whether the mark is made from the index and the book: whatever of the coin is open and no option."""
    return listing.is_open and listing.instrument.contract.base == base
