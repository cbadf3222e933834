"""What may hedge now, of what the market lists: a `HedgeSet` with what its rows are and how each is ordered.

The inverse perpetual always; dated futures that showed two sides lately; options that did, out of the money or near
it, as many as hedge the book best. What has no price that others show is not offered.

An option is bought at the vol that others ask and sold at the one they bid. Where our own vol says that this is cheap,
it still costs half their spread: the set hedges with what it knows of costs, not with an opinion on vols.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.hedge.impact import SquareRootLaw
from flatbook.decide.hedge.instruments import (
    HOURS_PER_YEAR,
    Carry,
    HedgeSet,
    TradingTerms,
    basis_rate,
    delta_one,
    joined,
    margin_rates,
)
from flatbook.decide.policy import HedgingPolicy
from flatbook.domain.reference import Instrument
from flatbook.domain.ticks import ceil_tick, floor_tick
from flatbook.kernels.chain import BASIS, FACTORS, SPOT
from flatbook.kernels.factors import load_factors
from flatbook.market.market import Market
from flatbook.valuation.chain import PRICE, VEGA, ChainValues
from flatbook.valuation.inventory import PERPETUAL, Inventory
from flatbook.valuation.risk_price import RiskPrice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

OPTIONS_CONSIDERED = 6
"""So many options at most are offered to the search: those that hedge best alone, delta being hedged apart."""

_LEAST_HOURS = 48.0
"""Nothing that expires sooner is offered: a hedge is not to turn into a delivery."""

_OUT_OF_MONEY = -0.02
"""Log-moneyness from which on a quote's vols say what it trades at; in the money they say little."""

MARKETABLE = 0.002
"""A hedge's limit lies this far through the mark, as a share: room for spread and impact, not for a bad print."""


@dataclass(frozen=True, slots=True)
class HedgeScene:
    """What hedging looks at: the market, the chain as valued, what is held, and what an order is believed to move."""

    policy: HedgingPolicy
    market: Market
    values: ChainValues
    inventory: Inventory
    perpetual: Instrument
    law: SquareRootLaw


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """Rows that may hedge.

    instruments     an instrument a row
    row             (m,) its row in the chain where it is an option, -1 else
    mark            (m,) what it is worth, in its own price
    limits          (2, m) the worst price that an order to buy and one to sell may take
    """

    instruments: tuple[Instrument, ...]
    row: Ints
    mark: Floats
    limits: Floats
    hedge_set: HedgeSet

    def limit_ticks(self, at: int, side: int) -> int:
        """The limit of an order of `side` in row `at`, on the contract's grid."""
        instrument = self.instruments[at]
        steps, exact = instrument.spec.ticks, self.limits[0 if side > 0 else 1, at] / instrument.tick_size
        return ceil_tick(steps, exact) if side > 0 else max(floor_tick(steps, exact), 1)

    def pays(self, gradient: Floats) -> bool:
        """Whether the first unit of anything would save more of R, whose slope is `gradient`, than it costs."""
        offered = self.hedge_set
        slope = offered.loading @ gradient
        return bool(np.any(slope + offered.buy_usd < 0.0) or np.any(slope - offered.sell_usd > 0.0))


def listed_hedges(scene: HedgeScene, risk_price: RiskPrice, gradient: Floats, size_usd: float) -> Listed:
    """Everything that may hedge now under the policy, and what trading about `size_usd` of it costs.

    gradient        (FACTORS,) slope of R at the book, by which options are chosen
    """
    impact = 1e6 * scene.law.quadratic_rate_per_usd(size_usd, worked=False)
    parts = [_perpetual(scene, impact)]
    if scene.policy.instruments != "perpetual":
        parts += [_future(scene, slot, impact) for slot in _futures(scene)]
    if scene.policy.instruments == "options" and (rows := useful_options(scene, risk_price, gradient)).size:
        parts.append(_options(scene, rows))
    return parts[0] if len(parts) == 1 else _all_of(parts)


def _all_of(parts: list[Listed]) -> Listed:
    return Listed(
        instruments=tuple(instrument for part in parts for instrument in part.instruments),
        row=np.concatenate([part.row for part in parts]),
        mark=np.concatenate([part.mark for part in parts]),
        limits=np.concatenate([part.limits for part in parts], axis=1),
        hedge_set=joined(*(part.hedge_set for part in parts)),
    )


