"""What Deribit's channels say, typed: every field the venue is known to send, by its own names.

Times are milliseconds on the venue's clock. Prices are in coin for inverse options, else in quote currency; amounts in
USD for inverse futures, else in coins; vols in percent; 0 where nobody quotes a side. A field without a default must be
there. A field that is not listed here is unknown: `codec` counts it.

Source      docs.deribit.com: subscriptions, and recordings of them
"""

from typing import Any, Literal

import msgspec

Level = tuple[Literal["new", "change", "delete"], float, float]
"""A change of a book's level: what happened, price, and the amount that is there now."""

PriceAmount = tuple[float, float]


class Wire(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Base of the messages' parts. They hold no cycles, so the collector need not look at them."""


class Greeks(Wire, frozen=True, gc=False):
    """Of one contract, in USD: vega for a vol point, theta for a day."""

    delta: float
    gamma: float
    vega: float
    theta: float
    rho: float


class Stats(Wire, frozen=True, gc=False):
    """The last 24 hours; None where nothing traded."""

    volume: float | None = None
    volume_usd: float | None = None
    volume_notional: float | None = None
    price_change: float | None = None
    low: float | None = None
    high: float | None = None


class Ticker(Wire, frozen=True, gc=False):
    """`ticker`. Vols, Greeks and underlying are an option's, funding a perpetual's."""

    timestamp: int
    instrument_name: str
    state: str
    index_price: float
    mark_price: float
    open_interest: float
    best_bid_price: float | None
    best_bid_amount: float
    best_ask_price: float | None
    best_ask_amount: float
    stats: Stats
    last_price: float | None = None
    settlement_price: float | None = None
    delivery_price: float | None = None
    min_price: float | None = None
    max_price: float | None = None
    estimated_delivery_price: float | str | None = None
    mark_iv: float | None = None
    bid_iv: float | None = None
    ask_iv: float | None = None
    underlying_price: float | None = None
    underlying_index: str | None = None
    interest_rate: float | None = None
    greeks: Greeks | None = None
    current_funding: float | None = None
    funding_8h: float | None = None
    interest_value: float | None = None
    implied_bid: float | None = None
    implied_ask: float | None = None
    combo_state: str | None = None


class BookUpdate(Wire, frozen=True, gc=False):
    """`book` by level: a snapshot, or what changed since `prev_change_id`.

    Recordings of before 2020 say no `type`: without `prev_change_id` they are snapshots.
    """

    timestamp: int
    instrument_name: str
    change_id: int
    bids: list[Level]
    asks: list[Level]
    type: Literal["snapshot", "change", ""] = ""
    prev_change_id: int | None = None

    @property
    def is_snapshot(self) -> bool:
        """Whether these are all levels, and not those that changed."""
        return self.type == "snapshot" or (not self.type and self.prev_change_id is None)


class GroupedBook(Wire, frozen=True, gc=False):
    """`book` of some depth, whole each time; best first."""

    timestamp: int
    instrument_name: str
    change_id: int
    bids: list[PriceAmount]
    asks: list[PriceAmount]


class Quote(Wire, frozen=True, gc=False):
    """`quote`: the best prices."""

    timestamp: int
    instrument_name: str
    best_bid_price: float | None
    best_bid_amount: float
    best_ask_price: float | None
    best_ask_amount: float


class Trade(Wire, frozen=True, gc=False):
    """A row of `trades`; `direction` is the taker's. A combo's has its `legs`."""

    trade_seq: int
    trade_id: str
    timestamp: int
    instrument_name: str
    direction: Literal["buy", "sell"]
    price: float
    amount: float
    index_price: float
    tick_direction: int
    mark_price: float | None = None
    iv: float | None = None
    contracts: float | None = None
    liquidation: str | None = None
    block_trade_id: str | None = None
    block_trade_leg_count: int | None = None
    block_rfq_id: int | None = None
    combo_id: str | None = None
    combo_trade_id: str | float | None = None
    legs: list[dict[str, Any]] | None = None


class IndexPrice(Wire, frozen=True, gc=False):
    """`deribit_price_index`."""

    timestamp: int
    price: float
    index_name: str


class VolatilityIndex(Wire, frozen=True, gc=False):
    """`deribit_volatility_index`, in percent."""

    timestamp: int
    volatility: float
    index_name: str
    estimated_delivery: float | None = None


class PerpetualInterest(Wire, frozen=True, gc=False):
    """`perpetual`: the 8-hour funding rate of now."""

    timestamp: int
    interest: float
    index_price: float | None = None


class OptionMark(Wire, frozen=True, gc=False):
    """A row of `markprice.options`: here alone the vol is a decimal."""

    instrument_name: str
    mark_price: float | None
    iv: float | None
    timestamp: int | None = None


class InstrumentState(Wire, frozen=True, gc=False):
    """`instrument.state`: created, started, settled, closed, terminated."""

    timestamp: int
    instrument_name: str
    state: str


class Candle(Wire, frozen=True, gc=False):
    """`chart.trades`: the candle that is being made."""

    tick: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    cost: float
