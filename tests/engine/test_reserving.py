"""No order leaves that could take the book beyond a hard bound, whatever fills, whenever we hear of it."""

import itertools
import math
from collections import deque
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from numpy.typing import NDArray

from flatbook.domain.events import AnyEvent, Fill, OrderCancelled, ProtectionTriggered, QuotesAcknowledged
from flatbook.engine.capital import held_coin
from flatbook.engine.effects import Effects
from flatbook.engine.loop import Engine
from flatbook.engine.policy import Policy
from flatbook.venues.margin import editions
from tests.market.builders import START_NS, World, at

from .builders import opened, our_fill, policy, row_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
LIMITS: dict[str, object] = {
    "delta_coin": 6.0, "gamma_1pct_usd": 60_000.0, "vega_usd": 900.0, "vega_tenor_usd": 700.0, "position_coin": 2.0,
    "stress_loss_usd": 120_000.0, "expiry_vega_usd": 600.0, "expiry_delta_coin": 4.0, "gross_coin": 40.0,
}  # fmt: skip
CALL = "BTC-25APR25-80000-C"


def maker_of(through: bool) -> Policy:
    hedging: dict[str, object] = {"rule": "band_and_timer", "band_coin": 0.3, "every_s": 0.0}
    protection: dict[str, object] = {"mmp_at_venue": through, "mmp_quantity_coin": 2.0, "mmp_share": 1.0}
    return policy("primitive", limits=LIMITS, hedging=hedging, protection=protection)


class Venue:
    """What stands, what is on its way to it, and what it has said: the truth that the engine hears late."""

    def __init__(self, capacity: int) -> None:
        self.standing: Ints = np.zeros((4, capacity), np.int64)
        self.inbox: deque[tuple[int, Ints, Ints]] = deque()
        self.said: deque[AnyEvent] = deque()

    def take(self, effects: Effects) -> None:
        quotes = effects.quotes
        if quotes is not None:
            columns = np.stack([quotes.bid_ticks, quotes.bid_lots, quotes.ask_ticks, quotes.ask_lots])
            self.inbox.append((quotes.number, quotes.row, columns))

    def may_fill(self) -> Ints:
        """(2, rows) lots of every version that stands or will."""
        lots = self.standing[1::2].copy()
        for _, rows, columns in self.inbox:
            lots[:, rows] += columns[1::2]
        return lots


