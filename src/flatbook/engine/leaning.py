"""Soft limits in a run: how near the book is to each hard bound, and what that adds to R.

Looked at with every valuation: some comparisons, and nothing else while every axis is below its soft bound. Delta,
gamma and vegas are of the factors, so they enter the gradient and curvature that charge quotes, hedges and packages
alike. Vanna, volga and the scenarios are not quite: quotes are charged for them row by row, by what a contract of each
adds; hedges and packages along the factors, as for stress. Bounds on what is held and on margin are no factors at all:
`leaning_holdings`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flatbook.engine import leaning_holdings, stressing
from flatbook.engine.leaning_holdings import LeaningHoldings
from flatbook.kernels.chain import CONVEXITIES, FACTORS, LEVELS, SKEWS, SPOT, SQUARED, TENORS
from flatbook.kernels.fill_units import LINEAR
from flatbook.risk.limits import LimitPolicy
from flatbook.valuation.limit_price import LimitCharge, LimitPrice
from flatbook.valuation.risk_price import Liquidity, RiskPrice
from flatbook.valuation.scenarios import factor_moves

if TYPE_CHECKING:
    from flatbook.engine.state import State

Floats = NDArray[np.float64]

_GREEKS = LINEAR.index("contracts")
"""So many of the reservation's first axes have a soft bound; contracts have none, they are no risk by themselves."""

_OF_FACTORS = LINEAR.index("vanna")
"""So many of them are sums of factors exactly."""


@dataclass(slots=True, eq=False)
class Leaning:
    """B's parameters as of the last refresh of R, and B at the book where it is felt; None where not.

    soft            where each axis begins to be charged, the loss where its first scenario does
    holdings        the same of bounds that are not of the factors
    """

    price: LimitPrice | None = None
    charge: LimitCharge | None = None
    soft: list[float] = field(default_factory=list)
    holdings: LeaningHoldings = field(default_factory=LeaningHoldings)


def refresh(state: State, flow: Liquidity) -> None:
    """Takes anew where each axis has its bound, and what a unit of it costs there.

    The gate holds the book together with all that may fill; so where the venue stops our quotes after so many
    contracts, that many as flow brings them are taken off the bound, and no more than half of it.

    At the bound a contract as flow brings them is charged `soft_edges` times the distance at which flow falls by e, all
    in the mean over the flow: so the flow that would lead on has fallen by about that many e.
    """
    policy = state.setup.policy
    limits, protection = policy.limits, policy.protection
    flows = float(flow.arrivals_per_year.sum())
    if limits.soft_share >= 1.0 or not flows > 0.0:
        return
    known, contracts = len(LINEAR), state.gate.reservation.units(state.values)
    typical = np.abs(np.concatenate([contracts[:_GREEKS], contracts[known:]])) @ flow.arrivals_per_year / flows
    edge_usd = float(flow.arrivals_per_year @ np.nan_to_num(1.0 / flow.decay_per_usd)) / flows
    scenarios = len(contracts) - known
    bound = np.array([*_bounds(limits), *[limits.stress_loss_usd] * scenarios])
    at_once = 2 * protection.mmp_quantity_coin + policy.quoting.size_coin if protection.mmp_at_venue else 0.0
    state.leaning.price = LimitPrice(
        np.maximum(bound - at_once * typical, 0.5 * bound),
        np.divide(limits.soft_edges * edge_usd, typical, out=np.zeros(len(typical)), where=typical > 0.0),
        np.arange(_GREEKS + scenarios) >= _GREEKS,
        limits.soft_share,
        (*LINEAR[:_GREEKS], *["stress_loss"] * scenarios),
    )
    state.leaning.holdings.refresh(state, flow, at_once)
    soft = (limits.soft_share * state.leaning.price.bound).tolist()
    state.leaning.soft = [*soft[:_GREEKS], min(soft[_GREEKS:], default=np.inf)]


def _bounds(limits: LimitPolicy) -> list[float]:
    tenor = limits.vega_tenor_usd
    greeks = [limits.delta_coin, limits.gamma_1pct_usd, limits.vega_usd, *[tenor] * TENORS]
    return [*greeks, limits.vanna_usd, limits.volga_usd]


def look(state: State) -> None:
    """Says what B adds at the book as it is measured now."""
    leaning = state.leaning
    if leaning.price is None:
        return
    leaning.charge = _charge(state, leaning.price) if _is_near(state) else None
    leaning.holdings.look(state)


