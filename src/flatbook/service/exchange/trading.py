"""Methods that trade: orders placed, changed and taken away, one by one or as mass quotes."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from flatbook.domain.errors import BadInputError
from flatbook.service.exchange import own_shapes, shapes
from flatbook.service.exchange.params import Params
from flatbook.service.exchange.session import Call, Method
from flatbook.service.exchange.shapes import Json
from flatbook.sim.matching import TimeInForce
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.listing import Listing
from flatbook.sim.venue.orders import Execution, Order, OrderKind, OrderRequest, RefusalError, Refused
from flatbook.venues.deribit.rpc import Code, RpcError

_CODES = {
    Refused.AMOUNT: Code.INVALID_AMOUNT,
    Refused.PRICE_TICK: Code.PRICE_WRONG_TICK,
    Refused.PRICE_TOO_LOW: Code.PRICE_TOO_LOW,
    Refused.PRICE_TOO_HIGH: Code.PRICE_TOO_HIGH,
    Refused.FUNDS: Code.NOT_ENOUGH_FUNDS,
    Refused.OVERLAP: Code.ORDER_OVERLAP,
    Refused.POST_ONLY: Code.POST_ONLY_REJECT,
    Refused.POST_ONLY_KIND: Code.POST_ONLY_NOT_ALLOWED,
    Refused.REDUCE_ONLY: Code.OTHER_REJECT,
    Refused.CLOSED: Code.BOOK_CLOSED,
    Refused.UNKNOWN_INSTRUMENT: Code.INVALID_INSTRUMENT,
    Refused.UNKNOWN_ORDER: Code.ORDER_NOT_FOUND,
    Refused.NOT_OPEN: Code.NOT_OPEN_ORDER,
    Refused.MMP_FROZEN: Code.OTHER_REJECT,
    Refused.MMP_ABSENT: Code.INVALID_ARGUMENTS,
    Refused.QUOTE_SIZE: Code.OTHER_REJECT,
    Refused.RFQ: Code.BAD_REQUEST,
}
_KINDS = tuple(kind.value for kind in OrderKind)
_LONGEST_LABEL = 64


def refusal(error: RefusalError) -> RpcError:
    """The venue's error for a refusal."""
    return RpcError(_CODES[error.reason], f"{error.reason.value}: {error}")


def order_number(params: Params, name: str = "order_id") -> int:
    """The number in an order's id."""
    text = params.text(name)
    digits = text.rpartition("-")[2]
    if not digits.isdigit():
        raise RpcError(Code.ORDER_NOT_FOUND, text)
    return int(digits)


def size_lots(listing: Listing, params: Params) -> int:
    """The size in lots, from an amount or a number of contracts."""
    if params.has("contracts") and not params.has("amount"):
        amount = params.number("contracts") * shapes.contract_size(listing)
    else:
        amount = params.number("amount")
    try:
        return listing.instrument.size_lots(amount)
    except BadInputError:
        raise RpcError(Code.INVALID_PARAMS, "must be a multiple of contract size", "amount") from None


def _ticks(listing: Listing, params: Params) -> int:
    price = params.number("price")
    try:
        return listing.instrument.price_ticks(price)
    except BadInputError:
        raise RpcError(Code.PRICE_WRONG_TICK, f"{price} is no multiple of {listing.instrument.tick_size}") from None


def _request(call: Call, side: int) -> OrderRequest:
    listing, params = call.listing(), call.params
    kind = OrderKind(params.text("type", "limit", choices=_KINDS))
    label = params.text("label", "")
    if len(label) > _LONGEST_LABEL:
        raise RpcError(Code.INVALID_PARAMS, f"at most {_LONGEST_LABEL} characters", "label")
    in_force = params.text("time_in_force", "good_til_cancelled", choices=[each.value for each in TimeInForce])
    post_only = params.flag("post_only") and kind is OrderKind.LIMIT
    return OrderRequest(
        instrument=listing.name,
        side=side,
        size_lots=size_lots(listing, params),
        price_ticks=_ticks(listing, params) if kind is OrderKind.LIMIT else None,
        kind=kind,
        time_in_force=TimeInForce(in_force),
        post_only=post_only,
        reject_post_only=params.flag("reject_post_only") and post_only,
        reduce_only=params.flag("reduce_only"),
        mmp=params.flag("mmp"),
        label=label,
    )


