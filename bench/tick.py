"""One index tick on a chain of a thousand options, against the bare pricing of the same chain.

In: an index. Out: forwards, prices, Greeks, exposures, charges, two-sided quotes, and the list of those that changed.
The bar is six times the bare kernel: of the path, in a stream of ticks that each requote.

Then the engine's own step for the same ticks, which has the book, its monitors and stops, hedges, the gate with all
that may fill at once, the message and its digest beside the path. There the bare kernel stands first, so every ratio is
to it; stages are timed within the steps themselves, with the caches as they are there. A book of every twentieth option
is held. Ticks are a second apart, so a look of the monitors is in every step, and the stress and margin of a minute are
in one of sixty: the slowest in a hundred is such a step.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from unittest import mock

import numpy as np

from bench.measure import Bar, Contender, Turn, Work, local
from flatbook.app.compose import margin_rules
from flatbook.domain.events import ChainQuotes, Fill, IndexTick, QuoteRow, QuotesAcknowledged
from flatbook.domain.units import NS_PER_SECOND, parse_utc
from flatbook.engine import booking, deciding, hedging, listening, monitoring, valuing
from flatbook.engine.effects import Effects
from flatbook.engine.loop import Engine
from flatbook.engine.setup import Setup
from flatbook.kernels.black import price_greeks
from flatbook.kernels.warm import warm
from flatbook.policies import read_policy
from flatbook.venues.deribit import load_reference

START_NS = parse_utc("2025-03-31T12:00")
EXPIRIES = (
    *("1APR25", "2APR25", "4APR25", "5APR25", "11APR25", "18APR25"),
    *("25APR25", "30MAY25", "27JUN25", "26SEP25", "26DEC25", "27MAR26"),
)
STRIKES = range(55_000, 139_000, 2_000)
INDEX_USD = 80_000.0
BARE = "bare pricing kernel, price and four Greeks"
TICKS = 20
"""In a row, of which the median is told."""

STAGES: dict[str, tuple[ModuleType, str]] = {
    "monitors": (monitoring, "watch"),
    "market": (listening, "take_market"),
    "ledger": (booking, "take_own"),
    "valuation, P&L explained": (valuing, "mark"),
    "exposures, stress, stops, R": (valuing, "measure_risk"),
    "quotes wanted": (deciding, "wanted_quotes"),
    "hedges wanted": (hedging, "wanted_hedges"),
    "gate, reservation, messages, digest": (deciding, "through_the_gate"),
}
"""Of a step, in the loop's order, by the function that is one."""

ANSWER = "answer"


def works() -> list[Work]:
    """The tick's path and its stages, then the engine's step and its own."""
    warm(lambda _name: None)
    engine = quoting_engine()
    state = engine.state
    prices = index_walk()

    def tick(event: IndexTick) -> None:
        state.market.take_index(event)
        state.values.revalue(state.market, event.local_ts_ns)
        state.book = state.inventory.measure(state.values)
        state.table.differing(deciding.wanted_quotes(state))

    market, values = state.market, state.values
    grid = deciding.wanted_quotes(state)
    steps = Steps(quoting_engine(), index_walk())
    return [
        Work(
            f"an index tick on {values.rows} options, to the quotes that changed",
            [
                Contender("flatbook, serial", ticks_of(prices, tick, TICKS)),
                local(BARE, bare_pricing(engine)),
                local("of it: forwards, vols, prices, Greeks", lambda: values.revalue(market, state.now_ns)),
                local("of it: exposures", lambda: state.inventory.measure(values)),
                local("of it: charges and quotes", lambda: deciding.wanted_quotes(state)),
                local("of it: which changed", lambda: state.table.differing(grid)),
            ],
            values.rows,
            "us",
            [Bar(BARE, 1 / 6)],
        ),
        Work(
            "the engine's whole step for the same tick, in times the bare kernel",
            [
                local(BARE, bare_pricing(engine)),
                Contender("flatbook, serial", steps.turn),
                Contender("the path of it, above", ticks_of(prices, tick, TICKS)),
                *[Contender(f"of it: {name}", steps.stage(name)) for name in STAGES],
                Contender("the venue's word on it: a step of its own", steps.stage(ANSWER)),
            ],
            values.rows,
            "us",
        ),
        Work(
            "the path, one tick at a time: the slowest in a hundred",
            [Contender("flatbook, serial", ticks_of(prices, tick, 1)), Contender(BARE, once(bare_pricing(engine)))],
            values.rows,
            "us",
            note="where the bare kernel's own slowest is far off its median, the neighbours' is what is told",
            most_tail=3.0,
        ),
        Work(
            "the engine's step, one tick at a time",
            [Contender("flatbook, serial", steps.one), Contender(BARE, once(bare_pricing(engine)))],
            values.rows,
            "us",
            note="one in sixty takes the minute's stress, sample and margin",
        ),
    ]