def _is_near(state: State) -> bool:
    """Whether the book is beyond a soft bound; of vanna and volga by what contracts added at the last message."""
    risk, soft = state.risk, state.leaning.soft
    vanna, volga = state.gate.reservation.book_sums(state.inventory.size_coin[: state.values.rows])
    short, mid, long = risk.vega_tenor_usd
    return (
        abs(risk.delta_coin) > soft[0]
        or abs(risk.gamma_1pct_usd) > soft[1]
        or abs(risk.vega_usd) > soft[2]
        or abs(short) > soft[3]
        or abs(mid) > soft[4]
        or abs(long) > soft[5]
        or abs(vanna) > soft[6]
        or abs(volga) > soft[7]
        or risk.stress_loss_usd > soft[8]
    )


def _charge(state: State, price: LimitPrice) -> LimitCharge | None:
    """B at the book; None where an axis is not known, for then the gate lets nothing out that adds to it."""
    risk, reservation = state.risk, state.gate.reservation
    reservation.units(state.values)
    sums = reservation.book_sums(state.inventory.size_coin[: state.values.rows])
    greeks = (risk.delta_coin, risk.gamma_1pct_usd, risk.vega_usd, *risk.vega_tenor_usd, *sums)
    value = np.array([*greeks, *(-state.stress.pnl_usd).tolist()])
    if len(value) != len(price.bound) or not np.isfinite(value).all():
        return None
    return LimitCharge(price, value, _directions(state), state.book.exposure)


def _directions(state: State) -> Floats:
    """(axes, FACTORS): what a unit of exposure adds to each axis.

    Of vanna and volga by Black's formulas at the tenors: with s the vol to expiry, σ √T, a vol point of vega at z
    deviations moves by (z / s + 1/2) / 100 with 1 % of spot, and by (z² - s²/4) / σ / 100 with a vol point.
    """
    level, years = stressing.tenor_levels(state)
    width = level * np.sqrt(years)
    known = np.isfinite(width) & (width > 0.0)
    level, width = np.where(known, level, np.inf), np.where(known, width, np.inf)
    greeks = np.zeros((_GREEKS, FACTORS))
    greeks[0, SPOT], greeks[1, SQUARED] = 1.0 / state.values.index_usd, 0.02
    greeks[2, LEVELS] = 0.01
    greeks[3 : 3 + TENORS, LEVELS] = 0.01 * np.eye(TENORS)
    greeks[6, SKEWS], greeks[6, LEVELS] = 1e-4 / width, 0.5e-4
    greeks[7, CONVEXITIES] = 1e-4 / level
    greeks[7, LEVELS] = np.where(known, -0.25e-4 * np.where(known, width, 0.0) ** 2 / level, 0.0)
    moves = factor_moves(stressing.GRID, np.where(known, level, 0.0))
    return np.concatenate([greeks, -moves])


def priced(state: State, core: RiskPrice) -> RiskPrice:
    """R for trades known by their exposures, with its terms for tails and for bounds."""
    price, charge = stressing.with_tails(state, core), state.leaning.charge
    return price if charge is None else charge.in_factors(price)


def of_factors(state: State) -> LimitCharge | None:
    """B's axes that are of the factors, for quotes; None where none is felt."""
    charge = state.leaning.charge
    if charge is None or not (chosen := charge.axes(slice(_OF_FACTORS))).is_felt:
        return None
    return chosen


def of_rows_coin(state: State) -> dict[str, Floats]:
    """What buying and selling a contract of each row adds to B's other axes, coin a contract, (2, rows) by axis."""
    charge, costs = state.leaning.charge, leaning_holdings.of_rows_coin(state)
    if charge is None:
        return costs
    values, size = state.values, state.setup.policy.quoting.size_coin
    unit = state.gate.reservation.units(values)
    felt = np.flatnonzero(charge.price.costs_usd(charge.value))
    for axis in felt[felt >= _OF_FACTORS].tolist():
        adds = unit[axis] if axis < _GREEKS else -unit[axis - _GREEKS + len(LINEAR)]
        cost = charge.side_costs_usd(axis, adds, size) / values.index_usd
        name = charge.price.names[axis]
        costs[name] = costs[name] + cost if name in costs else cost
    return costs
