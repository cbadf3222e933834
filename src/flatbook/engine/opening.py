"""What a run begins with: a book's positions, booked like fills of ours when the market can first value all of them.

A position is booked at the price that the book gives; what it is worth beyond that is its spread, as of any fill.
Without a price it is booked at its worth, on the tick.
"""

import math

from flatbook.domain.errors import BadInputError, UnpricedError
from flatbook.domain.events import Fill
from flatbook.domain.instruments import Kind
from flatbook.domain.units import NS_PER_HOUR
from flatbook.engine import booking, valuing
from flatbook.engine.setup import HEDGING, MAKING, Setup
from flatbook.engine.state import State
from flatbook.valuation.portfolio import BookPosition, Portfolio

_PATIENCE_NS = NS_PER_HOUR
"""How long after trading should have begun the book may wait for a smile."""


def refuse_what_no_run_holds(book: Portfolio, setup: Setup) -> None:
    """A run holds its underlying's inverse options, its hedge, and contracts over the counter that settle in its coin.

    Errors      BadInputError for the first position that is none of them, is not in whole lots, or has expired by then
    """
    for position in book.positions:
        instrument, otc = position.instrument, position.otc
        contract = instrument.contract
        is_ours = contract.base == setup.underlying and contract.is_inverse
        is_held = instrument.name == setup.hedge.name or (is_ours and contract.kind in (Kind.OPTION, Kind.OTC))
        if not is_held or (otc is not None and otc.underlying2 is not None):
            raise BadInputError(
                f"{position.source}: {instrument.name}: a run on {setup.underlying} holds its coin-settled options, "
                f"{setup.hedge.name}, and contracts over the counter on it alone that settle in it; leave this one out"
            )
        if contract.expiry_ns is not None and contract.expiry_ns <= setup.trade_from_ns:
            raise BadInputError(f"{position.source}: {instrument.name} has expired when the run begins; leave it out")
        try:
            instrument.size_lots(position.size)
            if not math.isnan(position.price):
                instrument.price_ticks(position.price)
        except BadInputError as error:
            raise BadInputError(f"{position.source}: {error}") from None


def open_book(state: State) -> bool:
    """Books what the run begins with, once all of it can be valued; says whether that is done.

    Errors      UnpricedError where the market still does not price a position an hour after trading should have begun;
                BadInputError where a path lacks what its contract needs
    """
    book = state.setup.book
    assert book is not None
    _list_options(state, book)
    valuing.mark(state)
    try:
        prices = [_worth(state, position) for position in book.positions]
    except UnpricedError:
        if state.now_ns - state.setup.trade_from_ns > _PATIENCE_NS:
            raise
        return False
    for number, (position, worth) in enumerate(zip(book.positions, prices, strict=True), start=1):
        _book(state, position, worth, number)
    state.pnl.booked("spread", state.values, state.inventory, state.otc_usd)
    state.is_opened = True
    return True


def _list_options(state: State, book: Portfolio) -> None:
    universe = state.market.universe
    for position in book.positions:
        if position.instrument.contract.kind is Kind.OPTION:
            universe.row(position.instrument.name)
    state.make_room()


def _worth(state: State, position: BookPosition) -> float:
    """What one contract is worth now, in its own price."""
    if position.otc is not None:
        from flatbook.valuation.otc_book import price_coin_of

        return price_coin_of(position, state.market, state.now_ns)
    if position.instrument.contract.kind is not Kind.OPTION:
        return state.perp_price_usd
    fair = float(state.values.fair_coin[state.market.universe.row_of[position.instrument.name]])
    if math.isnan(fair):
        raise UnpricedError(f"{position.source}: {position.instrument.name}: the market has no smile for its expiry")
    return fair


def _book(state: State, position: BookPosition, worth: float, number: int) -> None:
    instrument, setup = position.instrument, state.setup
    lots = instrument.size_lots(position.size)
    if not lots:
        return
    price = worth if math.isnan(position.price) else position.price
    fill = Fill(
        exch_ts_ns=state.now_ns,
        local_ts_ns=state.now_ns,
        venue=setup.venue,
        trade_id=f"book:{number}",
        order_id="book",
        instrument=instrument.name,
        side=1 if lots > 0 else -1,
        price_ticks=round(price / instrument.tick_size),
        size_lots=abs(lots),
        fee_units=0,
        is_maker=False,
    )
    is_hedge = instrument.name == setup.hedge.name
    state.ledger.book_fill(fill, HEDGING if is_hedge else MAKING)
    if position.otc is not None:
        _hold(state, position)
    booking.sync(state, instrument.name)


def _hold(state: State, position: BookPosition) -> None:
    # Loaded here: a run without contracts over the counter needs no QuantLib.
    from flatbook.valuation.otc_book import OtcBook

    if state.otc is None:
        state.otc = OtcBook()
    state.otc.hold(position, state.market, state.now_ns)
