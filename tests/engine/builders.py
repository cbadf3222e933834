"""An engine in a known world, its events one by one, and the venue's answers made by hand."""

from collections.abc import Iterable
from decimal import Decimal
from itertools import count

from flatbook.domain.events import AnyEvent, Fill
from flatbook.domain.units import NS_PER_SECOND, exact_units, parse_utc
from flatbook.engine.effects import Effects
from flatbook.engine.loop import Engine
from flatbook.engine.policy import Policy
from flatbook.engine.setup import Setup
from flatbook.engine.state import State
from flatbook.policies import read_policy
from flatbook.risk.loss_stop import Stage
from flatbook.risk.margin.model import MarginModel
from flatbook.sim.market import SimulatedVenue
from tests.market.builders import REFERENCE, START_NS, World, at, chain, options

SIMULATED_FROM_NS = parse_utc("2026-01-05T00:00")
_ids = count()


def policy(name: str = "primitive", **sections: dict[str, object]) -> Policy:
    """A shipped policy with some fields of some sections changed."""
    shipped = read_policy(name)[0]
    changed = {section: getattr(shipped, section).model_copy(update=fields) for section, fields in sections.items()}
    return shipped.model_copy(update=changed)


def engine(made: Policy | None = None, trade_from_ns: int = START_NS, margin: MarginModel | None = None) -> Engine:
    return Engine(
        Setup(
            underlying="BTC",
            venue="sim",
            reference=REFERENCE,
            policy=made or policy(),
            trade_from_ns=trade_from_ns,
            capital_units=100 * 10**8,
            margin=margin,
        )
    )


def opened(made: Policy | None = None, *dates: str, margin: MarginModel | None = None) -> tuple[Engine, World]:
    """An engine that saw an index and whole chains of some expiries, and has quoted them."""
    world, maker = World(), engine(made, margin=margin)
    maker.step(world.index(0))
    names = [name for date in dates or ("4APR25", "25APR25") for name in options(date)]
    maker.step(chain(0.5, [world.quote(0.5, name) for name in names]))
    return maker, world


def row_of(state: State, name: str) -> int:
    return state.market.universe.row_of[name]


def our_fill(
    state: State, seconds: float, name: str, side: int, *, lots: int = 10, price: float | None = None,
    order_id: str | None = None, trade_id: str | None = None, fee_coin: str = "0",
) -> Fill:  # fmt: skip
    """A fill of our quote at its price, or of a hedge at the index unless told otherwise."""
    instrument = REFERENCE.instrument(name)
    if price is None and name.endswith("PERPETUAL"):
        price = round(state.market.forwards.index_usd)
    ticks = (
        int(state.table.grid[0 if side > 0 else 2, row_of(state, name)])
        if price is None
        else instrument.price_ticks(price)
    )
    return Fill(
        exch_ts_ns=at(seconds),
        local_ts_ns=at(seconds),
        venue="sim",
        trade_id=trade_id or f"F{next(_ids)}",
        order_id=order_id or f"quote:{name}",
        instrument=name,
        side=side,
        price_ticks=ticks,
        size_lots=lots,
        fee_units=exact_units(Decimal(fee_coin), "BTC"),
        is_maker=not name.endswith("PERPETUAL"),
    )


def simulated(made: Policy, hours: float, seed: int = 3) -> tuple[list[AnyEvent], list[Effects], Engine]:
    """A run through the simulated market: what it heard, what it did."""
    venue = SimulatedVenue(REFERENCE, seed=seed, hours=hours, start_ns=SIMULATED_FROM_NS)
    maker = engine(made, trade_from_ns=SIMULATED_FROM_NS)
    heard, did, listed = [], [], 0
    for event in venue.events():
        effects = maker.step(event)
        universe = maker.state.market.universe
        for row in range(listed, universe.count):
            venue.list_instrument(row, universe.instruments[row])
        listed = universe.count
        if not effects.is_empty:
            venue.submit(effects)
        heard.append(event)
        did.append(effects)
    return heard, did, maker


def replayed(made: Policy, events: Iterable[AnyEvent]) -> tuple[list[Effects], Engine]:
    """The same maker taken through recorded events."""
    maker = engine(made, trade_from_ns=SIMULATED_FROM_NS)
    return [maker.step(event) for event in events], maker


def fall(state: State, stage: Stage) -> None:
    """A loss from a peak, each having stood for long enough to bring the loss stop to `stage`."""
    policy_, stop = state.setup.policy.loss_stop, state.loss_stop
    losses = (0.0, policy_.widen_usd, policy_.reduce_only_usd, policy_.flat_usd, policy_.halt_usd)
    worth = state.pnl.equity_usd
    peak = worth + losses[stage] + 5_000.0
    for seconds, usd in ((-61, stop.peak_usd), (-60, peak), (-40, peak), (-39, worth), (-19, worth)):
        stop.update(usd, state.now_ns + seconds * NS_PER_SECOND)
    assert stop.stage is stage
