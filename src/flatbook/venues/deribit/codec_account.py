"""What Deribit answers a maker about its account: orders placed, mass quotes, trades, positions, cash. Typed, pure."""

from typing import Any, Literal

import msgspec

from flatbook.domain.units import book_amount
from flatbook.venues.deribit.codec_messages import Wire
from flatbook.venues.deribit.codec_own import OwnOrder, OwnTrade, Refusal


class Placed(Wire, frozen=True, gc=False):
    """`private/buy`, `private/sell`: the order as it is after all that it set off, and what it traded."""

    order: OwnOrder
    trades: tuple[OwnTrade, ...] = ()


class SideRefused(Wire, frozen=True, gc=False):
    """One side of one quote that was not taken; what rested there may be gone with it."""

    instrument_name: str
    side: Literal["bid", "ask"]
    error: Refusal
    quote_set_id: str | None = None


class MassQuoted(Wire, frozen=True, gc=False):
    """`private/mass_quote` in detail. A side that is taken away has its cancelled order, or none."""

    errors: tuple[SideRefused, ...] = ()
    orders: tuple[OwnOrder, ...] = ()
    trades: tuple[OwnTrade, ...] = ()
    errors_count: int = 0
    success_count: int = 0


class TradesPage(Wire, frozen=True, gc=False):
    """A page of our trades."""

    trades: list[OwnTrade]
    has_more: bool = False


class Excerpt(msgspec.Struct, frozen=True, gc=False):
    """Base of answers of which the venue sends much more than the books need: the rest is not looked at."""


class OwnPosition(Excerpt, frozen=True, gc=False):
    """A position. `floating_profit_loss` is since the last daily settlement, in settlement currency."""

    instrument_name: str
    size: float
    mark_price: float
    floating_profit_loss: float
    kind: str = ""
    average_price: float = 0.0
    settlement_price: float | None = None


class OwnSummary(Excerpt, frozen=True, gc=False):
    """`private/get_account_summary` of a currency, as far as the books need it."""

    currency: str
    equity: float
    options_value: float = 0.0
    session_upl: float = 0.0
    session_funding: float = 0.0

    @property
    def cash_units(self) -> int:
        """Cash with what futures realised, whether or not it was paid by a settlement: equity less all that is open."""
        equity, *open_parts = (
            book_amount(amount, self.currency) for amount in (self.equity, self.options_value, self.session_upl)
        )
        return equity - sum(open_parts)


class OwnName(Excerpt, frozen=True, gc=False):
    """`private/get_account_summary` with `extended`: which account, or subaccount, it is, whatever key asks."""

    id: int


class Protected(Excerpt, frozen=True, gc=False):
    """`private/set_mmp_config`: a group's protection as it is from now on; a limit that is not said is none."""

    index_name: str
    interval: int
    frozen_time: int
    mmp_group: str = ""
    quantity_limit: float | None = None
    delta_limit: float | None = None
    vega_limit: float | None = None
    max_quote_quantity: float | None = None


class Logged(Excerpt, frozen=True, gc=False):
    """A row of the transaction log. `change` is of the cash balance, `total_interest_pl` a session's funding in it."""

    id: int
    type: str
    timestamp: int
    currency: str
    change: float | None = None
    instrument_name: str | None = None
    total_interest_pl: float | None = None

    @property
    def funding(self) -> float:
        """Funding received over a session, paid negative: it is logged when the session ends."""
        return self.total_interest_pl or 0.0 if self.type == "settlement" else 0.0


class LogPage(Excerpt, frozen=True, gc=False):
    """A page of the transaction log; `continuation` asks for the next."""

    logs: list[Logged]
    continuation: int | None = None


class SettledRow(Excerpt, frozen=True, gc=False):
    """An end of session of one instrument: `mark_price` is what profit was paid up to."""

    type: str
    timestamp: int
    instrument_name: str = ""
    mark_price: float = 0.0


class SettledPage(Excerpt, frozen=True, gc=False):
    """`public/get_last_settlements_by_currency`, newest first."""

    settlements: list[SettledRow]
    continuation: Any = None


class DeliveryPrice(Excerpt, frozen=True, gc=False):
    """What everything that expired on a day was delivered at."""

    date: str
    delivery_price: float


class DeliveryPrices(Excerpt, frozen=True, gc=False):
    """`public/get_delivery_prices`, newest first."""

    data: list[DeliveryPrice]
    records_total: int = 0
