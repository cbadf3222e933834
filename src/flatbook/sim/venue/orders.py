"""Orders of accounts: what is asked for, what became of it, and why it was refused."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from flatbook.sim.matching import TimeInForce


class OrderKind(StrEnum):
    """How an order's price is found; the venue's words. A market-limit order's rest stays at the best price it met."""

    LIMIT = "limit"
    MARKET = "market"
    MARKET_LIMIT = "market_limit"


class OrderState(StrEnum):
    """Where an order is in its life; the venue's words."""

    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"


class Refused(StrEnum):
    """Why the venue did not do what it was asked; each is one of the venue's error codes."""

    AMOUNT = "amount"
    PRICE_TICK = "price_tick"
    PRICE_TOO_LOW = "price_too_low"
    PRICE_TOO_HIGH = "price_too_high"
    FUNDS = "funds"
    OVERLAP = "overlap"
    POST_ONLY = "post_only"
    POST_ONLY_KIND = "post_only_kind"
    REDUCE_ONLY = "reduce_only"
    CLOSED = "closed"
    UNKNOWN_INSTRUMENT = "unknown_instrument"
    UNKNOWN_ORDER = "unknown_order"
    NOT_OPEN = "not_open"
    MMP_FROZEN = "mmp_frozen"
    MMP_ABSENT = "mmp_absent"
    QUOTE_SIZE = "quote_size"
    RFQ = "rfq"


class RefusalError(Exception):
    """The venue refuses; nothing has changed."""

    def __init__(self, reason: Refused, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What an account asks for. `price_ticks` is None for market orders; `mmp_group` "" is the unnamed group.

    A post-only order that would trade is moved beside the best price, or refused where `reject_post_only`. `quote_set`
    marks a side of a mass quote.
    """

    instrument: str
    side: int
    size_lots: int
    price_ticks: int | None = None
    kind: OrderKind = OrderKind.LIMIT
    time_in_force: TimeInForce = TimeInForce.GOOD_TIL_CANCELLED
    post_only: bool = False
    reject_post_only: bool = False
    reduce_only: bool = False
    mmp: bool = False
    mmp_group: str = ""
    label: str = ""
    quote_id: str = ""
    quote_set: str = ""


@dataclass(slots=True, eq=False)
class Order:
    """An order and what became of it.

    Invariant   open exactly while it is in the book; `price_ticks` x what was filled sums to `filled_tick_lots`
    """

    number: int
    account: str
    request: OrderRequest
    price_ticks: int
    size_lots: int
    created_ns: int
    updated_ns: int
    filled_lots: int = 0
    filled_tick_lots: int = 0
    state: OrderState = OrderState.OPEN
    cancel_reason: str = ""
    is_replaced: bool = False
    is_liquidation: bool = False

    @property
    def left_lots(self) -> int:
        """What has not traded."""
        return self.size_lots - self.filled_lots

    @property
    def average_ticks(self) -> float:
        """Average price of what traded, in ticks; 0 where nothing did."""
        return self.filled_tick_lots / self.filled_lots if self.filled_lots else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Print:
    """A trade on the tape; `side` is the taker's, `iv` a decimal, NaN for what has no vol."""

    trade_id: int
    trade_seq: int
    ts_ns: int
    instrument: str
    side: int
    price_ticks: int
    size_lots: int
    mark_price: float
    index_usd: float
    iv: float
    tick_direction: int
    is_liquidation: bool = False
    block_trade_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One account's side of a trade: what it paid, what it realised in settlement units, whether it ended the order."""

    printed: Print
    account: str
    order: Order
    side: int
    is_maker: bool
    fee_units: int
    profit_units: int
    is_last: bool
