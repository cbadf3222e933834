"""An account at a hedging venue: orders, fills, positions and cash over a ccxt exchange object.

A request that changes orders and is not answered has an unknown outcome until `reconcile` finds the order by our own
id, or the venue does not know it and it is too old to arrive. Nothing is sent twice. Streams that break are listened to
anew, and what was missed is asked for.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from flatbook.domain.errors import BadInputError, VenueUnreachableError
from flatbook.domain.events import FundingPaid, FundingRate, MarketEvent, TopOfBook
from flatbook.domain.intents import OrderIntent, TimeInForce
from flatbook.venues.ccxt import lookup
from flatbook.venues.ccxt.accounts import Account
from flatbook.venues.ccxt.amounts import NS_PER_MS
from flatbook.venues.ccxt.codec import HedgeFeed
from flatbook.venues.ccxt.codec_own import Row, Statement, funding_paid, is_trade, statement
from flatbook.venues.ccxt.library import library_error, library_version
from flatbook.venues.ccxt.listing import Listing
from flatbook.venues.ccxt.orders import Asked, Known, OrderTable, OwnEvent
from flatbook.venues.ccxt.refusals import our_error, verdict

Told = MarketEvent | OwnEvent
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_CLOCKS_APART_MS = 60_000
"""Trades are asked for from so long before an order: the venue's clock is not ours."""
_TRADES_A_PAGE = 100
_log = logging.getLogger(__name__)


