"""Two-sided quotes for a whole chain: fair value, plus spread, plus inventory charge, and the three add up.

    bid = fair - spread - inventory        ask = fair + spread - inventory'

`spread` is what the maker asks for making a market: flow's own half-spread, adverse selection, model error, the venue's
fee, hedging. `inventory` is what the trade adds to the book's risk, by the policy's way of charging it. Then prices are
rounded outward to the tick, and a bid that would make an arbitrage against our own asks gives way.
"""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.baselines.chain import FittedModel, Rows, distances_usd
from flatbook.decide.policy import BASELINES, FlowPolicy, QuotingPolicy
from flatbook.kernels.placing import place_quotes
from flatbook.kernels.quotes import choose_rows, quote_prices
from flatbook.kernels.requote import requote
from flatbook.market.market import Market
from flatbook.valuation.chain import VEGA, ChainValues
from flatbook.valuation.limit_price import LimitCharge
from flatbook.valuation.risk_price import Liquidity, RiskPrice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_DAYS = 365.0


BID_TICKS, BID_LOTS, ASK_TICKS, ASK_LOTS = range(4)
"""Rows of a quote grid."""


class QuoteInputs(NamedTuple):
    """What a quote is made from: the book's exposure and holdings, the price of risk, the maker's mood.

    exposure        (FACTORS,) USD per unit of factor, hedges and cash included
    held_coin       (rows,) contracts held, signed
    vol_error       (rows,) standard error of the surface, in vol
    risk_aversion_per_usd
    maker_fee_rate  of notional, and its cap as a share of the premium
    hedge_cost_rate of the notional hedged
    widen           factor on spreads
    takers          (3, rows) as in kernels.quotes.quote_prices, where anything is learnt of them
    capital_coin    (2, rows) what the margin of buying and of selling a contract costs, where it does
    stress_coin     (2, rows) what buying and selling a contract adds to R's term for tails, where it has one
    limits          what coming near bounds on the factors adds to R; None where nothing is near
    limits_coin     (2, rows) by axis, what buying and selling a contract adds to R's term for the other bounds
    model           a published model, where the policy quotes by one and enough is known to fit it
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
    takers: Floats | None = None
    capital_coin: Floats | None = None
    stress_coin: Floats | None = None
    limits: LimitCharge | None = None
    limits_coin: Mapping[str, Floats] = MappingProxyType({})
    model: FittedModel | None = None

    @property
    def priced(self) -> RiskPrice:
        """R as the whole chain is charged by it."""
        return self.risk_price if self.limits is None else self.limits.in_factors(self.risk_price)

    @property
    def beside_coin(self) -> Floats | None:
        """What R charges row by row, beside its parabola, (2, rows); None where that is nothing."""
        total = self.stress_coin
        for cost in self.limits_coin.values():
            total = cost if total is None else total + cost
        return total


class Quotes(NamedTuple):
    """Wanted quotes of a chain, and the parts they are made of.

    Shapes      grid (4, rows): bid ticks, bid lots, ask ticks, ask lots, no price without lots; parts (6, rows) in coin
                per contract: fair, spread, bid_inventory, ask_inventory, bid_takers, ask_takers
    Units       ticks finest; before rounding the bid is fair - spread - bid_takers - bid_inventory, the ask fair +
                spread + ask_takers + ask_inventory: takers' parts are what those who would hit that side are learnt to
                know, and the cost of the margin that their trade ties up, parts of its spread of which the sides differ
    Made of     `inputs`, for the rows that are `quoted`
    """

    inputs: QuoteInputs
    quoted: NDArray[np.bool_]
    grid: Ints
    parts: Floats

    @property
    def fair_coin(self) -> Floats:
        """(rows,)"""
        return self._part(0)

    @property
    def spread_coin(self) -> Floats:
        """(rows,)"""
        return self._part(1)

    @property
    def bid_inventory_coin(self) -> Floats:
        """(rows,)"""
        return self._part(2)

    @property
    def ask_inventory_coin(self) -> Floats:
        """(rows,)"""
        return self._part(3)

    @property
    def bid_takers_coin(self) -> Floats:
        """(rows,)"""
        return self._part(4)

    @property
    def ask_takers_coin(self) -> Floats:
        """(rows,)"""
        return self._part(5)

    def _part(self, at: int) -> Floats:
        part: Floats = self.parts[at]
        return part


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
    bounds = _bounds(quoting.min_hours, quoting.max_days, quoting.max_moneyness, quoting.max_surface_error_vol)
    chosen = np.empty(values.rows, np.bool_)
    choose_rows(bounds, values.fair_coin, values.years, values.moneyness, vol_error, chosen.view(np.int8))
    return chosen


@lru_cache(maxsize=4)
def _bounds(min_hours: float, max_days: float, max_moneyness: float, max_error_vol: float) -> Floats:
    """As `kernels.quotes.choose_rows` wants them."""
    return _frozen(np.array([min_hours / 24 / _DAYS, max_days / _DAYS, max_moneyness, max_error_vol]))


def make_quotes(
    quoting: QuotingPolicy,
    flow: FlowPolicy,
    market: Market,
    values: ChainValues,
    inputs: QuoteInputs,
    quoted: NDArray[np.bool_],
) -> Quotes:
    """Quotes for every row that is `quoted`; the others have no bid, no ask and no size."""
    if quoting.skew in BASELINES:
        return _quotes_by_model(quoting, flow, market, values, inputs, quoted)
    ladders, columns = market.universe.ladders(), market.universe.ladders().columns
    parts, grid = np.empty((6, values.rows)), np.empty((4, values.rows), np.int64)
    priced = inputs.priced
    requote(
        values.index_usd, quoting.size_coin, _terms(quoting, flow, inputs), quoted.view(np.int8),
        quoting.skew == "price_of_risk", priced.gradient(inputs.exposure), priced.curvature, values.factor_map,
        ladders.walk, ladders.order, ladders.later, ladders.first, ladders.run_slot,
        columns.strike_usd, columns.sign, columns.tick, columns.lot_coin, columns.tick_above, columns.tick_coarse,
        values.forward_usd, values.moneyness, values.greeks, inputs.vol_error, inputs.held_coin,
        _takers(inputs, values.rows), parts, grid,
    )  # fmt: skip
    if (beside := inputs.beside_coin) is not None:
        # It went in with the sides' costs; it is the inventory's.
        parts[2:4] += beside
        parts[4:6] -= beside
    return Quotes(inputs, quoted, grid, parts)


def model_rows(
    flow: FlowPolicy, values: ChainValues, size_coin: float, book: tuple[Floats, Floats], rows: Ints
) -> Rows:
    """What a published model is told of some rows; `book` is exposure (FACTORS,) and held_coin (chain's rows,)."""
    seen = (values.years > 0) & (values.vol > 0)
    liquidity = flow_liquidity(flow, values, size_coin, seen)
    return Rows(
        values.loading[rows],
        Liquidity(liquidity.arrivals_per_year[rows], liquidity.decay_per_usd[rows], liquidity.size[rows]),
        book[1][rows],
        book[0],
    )


def _quotes_by_model(
    quoting: QuotingPolicy,
    flow: FlowPolicy,
    market: Market,
    values: ChainValues,
    inputs: QuoteInputs,
    quoted: NDArray[np.bool_],
) -> Quotes:
    """By a published model; none until there is one. Its own spread is added to the policy's, its charges lean."""
    n, model = values.rows, inputs.model
    rows = np.flatnonzero(quoted) if model is not None else np.zeros(0, np.int64)
    parts, (none, bid, ask) = np.empty((6, n)), np.empty((3, n))
    chosen = np.zeros(n, np.int8)
    chosen[rows] = 1
    terms, error = _terms(quoting, flow, inputs), inputs.vol_error
    quote_prices(
        values.index_usd, terms, False, chosen, values.greeks, values.forward_usd, error, inputs.held_coin,
        _takers(inputs, n), none, none, parts, bid, ask,
    )  # fmt: skip
    if model is not None:
        _lean_by_model(model, flow, values, inputs, rows, parts, bid, ask)
    grid = _on_the_grid(quoting.size_coin, market, values, parts[0], bid, ask)
    return Quotes(inputs, quoted, grid, parts)


def _lean_by_model(
    model: FittedModel,
    flow: FlowPolicy,
    values: ChainValues,
    inputs: QuoteInputs,
    rows: Ints,
    parts: Floats,
    bid: Floats,
    ask: Floats,
) -> None:
    told = model_rows(flow, values, model.dealer.size_coin, (inputs.exposure, inputs.held_coin), rows)
    distances, spread = distances_usd(model, told)
    parts[1, rows] += spread / values.index_usd * inputs.widen
    for part, price, side, distance in ((2, bid, -1.0, distances.bid), (3, ask, 1.0, distances.ask)):
        is_quoted = np.isfinite(distance)
        parts[part, rows] = np.where(is_quoted, distance - spread, 0.0) / values.index_usd
        wanted = parts[0, rows] + side * (parts[1, rows] + parts[part, rows] + parts[part + 2, rows])
        price[rows] = np.where(is_quoted, wanted, np.nan)


def _on_the_grid(
    size_coin: float, market: Market, values: ChainValues, fair_coin: Floats, bid: Floats, ask: Floats
) -> Ints:
    """Rounded outward to the tick, no ask under intrinsic value; a bid that would make an arbitrage against our own
    asks gives way."""
    ladders = market.universe.ladders()
    _, strike, sign, tick, lot, above, coarse = ladders.columns
    grid = np.empty((4, values.rows), np.int64)
    place_quotes(
        size_coin, bid, ask, fair_coin, ladders.order, ladders.later, ladders.first, strike, sign, values.forward_usd,
        tick, lot, above, coarse, grid,
    )  # fmt: skip
    return grid


@lru_cache(maxsize=4)
def _believed(rows: int) -> Floats:
    """Takers of whom nothing is learnt."""
    takers = np.zeros((3, rows))
    takers[0] = 1.0
    return _frozen(takers)


def _frozen(column: Floats) -> Floats:
    column.setflags(write=False)
    return column


def _takers(inputs: QuoteInputs, rows: int) -> Floats:
    """What is learnt of takers, and what capital, tails and bounds their side costs; else they come as believed."""
    takers = _believed(rows) if inputs.takers is None else inputs.takers
    costs = [cost for cost in (inputs.capital_coin, inputs.beside_coin) if cost is not None]
    if not costs:
        return takers
    takers = takers.copy()
    for cost in costs:
        # A mood that widens spreads makes none of them dearer.
        takers[1:] += cost / inputs.widen
    return takers


def _terms(quoting: QuotingPolicy, flow: FlowPolicy, inputs: QuoteInputs) -> Floats:
    """The policy as `kernels.quotes.TERMS`: what a half-spread is made of, and how a position leans."""
    fixed_vol = quoting.adverse_selection_vol if quoting.adverse_selection == "fixed" else 0.0
    return np.array(
        [
            quoting.half_spread_coin,
            quoting.half_spread_vol + fixed_vol,
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
