"""How to quote and hedge, as data: every parameter with its unit, range and default."""

from typing import Literal

from pydantic import Field

from flatbook.domain.config import NonNegative, Positive, Section, Share

BASELINES = ("avellaneda_stoikov", "glft", "cartea_jaimungal", "vega_hjb", "stoikov_saglam")
"""The published models that can skew quotes, by name."""


class QuotingPolicy(Section):
    """Where to quote: fair value, plus a spread, plus a price for inventory."""

    skew: Literal[
        "none", "position", "price_of_risk",
        "avellaneda_stoikov", "glft", "cartea_jaimungal", "vega_hjb", "stoikov_saglam",
    ] = Field(
        description="none; by own contracts in the same option; by R, the book's price of risk; or by a published model"
    )  # fmt: skip
    size_coin: Positive = Field(default=1.0, description="contracts of one coin a side")
    half_spread_vol: NonNegative = Field(default=0.01, description="fixed half-spread in vol, times the option's vega")
    half_spread_coin: NonNegative = Field(default=0.0003, description="fixed half-spread in coin, whatever the vega")
    fee_share: Share = Field(default=0.0, description="share of the venue's maker fee added to each half-spread")
    adverse_selection: Literal["fixed", "learned"] = Field(
        default="fixed",
        description="charge for being picked off: the next field's, or by side and kind of option as learnt of "
        "markouts, every ten minutes",
    )
    adverse_selection_vol: NonNegative = Field(default=0.0, description="adverse_selection=fixed: the charge, in vol")
    regime_widen: NonNegative = Field(
        default=0.0,
        description="most that one-sided flow (VPIN beyond the 80th percentile of its past) or busy flow (up to three "
        "times the mean) adds to spreads, as a share",
    )
    model_error_weight: NonNegative = Field(
        default=0.0, description="standard errors of the surface added to each half-spread"
    )
    hedge_cost_share: Share = Field(
        default=0.0, description="share of the delta's cost of hedging added to each half-spread"
    )
    position_skew_vol: NonNegative = Field(default=0.0, description="skew=position: shift in vol per size_coin held")
    max_moneyness: Positive = Field(
        default=2.5, description="no quotes beyond this many standard deviations of log-moneyness"
    )
    min_hours: NonNegative = Field(default=1.0, description="no quotes in options that expire sooner")
    max_days: Positive = Field(default=400.0, description="no quotes in options that expire later")
    max_surface_error_vol: Positive = Field(
        default=0.08, description="no quotes where the smile's standard error is larger"
    )
    max_index_age_s: Positive = Field(default=600.0, description="no quotes once the index is older")
    index_cutoff_bp: NonNegative = Field(
        default=1.0, description="an index move that requotes the chain, in basis points"
    )
    price_cutoff_coin: NonNegative = Field(
        default=0.00005,
        description="a smile's move that requotes the chain, as its at-the-money price in coin",
    )
    refresh_s: Positive = Field(default=30.0, description="the chain is requoted at least this often")


class FlowPolicy(Section):
    """What flow our quotes are believed to meet: it sets the price of risk and the model spread."""

    source: Literal["belief", "estimate"] = Field(
        default="belief",
        description="whether the price of risk takes flow from the fields below, or as estimated from the tape and, "
        "until that shows anything, from them; published models take the fields",
    )
    trades_per_day: Positive = Field(
        default=2000.0, description="trades a day, both sides, that would meet quotes at fair"
    )
    edge_vol: NonNegative = Field(default=0.002, description="distance in vol at which flow falls by e ...")
    edge_coin: Positive = Field(default=0.0001, description="... or in coin, the two added in squares")
    tenor_days: Positive = Field(default=20.0, description="flow in a tenor goes with exp(-tenor / tenor_days)")
    moneyness: Positive = Field(default=1.2, description="flow goes with exp(-z^2 / (2 moneyness^2)), z standardised")


class BaselinePolicy(Section):
    """What a published model is told, where quoting.skew names one, beside the flow and the risk aversion."""

    horizon_hours: Positive = Field(
        default=4.0, description="avellaneda_stoikov, vega_hjb, stoikov_saglam: how far ahead inventory is a risk"
    )
    delta_share: Share = Field(
        default=0.0, description="share of deltas that counts as risk; hedging takes the rest away. Not for vega_hjb"
    )
    position_bound_coin: Positive = Field(
        default=10.0, description="cartea_jaimungal: no quote that could take the position in its option beyond this"
    )
    vega_bound_usd_per_vol_pt: Positive = Field(
        default=20_000.0, description="vega_hjb: no quote that could take the book's vega beyond this"
    )
    fill_log_odds: NonNegative = Field(
        default=0.7,
        description="vega_hjb: log odds against a trade at fair; flow levels off by as much for better quotes",
    )


