"""What Deribit tells an account of itself, typed: orders, trades, positions, portfolio, and the results of requests.

Of these the venue sends many fields and adds more; those that are named here are used or told on, and the rest is
counted as unknown, as in `codec_messages`.
"""

from typing import Any, Literal

import msgspec

from flatbook.venues.deribit.codec_messages import Wire


class OwnOrder(Wire, frozen=True, gc=False):
    """An order; a market order's `price` is the word "market_price"."""

    order_id: str
    order_state: str
    order_type: str
    instrument_name: str
    direction: Literal["buy", "sell"]
    price: float | str
    amount: float
    filled_amount: float
    creation_timestamp: int
    last_update_timestamp: int
    time_in_force: str = "good_til_cancelled"
    average_price: float | None = None
    label: str = ""
    contracts: float | None = None
    max_show: float | None = None
    post_only: bool = False
    reject_post_only: bool = False
    reduce_only: bool = False
    mmp: bool = False
    mmp_group: str | None = None
    mmp_cancelled: bool = False
    quote: bool = False
    quote_id: str | None = None
    quote_set_id: str | None = None
    cancel_reason: str | None = None
    is_liquidation: bool = False
    is_rebalance: bool = False
    replaced: bool = False
    risk_reducing: bool = False
    api: bool = True
    web: bool = False


class OwnTrade(Wire, frozen=True, gc=False):
    """One of our trades. `direction` is ours, `fee` is paid where positive."""

    trade_id: str
    trade_seq: int
    order_id: str
    timestamp: int
    instrument_name: str
    direction: Literal["buy", "sell"]
    price: float
    amount: float
    fee: float
    fee_currency: str
    liquidity: Literal["M", "T"]
    state: str
    order_type: str
    index_price: float
    label: str = ""
    contracts: float | None = None
    tick_direction: int | None = None
    mark_price: float | None = None
    iv: float | None = None
    underlying_price: float | None = None
    profit_loss: float | None = None
    self_trade: bool = False
    post_only: bool = False
    reduce_only: bool = False
    mmp: bool = False
    matching_id: str | None = None
    risk_reducing: bool = False
    api: bool = True
    liquidation: str | None = None
    block_trade_id: str | None = None
    block_rfq_id: int | None = None
    combo_id: str | None = None
    combo_trade_id: str | float | None = None
    quote_id: str | None = None
    quote_set_id: str | None = None


class OwnChanges(Wire, frozen=True, gc=False):
    """`user.changes`: what happened to us in one instrument; the trades are before what became of their orders."""

    instrument_name: str
    trades: tuple[OwnTrade, ...] = ()
    orders: tuple[OwnOrder, ...] = ()
    positions: tuple[Any, ...] = ()


class Portfolio(Wire, frozen=True, gc=False):
    """`user.portfolio` of a currency, in that currency."""

    currency: str
    balance: float
    equity: float
    margin_balance: float
    initial_margin: float
    maintenance_margin: float
    available_funds: float
    available_withdrawal_funds: float | None = None
    delta_total: float | None = None
    options_value: float | None = None
    options_delta: float | None = None
    options_gamma: float | None = None
    options_vega: float | None = None
    options_theta: float | None = None
    options_pl: float | None = None
    options_session_upl: float | None = None
    options_session_rpl: float | None = None
    futures_pl: float | None = None
    futures_session_upl: float | None = None
    futures_session_rpl: float | None = None
    session_upl: float | None = None
    session_rpl: float | None = None
    session_funding: float | None = None
    total_pl: float | None = None
    projected_delta_total: float | None = None
    projected_initial_margin: float | None = None
    projected_maintenance_margin: float | None = None
    spot_reserve: float | None = None
    additional_reserve: float | None = None
    locked_balance: float | None = None
    fee_balance: float | None = None
    margin_model: str | None = None
    cross_collateral_enabled: bool | None = None
    portfolio_margining_enabled: bool | None = None


class MmpTrigger(Wire, frozen=True, gc=False):
    """`user.mmp_trigger`: protection pulled the quotes of a group; 0 until it is reset by hand."""

    index_name: str
    frozen_until: int
    mmp_group: str | None = None


class Grant(Wire, frozen=True, gc=False):
    """What `public/auth` answers. It is shown without its tokens."""

    access_token: str
    refresh_token: str
    expires_in: int
    scope: str
    token_type: str = "bearer"
    enabled_features: tuple[str, ...] = ()
    mandatory_tfa_status: str = ""
    sid: str | None = None

    def __repr__(self) -> str:
        return f"Grant(expires_in={self.expires_in}, scope={self.scope!r})"


class Refusal(Wire, frozen=True, gc=False):
    """An error as the venue answers it."""

    code: int
    message: str
    data: msgspec.Raw = msgspec.Raw(b"null")

    def describe(self) -> str:
        """The error in one line."""
        reason = bytes(self.data).decode(errors="replace")
        return f"{self.code} {self.message}" + ("" if reason == "null" else f" {reason}")