class HedgeClient:
    """Talks to one account. `told` is called with each event, fills before the end of their order."""

    def __init__(
        self,
        account: Account,
        exchange: Any,
        run: str,
        now_ns: Callable[[], int],
        told: Callable[[Told], None],
    ) -> None:
        self.account, self.exchange = account, exchange
        self.orders = OrderTable(account, run)
        self.unreadable = 0
        self._now_ns, self._told = now_ns, told
        self._error = library_error()
        self._listing: Listing | None = None
        self._feed: HedgeFeed | None = None

    async def open(self) -> Listing:
        """Learns what the venue lists.

        Errors      VenueUnreachableError and the others of `refusals`
        """
        markets = await self._ask(self.exchange.load_markets())
        source = f"{self.account.library_id} markets by ccxt {library_version()}"
        self._listing = Listing(self.account, markets.values(), self._now_ns(), source)
        self._feed = HedgeFeed(self._listing)
        return self._listing

    async def close(self) -> None:
        """Lets go of every connection."""
        await self.exchange.close()

    @property
    def listing(self) -> Listing:
        """What the venue lists; `open` first."""
        assert self._listing is not None
        return self._listing

    @property
    def feed(self) -> HedgeFeed:
        """The market's codec; `open` first."""
        assert self._feed is not None
        return self._feed

    async def top(self, name: str) -> TopOfBook | None:
        """Best prices now."""
        symbol = self.listing.named(name).symbol
        if self.account.best_by_itself:
            row = (await self._ask(self.exchange.fetch_bids_asks([symbol])))[symbol]
        else:
            row = await self._ask(self.exchange.fetch_ticker(symbol))
        return self.feed.top(row, self._now_ns())

    async def funding(self, name: str, since_ns: int) -> list[FundingRate]:
        """A perpetual's funding after `since_ns`, each payment told once."""
        symbol = self.listing.named(name).symbol
        rows = await self._ask(self.exchange.fetch_funding_rate_history(symbol, since_ns // NS_PER_MS))
        return self.feed.funding(rows, self._now_ns())

    async def funding_paid(self, name: str, since_ns: int) -> list[FundingPaid]:
        """What a perpetual's funding came to after `since_ns`, by the venue's own word: the ledger books each once."""
        listed = self.listing.named(name)
        rows = await self._ask(self.exchange.fetch_funding_history(listed.symbol, since_ns // NS_PER_MS))
        return [funding_paid(row, listed, self.account, self._now_ns()) for row in rows]

    async def place(self, order_id: str, intent: OrderIntent) -> Known:
        """Sends a limit order and says what is known of it afterwards; events tell the rest.

        Errors      BadInputError for an instrument that is not listed, or an id that was used
        """
        listed = self.listing.named(intent.instrument)
        asked = self.orders.ask(order_id, listed, intent.size_lots, self._now_ns())
        is_ioc = intent.time_in_force is TimeInForce.IOC
        params = {self.account.client_id_param: asked.client_id, "timeInForce": "IOC" if is_ioc else "GTC"}
        amount, price = float(listed.amount(intent.size_lots)), float(listed.price(intent.limit_ticks))
        side = "buy" if intent.side > 0 else "sell"
        try:
            row = await self.exchange.create_order(listed.symbol, "limit", side, amount, price, params)
        except self._error as error:
            if verdict(error).is_unknown:
                _log.warning("order %s: outcome unknown: %s", order_id, our_error(error, self.account.name))
                self.orders.lost(asked)
            else:
                self._tell(self.orders.refused(asked, str(our_error(error, self.account.name)), self._now_ns()))
        else:
            # Some answers hold the ids alone.
            self.take_orders([{**row, "clientOrderId": asked.client_id}])
            if is_ioc or asked.is_behind:
                await self._settle([asked])
        return asked.known

    async def cancel(self, order_id: str) -> Known:
        """Asks for an order's end, then for what became of it."""
        asked = self.orders.find(order_id)
        if not asked.venue_id:
            await self._settle([asked])
        if asked.known is Known.LIVE:
            try:
                await self.exchange.cancel_order(asked.venue_id, asked.listed.symbol)
            except self._error as error:
                _log.warning("cancelling %s: %s", order_id, our_error(error, self.account.name))
        await self._settle([asked])
        return asked.known

    async def reconcile(self) -> list[str]:
        """Asks what became of every order that is not at its end; the ids of those still unknown."""
        await self._settle(self.orders.open)
        return [asked.order_id for asked in self.orders.open if asked.known in (Known.ASKED, Known.UNKNOWN)]

    async def statement(self) -> Statement:
        """Positions and cash by the venue's word.

        Errors      those of `refusals`; BadInputError where the answer cannot be read
        """
        balance = await self._ask(self.exchange.fetch_balance(dict(self.account.balance_params)))
        positions = await self._ask(self.exchange.fetch_positions()) if self.listing.has_contracts else []
        return statement(self.account, self.listing, positions, balance)

    async def follow(self, names: Sequence[str]) -> None:
        """Tells the market of some instruments, and our orders and trades in them, until it is cancelled.

        Errors      those of `refusals` that listening anew would not mend
        """
        symbols = [self.listing.named(name).symbol for name in names]
        watched = self.exchange
        streams = [self._listen(partial(watched.watch_bids_asks, symbols), self._take_tops)]
        for symbol in symbols:
            streams.append(self._listen(partial(watched.watch_trades, symbol), self._take_prints))
            streams.append(self._listen(partial(watched.watch_orders, symbol), self.take_orders))
            streams.append(self._listen(partial(watched.watch_my_trades, symbol), self.take_trades))
        tasks = [asyncio.ensure_future(stream) for stream in streams]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def take_orders(self, rows: Sequence[Row]) -> None:
        """Orders as told by a stream."""
        for row in rows:
            self._read(self._take_order, row)

    def take_trades(self, rows: Sequence[Row]) -> None:
        """Trades of ours, by stream or look-up."""
        for row in rows:
            if is_trade(row):
                self._read(self._take_trade, row)

    def _take_order(self, row: Row) -> None:
        self._tell(self.orders.told(row, self._now_ns()))

    def _take_trade(self, row: Row) -> None:
        listed = self.listing.of(row["symbol"])
        if listed is None:
            return
        self._tell(self.orders.traded(row, listed, self._now_ns()))

    def _take_tops(self, rows: dict[str, Row]) -> None:
        tops = (self.feed.top(row, self._now_ns()) for row in rows.values())
        self._tell([top for top in tops if top is not None])

    def _take_prints(self, rows: Sequence[Row]) -> None:
        self._tell(self.feed.trades(rows, self._now_ns()))

    async def _listen(self, watch: Callable[[], Awaitable[Any]], take: Callable[[Any], None]) -> None:
        wait_s, is_broken = _FIRST_WAIT_S, False
        while True:
            try:
                told = await watch()
                if is_broken:
                    await self.reconcile()
            except self._error as error:
                if verdict(error).error is not VenueUnreachableError:
                    raise our_error(error, self.account.name) from None
                _log.warning("stream broken: %s", our_error(error, self.account.name))
                await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
                wait_s, is_broken = min(2.0 * wait_s, _LONGEST_WAIT_S), True
                continue
            wait_s, is_broken = _FIRST_WAIT_S, False
            take(told)

    async def _settle(self, orders: Sequence[Asked]) -> None:
        """Asks for orders by our ids, and for trades of contracts in which the venue has filled more than was told."""
        for asked in orders:
            try:
                if asked.known not in (Known.ENDING, Known.ENDED):
                    await self._look_up(asked)
                if asked.is_behind:
                    await self._missed_trades(asked)
            except self._error as error:
                _log.warning("order %s: not known yet: %s", asked.order_id, our_error(error, self.account.name))

    async def _look_up(self, asked: Asked) -> None:
        rows = await lookup.orders_by_client_id(self.exchange, self.account, asked)
        if not rows:
            self._tell(self.orders.absent(asked, self._now_ns()))
        self.take_orders(rows)

    async def _missed_trades(self, asked: Asked) -> None:
        """Pages of trades from the order's sending on, until all its fills are told or no later page comes."""
        since_ms = asked.asked_ns // NS_PER_MS - _CLOCKS_APART_MS
        while asked.is_behind:
            rows = await self.exchange.fetch_my_trades(asked.listed.symbol, since_ms, _TRADES_A_PAGE)
            self.take_trades(rows)
            latest_ms = max((int(row["timestamp"]) for row in rows), default=since_ms)
            if len(rows) < _TRADES_A_PAGE or latest_ms <= since_ms:
                return
            since_ms = latest_ms

    def _read(self, take: Callable[[Row], None], row: Row) -> None:
        """One that cannot be read is counted and told; it stays open, so that reconciling asks for it again."""
        try:
            take(row)
        except BadInputError as error:
            self.unreadable += 1
            _log.error("%s: %s", self.account.name, error)

    def _tell(self, events: Sequence[Told]) -> None:
        for event in events:
            self._told(event)

    async def _ask(self, answer: Awaitable[Any]) -> Any:
        try:
            return await answer
        except self._error as error:
            raise our_error(error, self.account.name) from None
