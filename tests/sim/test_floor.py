"""A taker meets our quote and the other makers': who trades, at which price, and what the tape shows."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from flatbook.domain.events import Fill, TradePrint
from flatbook.engine.effects import Effects
from flatbook.sim import Delay, FillModel
from flatbook.sim.floor import Floor
from flatbook.sim.flow import Stage, Wishes, moment
from flatbook.sim.gateway import Gateway
from flatbook.sim.latency import FeedLine
from flatbook.sim.makers import Market
from flatbook.sim.options import value
from flatbook.sim.streams import stream
from flatbook.sim.takers import TakerParameters

from .builders import MIDNIGHT_NS, REFERENCE, quote, terms

NOW_NS = MIDNIGHT_NS + 10**9
PARAMETERS = TakerParameters(demand_decay=1.0)


@dataclass(frozen=True)
class Case:
    """One taker who buys ten lots of an option worth 40 ticks, usually shown at 45; None is no quote."""

    ours: tuple[int, int] | None = None
    others: int | None = 45
    willing: float = 0.3
    known: float | None = None
    model: FillModel = FillModel.QUEUE


def trade(stage: Stage, case: Case) -> tuple[list[tuple[int, int]], list[tuple[int, int]], Floor]:
    """Prints and fills as (price ticks, lots)."""
    gateway = Gateway(REFERENCE, terms(case.model, quote_ms=1), seed=0)
    gateway.tick("BTC", 85_000.0, MIDNIGHT_NS)
    row = int(stage.chain.rows_alive(MIDNIGHT_NS)[60])
    instrument = stage.chain.instruments[row]
    gateway.list_instrument(0, instrument)
    gateway.submit(Effects(MIDNIGHT_NS, quote(0, None, case.ours)))
    floor = Floor(gateway, stage.chain, FeedLine(Delay(5), stream(0, "feed"), MIDNIGHT_NS, 10), PARAMETERS)
    floor.expect(wish(stage, row, case))
    assert floor.next_ns == NOW_NS
    floor.trade_next()
    heard = list(gateway.deliver_before(NOW_NS + 10**9))
    prints = [(round(e.price * 10_000), e.size_lots) for e in heard if isinstance(e, TradePrint)]
    fills = [(e.price_ticks, e.size_lots) for e in heard if isinstance(e, Fill)]
    assert all(e.instrument == instrument.name for e in heard if isinstance(e, (TradePrint, Fill)))
    return prints, fills, floor


def wish(stage: Stage, row: int, case: Case) -> Wishes:
    def one(number: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array([number], np.float64)

    def whole(number: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.array([number], np.int64)

    contracts = stage.chain.contracts(whole(row))
    return Wishes(
        number=whole(7), exch_ns=whole(NOW_NS), row=whole(row), side=whole(1), size_lots=whole(10),
        willing=one(case.willing), index_usd=one(85_000.0), fair_coin=one(0.0040), mark_coin=one(0.0041),
        known_coin=one(math.nan if case.known is None else case.known),
        market=Market(whole(30), whole(case.others or 0), one(0.0005)),
        believed=value(stage.surface, stage.world, contracts, moment(stage.world, whole(NOW_NS))),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("case", "prints", "fills"),
    [
        # Willingness exp(-distance): 0.37 at the others' 45, 0.67 at 42, 0.14 at 50.
        (Case(), [(45, 10)], []),
        (Case(willing=0.4), [], []),
        (Case(ours=(44, 4)), [(44, 4), (45, 6)], [(44, 4)]),
        (Case(ours=(42, 20)), [(42, 10)], [(42, 10)]),
        (Case(ours=(42, 4), willing=0.5), [(42, 4)], [(42, 4)]),
        (Case(ours=(45, 20)), [(45, 5), (45, 5)], [(45, 5)]),
        (Case(ours=(45, 20), model=FillModel.OPTIMISTIC), [(45, 10)], [(45, 10)]),
        (Case(ours=(45, 20), model=FillModel.PESSIMISTIC), [(45, 10)], []),
        (Case(ours=(44, 20), model=FillModel.PESSIMISTIC), [(44, 5), (45, 5)], [(44, 5)]),
        (Case(ours=(46, 20)), [(45, 10)], []),
        (Case(ours=(50, 20), others=None, willing=0.1), [(50, 10)], [(50, 10)]),
        (Case(ours=(50, 20), others=None, willing=0.2), [], []),
        (Case(others=None), [], []),
    ],
    ids=[
        "the others alone", "unwilling at their price", "ours better, the rest with them", "ours better and large",
        "ours alone is good enough", "the same price is shared", "first in the queue", "last in the queue",
        "better but shared", "ours worse", "nobody else shows one", "too far for it", "nobody at all",
    ],
)  # fmt: skip
def test_a_taker_who_knows_nothing(
    stage: Stage, case: Case, prints: list[tuple[int, int]], fills: list[tuple[int, int]]
) -> None:
    shown, filled, floor = trade(stage, case)
    assert (shown, filled) == (prints, fills)
    assert not floor.informed


@pytest.mark.parametrize(
    ("case", "prints"),
    [
        (Case(known=0.0049, willing=0.99), [(45, 10)]),
        (Case(known=0.0047, willing=0.0), []),
        (Case(known=0.0047, ours=(43, 4)), [(43, 4)]),
        (Case(known=0.0020, willing=0.0), []),
    ],
    ids=["an edge beyond the fee", "an edge within the fee", "an edge only with us", "knows better"],
)
def test_a_taker_who_knows_trades_for_an_edge_after_fees(
    stage: Stage, case: Case, prints: list[tuple[int, int]]
) -> None:
    shown, _, floor = trade(stage, case)
    assert shown == prints
    assert bool(floor.informed) is bool(prints)


def test_the_tape_shows_number_mark_vol_and_clocks(stage: Stage) -> None:
    gateway = Gateway(REFERENCE, terms(), seed=0)
    gateway.tick("BTC", 85_000.0, MIDNIGHT_NS)
    floor = Floor(gateway, stage.chain, FeedLine(Delay(5), stream(0, "feed"), MIDNIGHT_NS, 10), PARAMETERS)
    row = int(stage.chain.rows_alive(MIDNIGHT_NS)[60])
    floor.expect(wish(stage, row, Case()))
    floor.trade_next()
    (event,) = gateway.deliver_before(NOW_NS + 10**9)
    assert isinstance(event, TradePrint)
    assert (event.exch_ts_ns, event.local_ts_ns, event.trade_id) == (NOW_NS, NOW_NS + 5, "7")
    assert (event.mark_price, event.index_usd, event.off_book) == (0.0041, 85_000.0, False)
    assert 0 < event.iv < 3
