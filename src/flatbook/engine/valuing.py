"""The valuation stage: the chain is valued as of now, the move explained, the book's risk measured."""

import numpy as np

from flatbook.decide.baselines.chain import Dealer, fit_model
from flatbook.decide.policy import BASELINES
from flatbook.decide.quoting import flow_liquidity, model_rows
from flatbook.domain.units import NS_PER_SECOND
from flatbook.engine import holding, leaning, stressing
from flatbook.engine.state import State
from flatbook.kernels.chain import LEVELS
from flatbook.risk.gate import BookRisk
from flatbook.valuation.explain import OtcStep
from flatbook.valuation.inventory import STRATEGY_NAMES
from flatbook.valuation.risk_price import Liquidity, quadratic_risk_price

_HOURS_PER_YEAR = 8760.0

_MORE = 1.1
"""The price of risk is made anew for so many times the options that it was made of."""

_WATCH_EVERY_NS = 10 * NS_PER_SECOND


def is_due(state: State) -> bool:
    """Whether the quotes are as old as the policy allows."""
    return state.now_ns - state.values.ts_ns >= state.setup.policy.quoting.refresh_s * 1e9


def mark(state: State) -> None:
    """Values the chain now, and puts the book's change of worth under its causes."""
    before, after = state.values, state.spare
    after.revalue(state.market, state.now_ns)
    state.values, state.spare = after, before
    if state.flow is not None:
        state.flow.see(after, state.market.universe.sign[: after.rows])
    otc = None
    if state.otc is not None:
        otc = OtcStep(state.otc.mark(state.market, state.now_ns), state.otc.value_usd)
    if before.ts_ns:
        state.pnl.market_moved(before, after, state.inventory, otc)
    state.inventory.age(state.now_ns)
    state.valued_basis = state.market.forwards.basis[: state.market.universe.slots].copy()


def watch_warm_up(state: State) -> None:
    """While nothing is quoted yet: values the chain from time to time, for order flow to be measured against."""
    market, watched = state.market, state.spare
    if state.flow is None or not state.knows_market:
        return
    moved = (
        not abs(market.forwards.index_usd / watched.index_usd - 1) <= state.setup.policy.quoting.index_cutoff_bp * 1e-4
    )
    if moved or state.now_ns - watched.ts_ns >= _WATCH_EVERY_NS:
        watched.revalue(market, state.now_ns)
        state.flow.see(watched, market.universe.sign[: watched.rows])


def measure_risk(state: State) -> None:
    """The book's exposures, its stress loss, the loss stop's stage, and the price of risk."""
    state.book = state.measure()
    stressing.refresh(state)
    stage = state.loss_stop.stage
    if not state.index_check.is_doubted:
        stage = state.loss_stop.update(state.pnl.equity_usd, state.now_ns, _by_strategy(state))
    level = state.values.level
    vol = state.typical_vol.follow(level, state.market.universe.expiry_ns[: len(level)], state.now_ns)
    state.protection.update(state.now_ns, state.values.index_usd, vol)
    index_age_s = (state.now_ns - state.market.forwards.index_ns) / 1e9
    state.risk = BookRisk(
        float(state.book.exposure[0]) / state.values.index_usd,
        state.book.gamma_1pct_usd,
        state.book.vega_usd_per_vol_pt,
        state.stress.loss_usd,
        stage,
        index_age_s,
        tuple((state.book.exposure[LEVELS] / 100).tolist()),
        () if state.margin_limit is None else state.margin_limit.look(state),
        holding.look(state).beyond,
        tuple(state.book.others_usd.tolist()),
        state.others_delta_usd / state.values.index_usd,
    )
    policy = state.setup.policy
    if state.flow is not None:
        state.flow.learn(state.values, state.market.universe.sign[: state.values.rows], state.now_ns)
    # A flow that is believed of few options is too small to take risk away: of a chain that fills up R is made anew.
    due = state.now_ns - state.refreshed_ns >= policy.risk_price.refresh_s * 1e9
    if due or (state.values.rows > _MORE * state.priced_rows and _known_rows(state) > _MORE * state.priced_rows):
        _refresh_risk_price(state)
        state.refreshed_ns, state.priced_rows = state.now_ns, _known_rows(state)
    leaning.look(state)


def _known_rows(state: State) -> int:
    """Options with a smile."""
    return int(np.count_nonzero(state.values.vol > 0.0))


def _by_strategy(state: State) -> dict[str, float] | None:
    """What each strategy has gained, where the loss stop looks at them."""
    if not state.setup.policy.loss_stop.strategy_share:
        return None
    return dict(zip(STRATEGY_NAMES, state.pnl.usd_by_strategy().tolist(), strict=True))


def _rank_quotes(state: State) -> None:
    """What a quote of each row is worth: the most that its believed flow can earn, max over d of A exp(-k d) d."""
    policy, values = state.setup.policy, state.values
    seen = (values.years > 0) & (values.vol > 0)
    flow = flow_liquidity(policy.flow, values, policy.quoting.size_coin, seen)
    state.gate.reservation.worth = np.nan_to_num(flow.arrivals_per_year / flow.decay_per_usd)
    if "price_of_risk" in (policy.quoting.skew, policy.hedging.rule):
        leaning.refresh(state, flow)


def _refresh_risk_price(state: State) -> None:
    """Takes the covariance and the flow anew into R, or into the published model that quotes."""
    _rank_quotes(state)
    policy, values = state.setup.policy, state.values
    seen = (values.years > 0) & (values.vol > 0)
    if not seen.any():
        return
    covariance, size = state.market.covariance.matrix(), policy.quoting.size_coin
    state.desk.covariance = covariance
    if state.market.others is not None:
        state.comovement = state.market.others.comovement()
    if policy.quoting.skew in BASELINES:
        dealer = Dealer(policy.quoting.skew, policy.baseline, size, policy.risk_price.risk_aversion_per_usd)
        book = state.book.exposure, state.inventory.size_coin[: values.rows]
        told = model_rows(policy.flow, values, size, book, np.flatnonzero(seen))
        state.quoting_model = fit_model(dealer, covariance, told)
    if "price_of_risk" not in (policy.quoting.skew, policy.hedging.rule):
        return
    flow = None
    if state.flow is not None:
        flow = state.flow.liquidity(values, state.market.universe.sign[: values.rows])
    if flow is None:
        flow = flow_liquidity(policy.flow, values, size, seen)
    met = seen if state.setup.is_making else np.zeros_like(seen)
    state.risk_price = quadratic_risk_price(
        covariance,
        values.loading[met],
        Liquidity(flow.arrivals_per_year[met], flow.decay_per_usd[met], flow.size[met]),
        policy.risk_price.risk_aversion_per_usd,
        policy.risk_price.horizon_hours / _HOURS_PER_YEAR,
    )
