"""Margin and capital as bounds: what positions ask for, what may fill would add to it, and what each purse has left.

A book and anything that fills ask for no more than the book does and, of each contract that fills, the most that a coin
of it can add whatever is held; under a model of which that is not known, the most that it can add to this book. By that
the reservation counts quotes. Beyond a bound it would keep back what brings the book home as well; there a side that
closes counts by what it adds to the book as it stands.

Perpetuals of other coins are asked for the policy's `hedging.margin_rate` of what they are worth, and net with nothing.

Scenarios are made anew every minute and when the index has moved by 0.3 %, seldomer far from every bound; sizes, and
what each strategy has gained, with the stress.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.instruments import Kind
from flatbook.domain.units import risk_amount
from flatbook.engine.capital import held_coin, margin_contracts
from flatbook.engine.setup import HEDGING, MAKING, Setup
from flatbook.engine.stressing import LiveStress
from flatbook.risk.gate import Purse
from flatbook.risk.margin.model import MarginModel
from flatbook.risk.margin.requirement import MarginState, Requirement
from flatbook.risk.reservation import INDEX_MOVE, MARGIN
from flatbook.valuation.inventory import STRATEGY_NAMES

if TYPE_CHECKING:
    from flatbook.domain.intents import OrderIntent
    from flatbook.engine.state import State

Floats = NDArray[np.float64]

MARGIN_USE = "margin_use"

_FAR_SHARE, _FAR_LONGER, _FAR_FARTHER = 0.75, 10, 3
"""Where no more than this share of any purse would be used had all filled that may, scenarios may be so many times as
old, and the index may have moved so many times as far."""

WHOLE, HEDGES, MADE = range(3)
"""Whose positions: the book's, its hedges, what it made markets in."""


@dataclass(frozen=True, slots=True, eq=False)
class Margined:
    """What the book and its two strategies hold, (3, contracts) by WHOLE, HEDGES, MADE, and what each asks for."""

    requirement: Requirement
    size: Floats
    initial_usd: list[float]
    _states: dict[int, MarginState] = field(default_factory=dict)

    @classmethod
    def of(cls, requirement: Requirement, size: Floats) -> Margined:
        """All three in one product."""
        return cls(requirement, size, requirement.margins(size).initial.tolist())

    def state(self, whose: int) -> MarginState:
        """One of them, ready to say what an order adds; made when first asked for."""
        if whose not in self._states:
            self._states[whose] = MarginState(self.requirement, self.size[whose])
        return self._states[whose]


