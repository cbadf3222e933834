"""Limits and loss stops as data: every bound with its unit and default."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from flatbook.domain.config import NonNegative, Positive, Section, Share

UNBOUNDED_COIN = 1e9
"""As many contracts as nobody holds: the most of what adds next to nothing to an axis."""


class LimitPolicy(Section):
    """Hard bounds on the book together with the worst that all resting quotes and working orders could fill.

    What breaks one does not leave the gate.
    """

    position_coin: Positive = Field(default=50.0, description="contracts in one option, either way")
    delta_coin: Positive = Field(default=80.0, description="net delta")
    other_delta_usd: Positive = Field(
        default=2_000_000.0, description="delta in each other coin that may hedge (hedging.correlated)"
    )
    gamma_1pct_usd: Positive = Field(default=600_000.0, description="change of USD delta for a move of 1 %")
    vega_usd: Positive = Field(default=60_000.0, description="per vol point, all tenors")
    vega_tenor_usd: Positive = Field(default=40_000.0, description="per vol point, about one tenor")
    vanna_usd: Positive = Field(default=60_000.0, description="change of vega for a move of 1 %")
    volga_usd: Positive = Field(default=30_000.0, description="change of vega for a vol point")
    stress_loss_usd: Positive = Field(default=2_000_000.0, description="worst loss over the spot and vol grid")
    expiry_delta_coin: Positive = Field(default=80.0, description="net delta of the options of one expiry")
    expiry_gamma_1pct_usd: Positive = Field(default=600_000.0, description="gamma of one expiry")
    expiry_vega_usd: Positive = Field(default=40_000.0, description="vega of one expiry")
    gross_coin: Positive = Field(default=2_000.0, description="contracts held in all options, long and short added")
    margin_use: Share = Field(
        default=0.0,
        description="share of capital, collateral and P&L, that initial margin by risk_price.margin_model may take; 0 "
        "bounds none",
    )
    capital_usd: Mapping[str, Positive] = Field(
        default={},
        description="what margin and losses since the start may take of it, by strategy (making, hedging) or venue",
    )
    concentration_option: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="share of the gross vega of all options that one option may have; 1 bounds none"
    )
    concentration_expiry: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="the same of one expiry's net vega"
    )
    concentration_free_usd: Positive = Field(
        default=1_000.0, description="gross vega up to which these shares are of this, per vol point"
    )
    soft_share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.5,
        description="share of every bound on the book, margin and capital among them, from which R charges for coming "
        "nearer; 1 charges nothing",
    )
    soft_edges: Positive = Field(
        default=3.0,
        description="that charge at the bound, for a contract as flow brings them: distances at which flow falls by e",
    )
    orders_per_minute: Positive = Field(default=60.0, description="single orders sent in any minute")
    order_coin: Positive = Field(default=25.0, description="largest option quote")
    hedge_order_usd: Positive = Field(default=5_000_000.0, description="largest perpetual order")
    price_band_vol: Positive = Field(
        default=0.6, description="an option price farther from fair than this, in vol, is refused"
    )
    price_band_rate: Positive = Field(
        default=0.02, description="a hedge price farther from the index than this is refused"
    )
    max_index_age_s: Positive = Field(default=600.0, description="no quote and no order on an index older than this")


class LossStopPolicy(Section):
    """Stages of loss from the run's peak equity: each is entered at its loss, and left when half of it is regained.

    The last, halt, is left by a person only: `flatbook run --resume DIR --rearm "why"`.
    """

    widen_usd: Positive = Field(default=60_000.0, description="loss at which spreads widen")
    reduce_only_usd: Positive = Field(
        default=150_000.0, description="loss at which only what reduces a position goes out"
    )
    flat_usd: Positive = Field(
        default=300_000.0, description="loss at which quotes are pulled and delta is hedged flat"
    )
    halt_usd: Positive = Field(default=500_000.0, description="loss at which nothing goes out any more")
    widen_factor: Annotated[float, Field(ge=1)] = Field(default=2.0, description="factor on spreads once widened")
    minute_share: Positive = Field(default=1.0, description="of these losses, when lost within a minute")
    hour_share: Positive = Field(default=1.0, description="... within an hour")
    day_share: Positive = Field(default=1.0, description="... within a day")
    strategy_share: NonNegative = Field(
        default=0.0, description="of all of these, when making or hedging alone lost them; 0 looks at the book only"
    )

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if not self.widen_usd <= self.reduce_only_usd <= self.flat_usd <= self.halt_usd:
            raise ValueError("the losses do not rise from widen_usd to halt_usd; put them in order")
        return self
