"""What holds once faults have settled."""

import math
from collections import Counter
from itertools import pairwise

from flatbook.domain.events import Fill, TradePrint
from flatbook.execution.quote_table import QuoteTable
from flatbook.risk.loss_stop import Stage
from flatbook.sim.venue.account import VENUE as THEIRS
from flatbook.venues.deribit.client_actions import Phase
from flatbook.venues.deribit.maker_terms import Standing
from flatbook.venues.deribit.statement import compare
from tests.simulation.faults import Kind
from tests.simulation.program import VENUE as OURS
from tests.simulation.world import World


def require_all(world: World) -> None:
    """Everything below."""
    require_ready(world)
    require_whole_feed(world)
    require_known_market(world)
    require_orderly_events(world)
    require_each_fill_once(world)
    require_same_books(world)
    require_same_orders(world)
    require_within_limits(world)


_TAKEN_AWAY = ("quote", "taken away: ")
_SAID = {
    Kind.MMP_FREEZE: ("protection", "mmp: "),
    Kind.MANUAL_TRADE: ("manual", "traded by hand"),
    Kind.EXPIRY: ("settlement", "is delivered at"),
    Kind.KILL: _TAKEN_AWAY,
    Kind.TOKEN_EXPIRED: _TAKEN_AWAY,
    Kind.FILL_UNTOLD: _TAKEN_AWAY,
    Kind.PART_FILL_UNHEARD: _TAKEN_AWAY,
    Kind.BREAK_BEFORE: _TAKEN_AWAY,
    Kind.BREAK_AFTER: _TAKEN_AWAY,
    Kind.SILENT_BREAK: _TAKEN_AWAY,
    Kind.UNREACHABLE: _TAKEN_AWAY,
    Kind.LOST_REQUEST: _TAKEN_AWAY,
    Kind.LOST_ANSWER: _TAKEN_AWAY,
    Kind.LATE_ANSWER: _TAKEN_AWAY,
}
"""What the engine's log says after a fault of whose consequences it hears; of the others it need not know."""


def require_said(world: World, met: Counter[Kind], entries: int) -> None:
    """The log, after its first `entries`, names what followed from each of these faults.

    Where protection or the loss stop had pulled all quotes, nothing was left that could be taken away.
    """
    log = [(each.kind, each.text) for each in world.program.engine.state.recorder.log[entries:]]
    was_pulled = any(what == "loss_stop" or (what == "protection" and "mmp: " in text) for what, text in log)
    for kind in met:
        what, words = _SAID.get(kind, ("", ""))
        if what and not (was_pulled and words == _TAKEN_AWAY[1]):
            assert any(said == what and words in text for said, text in log), f"nothing was said of {kind}: {log}"


def require_ready(world: World) -> None:
    """The maker sends, waits for nothing, and its quotes are back."""
    maker = world.program.maker
    assert maker.standing is Standing.READY, f"{maker.standing}: {maker.reason}"
    assert not world.program.protocol.undecided()
    assert world.resting(), "nothing is quoted"


def require_same_books(world: World) -> None:
    """The ledger is the exchange's own and the exchange's statement, to the lot and to the unit."""
    ledger, theirs = world.program.engine.state.ledger, world.account.ledger
    ledger.invariant()
    ours = {name: lots for name, lots in ledger.open_lots().items() if lots}
    assert ours == {name: lots for name, lots in theirs.open_lots().items() if lots}
    # What a partial close costs depends on how positions are kept; cash less the open cost does not.
    carried = [
        each.balance(venue, "BTC") - each.open_basis_units("BTC") for each, venue in ((ledger, OURS), (theirs, THEIRS))
    ]
    assert carried[0] == carried[1], f"the books have {carried[0]} units, the exchange {carried[1]}"
    statement = world.program.maker.statement
    assert statement is not None
    assert compare(ledger, OURS, statement) == []


def require_each_fill_once(world: World) -> None:
    """The fills that the engine took are the exchange's executions, each one time."""
    taken = Counter(event.trade_id for event in world.program.kept if isinstance(event, Fill))
    done = Counter(f"{each.printed.trade_id}" for each in world.account.executions)
    assert taken == done


def require_same_orders(world: World) -> None:
    """What is open on the exchange is what we think rests there: quotes by row and side, orders by instrument."""
    state = world.program.engine.state
    resting = Counter(
        (order.request.instrument, order.request.side, order.price_ticks, order.left_lots)
        for order in world.account.orders.values()
    )
    assert resting == Counter(
        _quotes(state.table, [each.name for each in state.market.universe.instruments])
    ) + Counter(
        (order.intent.instrument, order.intent.side, order.intent.limit_ticks, order.open_lots)
        for order in state.orders.working.values()
    )
    assert not state.table.loose.any(), "versions of quotes that nobody acknowledged as gone"


def _quotes(table: QuoteTable, names: list[str]) -> list[tuple[str, int, int, int]]:
    return [
        (name, side, int(table.grid[at, row]), int(table.grid[at + 1, row]))
        for row, name in enumerate(names)
        for side, at in ((1, 0), (-1, 2))
        if table.grid[at + 1, row]
    ]


def require_within_limits(world: World) -> None:
    """The book stands within every bound; one that cannot be marked, since nobody knows a vol, only reduces.

    No option's position with all that rests is beyond its bound either, nor any quote larger than it may be.
    """
    state = world.program.engine.state
    limits = state.setup.policy.limits
    if math.isnan(state.risk.delta_coin):
        assert state.risk.stage >= Stage.REDUCE_ONLY
    else:
        assert state.gate.breaches(state.risk) == []
    for name, (buys, sells) in world.account.working.items():
        listing, held = world.exchange.listings[name], world.account.position(name).size_lots
        if listing.is_option:
            most = max(abs(held), abs(held + buys), abs(held - sells)) * listing.instrument.lot_size
            assert most <= limits.position_coin, name
    for order in world.account.history:
        listing = world.exchange.listings[order.request.instrument]
        most = limits.order_coin if listing.is_option else limits.hedge_order_usd
        assert order.size_lots * listing.instrument.lot_size <= most


def require_whole_feed(world: World) -> None:
    """The line stands, every channel speaks, and each book is the exchange's own, level by level."""
    protocol = world.program.protocol
    assert protocol.phase is Phase.LIVE, protocol.phase
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
    kept = world.program.kept
    assert all(one.local_ts_ns <= other.local_ts_ns for one, other in pairwise(kept))
    prints = [event.trade_id for event in kept if isinstance(event, TradePrint)]
    assert len(prints) == len(set(prints)), "a print was taken twice"


def require_known_market(world: World) -> None:
    """The engine knows what the exchange says: its index to the cent."""
    market = world.program.engine.state.market
    assert math.isclose(market.forwards.index_usd, world.exchange.index_usd["BTC"], rel_tol=1e-12)
