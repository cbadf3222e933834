"""What the hedger remembers from one decision to the next, and what its own trades have taught it."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.hedge.execution import greek_slippage
from flatbook.decide.hedge.impact import ImpactBelief, SquareRootLaw
from flatbook.decide.hedge.scene import Listed
from flatbook.decide.hedge.stability import KyleBelief, Stage
from flatbook.decide.policy import HedgingPolicy
from flatbook.domain.events import Fill
from flatbook.domain.units import NS_PER_DAY
from flatbook.kernels.chain import FACTORS, SPOT, SQUARED
from flatbook.report.tables import HedgeRow
from flatbook.valuation.inventory import BookMeasures

if TYPE_CHECKING:
    from flatbook.engine.state import State

Floats = NDArray[np.float64]

_PRIOR_CLIP_USD = 1e6
"""What impact is believed to be per USD is the law's at this size, and that belief is worth a clip of it."""

_CLIPS_KEPT = 0.99
"""Of what earlier clips taught of our impact, so much is kept by each later one."""

_USUAL_DAILY_VOL = 0.03
"""A day's standard deviation of the index, until one is known."""

_LEAST_NOISE = 2e-5
"""No fill's slippage is read better than this, of the price: a mark is not finer."""


@dataclass(frozen=True, slots=True)
class Decision:
    """An order as it was decided: the book then, the index, and what the order was expected to pay over its mark.

    half_spread_rate    of its notional, for what learns from the rest; NaN of an option
    loop_gain           of hedging then
    """

    ts_ns: int
    book: BookMeasures
    index_usd: float
    expected_usd_per_lot: float
    half_spread_rate: float
    loop_gain: float


@dataclass
class HedgeDesk:
    """The hedger's memory.

    sent_ns         when the last hedge was sent
    wait_s          how long the next waits after it
    stage           of the guard against hedging that feeds itself
    covariance      (FACTORS, FACTORS) per year, as the price of risk was last made; None before
    pulled          ids of working orders whose cancel is under way
    listed          what may hedge, as of `listed_ns` and at `listed_funding`; looked at anew where something of it pays
    rest            by instrument, what the last search wanted and was not sent: where the next begins
    decided         by order id, for as long as the order works
    flow_delta_usd, hedge_delta_usd     gross delta that fills of quotes brought, and that hedges traded
    greatest_gain   the loop gain farthest from 0 so far; `slowed` how many decisions were
    """

    impact: ImpactBelief
    kyle: KyleBelief
    wait_s: float
    sent_ns: int = 0
    stage: Stage = Stage.NORMAL
    covariance: Floats | None = None
    pulled: set[str] = field(default_factory=set)
    listed: Listed | None = None
    listed_ns: int = 0
    listed_funding: float = math.nan
    rest: dict[str, float] = field(default_factory=dict)
    decided: dict[str, Decision] = field(default_factory=dict)
    flow_delta_usd: float = 0.0
    hedge_delta_usd: float = 0.0
    greatest_gain: float = 0.0
    slowed: int = 0

    @classmethod
    def of(cls, policy: HedgingPolicy) -> "HedgeDesk":
        """A desk that believes what the policy says of impact."""
        law = SquareRootLaw(policy.impact_y, _USUAL_DAILY_VOL, policy.daily_volume_usd)
        per_usd = law.peak_rate(_PRIOR_CLIP_USD) / _PRIOR_CLIP_USD
        return cls(ImpactBelief(policy.impact_y), KyleBelief(per_usd, _PRIOR_CLIP_USD**2), policy.every_s)

    @property
    def daily_vol(self) -> float:
        """Of the index: a day's standard deviation."""
        return _USUAL_DAILY_VOL if self.covariance is None else math.sqrt(self.covariance[SPOT, SPOT] / 365)

    def law(self, policy: HedgingPolicy) -> SquareRootLaw:
        """What an order is believed to move its price by."""
        return SquareRootLaw(max(self.impact.y, 0.0), self.daily_vol, policy.daily_volume_usd)

    def learn(
        self, policy: HedgingPolicy, decision: Decision, size_usd: float, slippage_rate: float, age_s: float
    ) -> None:
        """After a fill of `size_usd`, signed, that paid `slippage_rate` over its mark `age_s` after it was decided."""
        if math.isnan(decision.half_spread_rate):
            return
        moved = slippage_rate - decision.half_spread_rate
        unit = SquareRootLaw(1.0, self.daily_vol, policy.daily_volume_usd).peak_rate(size_usd)
        noise = max(self.daily_vol * math.sqrt(max(age_s, 0.0) * 1e9 / NS_PER_DAY), _LEAST_NOISE)
        self.impact = self.impact.observe(unit, moved, noise, _CLIPS_KEPT)
        self.kyle = self.kyle.observe(size_usd, math.copysign(moved, size_usd), _CLIPS_KEPT)