class RiskPricePolicy(Section):
    """How much risk costs."""

    risk_aversion_per_usd: Positive = Field(default=1e-4, description="absolute risk aversion gamma, per USD")
    horizon_hours: Positive = Field(
        default=168.0, description="risk that no flow takes away is charged as if held this long"
    )
    refresh_s: Positive = Field(
        default=900.0, description="how often the covariance and the flow are taken anew into R"
    )
    stress_weight: NonNegative = Field(
        default=0.0, description="USD of charge a USD of stress loss, R's term for tails; 0 charges none"
    )
    stress_temper_usd: Positive = Field(
        default=50_000.0, description="loss over which a worse scenario takes over in it from a better"
    )
    capital_rate_per_year: NonNegative = Field(
        default=0.0,
        description="what the initial margin that a fill adds costs a year, charged to its side for horizon_hours, and "
        "what it frees paid; 0 charges none",
    )
    margin_model: Literal["deribit_pm", "deribit_sm", "derive_pm", "derive_sm", "span", "okx"] = Field(
        default="deribit_pm", description="whose margin that is, with its parameters as trading begins"
    )


class HedgingPolicy(Section):
    """When and how much to hedge, with what, and how it is traded."""

    rule: Literal["none", "band_and_timer", "price_of_risk"] = Field(
        description="none; back to the edge of a band; or as far as the risk saved pays for the trade"
    )
    instruments: Literal["perpetual", "futures", "options"] = Field(
        default="perpetual",
        description="price_of_risk: what may hedge: the inverse perpetual; dated futures too; options of the chain as "
        "well, against gamma and vega",
    )
    dollar_settled: bool = Field(
        default=False,
        description="price_of_risk: whether the perpetual that is paid in USDC and spot may hedge as well, while they "
        "show two sides",
    )
    spot_share: Share = Field(
        default=0.5, description="of the venue's balance of what spot would take, the share that may be exchanged"
    )
    correlated: tuple[str, ...] = Field(
        default=(),
        description='price_of_risk: other coins, as ["ETH"], whose USDC-settled perpetuals may hedge as well, as far '
        "as they are known to move with ours",
    )
    correlated_daily_volume_usd: Positive = Field(
        default=1e10, description="daily_volume_usd of each of those coins, for what orders in it move"
    )
    band_coin: NonNegative = Field(default=1.0, description="band_and_timer: net delta in coin left alone")
    every_s: NonNegative = Field(default=300.0, description="least time between hedges")
    moving_delta: bool = Field(
        default=True,
        description="price_of_risk: whether delta that gamma moves by itself counts for less, which widens the zone in "
        "which nothing is traded",
    )
    fee_rate: NonNegative = Field(default=0.0005, description="taker fee on notional")
    half_spread_rate: NonNegative = Field(default=0.00005, description="half-spread on price")
    impact_y: NonNegative = Field(
        default=1.0,
        description="an order moves the price by this times a day's standard deviation times the root of its share of "
        "a day's volume, until our own orders have shown better",
    )
    daily_volume_usd: Positive = Field(default=2e10, description="that day's volume")
    holding_hours: NonNegative = Field(
        default=8.0, description="how long a hedge is expected to be held, for its funding, basis and margin"
    )
    margin_rate: Share = Field(default=0.04, description="margin that a hedge binds, of its notional")
    capital_cost_per_year: NonNegative = Field(default=0.05, description="what bound margin costs")
    least_usd: NonNegative = Field(default=0.0, description="smallest hedge worth sending")
    max_clip_usd: Positive = Field(default=2_000_000.0, description="largest hedge order in futures and perpetuals")
    worked_above_usd: Positive = Field(
        default=1_000_000.0,
        description="price_of_risk: a larger trade is worked in clips, `every_s` apart, at the least impact of a book "
        "that fills up in stability.fade_s",
    )
    route: Literal["aggressive", "by_urgency"] = Field(
        default="aggressive",
        description="price_of_risk: whether the perpetual is taken at once, or waited for at the touch where the risk "
        "run meanwhile costs less than that saves",
    )
    maker_fee_rate: float = Field(
        default=0.0, ge=-0.001, description="fee on notional of what was waited for; negative is a rebate"
    )
    adverse_selection_rate: NonNegative = Field(
        default=0.0001, description="what the price has moved against an order that waited, when it fills"
    )
    fill_s: Positive = Field(default=30.0, description="how long an order at the touch is expected to wait")
    patience_s: Positive = Field(default=60.0, description="how long it waits before it is pulled and thought over")
    option_clip_coin: Positive = Field(default=5.0, description="largest hedge order in an option")
    touch_age_s: Positive = Field(
        default=90.0, description="futures and options hedge only while a price that others showed is no older"
    )