def _perpetual(scene: HedgeScene, impact_per_musd: float) -> Listed:
    market, values, policy = scene.market, scene.values, scene.policy
    funding = market.perpetual.expected_funding(policy.holding_hours, values.ts_ns)
    terms = _terms(policy, policy.half_spread_rate, impact_per_musd, scene.perpetual)
    carry = Carry(funding, *_margin(policy, scene.inventory.perp_usd))
    hedge_set = delta_one(scene.perpetual.name, PERPETUAL, 1.0, terms, carry)
    return _delta_one(scene.perpetual, values.perp_usd, hedge_set)


def _future(scene: HedgeScene, slot: int, impact_per_musd: float) -> Listed:
    market, values, policy = scene.market, scene.values, scene.policy
    instrument = market.touches.future[slot]
    price_usd, years = float(values.delivery_usd[slot]), float(values.slot_years[slot])
    unit_usd = values.index_usd / price_usd
    loading = np.zeros(FACTORS)
    loading[SPOT], loading[BASIS] = unit_usd, unit_usd * years
    basis = basis_rate(math.log(price_usd / values.index_usd), years, policy.holding_hours)
    carry = Carry(basis, *_margin(policy, float(scene.inventory.future_usd[slot])))
    terms = _terms(policy, float(market.touches.future_half_spread[slot]), impact_per_musd, instrument)
    return _delta_one(instrument, price_usd, delta_one(instrument.name, loading, unit_usd, terms, carry))


def _terms(policy: HedgingPolicy, half_spread_rate: float, impact_per_musd: float, hedge: Instrument) -> TradingTerms:
    return TradingTerms(
        policy.fee_rate, half_spread_rate, impact_per_musd, hedge.lot_size, policy.least_usd, policy.max_clip_usd
    )


def _margin(policy: HedgingPolicy, held_usd: float) -> tuple[float, float]:
    return margin_rates(policy.margin_rate, policy.capital_cost_per_year, policy.holding_hours, held_usd)


def _delta_one(instrument: Instrument, price_usd: float, hedge_set: HedgeSet) -> Listed:
    limits = price_usd * np.array([[1.0 + MARKETABLE], [1.0 - MARKETABLE]])
    return Listed((instrument,), np.array([-1]), np.array([price_usd]), limits, hedge_set)


def _futures(scene: HedgeScene) -> list[int]:
    """Slots whose dated future showed two sides lately and does not expire soon."""
    touches, values = scene.market.touches, scene.values
    oldest_ns = values.ts_ns - scene.policy.touch_age_s * 1e9
    return [
        slot
        for slot in touches.future
        if touches.future_ns[slot] >= oldest_ns
        and math.isfinite(touches.future_half_spread[slot])
        and values.slot_years[slot] * HOURS_PER_YEAR >= _LEAST_HOURS
        and math.isfinite(values.delivery_usd[slot])
    ]


def useful_options(scene: HedgeScene, risk_price: RiskPrice, gradient: Floats) -> Ints:
    """Rows of the options that would save most of R after their costs, each traded alone with delta hedged besides."""
    rows = _shown(scene)
    if not rows.size:
        return rows
    loading, cost = _loading(scene, rows), _option_costs(scene, rows)
    # What the perpetual makes up for is taken out of R: the Schur complement of its direction.
    along = risk_price.curvature @ PERPETUAL
    own = float(along @ PERPETUAL)
    if own <= 0.0:
        return rows[:0]
    left = risk_price.curvature - np.outer(along, along) / own
    slope = loading @ (gradient - along * (float(gradient @ PERPETUAL) / own))
    curvature = np.einsum("jf,fg,jg->j", loading, left, loading)
    excess = np.maximum(-slope - cost.buy_usd, slope - cost.sell_usd)
    gain = np.where((excess > 0.0) & (curvature > 0.0), excess**2 / np.maximum(curvature, 1e-300), 0.0)
    best = np.argsort(-gain, kind="stable")[:OPTIONS_CONSIDERED]
    return np.sort(rows[best[gain[best] > 0.0]])


