"""What makes a maker pull its quotes or widen them, as data."""

from typing import Annotated

from pydantic import Field

from flatbook.domain.config import NonNegative, Positive, Section


class ProtectionPolicy(Section):
    """Reasons to stand back for a while, each with what ends it. Ages beyond which nothing is quoted are in [quoting].

    The venue's own market-maker protection freezes whoever trades too much in a short time; ours acts at a share of
    its limits, so that the venue's never does.
    """

    mmp_window_s: Positive = Field(default=5.0, description="the venue's protection counts fills over this long")
    mmp_quantity_coin: Positive = Field(default=10.0, description="its limit on contracts filled in a window")
    mmp_delta_coin: Positive = Field(default=50.0, description="its limit on the net delta of the fills")
    mmp_vega_usd: Positive = Field(default=100_000.0, description="its limit on their net vega, per vol point")
    mmp_share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.7, description="quotes are pulled at this share of its limits"
    )
    mmp_rest_s: Positive = Field(default=5.0, description="for how long they stay pulled after that")
    mmp_at_venue: bool = Field(
        default=True,
        description="the venue has been asked for it: then no more than two windows' contracts count as what may fill "
        "before we hear of it, and not all that rests",
    )
    jump_window_s: Positive = Field(default=10.0, description="jumps are moves over this long")
    index_jump_rate: Positive = Field(default=0.01, description="a move of the index beyond this widens quotes ...")
    vol_jump: Positive = Field(default=0.03, description="... and one of an at-the-money vol, in vol")
    jump_factor: Annotated[float, Field(ge=1)] = Field(default=2.0, description="factor on spreads after a jump")
    calm_s: Positive = Field(default=60.0, description="without another jump for this long, spreads come back")
    latency_budget_ms: Positive = Field(default=250.0, description="a venue that answers later than this widens quotes")
    latency_factor: Annotated[float, Field(ge=1)] = Field(default=1.5, description="factor on spreads while it does")
    messages_per_s: Positive = Field(
        default=2000.0, description="messages a second that the venue allows: changes of quotes, orders, cancels"
    )
    burst_messages: Positive = Field(default=4000.0, description="and how many at once after a rest")
    least_change_share: NonNegative = Field(
        default=0.0, description="a price that moved less than this share of the half-spread is not sent anew"
    )