class Desk(RuleBasedStateMachine):
    """An engine whose every message is held against the exact worst of all that may fill at the venue.

    All that rests may fill: no protection of the venue's is relied on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.maker, self.world = self.maker_and_world()
        self.seconds = 1.0
        self.venue = Venue(self.maker.state.table.grid.shape[1])
        self.orders: dict[str, int] = {}
        self.unheard = np.zeros(self.venue.standing.shape[1])
        # What was told before the machine listened has long been taken.
        self.venue.standing = self.maker.state.table.grid.copy()
        self.hear(QuotesAcknowledged(exch_ts_ns=at(1), local_ts_ns=at(1), number=self.maker.state.table.sent))

    def maker_and_world(self) -> tuple[Engine, World]:
        return opened(maker_of(through=False))

    def hear(self, event: AnyEvent) -> None:
        before = self.worst()
        effects = self.maker.step(event)
        self.venue.take(effects)
        for order in effects.orders:
            self.orders[order.order_id] = order.intent.side * order.intent.size_lots
        if not effects.is_empty:
            self.check(before)

    def now_ns(self) -> int:
        self.seconds += 0.05
        return at(self.seconds)

    def worst(self) -> Floats:
        """(2, 3) delta, gamma, vega: the farthest up and down that the book may be taken, by its own Greeks."""
        state = self.maker.state
        v, universe = state.values, state.market.universe
        lots = self.venue.may_fill()[:, : v.rows] * universe.lot_coin[: v.rows]
        index, forward = v.index_usd, v.forward_usd
        unit = np.stack(
            [
                v.greeks[1] - v.greeks[0] / forward,
                v.greeks[2] * forward * index / 100,
                v.greeks[3] * index / forward / 100,
            ]
        )
        work = [n * state.setup.hedge.lot_size / state.perp_price_usd for n in self.orders.values()]
        result = np.empty((2, 3))
        book = (state.risk.delta_coin, state.risk.gamma_1pct_usd, state.risk.vega_usd)
        late = unit @ self.unheard[: v.rows]
        for a in range(3):
            for d, sign in enumerate((1.0, -1.0)):
                push = np.maximum(sign * unit[a], 0) @ lots[0] + np.maximum(-sign * unit[a], 0) @ lots[1]
                more = sum(max(sign * n, 0.0) for n in work) if a == 0 else 0.0
                result[d, a] = sign * (book[a] + late[a]) + push + more
        return result

    def check(self, before: Floats) -> None:
        """Within the bounds, or no farther beyond than the market alone had taken what rests already."""
        limits = self.maker.state.setup.policy.limits
        bound = np.array([limits.delta_coin, limits.gamma_1pct_usd, limits.vega_usd])
        standing = self.standing_worst
        assert np.all(self.worst() <= np.maximum(bound, standing) * (1 + 1e-9) + 1e-9), (self.worst(), before, bound)
        held = self.maker.state.inventory.size_coin + self.unheard
        lots = self.venue.may_fill() * 0.1
        assert np.all(held + lots[0] <= limits.position_coin + 1e-9)
        assert np.all(lots[1] - held <= limits.position_coin + 1e-9)

    @property
    def standing_worst(self) -> Floats:
        """The same without the last message: what could happen anyway."""
        last = self.venue.inbox.pop() if self.venue.inbox else None
        without = self.worst()
        if last is not None:
            self.venue.inbox.append(last)
        return without

    @rule(rate=st.sampled_from([-4e-3, -5e-4, 3e-4, 6e-4, 3e-3]))
    def tick(self, rate: float) -> None:
        self.world.index_usd *= 1 + rate
        self.seconds += 0.05
        self.hear(self.world.index(self.seconds))

    @precondition(lambda self: self.venue.inbox)
    @rule()
    def take_effect(self) -> None:
        number, rows, columns = self.venue.inbox.popleft()
        self.venue.standing[:, rows] = columns
        self.venue.said.append(QuotesAcknowledged(exch_ts_ns=START_NS, local_ts_ns=START_NS, number=number))

    @rule(which=st.integers(0, 500), side=st.sampled_from([1, -1]), share=st.sampled_from([0.3, 1.0]))
    def fill(self, which: int, side: int, share: float) -> None:
        rows = np.flatnonzero(self.venue.standing[1 if side > 0 else 3])
        if len(rows) == 0:
            return
        row = int(rows[which % len(rows)])
        lots = max(int(self.venue.standing[1 if side > 0 else 3, row] * share), 1)
        price = int(self.venue.standing[0 if side > 0 else 2, row])
        self.venue.standing[1 if side > 0 else 3, row] -= lots
        name = self.maker.state.market.universe.instruments[row].name
        event = our_fill(self.maker.state, 0, name, side, lots=lots, price=price * 0.0001)
        self.unheard[row] += side * lots * 0.1
        self.venue.said.append(event)

    @precondition(lambda self: self.orders)
    @rule(fills=st.booleans())
    def answer_order(self, fills: bool) -> None:
        order_id, lots = next(iter(self.orders.items()))
        del self.orders[order_id]
        ns = self.now_ns()
        if fills:
            side = 1 if lots > 0 else -1
            hedge = our_fill(self.maker.state, self.seconds, "BTC-PERPETUAL", side, lots=abs(lots), order_id=order_id)
            self.hear(hedge)
        else:
            self.hear(OrderCancelled(exch_ts_ns=ns, local_ts_ns=ns, order_id=order_id, reason="test"))

    @precondition(lambda self: self.venue.said)
    @rule(count=st.integers(1, 6))
    def listen(self, count: int) -> None:
        for _ in range(min(count, len(self.venue.said))):
            event, ns = self.venue.said.popleft(), self.now_ns()
            if isinstance(event, Fill):
                row = row_of(self.maker.state, event.instrument)
                self.unheard[row] -= event.side * event.size_lots * 0.1
                if abs(self.unheard[row]) < 1e-9:
                    self.unheard[row] = 0.0
            fields = {name: getattr(event, name) for name in event.__struct_fields__}
            self.hear(type(event)(**{**fields, "exch_ts_ns": ns, "local_ts_ns": ns}))


class CapitalDesk(Desk):
    """The same with margin and concentration bounded, and held against sums of their own."""

    def maker_and_world(self) -> tuple[Engine, World]:
        limits: dict[str, object] = {"margin_use": 0.01, "concentration_option": 0.3, "concentration_expiry": 0.6}
        made = maker_of(through=False)
        made = made.model_copy(
            update={"limits": made.limits.model_copy(update={**limits, "concentration_free_usd": 300.0})}
        )
        return opened(made, margin=editions("deribit_pm")[-1].model)

    def check(self, before: Floats) -> None:
        super().check(before)
        last = self.venue.inbox.pop() if self.venue.inbox else None
        standing = self.asked()
        if last is not None:
            self.venue.inbox.append(last)
        for asks, bound, stood in zip(self.asked(), self.bounds(), standing, strict=True):
            assert np.all(asks <= np.maximum(bound, stood) * (1 + 1e-9) + 1e-9)

    def asked(self) -> tuple[Floats, Floats]:
        """Margin that the book and all that may fill, orders too, ask for at most; and the vega of each option."""
        state = self.maker.state
        rows, limit = state.values.rows, state.margin_limit
        assert limit is not None
        lots = self.venue.may_fill()[:, :rows] * 0.1
        lots += np.maximum(np.stack([self.unheard[:rows], -self.unheard[:rows]]), 0.0)
        margin = state.risk.purses[0].used_usd + float(np.sum(limit.steepest_usd[:, :rows] * lots))
        margin += self.orders_margin_usd
        held = state.inventory.size_coin[:rows]
        vega = np.abs(state.gate.reservation.units(state.values)[2])
        return np.array([margin]), vega * np.maximum(held + lots[0], lots[1] - held)

    @property
    def orders_margin_usd(self) -> float:
        """By what the one order does to the book, as it was sent."""
        state = self.maker.state
        return (
            sum(
                state.margin_limit.order_usd(
                    state,
                    order.intent,
                    order.intent.side * order.open_lots * 10.0 / state.values.index_usd,
                    is_alone=True,
                )
                for order in state.orders.working.values()
            )
            if state.margin_limit is not None
            else 0.0
        )

    def bounds(self) -> tuple[Floats, Floats]:
        state = self.maker.state
        rows = state.values.rows
        lots = self.venue.may_fill()[:, :rows] * 0.1
        held = state.inventory.size_coin[:rows] + self.unheard[:rows]
        vega = np.abs(state.gate.reservation.units(state.values)[2])
        left = np.maximum(np.abs(held) - np.where(held > 0, lots[1], lots[0]), 0.0)
        gross = max(float(vega @ left), 300.0)
        return np.array([state.risk.purses[0].bound_usd]), np.full(rows, 0.3 * gross)


class HoldingDesk(Desk):
    """Every bound on what is held at once, capital and Derive's margin, and hedges with anything; by its own sums."""

    def maker_and_world(self) -> tuple[Engine, World]:
        limits: dict[str, object] = {
            "margin_use": 0.02, "capital_usd": {"making": 150_000.0, "hedging": 120_000.0},
            "expiry_gamma_1pct_usd": 30_000.0, "vanna_usd": 12.0, "volga_usd": 6.0, "concentration_option": 0.5,
            "concentration_expiry": 0.5, "concentration_free_usd": 600.0, "soft_share": 0.5,
        }  # fmt: skip
        made = policy(
            "advanced",
            limits={**LIMITS, **limits},
            hedging={"every_s": 0.0, "least_usd": 100.0},
            protection={"mmp_at_venue": False, "mmp_quantity_coin": 1e6},
            quoting={"size_coin": 0.5},
            risk_price={"margin_model": "derive_sm"},
        )
        return opened(made, margin=editions("derive_sm")[-1].model)

    def check(self, before: Floats) -> None:
        super().check(before)
        last = self.venue.inbox.pop() if self.venue.inbox else None
        standing = self.farthest()
        if last is not None:
            self.venue.inbox.append(last)
        for name, worst in self.farthest().items():
            most = np.maximum(self.bounds()[name], standing[name])
            assert np.all(worst <= most * (1 + 1e-9) + 1e-6), (name, worst, most)

    def farthest(self) -> dict[str, Floats]:
        """The farthest that each may be taken, up and down."""
        state = self.maker.state
        rows, slot, slots = state.values.rows, state.values.slot, state.market.universe.slots
        lots, held = (
            0.1 * self.venue.may_fill()[:, :rows].astype(np.float64),
            state.inventory.size_coin[:rows] + self.unheard[:rows],
        )
        unit = state.gate.reservation.units(state.values)
        found: dict[str, Floats] = {}

        def ends(adds: Floats, here: NDArray[np.bool_]) -> list[float]:
            now = float(adds[here] @ held[here])
            up = np.maximum(adds, 0.0)[here] @ lots[0, here] + np.maximum(-adds, 0.0)[here] @ lots[1, here]
            down = np.maximum(-adds, 0.0)[here] @ lots[0, here] + np.maximum(adds, 0.0)[here] @ lots[1, here]
            return [now + float(up), float(down) - now]

        everywhere = np.ones(rows, np.bool_)
        for name, axis in (("vanna", 6), ("volga", 7)):
            found[name] = np.array(ends(unit[axis], everywhere))
        for axis, name in enumerate(("expiry_delta", "expiry_gamma", "expiry_vega")):
            found[name] = np.array([ends(unit[axis], slot == number) for number in range(slots)])
        pushed = np.array([ends(adds, everywhere)[1] + float(adds @ held) for adds in unit[9:]])
        found["stress_loss"] = pushed - unit[9:] @ self.unheard[:rows] - state.stress.pnl_usd
        found["margin"], found["making"] = self.margins(lots)
        found["contracts"] = np.array([np.maximum(np.abs(held + lots[0]), np.abs(held - lots[1])).sum()])
        return found

    def bounds(self) -> dict[str, Floats]:
        state = self.maker.state
        limits = state.setup.policy.limits
        return {
            "vanna": np.array(limits.vanna_usd),
            "volga": np.array(limits.volga_usd),
            "expiry_delta": np.array(limits.expiry_delta_coin),
            "expiry_gamma": np.array(limits.expiry_gamma_1pct_usd),
            "expiry_vega": np.array(min(limits.expiry_vega_usd, 0.5 * max(self.sure_vega(), 600.0))),
            "stress_loss": np.array(limits.stress_loss_usd),
            "contracts": np.array(limits.gross_coin),
            "margin": np.array(state.risk.purses[0].bound_usd),
            "making": np.array(limits.capital_usd["making"]),
        }

    def margins(self, lots: Floats) -> tuple[Floats, Floats]:
        """What the model itself asks for once some of what may fill has, of the book and of making alone."""
        state, rows = self.maker.state, self.maker.state.values.rows
        limit, inventory = state.margin_limit, state.inventory
        assert limit is not None
        assert limit.held is not None
        held, making = held_coin(state.values, inventory), np.zeros(len(limit.held.size[0]))
        held[:rows] += self.unheard[:rows]
        making[:rows] = held[:rows] - inventory.hedged_coin[:rows]
        is_call, fills = state.market.universe.sign[:rows] > 0, []
        for calls, puts in itertools.product((lots[0], -lots[1], 0.0 * lots[0]), repeat=2):
            fills.append(np.zeros(len(held)))
            fills[-1][:rows] = np.where(is_call, calls, puts)
        requirement = limit.held.requirement
        lost_usd = max(-float(state.pnl.usd_by_strategy()[0]), 0.0)
        whole = requirement.margins(held + np.array(fills)).initial
        return whole, requirement.margins(making + np.array(fills)).initial + lost_usd

    def sure_vega(self) -> float:
        state = self.maker.state
        rows = state.values.rows
        lots, held = self.venue.may_fill()[:, :rows] * 0.1, state.inventory.size_coin[:rows] + self.unheard[:rows]
        vega = np.abs(state.gate.reservation.units(state.values)[2])
        return float(vega @ np.maximum(np.abs(held) - np.where(held > 0, lots[1], lots[0]), 0.0))