def book_hedge(state: "State", fill: Fill, reason: str, before: BookMeasures, cost_usd: float, fee_usd: float) -> None:
    """Records a hedge that traded, and learns from what it paid.

    before      the book at the fill, without it; `cost_usd` what it paid over the mark, the fee apart
    """
    setup, values, desk = state.setup, state.values, state.desk
    instrument = setup.reference.instrument(fill.instrument)
    lots = fill.side * fill.size_lots
    # Notional is in dollars where a contract is of so many; else in coins, an option's too.
    other = state.other_place(fill.instrument)
    coin_usd = values.index_usd if other is None else float(values.others_index_usd[other])
    size_usd = lots * instrument.lot_size * (1.0 if instrument.is_reciprocal else coin_usd)
    after = state.measure()
    added_usd = float(after.exposure[SPOT] - before.exposure[SPOT])
    desk.hedge_delta_usd += abs(added_usd)
    decision = desk.decided.get(fill.order_id)
    if decision is None:
        decision = Decision(state.now_ns, before, values.index_usd, math.nan, math.nan, math.nan)
    age_s = (state.now_ns - decision.ts_ns) / 1e9
    desk.learn(setup.policy.hedging, decision, size_usd, cost_usd / abs(size_usd), age_s)
    moved = math.log(values.index_usd / decision.index_usd)
    factor_move = np.zeros(FACTORS)
    factor_move[SPOT], factor_move[SQUARED] = moved, moved * moved
    slipped = greek_slippage(decision.book.exposure, before.exposure, factor_move, after.exposure - before.exposure)
    state.recorder.tables.hedges.append(
        HedgeRow(
            ts_ns=state.now_ns,
            trade_id=fill.trade_id,
            instrument=fill.instrument,
            kind=str(instrument.contract.kind),
            side=fill.side,
            size_usd=abs(size_usd),
            price=fill.price_ticks * instrument.tick_size,
            index_usd=values.index_usd,
            cost_usd=cost_usd,
            expected_usd=decision.expected_usd_per_lot * fill.size_lots,
            fee_usd=fee_usd,
            delta_before_coin=float(before.exposure[SPOT]) / values.index_usd,
            delta_after_coin=float(after.exposure[SPOT]) / values.index_usd,
            gamma_added_1pct_usd=after.gamma_1pct_usd - before.gamma_1pct_usd,
            vega_added_usd=after.vega_usd_per_vol_pt - before.vega_usd_per_vol_pt,
            waited_s=age_s,
            waited_usd=slipped.pnl_usd(),
            delta_drift_coin=float(slipped.drifted[SPOT]) / values.index_usd,
            gamma_drift_1pct_usd=before.gamma_1pct_usd - decision.book.gamma_1pct_usd,
            vega_drift_usd=before.vega_usd_per_vol_pt - decision.book.vega_usd_per_vol_pt,
            loop_gain=decision.loop_gain,
            reason=reason,
        )
    )
