"""The exchange: accounts place, edit and cancel; orders meet by price and time; every trade is booked at once.

Those who trade here without an account, the simulated makers and takers, come in by `house_order`: they pay nothing and
owe nothing. What happened is in `events`, for the driver to take; the same calls at the same times make the same ones.
"""

import math
from collections.abc import Callable
from functools import partial

from flatbook.domain.reference import ReferenceData
from flatbook.risk.margin.deribit_standard import DeribitStandard
from flatbook.sim.matching import Outcome, Resting, SelfTrade, TimeInForce, Trade
from flatbook.sim.venue import events as said
from flatbook.sim.venue.account import Account, index_name
from flatbook.sim.venue.admission import check_funds, check_order, entry_price
from flatbook.sim.venue.booking import Trader, book_side, mmp_counts, print_trade
from flatbook.sim.venue.listing import Listing
from flatbook.sim.venue.orders import (
    Execution,
    Order,
    OrderKind,
    OrderRequest,
    OrderState,
    Print,
    RefusalError,
    Refused,
)


class Exchange:
    """Every book and account of the venue, as of `now_ns`, which only rises.

    Invariant   an account's open orders are exactly its orders in the books; at each trade both sides are booked, at
                the maker's price, before anything else happens
    """

    def __init__(self, reference: ReferenceData, margin: DeribitStandard, now_ns: int) -> None:
        self.reference = reference
        self.margin = margin
        self.now_ns = now_ns
        self.listings: dict[str, Listing] = {}
        self.linears: dict[str, Listing] = {}  # no options: a few, looked at with every tick
        self.accounts: dict[str, Account] = {}
        self.orders: dict[int, Order] = {}
        self.index_usd: dict[str, float] = {}
        self.events: list[said.VenueEvent] = []
        # Instruments whose book or mark may have changed, in order; for the driver to take like the events.
        self.touched: dict[str, None] = {}
        self._prints: list[Print] = []
        self._next_number = 1
        self._next_trade = 1

    def open_account(self, name: str, deposits: dict[str, float]) -> Account:
        """A new account with these deposits, in coins of each currency."""
        self.accounts[name] = Account.opened(name, self.reference, self.margin, deposits, self.now_ns)
        return self.accounts[name]

    def list_instrument(self, name: str) -> Listing:
        """Lists an instrument, or finds it listed."""
        listing = self.listings.get(name)
        if listing is None:
            instrument = self.reference.instrument(name)
            listing = self.listings[name] = Listing(len(self.listings) + 1, instrument, self.now_ns)
            if not listing.is_option:
                self.linears[name] = listing
            self.events.append(said.ListingChanged(name, "created"))
        return listing

    def listing(self, name: str) -> Listing:
        """A listed instrument, open or over."""
        listing = self.listings.get(name)
        if listing is None:
            raise RefusalError(Refused.UNKNOWN_INSTRUMENT, f"{name} is not listed")
        return listing

    def order_of(self, account: Account, number: int) -> Order:
        """An order of the account, open or not."""
        order = self.orders.get(number)
        if order is None or order.account != account.name:
            raise RefusalError(Refused.UNKNOWN_ORDER, f"{account.name} has no order {number}")
        return order

    def place(
        self, account: Account, request: OrderRequest, *, is_liquidation: bool = False
    ) -> tuple[Order, list[Execution]]:
        """Takes an order in: it trades, rests or goes.

        Errors      RefusalError, and nothing has changed
        """
        listing = self.listing(request.instrument)
        check_order(account, listing, request, request.size_lots, self.now_ns)
        if not is_liquidation:
            check_funds(account, self.listings, listing, request, request.size_lots)
        number, self._next_number = self._next_number, self._next_number + 1
        price_ticks = entry_price(listing, request)
        order = Order(number, account.name, request, price_ticks, request.size_lots, self.now_ns, self.now_ns)
        order.is_liquidation = is_liquidation
        executions = self._enter(account, listing, order)
        self.orders[number] = order
        account.history.append(order)
        return order, executions

    def edit(self, account: Account, number: int, request: OrderRequest) -> tuple[Order, list[Execution]]:
        """Changes an open order to `request`, whose size counts what has traded already.

        At the same price and no larger it keeps its place in the queue; otherwise it goes to the end.

        Errors      RefusalError, and nothing has changed
        """
        order = self.order_of(account, number)
        if order.state is not OrderState.OPEN:
            raise RefusalError(Refused.NOT_OPEN, f"order {number} is {order.state}")
        left_lots = request.size_lots - order.filled_lots
        if left_lots <= 0:
            raise RefusalError(Refused.AMOUNT, f"order {number} has traded {order.filled_lots} lots already")
        listing = self.listing(request.instrument)
        check_order(account, listing, request, left_lots, self.now_ns)
        price_ticks = entry_price(listing, request)
        if price_ticks == order.price_ticks and left_lots <= order.left_lots:
            listing.book.reduce(number, left_lots)
            account.work(order, left_lots - order.left_lots)
            order.request, order.size_lots = request, request.size_lots
            self._touched(listing)
            self._changed(account, order)
            return order, []
        before, size_before, price_before = order.request, order.size_lots, order.price_ticks
        listing.book.cancel(number)
        account.work(order, -order.left_lots)
        order.request, order.size_lots, order.price_ticks = request, request.size_lots, price_ticks
        try:
            check_funds(account, self.listings, listing, request, left_lots)
            order.is_replaced = True
            return order, self._enter(account, listing, order)
        except RefusalError:
            order.request, order.size_lots, order.price_ticks = before, size_before, price_before
            self._restore(account, listing, order)
            raise

    def cancel(self, account: Account, number: int, reason: str = "user_request") -> Order:
        """Takes an open order out.

        Errors      RefusalError where it is not this account's, or not open
        """
        order = self.order_of(account, number)
        if order.state is not OrderState.OPEN:
            raise RefusalError(Refused.NOT_OPEN, f"order {number} is {order.state}")
        listing = self.listings[order.request.instrument]
        listing.book.cancel(number)
        self._touched(listing)
        self._close(account, order, OrderState.CANCELLED, reason)
        return order

    def cancel_where(
        self, account: Account, matches: Callable[[Order], bool], reason: str = "user_request"
    ) -> list[Order]:
        """Cancels every open order of the account that matches."""
        numbers = [number for number, order in account.orders.items() if matches(order)]
        return [self.cancel(account, number, reason) for number in numbers]

    def quote(self, account: Account, request: OrderRequest) -> Order | None:
        """Sets one side of a mass quote: it replaces the one before; a size of none takes it away.

        Errors      RefusalError, and the quote before stands
        """
        key = (request.instrument, request.mmp_group, request.side)
        standing = account.standing_quote(key)
        if request.size_lots == 0:
            return self.cancel(account, standing.number) if standing else None
        if standing is not None:
            return self.edit(account, standing.number, request)[0]
        order, _ = self.place(account, request)
        account.quotes[key] = order.number
        return order

    def house_order(
        self, owner: str, name: str, side: int, price_ticks: int, lots: int, *, rests: bool
    ) -> tuple[int, Outcome]:
        """An order of somebody without an account, by its number; it takes away its own where it would meet them."""
        listing = self.listings[name]
        number, self._next_number = self._next_number, self._next_number + 1
        time_in_force = TimeInForce.GOOD_TIL_CANCELLED if rests else TimeInForce.IMMEDIATE_OR_CANCEL
        outcome = listing.book.submit(
            Resting(number, owner, side, price_ticks, lots), time_in_force, SelfTrade.CANCEL_MAKER
        )
        taker = Trader(owner, None, None, side)
        self._after_fills(listing, [done for trade in outcome.trades for done in self._trade(listing, taker, trade)])
        self._touched(listing)
        return number, outcome

    def house_cancel(self, name: str, number: int) -> None:
        """Takes out what is left of an order of the house, if anything."""
        listing = self.listings[name]
        if number in listing.book:
            listing.book.cancel(number)
            self._touched(listing)

    def block(
        self, name: str, taker: Account, maker: Account, lots: int, price_ticks: int, block_id: str
    ) -> list[Execution]:
        """A trade off the book between two accounts; `lots` are the taker's, bought positive. Nothing is checked."""
        listing, side = self.listings[name], 1 if lots > 0 else -1
        traders = []
        for account, sign in ((maker, -side), (taker, side)):
            number, self._next_number = self._next_number, self._next_number + 1
            request = OrderRequest(instrument=name, side=sign, size_lots=abs(lots), price_ticks=price_ticks)
            order = Order(number, account.name, request, price_ticks, abs(lots), self.now_ns, self.now_ns)
            self.orders[number] = account.orders[number] = order
            account.history.append(order)
            account.work(order, abs(lots))
            traders.append(Trader(account.name, account, order, sign))
        own = traders[0].order
        assert own is not None, "both sides have orders"
        resting = Resting(own.number, maker.name, -side, price_ticks, 0)
        executions = self._trade(listing, traders[1], Trade(resting, price_ticks, abs(lots), True), block_id)
        self._after_fills(listing, executions)
        return executions

    def take_prints(self) -> list[Print]:
        """What traded since this was last asked; for those who quote by it."""
        prints, self._prints = self._prints, []
        return prints

    def forget(self) -> None:
        """Drops what the venue tells no more, so that its memory does not grow with time."""
        for account in self.accounts.values():
            for order in account.forget(self.now_ns):
                del self.orders[order.number]
        for listing in self.listings.values():
            listing.forget(self.now_ns)

    def index_of(self, listing: Listing) -> float:
        """The index of a listing's base, USD; NaN before the first tick."""
        return self.index_usd.get(listing.instrument.contract.base, math.nan)

    def _enter(self, account: Account, listing: Listing, order: Order) -> list[Execution]:
        """Sends an order to its book and does all that follows."""
        time_in_force = order.request.time_in_force
        if order.request.kind is OrderKind.MARKET and time_in_force.rests:
            time_in_force = TimeInForce.IMMEDIATE_OR_CANCEL
        side, left_before = order.request.side, order.left_lots
        outcome = listing.book.submit(
            Resting(order.number, account.name, side, order.price_ticks, left_before), time_in_force, account.self_trade
        )
        if outcome.overlaps:
            raise RefusalError(Refused.OVERLAP, "it would trade with an order of the same account")
        for own in outcome.displaced:
            self._close(account, self.orders[own.number], OrderState.CANCELLED, "self_trade")
        order.updated_ns = self.now_ns
        order.state = OrderState.OPEN
        account.orders[order.number] = order
        account.work(order, left_before)
        taker = Trader(account.name, account, order, side)
        fills = [done for trade in outcome.trades for done in self._trade(listing, taker, trade)]
        if order.left_lots and not outcome.rests:
            self._close(account, order, OrderState.CANCELLED, "immediate_or_cancel")
        # A sweep is one moment: what it sets off comes after all of it is booked.
        self._after_fills(listing, fills)
        self._touched(listing)
        self._changed(account, order)
        return [done for done in fills if done.order is order]

    def _restore(self, account: Account, listing: Listing, order: Order) -> None:
        """Puts an order back that could not be changed; it has lost its place."""
        listing.book.submit(Resting(order.number, account.name, order.request.side, order.price_ticks, order.left_lots))
        account.work(order, order.left_lots)

    def _trade(self, listing: Listing, taker: Trader, trade: Trade, block_id: str = "") -> list[Execution]:
        """Books one trade on both sides; the executions of those who have accounts."""
        number, self._next_trade = self._next_trade, self._next_trade + 1
        printed = print_trade(listing, number, taker, trade, (self.now_ns, self.index_of(listing)), block_id)
        self.events.append(said.Printed(printed))
        if not block_id:
            self._prints.append(printed)
        order = self.orders.get(trade.maker.number)
        maker = Trader(trade.maker.owner, self.accounts[order.account] if order else None, order, -taker.side)
        executions = []
        for trader in (maker, taker):
            listing.hold(trader.owner, trader.side * trade.size_lots)
            if trader.account is None or trader.order is None:
                continue
            done = book_side(listing, trader, printed, is_maker=trader is maker)
            self.events.append(said.Executed(done))
            executions.append(done)
            if trader.order.left_lots == 0:
                self._close(trader.account, trader.order, OrderState.FILLED, "")
            elif trader is maker:
                self._changed(trader.account, trader.order)
        return executions

    def _after_fills(self, listing: Listing, executions: list[Execution]) -> None:
        """What fills set off: protection, and orders that would no longer only reduce."""
        for done in executions:
            account, request = self.accounts[done.account], done.order.request
            group = account.protection(request, listing.instrument)
            lots = done.side * done.printed.size_lots
            if group is not None and group.filled(self.now_ns, *mmp_counts(listing, lots)):
                self._pull(account, index_name(listing.instrument), request.mmp_group, group.frozen_until_ns)
            exceeds = partial(_exceeds, listing.name, account.position(listing.name).size_lots)
            self.cancel_where(account, exceeds, "reduce_only")

    def _pull(self, account: Account, index: str, group: str, frozen_until_ns: int) -> None:
        def is_protected(order: Order) -> bool:
            request = order.request
            instrument = self.listings[request.instrument].instrument
            return request.mmp and request.mmp_group == group and index_name(instrument) == index

        self.cancel_where(account, is_protected, "mmp_trigger")
        self.events.append(said.MmpTriggered(account.name, index, group, frozen_until_ns))

    def _close(self, account: Account, order: Order, state: OrderState, reason: str) -> None:
        account.work(order, -order.left_lots)
        del account.orders[order.number]
        order.state, order.cancel_reason, order.updated_ns = state, reason, self.now_ns
        self._changed(account, order)

    def _changed(self, account: Account, order: Order) -> None:
        order.updated_ns = self.now_ns
        self.events.append(said.OrderChanged(account.name, order))

    def _touched(self, listing: Listing) -> None:
        self.touched[listing.name] = None


def _exceeds(name: str, held_lots: int, order: Order) -> bool:
    """Whether a reduce-only order would do more than reduce the position that is left."""
    request = order.request
    if not request.reduce_only or request.instrument != name:
        return False
    return request.side * held_lots >= 0 or order.left_lots > abs(held_lots)