TestDesk = Desk.TestCase
TestHoldingDesk = HoldingDesk.TestCase
TestHoldingDesk.settings = settings(
    max_examples=8, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestCapitalDesk = CapitalDesk.TestCase
TestCapitalDesk.settings = settings(
    max_examples=8, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestDesk.settings = settings(
    max_examples=12, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_quotes_give_way_to_an_order_that_relieves_the_book() -> None:
    maker, _ = opened(maker_of(through=False))
    state = maker.state
    bids = np.flatnonzero(state.table.grid[1, : state.values.rows])
    row = int(bids[np.argmax(np.abs(state.values.greeks[1, bids]))])
    name, lots = state.market.universe.instruments[row].name, int(state.table.grid[1, row])
    (order,) = maker.step(our_fill(state, 1, name, 1, lots=lots)).orders
    gate = state.gate.reservation
    assert order.intent.side == -np.sign(state.risk.delta_coin)
    assert np.all(gate.worst[:, 0] <= gate.room[:, 0] + 1e-9)


def test_an_order_rate_is_a_limit_like_any_other() -> None:
    made = policy("primitive", limits={"orders_per_minute": 2.0}, hedging={"rule": "band_and_timer", "band_coin": 0.1})
    maker, _ = opened(made)
    gate = maker.state.gate
    assert [gate.may_send(at(second)) for second in (0, 10, 20, 59, 60.1, 70.1, 70.2)] == [
        True, True, False, False, True, True, False,
    ]  # fmt: skip
    assert gate.refused_orders == {"order_rate": 3}


def test_where_the_venue_stops_us_two_windows_count_until_it_falls_silent() -> None:
    relied, _ = opened(maker_of(through=True))
    alone, _ = opened(maker_of(through=False))

    def lots(maker: Engine) -> int:
        return int(maker.state.table.grid[1::2].sum())

    assert lots(relied) > 1.5 * lots(alone)
    sent = relied.state.table.sent
    relied.step(QuotesAcknowledged(exch_ts_ns=at(1), local_ts_ns=at(1), number=sent))
    before = lots(relied)
    _tick(relied, 1.1)
    assert lots(relied) > 0.5 * before
    _tick(relied, 1.2 + 0.51 * relied.state.setup.policy.protection.mmp_window_s)
    assert lots(relied) < 0.6 * before, "its last message is not acknowledged: everything that rests counts"


def _tick(maker: Engine, seconds: float) -> None:
    from tests.market.builders import index

    maker.step(index(seconds, maker.state.values.index_usd * (1 + 3e-4)))


def test_when_the_venue_froze_us_nothing_is_quoted_until_it_lets_us() -> None:
    maker, _ = opened(policy("primitive"))
    frozen = ProtectionTriggered(exch_ts_ns=at(1), local_ts_ns=at(1), frozen_until_ns=at(6))
    maker.step(frozen)
    assert not maker.state.table.grid.any()
    _tick(maker, 3)
    assert not maker.state.table.grid.any()
    _tick(maker, 6.1)
    assert maker.state.table.grid.any()
    assert maker.state.protection.alarms[0].text == "the venue froze our quotes"


def test_contracts_in_all_are_bounded_and_beyond_only_what_shrinks_passes() -> None:
    maker, _ = opened(policy("primitive", limits={"gross_coin": 10.0}, protection={"mmp_at_venue": False}))
    grid = maker.state.table.grid
    assert grid[1].sum() == grid[3].sum() == 50
    row = int(np.flatnonzero(grid[1])[0])
    name = maker.state.market.universe.instruments[row].name
    maker.step(our_fill(maker.state, 1, name, 1, lots=101))
    assert np.flatnonzero(grid[1]).tolist() == []
    assert np.flatnonzero(grid[3]).tolist() in ([row], [])


@pytest.mark.parametrize("value", [math.nan, 1e12])
def test_a_scenario_loss_that_is_too_much_or_unknown_leaves_reduction_only(value: float) -> None:
    maker, _ = opened(policy("primitive"))
    state = maker.state
    state.stress = replace(state.stress, pnl_usd=np.full_like(state.stress.pnl_usd, -value))
    _tick(maker, 2)
    assert not state.table.grid[1::2].any()