class MarginLimit:
    """Initial margin under one model against what the policy sets aside.

    purses          as of the last look
    steepest_usd    (2, contracts) the most that a coin of each, bought and sold, can add
    held            what asks for margin; None before the first look
    """

    def __init__(self, model: MarginModel, setup: Setup) -> None:
        self._model, self._setup = model, setup
        self._share, self._set_aside = setup.policy.limits.margin_use, setup.policy.limits.capital_usd
        self._rate = setup.policy.hedging.margin_rate
        self._collateral_coin = risk_amount(setup.capital_units, setup.underlying)
        self._coin = setup.policy.quoting.size_coin
        self._made_ns, self._made_usd = 0, math.nan
        self._requirement: Requirement | None = None
        self._stress: LiveStress | None = None
        self._beside_usd = self._making_beside_usd = 0.0
        self._gained_usd: list[float] = []
        self.held: Margined | None = None
        self.steepest_usd: Floats = np.zeros((2, 0))
        self.purses: tuple[Purse, ...] = ()

    @classmethod
    def of(cls, setup: Setup) -> MarginLimit | None:
        """As the policy asks; None where it bounds neither margin nor capital."""
        limits = setup.policy.limits
        if setup.margin is None or not (limits.margin_use or limits.capital_usd):
            return None
        return cls(setup.margin, setup)

    def look(self, state: State) -> tuple[Purse, ...]:
        """What of each purse is used now: margin, and of capital that is set aside what was lost since the start."""
        if self._is_old(state):
            values = state.values
            self._requirement = self._model.requirement(margin_contracts(state.market.universe, values))
            self._made_ns, self._made_usd, self.held = values.ts_ns, values.index_usd, None
        if self.held is None or state.stress is not self._stress:
            self._take_book(state)
        self.purses = tuple(self._used(state))
        return self.purses

    def _is_old(self, state: State) -> bool:
        requirement, values = self._requirement, state.values
        if requirement is None or requirement.count != values.rows + 2 + len(values.slot_years):
            return True
        longer, farther = (_FAR_LONGER, _FAR_FARTHER) if self._is_far(state) else (1, 1)
        if values.ts_ns - self._made_ns >= longer * state.setup.stress_every_ns:
            return True
        return not abs(values.index_usd / self._made_usd - 1.0) <= farther * INDEX_MOVE

    def _is_far(self, state: State) -> bool:
        may_ask_usd = float(state.gate.reservation.worst[0, MARGIN])
        of_hedges = f"capital_{HEDGING}"  # Quotes ask nothing of it.
        return all(
            one.used_usd + (0.0 if one.name == of_hedges else may_ask_usd) <= _FAR_SHARE * one.bound_usd
            for one in self.purses
        )

    def _take_book(self, state: State) -> None:
        """The book as it is held now, whole and by strategy, and what fills may add to it."""
        values, requirement, is_new = state.values, self._requirement, self.held is None
        assert requirement is not None
        held, self._stress = held_coin(values, state.inventory), state.stress
        if self._set_aside:
            self._gained_usd = state.pnl.usd_by_strategy().tolist()
        if self.held is not None and np.array_equal(held, self.held.size[WHOLE]):
            return
        hedges = held.copy()
        hedges[: values.rows] = state.inventory.hedged_coin[: values.rows]
        self.held = Margined.of(requirement, np.stack([held, hedges, held - hedges]))
        if self._model.steepest_by_book:
            whole, made = (requirement.fill_bound(self.held.size[whose], self._coin) for whose in (WHOLE, MADE))
            self._beside_usd, self._making_beside_usd = whole.beside_usd, made.beside_usd
            self.steepest_usd = np.nan_to_num(np.maximum(whole.steepest_usd, made.steepest_usd), nan=math.inf)
        elif is_new:
            self.steepest_usd = np.nan_to_num(requirement.fill_bound(held, self._coin).steepest_usd, nan=math.inf)

    def _used(self, state: State) -> list[Purse]:
        assert self.held is not None
        others_usd = self._rate * sum(map(abs, state.book.others_usd.tolist()))
        equity_usd, whole_usd = state.pnl.equity_usd, self.held.initial_usd[WHOLE] + others_usd
        purses = []
        if self._share:
            capital_usd = self._collateral_coin * state.values.index_usd + equity_usd
            purses.append(Purse(MARGIN_USE, whole_usd, self._share * capital_usd))
        if self._set_aside:
            margins = (self.held.initial_usd[MADE], self.held.initial_usd[HEDGES] + others_usd)
            asked = dict(zip(STRATEGY_NAMES, zip(margins, self._gained_usd, strict=True), strict=True))
            asked[self._setup.venue] = (whole_usd, equity_usd)
            for name, bound_usd in self._set_aside.items():
                margin_usd, gained_usd = asked[name]
                purses.append(Purse(f"capital_{name}", margin_usd + max(-gained_usd, 0.0), bound_usd))
        return purses

    @property
    def shared_room_usd(self) -> float:
        """What quotes and orders together may ask for: of all that is set aside for both the least that is left."""
        own = (f"capital_{MAKING}", f"capital_{HEDGING}")
        left_usd = min((one.left_usd for one in self.purses if one.name not in own), default=math.inf)
        return left_usd - self._beside_usd

    @property
    def quotes_room_usd(self) -> float:
        """What quotes may ask for of making's own."""
        left_usd = min((one.left_usd for one in self.purses if one.name == f"capital_{MAKING}"), default=math.inf)
        return left_usd - self._making_beside_usd

    def quote_costs_usd(self, rows: int) -> Floats:
        """What a contract of each row counts for, (2, rows)."""
        if min(self.shared_room_usd, self.quotes_room_usd) >= 0.0 or self.held is None:
            return self.steepest_usd[:, :rows]
        book = self.held.state(WHOLE)
        one = np.ones(len(book.size))
        adds = np.stack([book.marginals(side * one).initial[:rows] for side in (1.0, -1.0)])
        return np.asarray(np.maximum(np.nan_to_num(adds, nan=math.inf), 0.0))

    def order_usd(self, state: State, intent: OrderIntent, coin: float, *, is_alone: bool) -> float:
        """What an order may add; where it `is_alone` by what it does to the book, which a hedge may relieve."""
        if (other := state.other_place(intent.instrument)) is not None:
            return max(self._other_adds_usd(state, other, coin), 0.0)
        at = self.place(state, intent.instrument)
        if at is None:
            return 0.0
        assert self.held is not None
        # No model nets a linear contract but exactly; of an option this one knows a bound alone.
        if is_alone and (not self._model.steepest_by_book or at >= state.values.rows):
            return max(float(self.held.state(WHOLE).marginal(at, coin).initial), 0.0)
        return float(self.steepest_usd[0 if coin > 0 else 1, at]) * abs(coin)

    def hedge_refusal(self, state: State, intent: OrderIntent, coin: float) -> str | None:
        """Why hedging's own capital does not suffice for an order; None where it does, or none is set aside."""
        name, at = f"capital_{HEDGING}", self.place(state, intent.instrument)
        purse = next((one for one in self.purses if one.name == name), None)
        if purse is None or self.held is None:
            return None
        if (other := state.other_place(intent.instrument)) is not None:
            adds = self._other_adds_usd(state, other, coin)
        elif at is not None:
            adds = float(self.held.state(HEDGES).marginal(at, coin).initial)
        else:
            return None
        return None if adds <= 0.0 or adds <= purse.left_usd else name

    def _other_adds_usd(self, state: State, other: int, coin: float) -> float:
        """What an order of another coin adds, as many of ours as it is worth; negative where it frees margin."""
        held_usd = float(state.book.others_usd[other])
        return self._rate * (abs(held_usd + coin * state.values.index_usd) - abs(held_usd))

    def place(self, state: State, name: str) -> int | None:
        """Of an instrument in `held_coin`; None of spot, which is paid for, and of what is margined apart."""
        universe, rows, away = state.market.universe, state.values.rows, self._setup.away
        if state.other_place(name) is not None or (away is not None and name == away.instrument.name):
            return None
        row = universe.row_of.get(name, -1)
        if row >= 0:
            return row
        contract = state.setup.reference.instrument(name).contract
        if contract.kind is Kind.FUTURE:
            return rows + 2 + universe.slot_of[contract.expiry_ns or 0]
        return None if contract.kind is Kind.SPOT else rows + (not contract.is_inverse)
