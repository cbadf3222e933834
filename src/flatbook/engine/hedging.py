"""The hedging stage: what the book is hedged with now, as far as it pays, and no faster than the market can bear.

The no-trade zone is looked at with what was listed up to some seconds ago; what is traded is decided with prices,
loadings and costs as they are.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.hedge.best import HedgePlan, best_hedge
from flatbook.decide.hedge.execution import Route, TouchTerms, choose_route, running_risk_rate
from flatbook.decide.hedge.listed import MARKETABLE, listed_hedges
from flatbook.decide.hedge.obizhaeva_wang import cheapest_shares, exponential_decay
from flatbook.decide.hedge.rules import ClipTerms, band_clip_usd
from flatbook.decide.hedge.scene import Listed
from flatbook.decide.hedge.stability import Pace, guarded_pace, loop_gain
from flatbook.decide.hedge.stability import Stage as Stability
from flatbook.domain.intents import OrderIntent, Purpose, TimeInForce
from flatbook.domain.reference import Instrument
from flatbook.domain.ticks import ceil_tick, floor_tick
from flatbook.domain.units import NS_PER_SECOND, NS_PER_YEAR
from flatbook.engine import hedge_limits
from flatbook.engine.hedge_desk import Decision
from flatbook.engine.hedge_scene import hedge_risk, law_of_other, other_order_risk, risk_price, scene_of
from flatbook.engine.state import State
from flatbook.kernels.chain import FACTORS, SPOT, SQUARED
from flatbook.report.facts import LogEntry
from flatbook.risk.gate import OrderRisk
from flatbook.risk.loss_stop import Stage
from flatbook.valuation.chain import VEGA
from flatbook.valuation.inventory import PERPETUAL
from flatbook.valuation.risk_price import RiskPrice

Floats = NDArray[np.float64]

SECONDS_PER_YEAR = NS_PER_YEAR / NS_PER_SECOND

_MOST_CLIPS = 12
"""A trade is worked in no more clips than this."""

_LISTED_FOR_NS = 10 * NS_PER_SECOND
"""The no-trade zone is looked at with what was listed no longer ago than this."""


_LIMIT_ROUNDS = 12
"""Trades back from a bound are sought anew at most this often; the distance to go at least halves each time."""


class Wanted(NamedTuple):
    """An order wanted, as the gate checks it, and why it was decided so."""

    intent: OrderIntent
    risk: OrderRisk
    decision: Decision


def wanted_hedges(state: State) -> tuple[Wanted, ...]:
    """The hedges wanted now, none while one works, the timer runs or the index is in doubt.

    All of the delta when the loss stop says flat, and then while the perpetual stands apart, too: it takes its prices.
    """
    policy, desk, check = state.setup.policy.hedging, state.desk, state.index_check
    flatten = state.risk.stage is Stage.FLAT
    if check.held is not None or (check.is_apart and not flatten):
        return ()
    wait_s = policy.every_s if flatten else desk.wait_s
    if state.orders.working or state.now_ns - desk.sent_ns < wait_s * 1e9:
        return ()
    if flatten:
        return _flattening(state)
    match policy.rule:
        case "none":
            return ()
        case "band_and_timer":
            delta_usd = float(state.book.exposure[SPOT])
            terms = ClipTerms(policy.least_usd, policy.max_clip_usd, state.setup.hedge.lot_size)
            usd = band_clip_usd(delta_usd, policy.band_coin * state.values.index_usd, terms)
            return _in_perpetual(state, usd, Purpose.HEDGE, "outside the band")
        case "price_of_risk":
            return _by_price_of_risk(state)


def _by_price_of_risk(state: State) -> tuple[Wanted, ...]:
    core = risk_price(state)
    risk = hedge_risk(state, core)
    price = risk.price
    gradient = price.gradient(risk.exposure)
    zone = hedge_limits.space_of(state, _zone(state, price, gradient), core)
    if not zone.listed.pays(zone.price.gradient(zone.exposure)):
        return ()
    pace = _pace(state)
    if state.now_ns - state.desk.sent_ns < pace.wait_s * 1e9:
        return ()
    size_usd = _size_usd(state, price, gradient)
    listed = listed_hedges(scene_of(state), price, gradient, size_usd)
    offered = listed.hedge_set
    plan = _plan(state, core, listed, min(pace.fraction, _worked_share(state, size_usd)))
    state.desk.rest = dict(zip(offered.name, (plan.warm - plan.size).tolist(), strict=True))
    reason = str(plan.reason) if pace.stage is Stability.NORMAL else f"{plan.reason}; slowed by its own impact"
    return tuple(_wanted(state, listed, plan, at, reason, pace) for at in np.flatnonzero(plan.lots).tolist())


def _plan(state: State, core: RiskPrice, listed: Listed, fraction: float) -> HedgePlan:
    """The best trades where R is `core` and what bounds add to it.

    That is no parabola, so it is taken at where the trades lead and they are sought again, which is Newton's method: a
    parabola taken at the book would charge a hedge back from a bound for going farther than half-way.
    """
    space = hedge_limits.space_of(state, listed, core)
    exposure, charge, offered = space.exposure, space.charge, space.listed.hedge_set
    warm = np.array([state.desk.rest.get(name, 0.0) for name in offered.name])
    plan = best_hedge(exposure, space.core, offered, warm, fraction=fraction)
    for _ in range(_LIMIT_ROUNDS if charge is not None else 0):
        assert charge is not None
        after, last = charge.at(exposure + plan.warm @ offered.loading), plan.warm
        if not after.is_felt:
            break
        plan = best_hedge(exposure, after.in_factors(space.core), offered, last, fraction=fraction)
        if np.all(np.abs(plan.warm - last) < 0.5 * offered.lot):
            break
    return plan


def _zone(state: State, price: RiskPrice, gradient: Floats) -> Listed:
    """What was listed lately, at the funding that is expected now.

    For what size does not matter: impact only costs beyond the first unit.
    """
    desk, policy = state.desk, state.setup.policy.hedging
    funding = state.market.perpetual.expected_funding(policy.holding_hours, state.now_ns)
    listed, is_old = desk.listed, state.now_ns - desk.listed_ns >= _LISTED_FOR_NS
    if listed is None or is_old or funding != desk.listed_funding or listed.hedge_set.loading.shape[1] != len(gradient):
        listed = desk.listed = listed_hedges(scene_of(state), price, gradient, policy.max_clip_usd)
        desk.listed_ns, desk.listed_funding = state.now_ns, funding
    return listed


def _size_usd(state: State, price: RiskPrice, gradient: Floats) -> float:
    """About how much the perpetual alone would trade: what impact is linearised at."""
    policy, lot_usd = state.setup.policy.hedging, state.setup.hedge.lot_size
    gradient, curvature = gradient[:FACTORS], price.curvature[:FACTORS, :FACTORS]
    saved = abs(float(gradient @ PERPETUAL)) - policy.fee_rate - policy.half_spread_rate
    worth = state.desk.law(policy).worth_usd(saved, float(PERPETUAL @ curvature @ PERPETUAL))
    return float(np.clip(worth, max(policy.least_usd, lot_usd), policy.max_clip_usd))


def _pace(state: State) -> Pace:
    """How fast to hedge at the loop gain of the moment; a change is worth a line in the log."""
    desk, policy = state.desk, state.setup.policy
    gain = loop_gain(2.0 * float(state.book.exposure[SQUARED]), desk.kyle.per_usd)
    pace = guarded_pace(policy.stability, gain, policy.hedging.every_s, desk.stage)
    if pace.stage is not desk.stage:
        text = pace.reason or "hedging is itself again"
        state.recorder.log.append(LogEntry(ts_ns=state.now_ns, kind="hedging", text=text))
    desk.stage, desk.wait_s = pace.stage, pace.wait_s
    desk.slowed += pace.stage is not Stability.NORMAL
    desk.greatest_gain = max(desk.greatest_gain, gain, key=abs)
    return pace


def _worked_share(state: State, size_usd: float) -> float:
    """What of a trade is done now, the rest in later clips, each decided as the book stands then."""
    policy = state.setup.policy
    clips = math.ceil(size_usd / policy.hedging.worked_above_usd)
    if clips <= 1:
        return 1.0
    times_s = max(state.desk.wait_s, 1.0) * np.arange(min(clips, _MOST_CLIPS), dtype=np.float64)
    return float(cheapest_shares(exponential_decay(times_s, 1.0 / policy.stability.fade_s))[0])


def outwaited(state: State) -> tuple[str, ...]:
    """Orders to be pulled, once each: that rest longer than the policy waits, against a loss stop that says flat, or
    on an index in doubt."""
    if not state.orders.working:
        return ()
    desk, patience_ns = state.desk, state.setup.policy.hedging.patience_s * 1e9
    is_off = state.risk.stage >= Stage.FLAT or state.index_check.is_doubted
    late = tuple(
        order_id
        for order_id, order in state.orders.working.items()
        if order.intent.time_in_force is TimeInForce.GTC
        and order_id not in desk.pulled
        and (is_off or state.now_ns - order.sent_ns >= patience_ns)
    )
    desk.pulled.update(late)
    return late


def _route(state: State, instrument: Instrument) -> Route:
    """Whether to take or to wait: what waiting saves, against the risk that is run meanwhile."""
    policy, covariance = state.setup.policy, state.desk.covariance
    hedge = policy.hedging
    if hedge.route == "aggressive" or instrument is not state.setup.hedge or covariance is None:
        return Route.AGGRESSIVE
    terms = TouchTerms(
        hedge.half_spread_rate,
        hedge.fee_rate,
        hedge.maker_fee_rate,
        hedge.adverse_selection_rate,
        hedge.fill_s / SECONDS_PER_YEAR,
    )
    aversion = policy.risk_price.risk_aversion_per_usd
    return choose_route(terms, running_risk_rate(state.book.exposure, PERPETUAL, covariance, aversion)).route


def _flattening(state: State) -> tuple[Wanted, ...]:
    """All of the delta in our own coin by the perpetual, and what is held in other coins closed."""
    policy, lot_usd = state.setup.policy.hedging, state.setup.hedge.lot_size
    why, usd = "loss stop: flat", 0.0
    if not math.isnan(state.risk.delta_coin):
        delta_usd = (state.risk.delta_coin - state.risk.others_delta_coin) * state.values.index_usd
        usd = float(np.clip(round(-delta_usd / lot_usd) * lot_usd, -policy.max_clip_usd, policy.max_clip_usd))
    held = np.flatnonzero(state.inventory.others_coin).tolist()
    return (*_in_perpetual(state, usd, Purpose.FLATTEN, why), *(_closing(state, place, why) for place in held))


def _closing(state: State, place: int, reason: str) -> Wanted:
    """An order that closes what is held in another coin, a clip of it where that is large."""
    policy, instrument = state.setup.policy.hedging, state.setup.others[place]
    mark, held_coin = float(state.values.others_usd[place]), float(state.inventory.others_coin[place])
    side, coins = -1 if held_coin > 0 else 1, min(abs(held_coin), policy.max_clip_usd / mark)
    limit_ticks = round(mark * (1 + side * MARKETABLE) / instrument.tick_size)
    intent = OrderIntent(
        instrument=instrument.name,
        side=side,
        limit_ticks=limit_ticks,
        size_lots=round(coins / instrument.lot_size),
        time_in_force=TimeInForce.IOC,
        purpose=Purpose.FLATTEN,
        reason=reason,
    )
    usd = side * coins * mark
    risk = other_order_risk(state, place, usd, abs(limit_ticks * instrument.tick_size / mark - 1))
    book, expected = state.book, law_of_other(state, place).peak_rate(usd) * mark * instrument.lot_size
    return Wanted(intent, risk, Decision(state.now_ns, book, state.values.index_usd, expected, math.nan, math.nan))


def _in_perpetual(state: State, usd: float, purpose: Purpose, reason: str) -> tuple[Wanted, ...]:
    """An order in the perpetual alone, for rules that know of nothing else."""
    if usd == 0.0:
        return ()
    setup, desk = state.setup, state.desk
    policy, side = setup.policy.hedging, 1 if usd > 0 else -1
    through = state.perp_price_usd * (1 + side * MARKETABLE)
    intent = OrderIntent(
        instrument=setup.hedge.name,
        side=side,
        limit_ticks=round(through / setup.hedge.tick_size),
        size_lots=round(abs(usd) / setup.hedge.lot_size),
        time_in_force=TimeInForce.IOC,
        purpose=purpose,
        reason=reason,
    )
    limit_usd = intent.limit_ticks * setup.hedge.tick_size
    order = OrderRisk(
        usd, state.inventory.perp_usd, abs(limit_usd / state.perp_price_usd - 1), usd / state.perp_price_usd
    )
    rate = policy.half_spread_rate + desk.law(policy).peak_rate(usd)
    gain = loop_gain(2.0 * float(state.book.exposure[SQUARED]), desk.kyle.per_usd)
    decision = Decision(
        state.now_ns, state.book, state.values.index_usd, rate * setup.hedge.lot_size, policy.half_spread_rate, gain
    )
    return (Wanted(intent, order, decision),)


def _wanted(state: State, listed: Listed, plan: HedgePlan, at: int, reason: str, pace: Pace) -> Wanted:
    """The order of one row of a plan."""
    instrument, row = listed.instruments[at], int(listed.row[at])
    waits = _route(state, instrument) is Route.PASSIVE
    side, lots, size = (1 if plan.lots[at] > 0 else -1), abs(int(plan.lots[at])), float(plan.size[at])
    intent = OrderIntent(
        instrument=instrument.name,
        side=side,
        limit_ticks=_touch_ticks(state, side) if waits else listed.limit_ticks(at, side),
        size_lots=lots,
        time_in_force=TimeInForce.GTC if waits else TimeInForce.IOC,
        purpose=Purpose.HEDGE,
        reason=reason,
    )
    offered, mark = listed.hedge_set, float(listed.mark[at])
    off = abs(intent.limit_ticks * instrument.tick_size - mark)
    added = size * offered.loading[at]
    delta_coin = float(added[SPOT]) / state.values.index_usd
    half_rate = float(offered.half_spread_usd[at])
    if row < 0:
        law, unit_usd = state.desk.law(state.setup.policy.hedging), float(listed.unit_usd[at])
        risk = OrderRisk(size * unit_usd, 0.0, off / mark, delta_coin)
        if (place := state.other_place(instrument.name)) is not None:
            law, risk = law_of_other(state, place), other_order_risk(state, place, size * unit_usd, off / mark)
        half_rate /= unit_usd
        paid = half_rate + law.peak_rate(size * unit_usd)
        if waits:
            # It is paid the spread, and has moved against us when it fills; of impact that teaches nothing.
            paid, half_rate = state.setup.policy.hedging.adverse_selection_rate - half_rate, math.nan
        expected = paid * unit_usd * instrument.lot_size
        if instrument is not state.setup.hedge:
            half_rate = math.nan  # what moves another coin, or another venue's book, teaches nothing of ours
    else:
        beside = offered.carry_buy_usd[at] if side > 0 else offered.carry_sell_usd[at]
        risk = option_order_risk(state, row, size, off, added)
        expected, half_rate = (half_rate + float(beside)) * instrument.lot_size, float("nan")
    book = state.book
    return Wanted(intent, risk, Decision(state.now_ns, book, state.values.index_usd, expected, half_rate, pace.gain))


def _touch_ticks(state: State, side: int) -> int:
    """The perpetual's best price on our side, as far as is known."""
    perpetual, half = state.setup.hedge, state.setup.policy.hedging.half_spread_rate
    steps, exact = perpetual.spec.ticks, state.perp_price_usd * (1.0 - side * half) / perpetual.tick_size
    return floor_tick(steps, exact) if side > 0 else ceil_tick(steps, exact)


def option_order_risk(state: State, row: int, size: float, off: float, added: Floats) -> OrderRisk:
    """What filling `size` contracts of an option would add, `added` (FACTORS,) to its exposures."""
    values = state.values
    vega_coin = float(values.greeks[VEGA, row] / values.forward_usd[row])
    return OrderRisk(
        size=size,
        held=float(state.inventory.size_coin[row]),
        off=off,
        delta_coin=float(added[SPOT]) / values.index_usd,
        gamma_1pct_usd=2.0 * float(added[SQUARED]) / 100,
        vega_usd=size * vega_coin * values.index_usd / 100,
        vega_coin=vega_coin,
    )
