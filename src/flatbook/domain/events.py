"""What happens: every event that reaches the engine, from the market or from a venue about our orders.

Each carries two clocks: `exch_ts_ns`, when the venue says it happened, and `local_ts_ns`, when we learn of it. The
engine lives on the local clock. An event, once made, is history: nothing changes it.

At equal local time the order is: index, tops of books, funding, settlement, delivery, fills, acknowledgements and
requests for quotes, trades, chains, the clock.
"""

import math
from enum import StrEnum

import msgspec

from flatbook.domain.combos import Leg


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base: the two clocks, nanoseconds UTC."""

    exch_ts_ns: int
    local_ts_ns: int


class IndexTick(Event, frozen=True, kw_only=True, tag="index"):
    """The index of `underlying` (BTC, ETH) in USD."""

    underlying: str
    price_usd: float


class TopOfBook(Event, frozen=True, kw_only=True, tag="top"):
    """The best prices of a contract that is not an option: a perpetual, a dated future, spot.

    Prices are in quote currency per coin, amounts in coins, or USD for inverse contracts; `mark_price` is the venue's.
    Each is NaN where it is not known, a price and its amount also where nobody quotes that side.
    """

    instrument: str
    bid: float
    ask: float
    bid_amount: float
    ask_amount: float
    mark_price: float

    @property
    def mid(self) -> float:
        """Half-way between the sides, the mark where one is missing; NaN where that is too."""
        mid = 0.5 * (self.bid + self.ask)
        return self.mark_price if math.isnan(mid) else mid


class TradePrint(Event, frozen=True, kw_only=True, tag="trade"):
    """A trade of others on the venue's tape.

    `taker_side` is +1 where the taker bought. `price` is in the instrument's quote currency (coin for inverse options).
    `mark_price` and `iv` (a decimal) are the venue's, NaN where it gives none. `off_book` prints (blocks, combos) did
    not trade against the book of this instrument.
    """

    instrument: str
    trade_id: str
    taker_side: int
    price: float
    size_lots: int
    mark_price: float
    iv: float
    index_usd: float
    off_book: bool


class QuoteRow(msgspec.Struct, frozen=True, array_like=True):
    """One instrument of a chain: best prices and vols, NaN where there is no quote; vols are decimals."""

    instrument: str
    bid: float
    ask: float
    bid_iv: float
    ask_iv: float
    mark_iv: float
    forward_usd: float


class ChainQuotes(Event, frozen=True, kw_only=True, tag="chain"):
    """Quotes of many instruments of one underlying, taken together."""

    underlying: str
    rows: tuple[QuoteRow, ...]


class FundingRate(Event, frozen=True, kw_only=True, tag="funding"):
    """A perpetual's funding since the last such event: `rate` over `hours`; longs pay shorts where it is positive."""

    instrument: str
    rate: float
    hours: float


class FundingPaid(Event, frozen=True, kw_only=True, tag="funding_paid"):
    """A venue says what funding it paid us (negative: took) on a perpetual, in settlement units, under its own id.

    Where these come, the ledger books them, and rates of funding are no more than news.
    """

    instrument: str
    payment_id: str
    units: int


class DailySettlement(Event, frozen=True, kw_only=True, tag="settlement"):
    """A future's or perpetual's session ends: unrealised P&L at `price_usd` becomes cash."""

    instrument: str
    price_usd: float


class Delivery(Event, frozen=True, kw_only=True, tag="delivery"):
    """Everything of `underlying` that expires at `expiry_ns` settles on the one `price_usd`."""

    underlying: str
    expiry_ns: int
    price_usd: float


class Fill(Event, frozen=True, kw_only=True, tag="fill"):
    """One of our orders or quotes traded. `side` is ours: +1 bought. `fee_units` in settlement units, paid positive."""

    venue: str
    trade_id: str
    order_id: str
    instrument: str
    side: int
    price_ticks: int
    size_lots: int
    fee_units: int
    is_maker: bool


class DeltaLeg(msgspec.Struct, frozen=True):
    """A future or perpetual that trades with the whole of a package: signed `size` in its own unit, the buyer's."""

    instrument: str
    size: float
    price: float


