"""Block RFQ: a taker asks named makers, or all, for a price of a structure, and trades it off the book.

A structure is legs with ratios, each to buy or to sell for whoever buys the structure; `lots` are lots of each leg's
instrument for each unit of ratio. A quote has a price for each leg; the structure's price is their sum by ratio, bought
legs positive. All legs trade, with one maker, or none does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from flatbook.domain.units import NS_PER_MINUTE
from flatbook.sim.ticks import is_on_grid
from flatbook.sim.venue.account import Account
from flatbook.sim.venue.events import RfqChanged
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.margin import margin_of
from flatbook.sim.venue.orders import Execution, RefusalError, Refused

LIFE_NS = 5 * NS_PER_MINUTE


class RfqState(StrEnum):
    """Where a request, or a quote, is in its life; the venue's words."""

    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Leg(NamedTuple):
    """One leg: +1 where the structure's buyer buys it, `ratio` times."""

    instrument: str
    side: int
    ratio: int


@dataclass(slots=True, eq=False)
class BlockQuote:
    """A maker's price of the whole structure for up to `amount`; `side` is the maker's, leg prices are in ticks."""

    number: int
    rfq: int
    maker: str
    side: int
    amount: float
    leg_ticks: tuple[int, ...]
    created_ns: int
    state: RfqState = RfqState.OPEN


@dataclass(slots=True, eq=False)
class BlockRfq:
    """A request. `makers` empty asks all."""

    number: int
    taker: str
    legs: tuple[Leg, ...]
    amount: float
    makers: frozenset[str]
    created_ns: int
    state: RfqState = RfqState.OPEN
    quotes: dict[int, BlockQuote] = field(default_factory=dict)

    @property
    def expires_ns(self) -> int:
        """When it is over by itself."""
        return self.created_ns + LIFE_NS

    def asks(self, account: str) -> bool:
        """Whether this account may quote."""
        return account != self.taker and (not self.makers or account in self.makers)


