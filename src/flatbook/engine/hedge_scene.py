"""What hedging looks at, and the R that it asks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.hedge.gamma_aware import GapMotion, gamma_aware
from flatbook.decide.hedge.impact import SquareRootLaw
from flatbook.decide.hedge.scene import DollarHedges, HedgeScene, OtherHedges
from flatbook.domain.instruments import DOLLAR
from flatbook.domain.units import risk_amount
from flatbook.engine import stressing
from flatbook.engine.state import State
from flatbook.kernels.chain import SQUARED
from flatbook.risk.gate import OrderRisk
from flatbook.valuation.inventory import PERPETUAL
from flatbook.valuation.limit_price import LimitCharge
from flatbook.valuation.other_coins import bounded_with_rests, priced_with_rests
from flatbook.valuation.risk_price import RiskPrice

Floats = NDArray[np.float64]

_HOURS_PER_YEAR = 8760.0


@dataclass(frozen=True, slots=True, eq=False)
class HedgeRisk:
    """R at the book as hedges ask for it, over our factors and then the rests of other coins that may hedge.

    core        without what bounds add to it, which is `charge`; None where none is felt
    exposure    (FACTORS + coins,) of the book
    """

    core: RiskPrice
    charge: LimitCharge | None
    exposure: Floats

    @property
    def price(self) -> RiskPrice:
        """All of it, as its parabola at the book."""
        return self.core if self.charge is None else self.charge.in_factors(self.core)


def hedge_risk(state: State, core: RiskPrice) -> HedgeRisk:
    """R at the book as it is, of which `core` is what our factors make without what bounds add."""
    charge, exposure = state.leaning.charge, state.book.exposure
    if state.comovement is None:
        return HedgeRisk(core, charge, exposure)
    policy = state.setup.policy.risk_price
    horizon_years = policy.horizon_hours / _HOURS_PER_YEAR
    exposure = np.concatenate([exposure, state.inventory.others_usd(state.values)])
    return HedgeRisk(
        priced_with_rests(core, state.comovement.rest, policy.risk_aversion_per_usd, horizon_years),
        None if charge is None else bounded_with_rests(charge, exposure),
        exposure,
    )


def risk_price(state: State) -> RiskPrice:
    """R, in which delta that gamma moves by itself counts for less where the policy says so."""
    policy, price = state.setup.policy, stressing.with_tails(state, state.risk_price)
    cost = policy.hedging.fee_rate + policy.hedging.half_spread_rate
    variance = 365.0 * state.desk.daily_vol**2
    if not (policy.hedging.moving_delta and cost > 0.0 and variance > 0.0):
        return price
    motion = GapMotion(2.0 * float(state.book.exposure[SQUARED]), variance)
    return gamma_aware(price, PERPETUAL, cost, policy.risk_price.risk_aversion_per_usd, motion)


def scene_of(state: State) -> HedgeScene:
    """What hedging looks at."""
    setup = state.setup
    policy = setup.policy.hedging
    dollars = _dollar_hedges(state) if policy.dollar_settled else None
    law, others = state.desk.law(policy), _other_hedges(state)
    return HedgeScene(policy, state.market, state.values, state.inventory, setup.hedge, law, dollars, others)


def _other_hedges(state: State) -> OtherHedges | None:
    others, found = state.market.others, state.comovement
    if others is None or found is None:
        return None
    laws = tuple(law_of_other(state, place) for place in range(len(others.coins)))
    held_usd = state.inventory.others_usd(state.values)
    return OtherHedges(others.coins, found, held_usd, state.setup.policy.limits.other_delta_usd, laws)


def law_of_other(state: State, place: int) -> SquareRootLaw:
    """What an order in another coin is believed to move its price by: our orders' constant, its own vol and volume."""
    assert state.comovement is not None
    daily_vol = float(state.comovement.vol[place]) / 365**0.5
    volume_usd = state.setup.policy.hedging.correlated_daily_volume_usd
    return SquareRootLaw(max(state.desk.impact.y, 0.0), daily_vol, volume_usd)


def _dollar_hedges(state: State) -> DollarHedges:
    """What is paid in dollars, and how much of the venue's balances spot may take."""
    setup, ledger = state.setup, state.ledger
    share = setup.policy.hedging.spot_share
    coins, usd = (
        share * max(risk_amount(ledger.balance(setup.venue, currency), currency), 0.0)
        for currency in (setup.underlying, DOLLAR)
    )
    return DollarHedges(setup.linear, setup.spot, coins, usd)


def other_order_risk(state: State, place: int, usd: float, off: float) -> OrderRisk:
    """What an order of another coin would add: to the book's delta what of it moves with ours."""
    assert state.comovement is not None
    delta_coin = float(state.comovement.beta[place]) * usd / state.values.index_usd
    return OrderRisk(usd, float(state.book.others_usd[place]), off, delta_coin, is_other=True)
