"""The decision stages: quotes wanted, what the gate lets through of them and of hedges, what is told to the venue."""

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.quoting import QuoteInputs, make_quotes, quotable
from flatbook.engine import leaning, reserving
from flatbook.engine.effects import Effects, Order, QuoteChanges
from flatbook.engine.hedging import Wanted, outwaited
from flatbook.engine.state import State
from flatbook.execution.worth_sending import Limits, SidePrices, worth_sending

Ints = NDArray[np.int64]


def wanted_quotes(state: State) -> Ints:
    """The grid of quotes the policy wants now; they are kept with their parts, to explain quotes and fills."""
    setup, values, market = state.setup, state.values, state.market
    policy = setup.policy
    fee_rate, fee_cap = market.universe.instruments[0].maker_fee
    capital, leans = None, policy.quoting.skew == "price_of_risk"
    if state.capital is not None:
        size = policy.quoting.size_coin
        capital = state.capital.costs_coin(market.universe, values, state.inventory, size)
    inputs = QuoteInputs(
        exposure=state.book.exposure,
        held_coin=state.inventory.size_coin[: values.rows],
        vol_error=values.vol_error,
        risk_price=state.risk_price,
        risk_aversion_per_usd=policy.risk_price.risk_aversion_per_usd,
        maker_fee_rate=fee_rate,
        fee_cap_of_premium=fee_cap,
        hedge_cost_rate=policy.hedging.fee_rate + policy.hedging.half_spread_rate,
        widen=state.widen,
        takers=None if state.flow is None else state.flow.takers,
        capital_coin=capital,
        stress_coin=None if state.stress.charges_usd is None else state.stress.charges_usd / values.index_usd,
        limits=leaning.of_factors(state) if leans else None,
        limits_coin=leaning.of_rows_coin(state) if leans else {},
        model=state.quoting_model,
    )
    quoted = quotable(policy.quoting, market, values, values.vol_error)
    if state.protection.is_pulled or not setup.is_making:
        quoted[:] = False
    state.quotes = make_quotes(policy.quoting, policy.flow, market, values, inputs, quoted)
    return state.quotes.grid


def through_the_gate(state: State, wanted_grid: Ints, wanted: tuple[Wanted, ...]) -> Effects:
    """What of it may go out, told to the tables and stamped into the digest."""
    values, grid = state.values, wanted_grid.copy()
    state.gate.pass_quotes(grid, state.market.universe, values, state.inventory.size_coin[: values.rows], state.risk)
    passed = [one for one in wanted if state.gate.refusal(one.risk, state.risk) is None]
    orders = []
    for intent, _, decision in reserving.fit(state, grid, passed):
        order = Order(state.orders.send(intent, state.now_ns).order_id, intent)
        state.desk.decided[order.order_id] = decision
        state.desk.sent_ns = state.now_ns
        orders.append(order)
    state.passed, cancels = grid, outwaited(state)
    # Orders go before quotes: what they take of the venue's rate, quotes wait for.
    state.budget.spend(len(orders) + len(cancels))
    effects = Effects(state.now_ns, _changes(state, grid), tuple(orders), cancels)
    _stamp(state, effects)
    return effects


def _changes(state: State, grid: Ints) -> QuoteChanges | None:
    rows = state.table.differing(grid)
    left, least = state.budget.left(state.now_ns), state.setup.policy.protection.least_change_share
    if len(rows) > left or least:
        table = state.table
        rows = worth_sending(
            rows, table.grid[:, rows], grid[:, rows], table.unsure[rows], _side_prices(state, rows), Limits(left, least)
        )
    if not len(rows):
        return None
    state.budget.spend(len(rows))
    number, columns = state.table.told(rows, grid, state.now_ns)
    state.recorder.quoted(state, rows)
    state.recorder.messages += len(rows)
    bid_ticks, bid_lots, ask_ticks, ask_lots = columns
    return QuoteChanges(rows, bid_ticks, bid_lots, ask_ticks, ask_lots, number)


def _side_prices(state: State, rows: Ints) -> SidePrices:
    """Half-spreads and reservation prices of some rows' wanted quotes, in ticks."""
    quotes, tick = state.quotes, state.market.universe.tick[rows]
    assert quotes is not None
    takers = np.stack([quotes.bid_takers_coin[rows], quotes.ask_takers_coin[rows]])
    inventory = np.stack([-quotes.bid_inventory_coin[rows], quotes.ask_inventory_coin[rows]])
    return SidePrices((quotes.spread_coin[rows] + takers) / tick, (quotes.fair_coin[rows] + inventory) / tick)


def _stamp(state: State, effects: Effects) -> None:
    digest = state.outputs
    digest.update(effects.ts_ns.to_bytes(8, "little"))
    if effects.quotes is not None:
        quotes = effects.quotes
        for column in (quotes.row, quotes.bid_ticks, quotes.bid_lots, quotes.ask_ticks, quotes.ask_lots):
            digest.update(column.data)
    for order in effects.orders:
        intent = order.intent
        digest.update(
            f"{order.order_id}:{intent.instrument}:{intent.side}:{intent.limit_ticks}:{intent.size_lots}".encode()
        )
    for order_id in effects.cancels:
        digest.update(f"cancel {order_id}".encode())
