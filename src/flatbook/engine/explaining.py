"""A quote explained as it was decided: its price part by part, what let it through or kept it back, what rests."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.policy import BASELINES
from flatbook.decide.quote_parts import CLAMP, Priced, price_parts
from flatbook.decide.quoting import ASK_LOTS, ASK_TICKS, BID_LOTS, BID_TICKS, Quotes
from flatbook.engine.state import State
from flatbook.kernels.gate import REFUSALS
from flatbook.risk.gate import Gate
from flatbook.risk.loss_stop import Stage

Ints = NDArray[np.int64]

_HOURS_PER_YEAR = 8_760.0


class SideExplained(NamedTuple):
    """One side of a quote.

    priced          as the policy wanted it
    price_coin      that may rest by the last decision, of `lots`; None where it is absent
    absent          why it is; empty where it is not
    resting_coin    what the venue was last told and has not filled, of `resting_lots`; None where nothing rests
    held_back       why that is not the price; empty where it is
    """

    priced: Priced
    price_coin: float | None
    lots: int
    absent: str
    resting_coin: float | None
    resting_lots: int
    held_back: str


class QuoteExplained(NamedTuple):
    """Both sides of one instrument's quote, by the decision of `decided_ns`."""

    row: int
    decided_ns: int
    bid: SideExplained
    ask: SideExplained


def explain_quote(state: State, row: int) -> QuoteExplained | None:
    """The last decision about a row of the universe; None where there was none yet that knew of it."""
    quotes, policy = state.quotes, state.setup.policy
    if quotes is None or row >= len(quotes.quoted):
        return None
    columns = state.market.universe.ladders().columns
    bid, ask = price_parts(policy.quoting, policy.flow, state.values, columns, quotes, row)
    unquoted = "" if quotes.quoted[row] else _why_unquoted(state, quotes, row)
    return QuoteExplained(
        row,
        state.values.ts_ns,
        _side(state, quotes, row, bid, BID_TICKS, unquoted),
        _side(state, quotes, row, ask, ASK_TICKS, unquoted),
    )


def _side(state: State, quotes: Quotes, row: int, priced: Priced, ticks: int, unquoted: str) -> SideExplained:
    lots = BID_LOTS if ticks == BID_TICKS else ASK_LOTS
    passed_lots, tick = int(state.passed[lots, row]), float(state.market.universe.tick[row])
    resting_lots = int(state.table.grid[lots, row])
    absent = unquoted or _why_unwanted(state, priced)
    if not absent and not passed_lots:
        absent = _why_refused(state, quotes, row, ticks)
    same = np.array_equal(state.passed[ticks : lots + 1, row], state.table.grid[ticks : lots + 1, row])
    return SideExplained(
        priced,
        int(state.passed[ticks, row]) * tick if passed_lots else None,
        passed_lots,
        absent,
        int(state.table.grid[ticks, row]) * tick if resting_lots else None,
        resting_lots,
        "" if same else "the change is not worth a message yet, or the budget of messages is spent",
    )


def _why_unquoted(state: State, quotes: Quotes, row: int) -> str:
    """Why no side of a row was asked for: the bounds of `decide.quoting.quotable`, in its order."""
    quoting, values = state.setup.policy.quoting, state.values
    hours, z = float(values.years[row]) * _HOURS_PER_YEAR, float(values.moneyness[row])
    error = float(quotes.inputs.vol_error[row])
    if state.risk.index_age_s > quoting.max_index_age_s:
        return f"the index is {state.risk.index_age_s:.0f} s old, {quoting.max_index_age_s:g} is the most"
    if hours <= 0.0:
        return "it has expired"
    if not np.isfinite(quotes.fair_coin[row]):
        return "it has no fair value: its expiry has no smile"
    if hours < quoting.min_hours:
        return f"it expires in {hours:.1f} hours, sooner than {quoting.min_hours:g}"
    if hours > quoting.max_days * 24:
        return f"it expires in {hours / 24:.0f} days, later than {quoting.max_days:g}"
    if not abs(z) <= quoting.max_moneyness:
        return f"its strike is {abs(z):.2f} standard deviations from the money, {quoting.max_moneyness:g} is the most"
    if not error <= quoting.max_surface_error_vol:
        return f"its smile is known to {error:.3f} only, in vol; {quoting.max_surface_error_vol:g} is the most"
    return f"protection has pulled all quotes: {state.protection.why_pulled}"


def _why_unwanted(state: State, priced: Priced) -> str:
    if priced.price_coin is not None:
        return ""
    if priced.parts[-1].group != CLAMP:
        return "it would be worth less than a tick"
    skew = state.setup.policy.quoting.skew
    return f"{skew} quotes no such side" if skew in BASELINES else "our own asks leave no room for it"


def _why_refused(state: State, quotes: Quotes, row: int, ticks: int) -> str:
    """The gate asked again about this side alone; what it lets through then, it kept back for what stands beside."""
    if state.risk.stage >= Stage.FLAT:
        return f"the loss stop says {state.risk.stage.name.lower()}"
    if not state.risk.index_age_s <= state.setup.policy.limits.max_index_age_s:
        return f"the gate: the index is {state.risk.index_age_s:.0f} s old"
    gate, grid = Gate(state.setup.policy.limits), np.zeros_like(quotes.grid)
    grid[ticks : ticks + 2, row] = quotes.grid[ticks : ticks + 2, row]
    gate.pass_quotes(grid, state.market.universe, state.values, quotes.inputs.held_coin, state.risk)
    refused = np.flatnonzero(gate.refused)
    if not len(refused):
        return "the gate: with what else may fill at once it could break a limit"
    return f"the gate: {REFUSALS[int(refused[0])].replace('_', ' ')}"