def _answer(exchange: Exchange, order: Order, executions: list[Execution]) -> Json:
    listing = exchange.listings[order.request.instrument]
    return {
        "order": own_shapes.order(listing, order),
        "trades": [own_shapes.execution(listing, each) for each in executions],
    }


def _place(side: int) -> Method:
    def place(call: Call) -> Json:
        return _answer(call.exchange, *call.exchange.place(call.account, _request(call, side)))

    return place


def _changed(call: Call, order: Order) -> OrderRequest:
    """An order's request with what an edit gives anew."""
    listing, params, request = call.exchange.listings[order.request.instrument], call.params, order.request
    sized = params.has("amount") or params.has("contracts")
    return replace(
        request,
        size_lots=size_lots(listing, params) if sized else order.size_lots,
        price_ticks=_ticks(listing, params) if params.has("price") else order.price_ticks,
        post_only=params.flag("post_only", request.post_only),
        reject_post_only=params.flag("reject_post_only", request.reject_post_only),
        reduce_only=params.flag("reduce_only", request.reduce_only),
        mmp=params.flag("mmp", request.mmp),
    )


def _edit(call: Call) -> Json:
    order = call.exchange.order_of(call.account, order_number(call.params))
    return _answer(call.exchange, *call.exchange.edit(call.account, order.number, _changed(call, order)))


def _labelled(call: Call) -> list[Order]:
    label = call.params.text("label")
    return [each for each in call.account.orders.values() if each.request.label == label]


def _edit_by_label(call: Call) -> Json:
    name = call.listing().name
    found = [each for each in _labelled(call) if each.request.instrument == name]
    if len(found) != 1:
        raise RpcError(Code.ORDER_NOT_FOUND, f"{len(found)} orders have the label")
    return _answer(call.exchange, *call.exchange.edit(call.account, found[0].number, _changed(call, found[0])))


def _cancel(call: Call) -> Json:
    order = call.exchange.cancel(call.account, order_number(call.params))
    return own_shapes.order(call.exchange.listings[order.request.instrument], order)


def _cancelled(call: Call, matches: Callable[[Order], bool]) -> Any:
    """Takes away what matches; how many, or in detail which."""
    orders = call.exchange.cancel_where(call.account, matches)
    if not call.params.flag("detailed"):
        return len(orders)
    listings = call.exchange.listings
    return [{"result": [own_shapes.order(listings[each.request.instrument], each) for each in orders]}]


def _cancel_all(call: Call) -> Any:
    return _cancelled(call, lambda order: True)


def _cancel_by_instrument(call: Call) -> Any:
    name = call.listing().name
    return _cancelled(call, lambda order: order.request.instrument == name)


def _cancel_by_currency(call: Call) -> Any:
    currency, kind = call.params.text("currency", "any"), call.params.text("kind", "any")
    names = {each.name for each in shapes.chosen(call.exchange.listings.values(), currency, kind)}
    return _cancelled(call, lambda order: order.request.instrument in names)


def _cancel_by_label(call: Call) -> Any:
    numbers = {order.number for order in _labelled(call)}
    return _cancelled(call, lambda order: order.number in numbers)


def _cancel_quotes(call: Call) -> Any:
    params = call.params
    by = params.text("cancel_type", choices=("all", "instrument", "currency", "quote_set_id"))
    names = set(call.exchange.listings)
    if by == "instrument":
        names = {call.listing().name}
    elif by == "currency":
        names = {each.name for each in shapes.chosen(call.exchange.listings.values(), params.text("currency"), "any")}
    quote_set = params.text("quote_set_id") if by == "quote_set_id" else ""

    def matches(order: Order) -> bool:
        request = order.request
        return bool(request.quote_set) and request.instrument in names and quote_set in ("", request.quote_set)

    return _cancelled(call, matches)


