"""A trade on the tape and in an account's books."""

import math
from decimal import Decimal
from typing import NamedTuple

from flatbook.domain.events import Fill
from flatbook.sim.matching import Trade
from flatbook.sim.options import vol_of
from flatbook.sim.venue.account import STRATEGY, VENUE, Account
from flatbook.sim.venue.listing import Listing
from flatbook.sim.venue.orders import Execution, Order, Print


class Trader(NamedTuple):
    """One side of a trade; those of the house have neither account nor order. `side` is +1 to buy."""

    owner: str
    account: Account | None
    order: Order | None
    side: int


def print_trade(
    listing: Listing, trade_id: int, taker: Trader, trade: Trade, moment: tuple[int, float], block_id: str
) -> Print:
    """Puts a trade on the instrument's tape and into its day; `moment` is the time and the index, USD."""
    now_ns, index_usd = moment
    price = listing.price(trade.price_ticks)
    listing.trade_seq += 1
    before = listing.tape[-1].price_ticks if listing.tape else trade.price_ticks
    if trade.price_ticks != before:
        listing.tick_direction = 0 if trade.price_ticks > before else 2
    elif listing.tape:
        listing.tick_direction |= 1
    printed = Print(
        trade_id=trade_id,
        trade_seq=listing.trade_seq,
        ts_ns=now_ns,
        instrument=listing.name,
        side=taker.side,
        price_ticks=trade.price_ticks,
        size_lots=trade.size_lots,
        mark_price=listing.mark.price,
        index_usd=index_usd,
        iv=_iv(listing, price, now_ns),
        tick_direction=listing.tick_direction,
        is_liquidation=taker.order is not None and taker.order.is_liquidation,
        block_trade_id=block_id,
    )
    listing.tape.append(printed)
    coins = listing.coins(trade.size_lots, price)
    is_coin_price = listing.is_option and listing.instrument.contract.is_inverse
    listing.day.add(now_ns, price, coins, coins * price * (index_usd if is_coin_price else 1.0))
    return printed


def book_side(listing: Listing, trader: Trader, printed: Print, *, is_maker: bool) -> Execution:
    """Books one side of a trade in its account's ledger, with its fee; the order has traded."""
    account, order = trader.account, trader.order
    assert account is not None, "the house has no books"
    assert order is not None, "nor orders"
    instrument = listing.instrument
    rate = instrument.spec.fees.maker if is_maker else instrument.spec.fees.taker
    index = Decimal(repr(0.0 if math.isnan(printed.index_usd) else printed.index_usd))
    fee_units = instrument.fee_units(printed.price_ticks, printed.size_lots, index, rate)
    held = account.position(listing.name)
    account.enter(instrument, held.size_lots, trader.side * printed.size_lots, listing.price(printed.price_ticks))
    account.ledger.book_fill(
        Fill(
            exch_ts_ns=printed.ts_ns,
            local_ts_ns=printed.ts_ns,
            venue=VENUE,
            trade_id=f"{printed.trade_id}",
            order_id=f"{order.number}",
            instrument=listing.name,
            side=trader.side,
            price_ticks=printed.price_ticks,
            size_lots=printed.size_lots,
            fee_units=fee_units,
            is_maker=is_maker,
        ),
        STRATEGY,
    )
    order.filled_lots += printed.size_lots
    order.filled_tick_lots += printed.price_ticks * printed.size_lots
    account.work(order, -printed.size_lots)
    execution = Execution(
        printed=printed,
        account=account.name,
        order=order,
        side=trader.side,
        is_maker=is_maker,
        fee_units=fee_units,
        profit_units=account.position(listing.name).realised_units - held.realised_units,
        is_last=order.left_lots == 0,
    )
    account.executions.append(execution)
    return execution


def mmp_counts(listing: Listing, lots: int) -> tuple[float, float, float]:
    """What a fill counts for protection: contracts, transaction delta in coin, vega in USD per vol point; signed."""
    mark = listing.mark
    coins = listing.coins(lots, mark.price)
    premium = mark.price if listing.is_option and listing.instrument.contract.is_inverse else 0.0
    return coins, coins * (mark.delta - premium), coins * mark.vega


def _iv(listing: Listing, price: float, now_ns: int) -> float:
    """Vol of an option's price, NaN for what has none."""
    mark, contract = listing.mark, listing.instrument.contract
    if not listing.is_option or math.isnan(mark.underlying_usd) or (contract.expiry_ns or 0) <= now_ns:
        return math.nan
    in_coin = price if contract.is_inverse else price / mark.underlying_usd
    return vol_of(in_coin, mark.underlying_usd, contract, now_ns)