class Steps:
    """Steps of an engine, with the time of each stage as the loop calls it."""

    def __init__(self, engine: Engine, prices: Iterator[IndexTick]) -> None:
        self._engine, self._prices, self._is_ticking = engine, prices, False
        self._taken: dict[str, list[float]] = {name: [] for name in (*STAGES, ANSWER)}
        hold_a_book(engine, prices)

    def turn(self) -> float:
        """The median of some steps in a row; their stages are kept until the next."""
        for taken in self._taken.values():
            taken.clear()
        ticks = list(itertools.islice(self._prices, TICKS))
        with self._clocked():
            return statistics.median([self._step(tick) for tick in ticks])

    def one(self) -> float:
        """A single step, nothing in it clocked."""
        return self._step(next(self._prices))

    def stage(self, name: str) -> Turn:
        """What a stage took in the last turn: the median of its steps."""
        return lambda: statistics.median(self._taken[name])

    def _step(self, tick: IndexTick) -> float:
        self._is_ticking = True
        begin = time.perf_counter()
        effects = self._engine.step(tick)
        end = time.perf_counter()
        self._is_ticking = False
        fill_hedges(self._engine, effects)
        number = self._engine.state.table.sent
        # The venue's word on what it was sent: without, all that ever rested might yet fill.
        said = QuotesAcknowledged(exch_ts_ns=tick.exch_ts_ns, local_ts_ns=tick.local_ts_ns, number=number)
        again = time.perf_counter()
        self._engine.step(said)
        self._taken[ANSWER].append(time.perf_counter() - again)
        return end - begin

    @contextlib.contextmanager
    def _clocked(self) -> Iterator[None]:
        """The loop finds its stages in their modules: each is called by way of a clock there."""
        with contextlib.ExitStack() as stack:
            for name, (module, function) in STAGES.items():
                stack.enter_context(mock.patch.object(module, function, self._timed(name, getattr(module, function))))
            yield

    def _timed(self, name: str, stage: Callable[..., object]) -> Callable[..., object]:
        taken = self._taken[name]

        def timed(*given: object) -> object:
            begin = time.perf_counter()
            result = stage(*given)
            if self._is_ticking:
                taken.append(time.perf_counter() - begin)
            return result

        return timed


def ticks_of(prices: Iterator[IndexTick], take: Callable[[IndexTick], object], count: int) -> Turn:
    """Turns of `count` ticks in a row, made before the clock starts; each tells its median tick."""

    def turn() -> float:
        times = []
        for tick in list(itertools.islice(prices, count)):
            begin = time.perf_counter()
            take(tick)
            times.append(time.perf_counter() - begin)
        return statistics.median(times)

    return turn


def once(function: Callable[[], object]) -> Turn:
    """Turns of one call."""

    def turn() -> float:
        begin = time.perf_counter()
        function()
        return time.perf_counter() - begin

    return turn


