"""How a hedge is traded: at once or by waiting at the touch, in one clip or in several, and what it slipped by.

Waiting saves the spread and the taker's fee. It costs what the book risks meanwhile, and that passive orders fill when
the price moves through them. So it is worth it while

    maker fee - half-spread + adverse selection + urgency  <  taker fee + half-spread
    urgency = γ |b'Σx| E[time to fill]

urgency being what R's running risk, γ/2 x'Σx per year, loses per unit hedged.

Source      reference hedging §6; Cartea, Jaimungal and Penalva (2015), ch. 8
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Route(StrEnum):
    """How an order meets the book."""

    PASSIVE = "passive"
    AGGRESSIVE = "aggressive"


@dataclass(frozen=True, slots=True)
class TouchTerms:
    """What trading at the touch costs either way, all of the notional.

    half_spread_rate            from mid to touch
    taker_fee_rate, maker_fee_rate      a rebate is negative
    adverse_selection_rate      what the mid has moved against a passive order when it fills, on average
    fill_years                  expected time until a passive order fills
    """

    half_spread_rate: float
    taker_fee_rate: float
    maker_fee_rate: float
    adverse_selection_rate: float
    fill_years: float


class RouteChoice(NamedTuple):
    """The route, and what each costs of the notional; `urgency_rate` is part of the passive one."""

    route: Route
    passive_rate: float
    aggressive_rate: float
    urgency_rate: float

    def in_words(self) -> str:
        """One line for a person."""
        costs = f"waiting costs {1e4 * self.passive_rate:.2f} bp ({1e4 * self.urgency_rate:.2f} of it risk)"
        return f"{self.route}: {costs}, crossing {1e4 * self.aggressive_rate:.2f}"


def running_risk_rate(exposure: Floats, loading: Floats, covariance: Floats, risk_aversion: float) -> float:
    """γ |b'Σx|: what the book's risk costs per year and per USD of an instrument not yet hedged with.

    Shapes      exposure, loading (factors,), the latter per USD of notional; covariance (factors, factors) per year
    """
    return risk_aversion * abs(float(loading @ covariance @ exposure))


def choose_route(terms: TouchTerms, running_rate: float) -> RouteChoice:
    """Passive or aggressive where `running_risk_rate` is `running_rate`; asked anew at each fill or cancel."""
    urgency = running_rate * terms.fill_years
    passive = terms.maker_fee_rate - terms.half_spread_rate + terms.adverse_selection_rate + urgency
    aggressive = terms.taker_fee_rate + terms.half_spread_rate
    route = Route.AGGRESSIVE if passive > aggressive else Route.PASSIVE
    return RouteChoice(route, passive, aggressive, urgency)


def whole_clips(size_lots: int, shares: Floats) -> Ints:
    """(n,) whole lots of a trade by `shares` (n,) of it: they sum to it, and are never more than half a lot behind."""
    if not np.all(np.isfinite(shares)) or abs(float(shares.sum()) - 1.0) > 1e-9:
        raise BadInputError(f"shares of a clip sum to {float(shares.sum()):.6g}; they must sum to 1")
    done = np.rint(size_lots * np.cumsum(shares))
    done[-1] = size_lots
    return np.diff(done, prepend=0.0).astype(np.int64)


class GreekSlippage(NamedTuple):
    """How a hedge's target moved while it was filled, by factor; all (factors,), USD, or USD per unit of factor.

    drifted             exposure at the fill less that at the decision, the hedge itself apart
    carried_usd         P&L of the exposure as it stood at the decision
    drifted_usd         P&L of what it had drifted by: half of it, for it grew on the way
    left                exposure after the fill
    """

    drifted: Floats
    carried_usd: Floats
    drifted_usd: Floats
    left: Floats

    def pnl_usd(self) -> float:
        """What not yet being hedged earned or lost, all factors together."""
        return float(np.sum(self.carried_usd + self.drifted_usd))


def greek_slippage(decided: Floats, at_fill: Floats, factor_move: Floats, hedge: Floats) -> GreekSlippage:
    """Slippage in Greeks, beside that in price: what the fill came too late for.

    Shapes      (factors,) each
    decided, at_fill    exposures when the hedge was decided and when it was filled, both without it
    factor_move         of the factors in between
    hedge               what the filled trades add (a plan's `exposure_change` if they are all of it)
    """
    drifted = at_fill - decided
    return GreekSlippage(drifted, decided * factor_move, 0.5 * drifted * factor_move, at_fill + hedge)
