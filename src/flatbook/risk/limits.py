"""Limits and loss stops as data: every bound with its unit and default."""

from typing import Annotated

from pydantic import Field

from flatbook.domain.config import Positive, Section


class LimitPolicy(Section):
    """Hard bounds: what breaks one does not leave the gate."""

    position_coin: Positive = Field(default=50.0, description="contracts in one option, either way")
    delta_coin: Positive = Field(default=60.0, description="net delta")
    gamma_1pct_usd: Positive = Field(default=150_000.0, description="change of USD delta for a move of 1 %")
    vega_usd: Positive = Field(default=60_000.0, description="per vol point, all tenors")
    stress_loss_usd: Positive = Field(default=1_500_000.0, description="worst loss over the spot and vol grid")
    order_coin: Positive = Field(default=25.0, description="largest option quote")
    hedge_order_usd: Positive = Field(default=5_000_000.0, description="largest perpetual order")
    price_band_vol: Positive = Field(
        default=0.6, description="an option price farther from fair than this, in vol, is refused"
    )
    price_band_rate: Positive = Field(
        default=0.02, description="a hedge price farther from the index than this is refused"
    )


class LossStopPolicy(Section):
    """Stages of loss from the run's peak equity: each is entered at its loss, and left when half of it is regained.

    The last, halt, is left by a person only.
    """

    widen_usd: Positive = 60_000.0
    reduce_only_usd: Positive = 150_000.0
    flat_usd: Positive = 300_000.0
    halt_usd: Positive = 500_000.0
    widen_factor: Annotated[float, Field(ge=1)] = 2.0