def hold_a_book(engine: Engine, prices: Iterator[IndexTick]) -> None:
    """Every twentieth quote trades, bids and asks in turn, a second apart; what hedges them is filled whole."""
    state = engine.state
    engine.step(next(prices))
    for number, row in enumerate(np.flatnonzero(state.table.grid[[1, 3]].all(axis=0))[::20].tolist()):
        bid, _, ask, _ = state.table.grid[:, row].tolist()
        name, side = state.market.universe.instruments[row].name, 1 - 2 * (number % 2)
        engine.step(fill(state.now_ns, f"quote:{name}", name, side, bid if side > 0 else ask, 1))
        fill_hedges(engine, engine.step(next(prices)))


def fill_hedges(engine: Engine, effects: Effects) -> None:
    """What was sent as an order trades at once, and what that causes too."""
    orders = [*effects.orders]
    while orders:
        order = orders.pop()
        one = order.intent
        answer = fill(engine.state.now_ns, order.order_id, one.instrument, one.side, one.limit_ticks, one.size_lots)
        orders += engine.step(answer).orders


def fill(ts_ns: int, order_id: str, instrument: str, side: int, price_ticks: int, lots: int) -> Fill:
    """Free of fees."""
    return Fill(
        exch_ts_ns=ts_ns,
        local_ts_ns=ts_ns,
        venue="bench",
        trade_id=f"{order_id} at {ts_ns}",
        order_id=order_id,
        instrument=instrument,
        side=side,
        price_ticks=price_ticks,
        size_lots=lots,
        fee_units=0,
        is_maker=order_id.startswith("quote:"),
    )


def bare_pricing(engine: Engine) -> Callable[[], None]:
    """The chain as it stands, priced by the kernel alone."""
    values, universe = engine.state.values, engine.state.market.universe
    strike, sign = universe.strike_usd[: values.rows].copy(), universe.sign[: values.rows].copy()
    out = np.empty((5, values.rows))

    def price() -> None:
        price_greeks(values.forward_usd, strike, values.vol, values.years, sign, *out)

    return price


def quoting_engine() -> Engine:
    """The shipped maker `advanced`, quoting a whole chain that it has seen."""
    policy = read_policy("advanced")[0]
    setup = Setup(
        underlying="BTC",
        venue="bench",
        reference=load_reference(),
        policy=policy,
        trade_from_ns=START_NS,
        capital_units=100 * 10**8,
        margin=margin_rules(policy, "bench", START_NS),
    )
    engine = Engine(setup)
    engine.step(IndexTick(exch_ts_ns=START_NS, local_ts_ns=START_NS, underlying="BTC", price_usd=INDEX_USD))
    at = START_NS + NS_PER_SECOND
    rows = tuple(chain_rows())
    engine.step(ChainQuotes(exch_ts_ns=at, local_ts_ns=at, underlying="BTC", rows=rows))
    return engine


def chain_rows() -> Iterator[QuoteRow]:
    """Quotes one vol point wide around a smile, both rights at every strike."""
    for expiry, strike, right in itertools.product(EXPIRIES, STRIKES, "CP"):
        z = np.log(strike / INDEX_USD) / 0.2
        vol = 0.55 + 0.03 * z * z - 0.02 * z
        yield QuoteRow(f"BTC-{expiry}-{strike}-{right}", np.nan, np.nan, vol - 0.005, vol + 0.005, np.nan, INDEX_USD)


def index_walk() -> Iterator[IndexTick]:
    """A tick a second of two to six basis points: each is worth a requote."""
    rng = np.random.default_rng(1)
    move, ts_ns = 0.0, START_NS + NS_PER_SECOND
    while True:
        ts_ns += NS_PER_SECOND
        move = -np.sign(move or 1.0) * rng.uniform(1e-4, 3e-4)
        yield IndexTick(
            exch_ts_ns=ts_ns, local_ts_ns=ts_ns, underlying="BTC", price_usd=float(INDEX_USD * np.exp(move))
        )