def _shown(scene: HedgeScene) -> Ints:
    """Options whose two sides were shown lately, that are valued, out of the money, and do not expire soon."""
    values, touches = scene.values, scene.market.touches
    n = min(values.rows, len(touches.seen_ns))
    out_of_money = scene.market.universe.sign[:n] * values.moneyness[:n] * values.vol[:n] * np.sqrt(values.years[:n])
    shown = (
        (touches.seen_ns[:n] >= values.ts_ns - scene.policy.touch_age_s * 1e9)
        & np.isfinite(touches.bid_vol[:n])
        & (values.years[:n] * HOURS_PER_YEAR >= _LEAST_HOURS)
        & (values.greeks[VEGA, :n] > 0.0)
        & (out_of_money >= _OUT_OF_MONEY)
    )
    return np.flatnonzero(shown)


@dataclass(frozen=True, slots=True)
class _OptionCosts:
    """USD per contract, (n,) each: as in `HedgeSet`, impact apart."""

    fee_usd: Floats
    half_spread_usd: Floats
    carry_buy_usd: Floats
    carry_sell_usd: Floats

    @property
    def buy_usd(self) -> Floats:
        return self.fee_usd + self.half_spread_usd + self.carry_buy_usd

    @property
    def sell_usd(self) -> Floats:
        return self.fee_usd + self.half_spread_usd + self.carry_sell_usd


def _option_costs(scene: HedgeScene, rows: Ints) -> _OptionCosts:
    """What an option costs over our value of it: the touch's distance, half the spread at least, fee and capital.

    A bought option binds its premium and a sold one its margin, less the premium.
    """
    policy, values, touches = scene.policy, scene.values, scene.market.touches
    fees = scene.market.universe.instruments[rows[0]].spec.fees
    scale = values.index_usd / values.forward_usd[rows]
    vega_usd, premium_usd = values.greeks[VEGA, rows] * scale, values.greeks[PRICE, rows] * scale
    bid, ask = touches.bid_vol[rows], touches.ask_vol[rows]
    beside = 0.5 * (bid + ask) - values.vol[rows]
    capital = policy.capital_cost_per_year * policy.holding_hours / HOURS_PER_YEAR
    margin_usd = np.maximum(policy.margin_rate * values.index_usd - premium_usd, 0.0)
    cap = float(fees.cap_of_premium or 1)
    return _OptionCosts(
        fee_usd=np.minimum(float(fees.taker) * values.index_usd, cap * premium_usd),
        half_spread_usd=0.5 * (ask - bid) * vega_usd,
        carry_buy_usd=np.maximum(beside, 0.0) * vega_usd + capital * premium_usd,
        carry_sell_usd=np.maximum(-beside, 0.0) * vega_usd + capital * margin_usd,
    )


def _loading(scene: HedgeScene, rows: Ints) -> Floats:
    values = scene.values
    loading = np.empty((rows.size, FACTORS))
    load_factors(
        values.index_usd,
        values.slot[rows],
        values.factor_map,
        values.forward_usd[rows],
        values.moneyness[rows],
        np.ascontiguousarray(values.greeks[:, rows]),
        loading,
    )
    return loading


def _options(scene: HedgeScene, rows: Ints) -> Listed:
    values, touches, market = scene.values, scene.market.touches, scene.market
    instruments = tuple(market.universe.instruments[row] for row in rows.tolist())
    cost = _option_costs(scene, rows)
    none = np.zeros(rows.size)
    lot = market.universe.lot_coin[rows]
    hedge_set = HedgeSet(
        name=tuple(instrument.name for instrument in instruments),
        loading=_loading(scene, rows),
        lot=lot,
        least=none,
        most=np.maximum(np.floor(scene.policy.option_clip_coin / lot), 1.0) * lot,
        fee_usd=cost.fee_usd,
        half_spread_usd=cost.half_spread_usd,
        impact_usd=none,
        carry_buy_usd=cost.carry_buy_usd,
        carry_sell_usd=cost.carry_sell_usd,
    )
    fair, vega_coin = values.fair_coin[rows], values.greeks[VEGA, rows] / values.forward_usd[rows]
    asked, bid = (fair + vega_coin * (vol[rows] - values.vol[rows]) for vol in (touches.ask_vol, touches.bid_vol))
    tick = market.universe.tick[rows]
    return Listed(instruments, rows, fair, np.stack([asked + tick, bid - tick]), hedge_set)
