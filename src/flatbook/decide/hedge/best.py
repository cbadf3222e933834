"""The best hedge: the trades that leave risk and its cost together least, by the same R that skews the quotes.

    minimise over n    R(x + B'n) + cost(n)          cost = fee + half-spread + impact + carry, per instrument

Trading stops where the marginal charge saved meets the marginal cost. So the no-trade zone, the choice between a
perpetual, a future, spot and options, and leaving to the flow what the flow will take, are not rules of their own.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.hedge.instruments import HedgeSet
from flatbook.decide.hedge.solver import KinkedQuadratic, rounded, solve
from flatbook.domain.errors import BadInputError
from flatbook.valuation.risk_price import RiskPrice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Reason(StrEnum):
    """Why a plan trades, or does not."""

    SAVES = "charge saved exceeds cost"
    INSIDE = "inside the no-trade zone"
    SMALL = "worth less than the smallest trade"


@dataclass(frozen=True, slots=True, eq=False)
class HedgePlan:
    """What to trade now, and what that does.

    Shapes      size (m,) in units, lots (m,) whole; marginals and warm (m,); exposure_change (factors,)
    risk_before_usd, risk_after_usd     R of the book before and after
    cost_usd            of the trades: fees, half-spreads, impact, carry
    marginal_saved_usd  what the first unit of each instrument saves of R, in its better direction (negative: none does)
    marginal_cost_usd   what that unit costs
    exposure_change     what the trades add to the book's exposure
    warm                the answer before rounding: where the next search starts
    residual_usd        what the optimality conditions of that answer miss by, per unit
    """

    name: tuple[str, ...]
    size: Floats
    lots: Ints
    risk_before_usd: float
    risk_after_usd: float
    cost_usd: float
    marginal_saved_usd: Floats
    marginal_cost_usd: Floats
    exposure_change: Floats
    reason: Reason
    warm: Floats
    residual_usd: float

    @property
    def objective_before_usd(self) -> float:
        """Risk as it stands: nothing traded costs nothing."""
        return self.risk_before_usd

    @property
    def objective_after_usd(self) -> float:
        """Risk after the trades and what they cost."""
        return self.risk_after_usd + self.cost_usd

    def in_words(self) -> str:
        """One line for a person: the trades and what they save, or how far the nearest instrument is from paying."""
        traded = np.flatnonzero(self.lots)
        if traded.size:
            trades = ", ".join(f"{self.size[j]:+,.6g} {self.name[j]}" for j in traded)
            saved = self.risk_before_usd - self.risk_after_usd
            return f"{trades}: saves {saved:,.2f} USD of risk for {self.cost_usd:,.2f} USD"
        if not self.name:
            return "nothing to hedge with"
        nearest = int(np.argmax(self.marginal_saved_usd - self.marginal_cost_usd))
        saved, cost = self.marginal_saved_usd[nearest], self.marginal_cost_usd[nearest]
        return f"{self.reason}: a unit of {self.name[nearest]} saves {saved:.3g} USD and costs {cost:.3g}"


def best_hedge(
    exposure: Floats,
    risk_price: RiskPrice,
    hedge_set: HedgeSet,
    warm: Floats | None = None,
    *,
    fraction: float = 1.0,
) -> HedgePlan:
    """The trades that minimise R(x + B'n) + cost(n), in whole lots; never worse than no trade.

    exposure    x (factors,), USD per unit of factor
    warm        the last plan's `warm`, of the same instruments; it changes the work and not the answer
    fraction    the most of each trade that is done now (`stability` cuts clips that overshoot)
    Errors      BadInputError for an exposure that is not a number
    """
    if not np.all(np.isfinite(exposure)):
        raise BadInputError(
            f"exposure to factor {int(np.argmin(np.isfinite(exposure)))} is not a number; value the whole book before "
            "hedging it"
        )
    problem = hedge_problem(exposure, risk_price, hedge_set)
    answer = solve(problem, warm)
    if fraction < 1.0:
        problem = _bounded(problem, np.floor(fraction * np.abs(answer.n) / hedge_set.lot + 1e-9) * hedge_set.lot)
    size = _sendable(problem, np.clip(answer.n, -problem.most, problem.most), hedge_set)
    change = size @ hedge_set.loading
    before = risk_price.cost_usd(exposure)
    after = before + risk_price.charge_usd(exposure, change)
    slope = hedge_set.loading @ risk_price.gradient(exposure)
    buys = -slope - hedge_set.buy_usd >= slope - hedge_set.sell_usd
    return HedgePlan(
        name=hedge_set.name,
        size=size,
        lots=np.round(size / hedge_set.lot).astype(np.int64),
        risk_before_usd=before,
        risk_after_usd=after,
        cost_usd=hedge_set.cost_usd(size),
        marginal_saved_usd=np.where(buys, -slope, slope),
        marginal_cost_usd=np.where(buys, hedge_set.buy_usd, hedge_set.sell_usd),
        exposure_change=change,
        reason=Reason.SAVES if size.any() else Reason.SMALL if answer.n.any() else Reason.INSIDE,
        warm=answer.n,
        residual_usd=answer.residual,
    )


def hedge_problem(exposure: Floats, risk_price: RiskPrice, hedge_set: HedgeSet) -> KinkedQuadratic:
    """R(x + B'n) - R(x) + cost(n) as a function of n, bounds in whole lots."""
    loading = hedge_set.loading
    hessian = loading @ risk_price.curvature @ loading.T
    hessian.flat[:: len(hedge_set.name) + 1] += 2.0 * hedge_set.impact_usd
    return KinkedQuadratic(
        hessian=hessian,
        gradient=loading @ risk_price.gradient(exposure),
        buy=hedge_set.buy_usd,
        sell=hedge_set.sell_usd,
        most=np.floor(hedge_set.most / hedge_set.lot * (1 + 1e-12)) * hedge_set.lot,
    )


def no_trade_half_width(risk_price: RiskPrice, hedge_set: HedgeSet) -> Floats:
    """(m,) units of each instrument alone between the middle of its no-trade zone and an edge; infinite without risk.

    The middle is where R is least along the instrument, carry apart.
    """
    curvature = np.einsum("jf,fg,jg->j", hedge_set.loading, risk_price.curvature, hedge_set.loading)
    with np.errstate(divide="ignore"):
        return np.asarray(0.5 * (hedge_set.buy_usd + hedge_set.sell_usd) / curvature)


def _sendable(problem: KinkedQuadratic, n: Floats, hedge_set: HedgeSet) -> Floats:
    """Whole lots near n; what is too small to send is left out, and the rest chosen anew without it."""
    size = rounded(problem, n, hedge_set.lot)
    while (small := (size != 0.0) & (np.abs(size) < hedge_set.least)).any():
        problem = _bounded(problem, np.where(small, 0.0, problem.most))
        size = rounded(problem, solve(problem, size).n, hedge_set.lot)
    return size


def _bounded(problem: KinkedQuadratic, most: Floats) -> KinkedQuadratic:
    return KinkedQuadratic(problem.hessian, problem.gradient, problem.buy, problem.sell, most)
