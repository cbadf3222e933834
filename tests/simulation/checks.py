"""What holds once a fault has settled."""

import math
from itertools import pairwise

from flatbook.domain.events import TradePrint
from tests.simulation.world import World


def require_whole_feed(world: World) -> None:
    """The line stands, every channel speaks, and each book is the exchange's own, level by level."""
    protocol = world.program.protocol
    assert world.program.is_live, protocol.phase
    assert not protocol.channels.refused
    assert set(protocol.channels.heard_ns) == set(protocol.channels.wanted)
    for name in world.program.books:
        listing = world.exchange.listings[name.split(".")[1]]
        if not listing.is_open:
            continue
        book = protocol.channels.books[name]
        assert book.is_whole, f"{name} has a hole"
        assert book.change_id == listing.change_id, name
        for side, levels in ((1, book.bids), (-1, book.asks)):
            theirs = {listing.price(ticks): listing.amount(lots) for ticks, lots in listing.book.depth(side)}
            assert levels == theirs, name


def require_orderly_events(world: World) -> None:
    """Local times rise, no print comes twice, and no instrument's own time runs backwards."""
    heard = world.program.heard
    assert all(one.local_ts_ns <= other.local_ts_ns for one, other in pairwise(heard))
    prints = [event.trade_id for event in heard if isinstance(event, TradePrint)]
    assert len(prints) == len(set(prints)), "a print was taken twice"
    last: dict[object, int] = {}
    for event in heard:
        key = (type(event), getattr(event, "instrument", ""))
        if not isinstance(event, TradePrint):
            assert event.exch_ts_ns >= last.get(key, 0), f"{event} is older than the one before"
        last[key] = event.exch_ts_ns


def require_known_market(world: World) -> None:
    """The engine knows what the exchange says: its index to the cent."""
    market = world.program.engine.state.market
    assert math.isclose(market.forwards.index_usd, world.exchange.index_usd["BTC"], rel_tol=1e-12)
