"""Methods of block RFQ: requests of takers, quotes of makers, and what is accepted."""

from flatbook.domain.errors import BadInputError
from flatbook.service.exchange import own_shapes
from flatbook.service.exchange.params import Params
from flatbook.service.exchange.session import Call, Method
from flatbook.service.exchange.shapes import Json, ms
from flatbook.sim.venue.block_rfq import BlockQuote, Leg
from flatbook.venues.deribit.rpc import Code, RpcError

_SIDES = {"buy": 1, "sell": -1}


def _side(params: Params) -> int:
    return _SIDES[params.text("direction", choices=tuple(_SIDES))]


def _items(params: Params) -> list[Params]:
    return [Params({"leg": item}).within("leg") for item in params.items("legs")]


def _quote_shape(call: Call, quote: BlockQuote) -> Json:
    rfq = call.api.rfqs.requests[quote.rfq]
    listings = call.exchange.listings
    return {
        "block_rfq_quote_id": quote.number,
        "block_rfq_id": quote.rfq,
        "quote_state": quote.state.value,
        "direction": own_shapes.DIRECTIONS[quote.side],
        "amount": quote.amount,
        "price": call.api.rfqs.price(rfq, quote.leg_ticks),
        "legs": [
            {
                "instrument_name": leg.instrument,
                "direction": own_shapes.DIRECTIONS[leg.side],
                "ratio": leg.ratio,
                "price": listings[leg.instrument].price(ticks),
            }
            for leg, ticks in zip(rfq.legs, quote.leg_ticks, strict=True)
        ],
        "creation_timestamp": ms(quote.created_ns),
    }


def _create(call: Call) -> Json:
    legs = [Leg(each.text("instrument_name"), _side(each), each.integer("ratio", 1)) for each in _items(call.params)]
    amount = call.params.number("amount")
    makers = call.params.items("makers") if call.params.has("makers") else []
    try:
        return own_shapes.block_rfq(
            call.api.rfqs,
            call.account.name,
            call.api.rfqs.request(call.account, legs, amount, [f"{name}" for name in makers]),
        )
    except BadInputError:
        raise RpcError(Code.INVALID_PARAMS, "must be a multiple of contract size", "amount") from None


def _add_quote(call: Call) -> Json:
    params, listings = call.params, call.exchange.listings
    rfq = call.api.rfqs.open(params.integer("block_rfq_id"))
    prices = {each.text("instrument_name"): each.number("price") for each in _items(params)}
    if set(prices) != {leg.instrument for leg in rfq.legs}:
        raise RpcError(Code.INVALID_PARAMS, "a price for each leg of the request", "legs")
    amount = params.number("amount")
    try:
        ticks = [listings[leg.instrument].instrument.price_ticks(prices[leg.instrument]) for leg in rfq.legs]
        quote = call.api.rfqs.quote(call.account, rfq.number, _side(params), amount, ticks)
    except BadInputError as error:
        raise RpcError(Code.INVALID_PARAMS, f"{error}", "legs") from None
    return _quote_shape(call, quote)


def _cancel_quote(call: Call) -> Json:
    return _quote_shape(call, call.api.rfqs.cancel_quote(call.account, call.params.integer("block_rfq_quote_id")))


def _cancel(call: Call) -> Json:
    return own_shapes.block_rfq(
        call.api.rfqs, call.account.name, call.api.rfqs.cancel(call.account, call.params.integer("block_rfq_id"))
    )


def _accept(call: Call) -> Json:
    params, listings = call.params, call.exchange.listings
    number = params.integer("block_rfq_id")
    executions = call.api.rfqs.accept(
        call.account, number, _side(params), params.number("amount"), params.number("price")
    )
    trades = [own_shapes.execution(listings[each.printed.instrument], each) for each in executions]
    block = {"id": executions[0].printed.block_trade_id, "timestamp": ms(call.exchange.now_ns), "trades": trades}
    return {"block_rfq_id": number, "block_trades": [block]}


def _requests(call: Call) -> Json:
    mine = [
        each
        for each in call.api.rfqs.requests.values()
        if each.taker == call.account.name or each.asks(call.account.name)
    ]
    return {
        "block_rfqs": [own_shapes.block_rfq(call.api.rfqs, call.account.name, each) for each in reversed(mine)],
        "continuation": None,
    }


def _quotes(call: Call) -> list[Json]:
    found = [each for rfq in call.api.rfqs.requests.values() for each in rfq.quotes.values()]
    return [_quote_shape(call, each) for each in found if each.maker == call.account.name]


METHODS: dict[str, Method] = {
    "private/create_block_rfq": _create,
    "private/cancel_block_rfq": _cancel,
    "private/accept_block_rfq": _accept,
    "private/get_block_rfqs": _requests,
    "private/add_block_rfq_quote": _add_quote,
    "private/cancel_block_rfq_quote": _cancel_quote,
    "private/get_block_rfq_quotes": _quotes,
}