def _close_position(call: Call) -> Json:
    listing = call.listing()
    lots = call.account.position(listing.name).size_lots
    if not lots:
        raise RpcError(Code.ALREADY_CLOSED)
    kind = OrderKind(call.params.text("type", choices=("limit", "market")))
    request = OrderRequest(
        instrument=listing.name,
        side=-1 if lots > 0 else 1,
        size_lots=abs(lots),
        price_ticks=_ticks(listing, call.params) if kind is OrderKind.LIMIT else None,
        kind=kind,
        reduce_only=True,
    )
    return _answer(call.exchange, *call.exchange.place(call.account, request))


def _mass_quote(call: Call) -> Json:
    """Sets many sides at once; one that is refused is among the errors and rests no more, and leaves others alone."""
    params, exchange = call.params, call.exchange
    group, quote_id = params.text("mmp_group"), params.text("quote_id", "")
    shown: list[Json] = []
    errors: list[Json] = []
    executed = len(call.account.executions)
    for item in params.items("quotes"):
        quote = Params({"quote": item}).within("quote")
        try:
            listing = exchange.listing(quote.text("instrument_name"))
        except RefusalError as error:
            raise refusal(error) from None
        for name, side in _sides(call, quote, listing, group):
            try:
                order = _quote_side(call, listing, quote, side, (group, quote_id))
            except (RefusalError, RpcError) as error:
                # What rested there is not what is wanted any more, and goes.
                if (standing := call.account.standing_quote((listing.name, group, side))) is not None:
                    exchange.cancel(call.account, standing.number, "quote_amend_failed")
                told = refusal(error) if isinstance(error, RefusalError) else error
                errors.append(_quote_error(quote, name, told))
            else:
                shown += [own_shapes.order(listing, order)] if order else []
    fills = call.account.executions[executed:]
    answer: Json = {"errors": errors, "errors_count": len(errors), "success_count": len(shown)}
    if params.flag("detailed", True):
        listings = exchange.listings
        answer["orders"] = shown
        answer["trades"] = [own_shapes.execution(listings[each.printed.instrument], each) for each in fills]
    return answer


def _sides(call: Call, quote: Params, listing: Listing, group: str) -> list[tuple[str, int]]:
    """The sides that a quote names, in the order that keeps a bid that moves up from meeting the ask before."""
    standing = call.account.standing_quote((listing.name, group, 1))
    rises = quote.has("bid") and standing is not None and _ticks(listing, quote.within("bid")) > standing.price_ticks
    sides = [("ask", -1), ("bid", 1)] if rises else [("bid", 1), ("ask", -1)]
    return [(name, side) for name, side in sides if quote.has(name)]


def _quote_side(call: Call, listing: Listing, quote: Params, side: int, ids: tuple[str, str]) -> Order | None:
    own = quote.within("bid" if side > 0 else "ask")
    request = OrderRequest(
        instrument=listing.name,
        side=side,
        size_lots=size_lots(listing, own),
        price_ticks=_ticks(listing, own),
        post_only=own.flag("post_only") or quote.flag("post_only"),
        reject_post_only=own.flag("reject_post_only") or quote.flag("reject_post_only"),
        mmp=True,
        mmp_group=ids[0],
        quote_id=ids[1],
        quote_set=quote.text("quote_set_id", "default"),
    )
    return call.exchange.quote(call.account, request)


def _quote_error(quote: Params, side: str, error: RpcError) -> Json:
    return {
        "instrument_name": quote.text("instrument_name"),
        "quote_set_id": quote.text("quote_set_id", "default"),
        "side": side,
        "error": error.body(),
    }


METHODS: dict[str, Method] = {
    "private/buy": _place(1),
    "private/sell": _place(-1),
    "private/edit": _edit,
    "private/edit_by_label": _edit_by_label,
    "private/cancel": _cancel,
    "private/cancel_all": _cancel_all,
    "private/cancel_all_by_instrument": _cancel_by_instrument,
    "private/cancel_all_by_currency": _cancel_by_currency,
    "private/cancel_all_by_kind_or_type": _cancel_by_currency,
    "private/cancel_by_label": _cancel_by_label,
    "private/cancel_quotes": _cancel_quotes,
    "private/close_position": _close_position,
    "private/mass_quote": _mass_quote,
}
