"""Two-sided quotes for a whole chain: fair value, plus spread, plus inventory charge, and the three add up.

    bid = fair - spread - inventory        ask = fair + spread - inventory'

`spread` is what the maker asks for making a market: flow's own half-spread, adverse selection, model error, the venue's
fee, hedging. `inventory` is what the trade adds to the book's risk, by the policy's way of charging it. Then prices are
rounded outward to the tick, and a bid that would make an arbitrage against our own asks gives way.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.policy import FlowPolicy, QuotingPolicy
from flatbook.kernels.chain import charge_rows
from flatbook.kernels.quotes import NO_ASK, cap_bids, lower_bids, quote_prices, round_outward
from flatbook.market.market import Market
from flatbook.valuation.chain import VEGA, ChainValues
from flatbook.valuation.risk_price import Liquidity, RiskPrice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_DAYS = 365.0


BID_TICKS, BID_LOTS, ASK_TICKS, ASK_LOTS = range(4)
"""Rows of a quote grid."""


@dataclass(frozen=True, slots=True)
class Quotes:
    """Wanted quotes of a chain, and the parts they are made of.

    Shapes      grid (4, rows): bid ticks, bid lots, ask ticks, ask lots, no price without lots; else (rows,)
    Units       ticks finest; fair and parts in coin per contract; before rounding the bid is fair - spread -
                bid_inventory, the ask fair + spread + ask_inventory
    """

    grid: Ints
    fair_coin: Floats
    spread_coin: Floats
    bid_inventory_coin: Floats
    ask_inventory_coin: Floats


@dataclass(frozen=True, slots=True)
class QuoteInputs:
    """What a quote is made from: the book's exposure and holdings, the price of risk, the maker's mood.

    exposure        (FACTORS,) USD per unit of factor, hedges and cash included
    held_coin       (rows,) contracts held, signed
    vol_error       (rows,) standard error of the surface, in vol
    risk_aversion_per_usd
    maker_fee_rate  of notional, and its cap as a share of the premium
    hedge_cost_rate of the notional hedged
    widen           the loss stop's factor on spreads
    """

    exposure: Floats
    held_coin: Floats
    vol_error: Floats
    risk_price: RiskPrice
    risk_aversion_per_usd: float
    maker_fee_rate: float
    fee_cap_of_premium: float
    hedge_cost_rate: float
    widen: float


def flow_liquidity(flow: FlowPolicy, values: ChainValues, size_coin: float, quoted: NDArray[np.bool_]) -> Liquidity:
    """The flow each option is believed to meet: trades a day shared out by tenor and moneyness, decaying by edge."""
    z = np.clip(values.moneyness, -6, 6)
    days = values.years * _DAYS
    weight = np.exp(-days / flow.tenor_days) / np.maximum(days, 1.0) ** 0.5 * np.exp(-0.5 * (z / flow.moneyness) ** 2)
    weight = np.where(quoted, weight, 0.0)
    total = max(float(np.sum(weight)), 1e-12)
    arrivals = 0.5 * flow.trades_per_day * _DAYS * weight / total
    return Liquidity(arrivals, 1.0 / edge_usd(flow, values), np.full(values.rows, size_coin))


def edge_usd(flow: FlowPolicy, values: ChainValues) -> Floats:
    """Distance in USD per contract at which flow falls by e."""
    vega = np.nan_to_num(values.greeks[VEGA])
    return np.asarray(np.hypot(flow.edge_coin * values.index_usd, flow.edge_vol * vega))


def quotable(quoting: QuotingPolicy, market: Market, values: ChainValues, vol_error: Floats) -> NDArray[np.bool_]:
    """Which rows may carry a quote now: alive, near the money, on a smile that is known well enough, a fresh index."""
    index_age_s = (values.ts_ns - market.forwards.index_ns) / 1e9
    if index_age_s > quoting.max_index_age_s:
        return np.zeros(values.rows, np.bool_)
    days = values.years * _DAYS
    return np.asarray(
        np.isfinite(values.fair_coin)
        & (days > 0)
        & (np.abs(values.moneyness) <= quoting.max_moneyness)
        & (days * 24 >= quoting.min_hours)
        & (days <= quoting.max_days)
        & (vol_error <= quoting.max_surface_error_vol)
    )


def make_quotes(
    quoting: QuotingPolicy,
    flow: FlowPolicy,
    market: Market,
    values: ChainValues,
    inputs: QuoteInputs,
    quoted: NDArray[np.bool_],
) -> Quotes:
    """Quotes for every row that is `quoted`; the others have no bid, no ask and no size."""
    universe, n = market.universe, values.rows
    used = slice(n)
    shift, width = np.zeros(n), np.zeros(n)
    charges_risk = quoting.skew == "price_of_risk"
    if charges_risk:
        size = np.full(n, quoting.size_coin)
        gradient = inputs.risk_price.gradient(inputs.exposure)
        charge_rows(values.loading, gradient, inputs.risk_price.curvature, size, shift, width)
    parts = np.empty((4, n))
    bid, ask = np.empty(n), np.empty(n)
    quote_prices(
        values.index_usd,
        _terms(quoting, flow, inputs),
        charges_risk,
        quoted.view(np.int8),
        values.greeks,
        values.forward_usd,
        inputs.vol_error,
        inputs.held_coin,
        shift,
        width,
        parts,
        bid,
        ask,
    )
    bid_ticks, ask_ticks = np.empty(n, np.int64), np.empty(n, np.int64)
    ticks = (universe.tick[used], universe.tick_above[used], universe.tick_coarse[used])
    round_outward(bid, ask, *ticks, bid_ticks, ask_ticks)
    grid = np.empty((4, n), np.int64)
    lots = np.maximum(np.rint(quoting.size_coin / universe.lot_coin[used]), 1).astype(np.int64)
    lower_bids(_caps(market, values, ask_ticks), *ticks, lots, bid_ticks, ask_ticks, grid)
    return Quotes(grid, *parts)


def _caps(market: Market, values: ChainValues, ask_ticks: Ints) -> Floats:
    """The highest bid of each row that is no arbitrage against our own asks."""
    universe = market.universe
    used = slice(values.rows)
    ladders = universe.ladders()
    ask = np.where(ask_ticks < NO_ASK, ask_ticks * universe.tick[used], np.inf)
    cap = np.full(values.rows, np.inf)
    cap_bids(
        ladders.order,
        ladders.later,
        universe.slot[used],
        universe.strike_usd[used],
        universe.sign[used],
        values.forward_usd,
        ask,
        cap,
    )
    return cap


def _terms(quoting: QuotingPolicy, flow: FlowPolicy, inputs: QuoteInputs) -> Floats:
    """The policy as `kernels.quotes.TERMS`: what a half-spread is made of, and how a position leans."""
    return np.array(
        [
            quoting.half_spread_coin,
            quoting.half_spread_vol + quoting.adverse_selection_vol,
            quoting.model_error_weight,
            quoting.fee_share * inputs.maker_fee_rate,
            quoting.fee_share * inputs.fee_cap_of_premium,
            quoting.hedge_cost_share * inputs.hedge_cost_rate,
            inputs.widen,
            inputs.risk_aversion_per_usd * quoting.size_coin,
            flow.edge_coin,
            flow.edge_vol,
            quoting.position_skew_vol / quoting.size_coin if quoting.skew == "position" else 0.0,
        ]
    )
