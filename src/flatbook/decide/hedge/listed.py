"""What may hedge now, of what the market lists.

The inverse perpetual always; another venue's where one is heard, dated futures, and where the policy says so the
dollar-settled perpetual, spot and other coins' perpetuals, that showed two sides lately; options that did, out of the
money or near it. What has no price that others show is not offered.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

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
from flatbook.decide.hedge.listed_options import listed_options, useful_options
from flatbook.decide.hedge.scene import LEAST_HOURS, DollarHedges, HedgeScene, Listed, OtherHedges
from flatbook.decide.policy import HedgingPolicy
from flatbook.domain.reference import Instrument
from flatbook.kernels.chain import BASIS, FACTORS, SPOT
from flatbook.market.away import AwayPerpetual
from flatbook.market.touches import DollarTouch
from flatbook.valuation.inventory import PERPETUAL
from flatbook.valuation.risk_price import RiskPrice

Floats = NDArray[np.float64]

MARKETABLE = 0.002
"""A hedge's limit lies this far through the mark, as a share: room for spread and impact, not for a bad print."""

COIN: Floats = np.eye(FACTORS)[SPOT]
"""What a USD of the coin itself, bought, adds to a book's exposure."""


def listed_hedges(scene: HedgeScene, risk_price: RiskPrice, gradient: Floats, size_usd: float) -> Listed:
    """Everything that may hedge now under the policy, and what trading about `size_usd` of it costs.

    Shapes      R and `gradient`, its slope at the book, by which options are chosen: FACTORS, and then the rests of the
                scene's other coins, as are the rows' loadings
    """
    impact = 1e6 * scene.law.quadratic_rate_per_usd(size_usd, worked=False)
    parts = [_perpetual(scene, impact)]
    if scene.policy.instruments != "perpetual":
        parts += [_future(scene, slot, impact) for slot in _futures(scene)]
    if scene.policy.instruments == "options" and (rows := useful_options(scene, risk_price, gradient)).size:
        parts.append(listed_options(scene, rows))
    away = scene.market.away
    if away is not None and _is_shown(scene, away.touch):
        parts.append(_away(scene, away, impact))
    if scene.dollars is not None:
        parts += _paid_in_dollars(scene, scene.dollars, gradient, impact)
    if scene.others is not None:
        parts = [_beside_rests(part, len(scene.others.coins)) for part in parts]
        parts += _other_perpetuals(scene, scene.others, risk_price, gradient)
    return parts[0] if len(parts) == 1 else _all_of(parts)