class RfqDesk:
    """The requests of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self.requests: dict[int, BlockRfq] = {}
        self._exchange = exchange
        self._next_number = 1

    def request(self, taker: Account, legs: Sequence[Leg], amount: float, makers: Sequence[str]) -> BlockRfq:
        """A new request.

        Errors      RefusalError: no leg, the same instrument twice, one that is closed, or a size that is no lots
        """
        names = [leg.instrument for leg in legs]
        if not legs or len(set(names)) < len(names) or any(leg.ratio < 1 for leg in legs):
            raise RefusalError(Refused.RFQ, "legs: one or more, each instrument once, ratios from 1 up")
        for leg in legs:
            listing = self._exchange.listing(leg.instrument)
            if not listing.is_open:
                raise RefusalError(Refused.CLOSED, f"{leg.instrument} is closed")
            if listing.instrument.size_lots(amount * leg.ratio) < 1:
                raise RefusalError(Refused.AMOUNT, f"{amount} of {leg.instrument}")
        rfq = BlockRfq(self._number(), taker.name, tuple(legs), amount, frozenset(makers), self._exchange.now_ns)
        self.requests[rfq.number] = rfq
        self._changed(rfq)
        return rfq

    def quote(self, maker: Account, number: int, side: int, amount: float, leg_ticks: Sequence[int]) -> BlockQuote:
        """A maker's price.

        Errors      RefusalError: not asked, more than asked for, or a price off its grid
        """
        rfq = self.open(number)
        if not rfq.asks(maker.name) or len(leg_ticks) != len(rfq.legs) or not 0 < amount <= rfq.amount:
            raise RefusalError(Refused.RFQ, f"request {number} is not for this quote")
        for leg, ticks in zip(rfq.legs, leg_ticks, strict=True):
            listing = self._exchange.listings[leg.instrument]
            if ticks <= 0 or not is_on_grid(listing.instrument.spec.ticks, ticks):
                raise RefusalError(Refused.PRICE_TICK, f"{leg.instrument}: {listing.price(ticks)}")
            listing.instrument.size_lots(amount * leg.ratio)
        quote = BlockQuote(self._number(), number, maker.name, side, amount, tuple(leg_ticks), self._exchange.now_ns)
        rfq.quotes[quote.number] = quote
        self._changed(rfq)
        return quote

    def cancel_quote(self, maker: Account, number: int) -> BlockQuote:
        """Takes a quote away."""
        for rfq in self.requests.values():
            quote = rfq.quotes.get(number)
            if quote is not None and quote.maker == maker.name and quote.state is RfqState.OPEN:
                quote.state = RfqState.CANCELLED
                self._changed(rfq)
                return quote
        raise RefusalError(Refused.RFQ, f"{maker.name} has no open quote {number}")

    def cancel(self, taker: Account, number: int) -> BlockRfq:
        """Takes a request away, and its quotes with it."""
        rfq = self.open(number)
        if rfq.taker != taker.name:
            raise RefusalError(Refused.RFQ, f"request {number} is another's")
        self._end(rfq, RfqState.CANCELLED)
        return rfq

    def accept(self, taker: Account, number: int, side: int, amount: float, price: float) -> list[Execution]:
        """Trades with the best open quote of the other side, at its prices, where it is no worse than `price`.

        Errors      RefusalError, and nothing has changed
        """
        rfq = self.open(number)
        if rfq.taker != taker.name:
            raise RefusalError(Refused.RFQ, f"request {number} is another's")
        fitting = [
            quote
            for quote in rfq.quotes.values()
            if quote.state is RfqState.OPEN
            and quote.side == -side
            and quote.amount >= amount > 0
            and side * (price - self.price(rfq, quote.leg_ticks)) >= -1e-9
        ]
        if not fitting:
            raise RefusalError(Refused.RFQ, f"no quote of request {number} is that good, for as much")
        best = min(fitting, key=lambda quote: (side * self.price(rfq, quote.leg_ticks), quote.number))
        return self._trade(rfq, best, taker, side, amount)

    def price(self, rfq: BlockRfq, leg_ticks: Sequence[int]) -> float:
        """The structure's price: legs by ratio, bought ones positive."""
        listings = self._exchange.listings
        prices = (listings[leg.instrument].price(ticks) for leg, ticks in zip(rfq.legs, leg_ticks, strict=True))
        return round(sum(leg.side * leg.ratio * price for leg, price in zip(rfq.legs, prices, strict=True)), 8)

    def open(self, number: int) -> BlockRfq:
        """An open request."""
        rfq = self.requests.get(number)
        if rfq is not None and rfq.state is RfqState.OPEN and self._exchange.now_ns >= rfq.expires_ns:
            self._end(rfq, RfqState.EXPIRED)
        if rfq is None or rfq.state is not RfqState.OPEN:
            raise RefusalError(Refused.RFQ, f"no open request {number}")
        return rfq

    def _trade(self, rfq: BlockRfq, quote: BlockQuote, taker: Account, side: int, amount: float) -> list[Execution]:
        exchange = self._exchange
        maker = exchange.accounts[quote.maker]
        lots = [
            side * leg.side * exchange.listings[leg.instrument].instrument.size_lots(amount * leg.ratio)
            for leg in rfq.legs
        ]
        for account, sign in ((taker, 1), (maker, -1)):
            self._check_funds(account, {leg.instrument: sign * size for leg, size in zip(rfq.legs, lots, strict=True)})
        executions = []
        for leg, size, ticks in zip(rfq.legs, lots, quote.leg_ticks, strict=True):
            executions += exchange.block(leg.instrument, taker, maker, size, ticks, f"BLOCK-{rfq.number}")
        quote.state = RfqState.FILLED
        self._end(rfq, RfqState.FILLED)
        return [each for each in executions if each.account == taker.name]

    def _check_funds(self, account: Account, traded: dict[str, int]) -> None:
        listings = self._exchange.listings
        for currency in {listings[name].instrument.contract.settle for name in traded}:
            before = margin_of(account, listings, currency)
            after = margin_of(account, listings, currency, traded=traded)
            # What is bought of options is paid from the margin balance.
            paid = sum(
                size * listings[name].instrument.lot_size * listings[name].mark.price
                for name, size in traded.items()
                if listings[name].is_option and listings[name].instrument.contract.settle == currency
            )
            if after.available - paid < min(before.available, 0.0):
                raise RefusalError(Refused.FUNDS, f"{account.name}: not enough {currency} for the structure")

    def _end(self, rfq: BlockRfq, state: RfqState) -> None:
        rfq.state = state
        for quote in rfq.quotes.values():
            if quote.state is RfqState.OPEN:
                quote.state = state if state is RfqState.EXPIRED else RfqState.CANCELLED
        self._changed(rfq)

    def _changed(self, rfq: BlockRfq) -> None:
        self._exchange.events.append(RfqChanged(rfq.number))

    def _number(self) -> int:
        number, self._next_number = self._next_number, self._next_number + 1
        return number
