"""Options of the chain as hedges: those that showed two sides lately, as many as hedge the book best.

An option is bought at the vol that others ask and sold at the one they bid. Where our own vol says that this is cheap,
it still costs half their spread: the set hedges with what it knows of costs, not with an opinion on vols.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.hedge.instruments import HOURS_PER_YEAR, HedgeSet
from flatbook.decide.hedge.scene import LEAST_HOURS, HedgeScene, Listed
from flatbook.kernels.chain import FACTORS
from flatbook.kernels.factors import load_factors
from flatbook.valuation.chain import PRICE, VEGA
from flatbook.valuation.inventory import PERPETUAL
from flatbook.valuation.risk_price import RiskPrice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

OPTIONS_CONSIDERED = 6
"""So many options at most are offered to the search: those that hedge best alone, delta being hedged apart."""

_OUT_OF_MONEY = -0.02
"""Log-moneyness from which on a quote's vols say what it trades at; in the money they say little."""


def useful_options(scene: HedgeScene, risk_price: RiskPrice, gradient: Floats) -> Ints:
    """Rows of the options that would save most of R after their costs, each traded alone with delta hedged besides.

    Of R and its slope the first FACTORS count: an option does nothing to other coins.
    """
    rows, gradient, bent = _shown(scene), gradient[:FACTORS], risk_price.curvature[:FACTORS, :FACTORS]
    if not rows.size:
        return rows
    loading, cost = _loading(scene, rows), _option_costs(scene, rows)
    # What the perpetual makes up for is taken out of R: the Schur complement of its direction.
    along = bent @ PERPETUAL
    own = float(along @ PERPETUAL)
    if own <= 0.0:
        return rows[:0]
    left = bent - np.outer(along, along) / own
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
        & (values.years[:n] * HOURS_PER_YEAR >= LEAST_HOURS)
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


def listed_options(scene: HedgeScene, rows: Ints) -> Listed:
    """These rows of the chain as hedges, at what others show."""
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
    limits = np.stack([asked + tick, bid - tick])
    return Listed(instruments, rows, np.full(rows.size, values.index_usd), fair, limits, hedge_set)