def _all_of(parts: list[Listed]) -> Listed:
    return Listed(
        instruments=tuple(instrument for part in parts for instrument in part.instruments),
        row=np.concatenate([part.row for part in parts]),
        unit_usd=np.concatenate([part.unit_usd for part in parts]),
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


def _away(scene: HedgeScene, away: AwayPerpetual, impact_per_musd: float) -> Listed:
    """Its fee and the spread are those of its own venue."""
    policy, values = scene.policy, scene.values
    funding = away.perpetual.expected_funding(policy.holding_hours, values.ts_ns)
    terms = replace(
        _terms(policy, away.touch.half_spread, impact_per_musd, away.instrument),
        fee_rate=float(away.instrument.spec.fees.taker),
    )
    carry = Carry(funding, *_margin(policy, scene.inventory.away_usd))
    hedge_set = delta_one(away.instrument.name, PERPETUAL, 1.0, terms, carry)
    return _delta_one(away.instrument, values.away_usd, hedge_set)


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


def _paid_in_dollars(
    scene: HedgeScene, offered: DollarHedges, gradient: Floats, impact_per_musd: float
) -> list[Listed]:
    """The dollar-settled perpetual and spot, each while it shows two sides.

    Spot is bounded by the dollars that may go for it, or by the coins, whichever the slope of R asks for.
    """
    parts, touches = [], scene.market.touches
    if _is_shown(scene, touches.linear):
        parts.append(_linear(scene, offered.linear, impact_per_musd))
    coins = offered.usd / scene.values.index_usd if gradient[SPOT] < 0.0 else offered.coins
    if _is_shown(scene, touches.spot) and coins >= offered.spot.lot_size:
        parts.append(_spot(scene, offered.spot, coins, impact_per_musd))
    return parts


def _is_shown(scene: HedgeScene, touch: DollarTouch) -> bool:
    is_fresh = touch.seen_ns >= scene.values.ts_ns - scene.policy.touch_age_s * 1e9
    return is_fresh and math.isfinite(touch.half_spread)


def _linear(scene: HedgeScene, instrument: Instrument, impact_per_musd: float) -> Listed:
    """Its unit is a coin; its premium counts as moving with that of the coin-settled one."""
    market, values, policy, price_usd = scene.market, scene.values, scene.policy, scene.values.linear_usd
    funding = market.linear.expected_funding(policy.holding_hours, values.ts_ns)
    carry = Carry(funding, *_margin(policy, scene.inventory.linear_coin))
    terms = _coin_terms(policy, market.touches.linear.half_spread, impact_per_musd, instrument, price_usd)
    hedge_set = delta_one(instrument.name, PERPETUAL * price_usd, price_usd, terms, carry)
    return _delta_one(instrument, price_usd, hedge_set, price_usd)


def _spot(scene: HedgeScene, instrument: Instrument, most_coins: float, impact_per_musd: float) -> Listed:
    """The coin itself: it carries nothing, and what is bought binds all of its price."""
    policy, price_usd = scene.policy, scene.values.index_usd
    half_spread = scene.market.touches.spot.half_spread
    terms = _coin_terms(policy, half_spread, impact_per_musd, instrument, price_usd)
    terms = replace(terms, most=min(terms.most, most_coins))
    bound = policy.capital_cost_per_year * policy.holding_hours / HOURS_PER_YEAR
    hedge_set = delta_one(instrument.name, COIN * price_usd, price_usd, terms, Carry(buy_rate=bound))
    return _delta_one(instrument, price_usd, hedge_set, price_usd)


def _beside_rests(part: Listed, coins: int) -> Listed:
    loading = np.pad(part.hedge_set.loading, ((0, 0), (0, coins)))
    return replace(part, hedge_set=replace(part.hedge_set, loading=loading))


def _other_perpetuals(scene: HedgeScene, others: OtherHedges, risk_price: RiskPrice, gradient: Floats) -> list[Listed]:
    """Perpetuals of other coins, each while it shows two sides, as far as its own bound goes the better way.

    A USD of one loads its beta on our spot, and 1 on its own rest.
    """
    parts, policy = [], scene.policy
    for place, coin in enumerate(others.coins):
        price_usd, law = float(scene.values.others_usd[place]), others.laws[place]
        if not _is_shown(scene, coin.touch) or not math.isfinite(price_usd):
            continue
        loading = np.zeros(len(gradient))
        loading[SPOT], loading[FACTORS + place] = float(others.comovement.beta[place]), 1.0
        slope = float(loading @ gradient)
        room_usd = others.most_usd + math.copysign(1.0, slope) * float(others.held_usd[place])
        if room_usd < coin.instrument.lot_size * price_usd:
            continue
        # Impact is a parabola at the size that this alone would trade.
        saved = abs(slope) - float(coin.instrument.spec.fees.taker) - coin.touch.half_spread
        worth_usd = law.worth_usd(saved, float(loading @ risk_price.curvature @ loading))
        least_usd = max(policy.least_usd, coin.instrument.lot_size * price_usd)
        size_usd = float(np.clip(worth_usd, least_usd, policy.max_clip_usd))
        impact = 1e6 * law.quadratic_rate_per_usd(size_usd, worked=False)
        terms = _coin_terms(policy, coin.touch.half_spread, impact, coin.instrument, price_usd)
        terms = replace(terms, most=min(terms.most, room_usd / price_usd))
        funding = coin.perpetual.expected_funding(policy.holding_hours, scene.values.ts_ns)
        carry = Carry(funding, *_margin(policy, float(others.held_usd[place])))
        hedge_set = delta_one(coin.instrument.name, loading * price_usd, price_usd, terms, carry)
        parts.append(_delta_one(coin.instrument, price_usd, hedge_set, price_usd))
    return parts


def _coin_terms(
    policy: HedgingPolicy, half_spread_rate: float, impact_per_musd: float, hedge: Instrument, price_usd: float
) -> TradingTerms:
    """Of what is counted in coins; its fee is the venue's, for the policy's is that of coin-settled futures."""
    least, most = policy.least_usd / price_usd, policy.max_clip_usd / price_usd
    fee_rate = float(hedge.spec.fees.taker)
    return TradingTerms(fee_rate, half_spread_rate, impact_per_musd, hedge.lot_size, least, most)


def _terms(policy: HedgingPolicy, half_spread_rate: float, impact_per_musd: float, hedge: Instrument) -> TradingTerms:
    return TradingTerms(
        policy.fee_rate, half_spread_rate, impact_per_musd, hedge.lot_size, policy.least_usd, policy.max_clip_usd
    )


def _margin(policy: HedgingPolicy, held_usd: float) -> tuple[float, float]:
    return margin_rates(policy.margin_rate, policy.capital_cost_per_year, policy.holding_hours, held_usd)


def _delta_one(instrument: Instrument, price_usd: float, hedge_set: HedgeSet, unit_usd: float = 1.0) -> Listed:
    limits = price_usd * np.array([[1.0 + MARKETABLE], [1.0 - MARKETABLE]])
    return Listed((instrument,), np.array([-1]), np.array([unit_usd]), np.array([price_usd]), limits, hedge_set)


def _futures(scene: HedgeScene) -> list[int]:
    """Slots whose dated future showed two sides lately and does not expire soon."""
    touches, values = scene.market.touches, scene.values
    oldest_ns = values.ts_ns - scene.policy.touch_age_s * 1e9
    return [
        slot
        for slot in touches.future
        if touches.future_ns[slot] >= oldest_ns
        and math.isfinite(touches.future_half_spread[slot])
        and values.slot_years[slot] * HOURS_PER_YEAR >= LEAST_HOURS
        and math.isfinite(values.delivery_usd[slot])
    ]