class RequestForQuote(Event, frozen=True, kw_only=True, tag="rfq"):
    """Someone asks for a price of `size` packages: options in whole signed ratios, as the package's buyer gets them.

    `side` is what he would do with it: +1 buy, -1 sell, 0 either. Quotes are of use to him until `expires_ns`, by the
    venue's clock. `competitors` are the makers who are asked beside us.
    """

    rfq_id: str
    counterparty: str
    legs: tuple[Leg, ...]
    size: float
    side: int
    expires_ns: int
    competitors: int
    delta_leg: DeltaLeg | None = None


class PackageFill(Event, frozen=True, kw_only=True, tag="package_fill"):
    """Our quote for a request traded: every leg at once, a fill each, under one trade id of the venue.

    `side` is ours: +1 bought the package, at `price` in settlement currency; the legs' prices come to that.
    """

    rfq_id: str
    venue: str
    trade_id: str
    side: int
    price: float
    fills: tuple[Fill, ...]


class RfqOutcome(StrEnum):
    """How a request ended: traded with us, with another, or with nobody."""

    WON = "won"
    LOST = "lost"
    EXPIRED = "expired"


class RfqClosed(Event, frozen=True, kw_only=True, tag="rfq_closed"):
    """A request has ended. `taker_side` +1 bought at `price`; 0 and None where nothing traded."""

    rfq_id: str
    outcome: RfqOutcome
    taker_side: int
    price: float | None


class Payoff(Event, frozen=True, kw_only=True, tag="payoff"):
    """A contract over the counter has come to its end (expiry, a touch, a knock-out) and pays its holder.

    `amount` is in the settlement currency for each contract held long; 0 where it ends worthless.
    """

    instrument: str
    amount: float


class OrderAccepted(Event, frozen=True, kw_only=True, tag="accepted"):
    """The venue took the order."""

    order_id: str


class OrderRejected(Event, frozen=True, kw_only=True, tag="rejected"):
    """The venue refused the order for `reason`."""

    order_id: str
    reason: str


class OrderCancelled(Event, frozen=True, kw_only=True, tag="cancelled"):
    """The order's remainder is gone: cancelled by us, or by the venue for `reason`."""

    order_id: str
    reason: str


class QuotesAcknowledged(Event, frozen=True, kw_only=True, tag="quotes_acknowledged"):
    """The venue has taken every message of quotes up to `number`: what they replaced fills no more."""

    number: int


class ProtectionTriggered(Event, frozen=True, kw_only=True, tag="protection_triggered"):
    """The venue's market-maker protection pulled all our quotes, and refuses new ones until `frozen_until_ns`."""

    frozen_until_ns: int


class Rearm(Event, frozen=True, kw_only=True, tag="rearm"):
    """A person lets a maker go on that its loss stop has halted, or an index in doubt holds back: who, and why."""

    who: str
    why: str


class LossDrill(Event, frozen=True, kw_only=True, tag="loss_drill"):
    """From here on the loss stop reckons with `loss_usd` more than was lost; 0 ends the drill. No P&L has it."""

    loss_usd: float


class Clock(Event, frozen=True, kw_only=True, tag="clock"):
    """Time passed and nothing was heard: both clocks are ours."""


MarketEvent = IndexTick | TopOfBook | TradePrint | ChainQuotes | FundingRate | DailySettlement | Delivery
"""Events that are the same for every maker: what a session records."""

OrderEvent = Fill | OrderAccepted | OrderRejected | OrderCancelled
"""Events about our own orders: what a venue answers."""

QuoteEvent = QuotesAcknowledged | ProtectionTriggered
"""Events about our quotes as a whole."""

RfqEvent = RequestForQuote | PackageFill | RfqClosed
"""Events about requests for quotes that we are asked: no session holds them."""

OperatorEvent = Rearm | LossDrill
"""What a person tells the maker."""

AnyEvent = MarketEvent | OrderEvent | QuoteEvent | RfqEvent | OperatorEvent | Payoff | FundingPaid | Clock
