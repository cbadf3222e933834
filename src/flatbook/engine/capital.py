"""What a fill's margin costs to tie up: each side of each quote is charged for what it would add, and paid for what it
would free."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flatbook.engine.setup import Setup
from flatbook.market.universe import Universe
from flatbook.risk.margin.contracts import MarginContracts
from flatbook.risk.margin.model import MarginModel
from flatbook.risk.margin.requirement import MarginState, Requirement, capital_cost_usd
from flatbook.valuation.chain import DELTA, PRICE, ChainValues
from flatbook.valuation.inventory import Inventory

Floats = NDArray[np.float64]


class Capital:
    """Marginal initial margin of the whole chain as a cost.

    Scenarios are made anew as often as the price of risk, sizes are as they are: a shocked chain ages slowly, and
    making it takes longer than everything else a quote needs.
    """

    def __init__(self, model: MarginModel, rate_per_year: float, hours: float, refresh_s: float) -> None:
        self._model = model
        self._rate_per_year, self._hours, self._refresh_ns = rate_per_year, hours, refresh_s * 1e9
        self._made_ns = 0
        self._requirement: Requirement | None = None
        self._held: Floats = np.zeros(0)
        self._costs_usd: Floats = np.zeros((2, 0))

    @classmethod
    def of(cls, setup: Setup) -> Capital | None:
        """As the policy asks; None where margin is to cost nothing."""
        policy = setup.policy.risk_price
        if setup.margin is None or not policy.capital_rate_per_year:
            return None
        return cls(setup.margin, policy.capital_rate_per_year, policy.horizon_hours, policy.refresh_s)

    def costs_coin(self, universe: Universe, values: ChainValues, inventory: Inventory, size_coin: float) -> Floats:
        """Coin a contract that buying and selling `size_coin` of each option costs, (2, rows); negative is saved."""
        held = held_coin(values, inventory)
        due = values.ts_ns - self._made_ns >= self._refresh_ns
        requirement = self._requirement
        if requirement is None or due or requirement.count != len(held):
            requirement = self._requirement = self._model.requirement(margin_contracts(universe, values))
            self._made_ns, self._held = values.ts_ns, np.zeros(0)
        if not np.array_equal(held, self._held):
            self._held = held
            state, orders = MarginState(requirement, held), np.zeros(len(held))
            orders[: values.rows] = size_coin
            margins = np.stack([state.marginals(side * orders).initial[: values.rows] for side in (1.0, -1.0)])
            self._costs_usd = capital_cost_usd(margins / size_coin, self._rate_per_year, self._hours)
        return self._costs_usd / values.index_usd


def held_coin(values: ChainValues, inventory: Inventory) -> Floats:
    """Options by row, the two perpetuals, and a dated future an expiry, in coins."""
    futures = np.zeros(len(values.slot_years))
    slots = inventory.future_slots(values)
    futures[slots] = inventory.future_usd[slots] / values.delivery_usd[slots]
    perpetuals = [inventory.perp_usd / values.perp_usd, inventory.linear_coin]
    return np.concatenate([inventory.size_coin[: values.rows], perpetuals, futures])


def margin_contracts(universe: Universe, values: ChainValues) -> MarginContracts:
    """The same contracts as columns; an option without a smile counts as settled."""
    rows, index = values.rows, values.index_usd
    known = np.isfinite(values.vol) & (values.vol > 0.0)
    delivery = np.where(np.isfinite(values.delivery_usd), values.delivery_usd, index)
    perpetuals = np.array([values.perp_usd, values.linear_usd])
    future = np.concatenate([np.where(np.isfinite(perpetuals), perpetuals, index), delivery])
    count = rows + len(future)
    is_option = np.arange(count) < rows

    def column(options: Floats, others: Floats | float) -> Floats:
        return np.concatenate([options, np.broadcast_to(others, len(future))])

    return MarginContracts(
        underlying=universe.underlying,
        index_usd=index,
        names=(*(instrument.name for instrument in universe.instruments[:rows]), *[""] * len(future)),
        is_option=is_option,
        in_coin=np.arange(count) != rows + 1,
        strike_usd=column(universe.strike_usd[:rows], np.nan),
        sign=column(universe.sign[:rows], 0.0),
        years=column(np.where(known, np.maximum(values.years, 0.0), 0.0), np.append([0.0, 0.0], values.slot_years)),
        forward_usd=column(np.where(known, values.forward_usd, index), future),
        vol=column(np.where(known, values.vol, 0.0), 0.0),
        mark_usd=column(np.where(known, values.greeks[PRICE], 0.0), future),
        delta=column(np.where(known, values.greeks[DELTA], 0.0), 1.0),
        rate=np.zeros(count),
    )
