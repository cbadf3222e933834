"""How requests are answered, as data; what a quote costs beside is in the policy's other sections."""

from pydantic import Field

from flatbook.domain.config import NonNegative, Positive, Section, Share


class RfqPolicy(Section):
    """What is believed of those who ask and of those who answer beside us, and what is not quoted at all."""

    answers: bool = Field(
        default=False,
        description="whether a run answers requests; a venue sends them to no maker who does not",
    )
    price_life_s: Positive = Field(
        default=10.0,
        description="an answer stands so long, or until the request's end; then the request is priced anew",
    )
    amend_share: NonNegative = Field(
        default=0.25,
        description="an answer is amended once a price is off by more than this share of a typical half-spread",
    )
    room_share: Share = Field(
        default=0.25,
        description="answers=true: of what the limits leave, the share that resting quotes keep free for answers",
    )
    competitors: NonNegative = Field(default=4.0, description="makers who answer too, where the request does not say")
    walk_away_odds: NonNegative = Field(
        default=0.5, description="odds that the taker trades with nobody, against one typical quote"
    )
    typical_half_spread_vol: NonNegative = Field(
        default=0.006, description="half-spread that competitors ask, in vol, times the package's vega by expiry ..."
    )
    typical_half_spread_coin: Positive = Field(
        default=0.0002,
        description="... and in coin, times the root of its squared ratios; added in squares, fees beside",
    )
    dispersion: Positive = Field(
        default=0.5, description="how far competitors' quotes scatter, in typical half-spreads"
    )
    error_correlation: Share = Field(
        default=0.8, description="of the surface's errors at strikes of one expiry; expiries are independent"
    )
    curse_share: Share = Field(default=1.0, description="share of the winner's curse that is asked for")
    hedge_at_fill: bool = Field(
        default=True, description="charge delta at most what hedging it with the perpetual costs, if the maker hedges"
    )
    max_ttl_s: Positive = Field(default=300.0, description="no quote that stands longer")
    max_ttl_deviation: Positive = Field(
        default=4.0, description="no quote over whose life fair moves more than this many half-spreads (one deviation)"
    )
    max_delta_coin: Positive = Field(default=250.0, description="no package with more net delta, delta leg included")
    max_gamma_1pct_usd: Positive = Field(default=1_000_000.0, description="no package with more gamma, either way")
    max_vega_usd: Positive = Field(default=250_000.0, description="no package with more vega per vol point, either way")
