"""Whether an order may come in, and at what price: everything that is checked before the book sees it."""

import math
from collections.abc import Mapping

from flatbook.domain.instruments import Kind
from flatbook.domain.units import risk_amount
from flatbook.sim.matching.book import UNBOUNDED_TICKS
from flatbook.sim.ticks import ceil_tick, floor_tick, is_on_grid
from flatbook.sim.venue.account import Account, index_name
from flatbook.sim.venue.listing import Listing
from flatbook.sim.venue.margin import margin_of
from flatbook.sim.venue.orders import OrderKind, OrderRequest, RefusalError, Refused


def check_order(account: Account, listing: Listing, request: OrderRequest, lots: int, now_ns: int) -> None:
    """Refuses what the listing, the price, the position or the protection does not let in.

    Errors      RefusalError
    """
    if not listing.is_open:
        raise RefusalError(Refused.CLOSED, f"{listing.name} is closed")
    if lots <= 0:
        raise RefusalError(Refused.AMOUNT, f"an order of {lots} lots; at least one")
    _check_price(listing, request)
    if request.reduce_only:
        held = account.position(listing.name).size_lots
        if held * request.side >= 0 or lots > abs(held):
            raise RefusalError(Refused.REDUCE_ONLY, f"it would not only reduce a position of {held} lots")
    if request.mmp:
        _check_protection(account, listing, request, now_ns)


def check_funds(
    account: Account, listings: Mapping[str, Listing], listing: Listing, request: OrderRequest, lots: int
) -> None:
    """Refuses an order that asks for more margin, or for more cash of spot, than there is; of a mass quote that is not
    asked.

    Errors      RefusalError
    Source      the venue's specification of mass quotes: they skip the check, a group's limits bound what they fill
    """
    if request.quote_set:
        return
    contract = listing.instrument.contract
    if contract.kind is Kind.SPOT:
        _check_spot(account, listing, request, lots)
        return
    before = margin_of(account, listings, contract.settle)
    after = margin_of(account, listings, contract.settle, (listing.name, request.side, lots))
    if after.available < 0 and after.initial > before.initial:
        raise RefusalError(Refused.FUNDS, f"{after.initial - before.initial:.8f} {contract.settle} of margin more")


def entry_price(listing: Listing, request: OrderRequest) -> int:
    """The price at which an order enters: its own, beside the best where it may only post, or as far as it may go.

    Errors      RefusalError
    """
    steps, tick = listing.instrument.spec.ticks, listing.instrument.tick_size
    if request.price_ticks is None:
        low, high = listing.bounds()
        if request.kind is OrderKind.MARKET_LIMIT:
            best = listing.book.best_ticks(-request.side)
            if best is None:
                raise RefusalError(Refused.PRICE_TICK, f"{listing.name}: nobody is there to trade with")
            return best
        if request.side < 0:
            return max(ceil_tick(steps, low / tick), 1)
        return floor_tick(steps, high / tick) if math.isfinite(high) else UNBOUNDED_TICKS
    if not request.post_only or not listing.book.crosses(request.side, request.price_ticks):
        return request.price_ticks
    best = listing.book.best_ticks(-request.side)
    assert best is not None, "what is crossed has a best price"
    beside = floor_tick(steps, best - 1) if request.side > 0 else ceil_tick(steps, best + 1)
    if request.reject_post_only or beside <= 0:
        raise RefusalError(Refused.POST_ONLY, "it would trade at once")
    return beside


def _check_price(listing: Listing, request: OrderRequest) -> None:
    ticks = request.price_ticks
    if ticks is None:
        if request.post_only:
            raise RefusalError(Refused.POST_ONLY_KIND, "a market order cannot be post-only")
        return
    steps = listing.instrument.spec.ticks
    if ticks <= 0 or not is_on_grid(steps, ticks):
        raise RefusalError(Refused.PRICE_TICK, f"price {listing.price(ticks)} is not on the grid of {listing.name}")
    low, high = listing.bounds()
    if request.side > 0 and listing.price(ticks) > high:
        raise RefusalError(Refused.PRICE_TOO_HIGH, f"{listing.price(high / listing.instrument.tick_size)}")
    if request.side < 0 and listing.price(ticks) < low:
        raise RefusalError(Refused.PRICE_TOO_LOW, f"{listing.price(low / listing.instrument.tick_size)}")


def _check_protection(account: Account, listing: Listing, request: OrderRequest, now_ns: int) -> None:
    group = account.protection(request, listing.instrument)
    if group is None:
        raise RefusalError(Refused.MMP_ABSENT, f"no protection is set for {index_name(listing.instrument)}")
    if group.is_frozen(now_ns):
        raise RefusalError(Refused.MMP_FROZEN, "quotes are frozen")
    most = group.config.max_quote_coin
    if most and listing.coins(request.size_lots, listing.mark.price) > most * (1 + 1e-9):
        raise RefusalError(Refused.QUOTE_SIZE, f"more than {most} a side")


def _check_spot(account: Account, listing: Listing, request: OrderRequest, lots: int) -> None:
    contract, instrument = listing.instrument.contract, listing.instrument
    buys, sells = account.working.get(listing.name, (0, 0))
    if request.side < 0:
        short = account.balance(contract.base) < (sells + lots) * instrument.lot_size
    else:
        ticks = request.price_ticks or round(listing.bounds()[1] / instrument.tick_size)
        short = account.balance(contract.settle) < risk_amount(
            instrument.value_units(ticks, buys + lots), contract.settle
        )
    if short:
        raise RefusalError(Refused.FUNDS, f"{listing.name}: not enough to pay with")
