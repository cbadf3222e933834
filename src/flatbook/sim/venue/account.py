"""An account at the venue: its books in the project's own ledger, its open orders, its protection."""

from bisect import bisect_left
from dataclasses import dataclass, field

from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.domain.units import NS_PER_DAY, NS_PER_HOUR, book_amount, risk_amount
from flatbook.ledger import Ledger, Position, PositionKey
from flatbook.risk.margin.deribit_standard import DeribitStandard
from flatbook.sim.matching import SelfTrade
from flatbook.sim.venue.listing import Mark
from flatbook.sim.venue.mmp import MmpGroup
from flatbook.sim.venue.orders import Execution, Order, OrderRequest, OrderState

VENUE = "exchange"
STRATEGY = "account"
_FLAT = Position()


@dataclass(slots=True, eq=False)
class Account:
    """One account. Its ledger is exact; `margin` are the venue's rules for it; `orders` are the open ones by number,
    `history` those, and the ones that ended of late, in the order they came; `executions` are a day's.

    `working` are the lots of its open orders by instrument: buys, then sells. `entry_prices` are what open positions
    were traded at on average, which settlement does not change; the ledger's costs are since the last one.
    `session_funding` is what was received since then by instrument, in units of its settlement currency;
    `ended_funding` that of a session that is over and not settled yet.
    `margin_rows` are the last answers of `margin`, by instrument.
    """

    name: str
    ledger: Ledger
    margin: DeribitStandard
    self_trade: SelfTrade = SelfTrade.REJECT_TAKER
    orders: dict[int, Order] = field(default_factory=dict)
    history: list[Order] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    quotes: dict[tuple[str, str, int], int] = field(default_factory=dict)
    mmp: dict[tuple[str, str], MmpGroup] = field(default_factory=dict)
    currencies: list[str] = field(default_factory=list)
    working: dict[str, list[int]] = field(default_factory=dict)
    entry_prices: dict[str, float] = field(default_factory=dict)
    session_funding: dict[str, int] = field(default_factory=dict)
    ended_funding: dict[str, int] = field(default_factory=dict)
    margin_rows: dict[str, tuple[tuple[Mark, int, int, int], tuple[float, float]]] = field(default_factory=dict)

    @classmethod
    def opened(
        cls, name: str, reference: ReferenceData, margin: DeribitStandard, deposits: dict[str, float], now_ns: int
    ) -> "Account":
        """An account with these deposits, in coins of each currency."""
        account = cls(name, Ledger(reference, [STRATEGY]), margin)
        for currency, amount in deposits.items():
            account.ledger.deposit(VENUE, currency, book_amount(amount, currency), now_ns)
            account.currencies.append(currency)
        return account

    def position(self, instrument: str) -> Position:
        """What it holds of an instrument."""
        return self.ledger.positions().get(PositionKey(VENUE, STRATEGY, instrument), _FLAT)

    def balance(self, currency: str) -> float:
        """Cash, in coins of the currency."""
        return risk_amount(self.ledger.balance(VENUE, currency), currency)

    def standing_quote(self, key: tuple[str, str, int]) -> Order | None:
        """The side of a mass quote that rests under an instrument, a group and a side."""
        return self.orders.get(self.quotes.get(key, 0))

    def work(self, order: Order, lots: int) -> None:
        """Counts lots of an order in or, negative, out of what works in its instrument. Sides of mass quotes are left
        out: the limits of their protection stand for their margin."""
        if order.request.quote_set:
            return
        working = self.working.setdefault(order.request.instrument, [0, 0])
        working[order.request.side < 0] += lots

    def enter(self, instrument: Instrument, held_lots: int, traded_lots: int, price: float) -> None:
        """Takes a trade into the average price of a position that was `held_lots` before it."""
        name, after = instrument.name, held_lots + traded_lots
        if after == 0:
            self.entry_prices.pop(name, None)
        elif held_lots * after <= 0:
            self.entry_prices[name] = price
        elif held_lots * traded_lots > 0:
            before, share = self.entry_prices[name], traded_lots / after
            if instrument.is_reciprocal:
                self.entry_prices[name] = 1 / ((1 - share) / before + share / price)
            else:
                self.entry_prices[name] = (1 - share) * before + share * price

    def forget(self, now_ns: int) -> list[Order]:
        """Drops what ended so long ago that the venue tells it no more; the orders that are gone.

        Source      the venue's pages on order and trade history: recent orders are half an hour's, or a day's where
                    something traded, recent trades a day's
        """
        gone = [
            order for order in self.history if order.state is not OrderState.OPEN and now_ns > _known_until_ns(order)
        ]
        if gone:
            numbers = {order.number for order in gone}
            self.history = [order for order in self.history if order.number not in numbers]
            self.quotes = {key: number for key, number in self.quotes.items() if number not in numbers}
        first = bisect_left(self.executions, now_ns - NS_PER_DAY, key=lambda done: done.printed.ts_ns)
        del self.executions[:first]
        return gone

    def protection(self, request: OrderRequest, instrument: Instrument) -> MmpGroup | None:
        """The group that protects an order, where it asks for one and it is configured."""
        return self.mmp.get((index_name(instrument), request.mmp_group)) if request.mmp else None


def _known_until_ns(order: Order) -> int:
    return order.updated_ns + (NS_PER_DAY if order.filled_lots else NS_PER_HOUR // 2)


def index_name(instrument: Instrument) -> str:
    """The index by the venue's name: `btc_usd`, `btc_usdc`."""
    contract = instrument.contract
    return f"{contract.base}_{contract.quote}".lower()
