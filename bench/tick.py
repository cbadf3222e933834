"""One index tick on a chain of a thousand options, against the bare pricing of the same chain.

In: an index. Out: forwards, prices, Greeks, exposures, charges, two-sided quotes, and the list of those that changed.
The bar is six times the bare kernel. On two cores that others kept busy, lower quartiles: 44 us against 7.4, 5.7 to 6.1
times; of that Python and calls of kernels are some 15, kernels 29, of which prices and smiles 9, quotes 11. The slowest
tick in a hundred is the neighbours': in thousands of ticks the collector of garbage is never called.
The rows under the first are its stages; then come those that the whole step of the engine has beside them, when it
requotes, and that step, which tells the venue of about every row. Ticks are a second apart there, so a stress a minute
is in one of sixty.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np

from bench.measure import Bar, Contender, Turn, Work, local
from flatbook.app.compose import margin_rules
from flatbook.domain.events import ChainQuotes, IndexTick, QuoteRow
from flatbook.domain.units import NS_PER_SECOND, parse_utc
from flatbook.engine import deciding, hedging, stressing
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


def works() -> list[Work]:
    """The tick's path, and its stages."""
    warm(lambda _name: None)
    engine = quoting_engine()
    state = engine.state
    prices = index_walk()

    def tick(event: IndexTick) -> None:
        state.market.take_index(event)
        state.values.revalue(state.market, state.now_ns)
        state.book = state.inventory.measure(state.values)
        state.table.differing(deciding.wanted_quotes(state))

    market, values = state.market, state.values
    grid = deciding.wanted_quotes(state)
    return [
        Work(
            f"an index tick on {values.rows} options, to the quotes that changed",
            [
                Contender("flatbook, serial", ticks_of(prices, tick, 20)),
                local(BARE, bare_pricing(engine)),
                local("of it: forwards, vols, prices, Greeks", lambda: values.revalue(market, state.now_ns)),
                local("of it: exposures", lambda: state.inventory.measure(values)),
                local("of it: charges and quotes", lambda: deciding.wanted_quotes(state)),
                local("of it: which changed", lambda: state.table.differing(grid)),
                local("of it, where it requotes: P&L explained", lambda: explain(engine)),
                local("of it: is a new stress due", lambda: stressing.is_due(state)),
                local("of it: hedges", lambda: hedging.wanted_hedges(state)),
                local("of it: gate, reservation, digest", lambda: deciding.through_the_gate(state, grid, ())),
                Contender("the engine's whole step", ticks_of(prices, acknowledged(engine), 20)),
            ],
            values.rows,
            "us",
            [Bar(BARE, 1 / 6)],
        ),
        Work(
            "the same, one tick at a time: the slowest in a hundred",
            [Contender("flatbook, serial", ticks_of(prices, tick, 1)), Contender(BARE, once(bare_pricing(engine)))],
            values.rows,
            "us",
            note="where the bare kernel's own slowest is far off its median, the neighbours' is what is told",
            most_tail=3.0,
        ),
    ]


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


def acknowledged(engine: Engine) -> Callable[[IndexTick], None]:
    """A step of the engine, with the venue's word on what it sent: without, all that ever rested might yet fill."""

    def step(tick: IndexTick) -> None:
        engine.step(tick)
        engine.state.table.acknowledged(engine.state.table.sent)

    return step


def explain(engine: Engine) -> None:
    """The P&L of a step, by cause."""
    state = engine.state
    state.pnl.market_moved(state.spare, state.values, state.inventory)


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
