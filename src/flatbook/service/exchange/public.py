"""Methods that need nobody's leave: time, instruments, books, tape, index, volatility, funding, settlements."""

from collections.abc import Iterable

from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE
from flatbook.service.exchange import shapes, tellings
from flatbook.service.exchange.session import Call, Method
from flatbook.service.exchange.shapes import Json, ms
from flatbook.sim.venue.cycle import Settled
from flatbook.sim.venue.listing import Listing
from flatbook.sim.venue.orders import Print
from flatbook.venues.deribit.rpc import Code, RpcError

MOST_TRADES = 1_000
CURRENCIES = {"BTC": ("Bitcoin", 8), "USDC": ("USD Coin", 6)}
_KINDS = ("any", "option", "future", "spot", "combo", "option_combo", "future_combo")


def _time(call: Call) -> int:
    return ms(call.exchange.now_ns)


def _status(call: Call) -> Json:
    return {"locked": "false", "locked_indices": []}


def _currencies(call: Call) -> list[Json]:
    return [
        {
            "currency": currency,
            "currency_long": long,
            "fee_precision": decimals,
            "coin_type": "BITCOIN" if currency == "BTC" else "ETHER",
            "min_confirmations": 1,
            "min_withdrawal_fee": 0.0,
            "withdrawal_fee": 0.0,
            "withdrawal_priorities": [],
            "in_cross_collateral_pool": False,
        }
        for currency, (long, decimals) in CURRENCIES.items()
    ]


def _currency(call: Call, *, default: str | None = None) -> str:
    return call.params.text("currency", default, choices=("any", *CURRENCIES, "ETH", "SOL", "USDT", "EURR"))


def _listings(call: Call, *, expired: bool = False) -> list[Listing]:
    kind = call.params.text("kind", "any", choices=_KINDS)
    return shapes.chosen(call.exchange.listings.values(), _currency(call, default="any"), kind, expired=expired)


def _instruments(call: Call) -> list[Json]:
    return [
        shapes.instrument(each, call.exchange.margin) for each in _listings(call, expired=call.params.flag("expired"))
    ]


def _instrument(call: Call) -> Json:
    return shapes.instrument(call.listing(), call.exchange.margin)


def _contract_size(call: Call) -> Json:
    return {"contract_size": shapes.contract_size(call.listing())}


def _expirations(call: Call) -> Json:
    names = {
        each.name.split("-")[1]: each.instrument.contract.expiry_ns or 0
        for each in _listings(call)
        if each.instrument.contract.expiry_ns is not None
    }
    kind, currency = call.params.text("kind", "any"), _currency(call, default="any").lower()
    return {currency: {kind: sorted(names, key=lambda name: names[name])}}


def _base(call: Call, name: str = "index_name") -> str:
    """The coin of an index such as `btc_usd`."""
    base, _, quote = call.params.text(name).partition("_")
    if base.upper() not in call.exchange.index_usd or quote not in ("usd", "usdc"):
        raise RpcError(Code.INVALID_PARAMS, "unknown index", name)
    return base.upper()


def _index_price(call: Call) -> Json:
    price = call.exchange.index_usd[_base(call)]
    return {"index_price": price, "estimated_delivery_price": price}


def _index_names(call: Call) -> list[str]:
    return [f"{base.lower()}_{quote}" for base in call.exchange.index_usd for quote in ("usd", "usdc")]


def _order_book(call: Call) -> Json:
    listing = call.listing()
    call.api.settle_changes(listing)
    return shapes.order_book(call.exchange, listing, call.params.integer("depth", 5))


def _ticker(call: Call) -> Json:
    return shapes.ticker(call.exchange, call.listing())


def _summaries(call: Call) -> list[Json]:
    _currency(call)
    return [shapes.summary(call.exchange, each) for each in _listings(call)]


def _summary(call: Call) -> list[Json]:
    return [shapes.summary(call.exchange, call.listing())]


def page(call: Call, trades: Iterable[Print]) -> list[Print]:
    """Of trades in order of time, those within the span and the sequence asked for, sorted as asked for; one too many
    where there are more than `count`."""
    params = call.params
    start, end = params.integer("start_timestamp", 0), params.integer("end_timestamp", 2**62)
    first, last = params.integer("start_seq", 0), params.integer("end_seq", 2**62)
    inside = [each for each in trades if start <= ms(each.ts_ns) <= end and first <= each.trade_seq <= last]
    count = min(max(params.integer("count", 10), 1), MOST_TRADES)
    from_start = params.has("start_timestamp") or params.has("start_seq")
    sorting = params.text("sorting", "default", choices=("asc", "desc", "default"))
    ascending = sorting == "asc" or (sorting == "default" and from_start)
    return (inside if ascending else inside[::-1])[: count + 1]


def _tape(call: Call, trades: Iterable[Print]) -> Json:
    found = page(call, trades)
    count = min(max(call.params.integer("count", 10), 1), MOST_TRADES)
    listings = call.exchange.listings
    return {
        "trades": [shapes.trade(listings[each.instrument], each) for each in found[:count]],
        "has_more": len(found) > count,
    }


def _last_trades(call: Call) -> Json:
    return _tape(call, call.listing().tape)


def _last_trades_of_currency(call: Call) -> Json:
    _currency(call)
    both = _listings(call) + _listings(call, expired=True)
    return _tape(call, sorted((each for listing in both for each in listing.tape), key=lambda each: each.trade_id))


def _volatility(call: Call) -> Json:
    """Candles of the volatility index: start, open, high, low, close; vol points."""
    currency = _currency(call)
    is_day = call.params.text("resolution", "60") == "1D"
    step_ms = 86_400_000 if is_day else 1_000 * call.params.integer("resolution", 60)
    start, end = call.params.integer("start_timestamp"), call.params.integer("end_timestamp")
    candles: dict[int, list[float]] = {}
    for ts_ns, value in call.api.volatility if currency == "BTC" else ():
        at = ms(ts_ns) // max(step_ms, 1) * max(step_ms, 1)
        if start <= ms(ts_ns) <= end:
            row = candles.setdefault(at, [value, value, value, value])
            row[1], row[2], row[3] = max(row[1], value), min(row[2], value), value
    return {"data": [[at, *(round(value, 2) for value in row)] for at, row in candles.items()], "continuation": None}


def _funding_history(call: Call) -> list[Json]:
    name = call.listing().name
    start, end = call.params.integer("start_timestamp"), call.params.integer("end_timestamp")
    return [
        {
            "timestamp": ms(each.end_ns),
            "index_price": each.index_usd,
            "prev_index_price": each.previous_index_usd,
            "interest_8h": each.rate_8h,
            "interest_1h": each.rate_1h,
        }
        for each in call.api.cycle.funding
        if each.instrument == name and start <= ms(each.end_ns) <= end
    ]


def _funding_value(call: Call) -> float:
    name = call.listing().name
    start, end = call.params.integer("start_timestamp"), call.params.integer("end_timestamp")
    hours = call.api.cycle.funding
    return sum(each.rate_1h for each in hours if each.instrument == name and start <= ms(each.end_ns) <= end)


def settlement(each: Settled, listing: Listing) -> Json:
    """As in `public/get_last_settlements_by_instrument`."""
    return {
        "type": "delivery" if each.is_delivery else "settlement",
        "timestamp": ms(each.ts_ns),
        "instrument_name": each.instrument,
        "index_price": each.index_usd,
        "mark_price": round(each.price, 8),
        "position": listing.amount(each.position_lots),
        "profit_loss": 0.0,
        "session_profit_loss": 0.0,
    }


def _settlements(call: Call) -> Json:
    listings = call.exchange.listings
    if call.params.has("instrument_name"):
        names = {call.listing().name}
    else:
        currency = _currency(call)
        names = {name for name, each in listings.items() if currency in ("any", shapes.currency_of(each))}
    kind = call.params.text("type", "any", choices=("any", "settlement", "delivery", "bankruptcy"))
    count = min(max(call.params.integer("count", 20), 1), MOST_TRADES)
    found = [
        settlement(each, listings[each.instrument])
        for each in reversed(call.api.cycle.settled)
        if each.instrument in names and (kind == "any" or (kind == "delivery") == each.is_delivery)
    ]
    return {"settlements": found[:count], "continuation": "none"}


def _delivery_prices(call: Call) -> Json:
    base = _base(call)
    days = {
        each.ts_ns: each.price
        for each in call.api.cycle.settled
        if each.is_delivery and each.instrument.split("-")[0].split("_")[0] == base
    }
    data = [{"date": call.api.date(ts_ns), "delivery_price": round(price, 4)} for ts_ns, price in sorted(days.items())][
        ::-1
    ]
    return {"data": data[: call.params.integer("count", 10)], "records_total": len(data)}


def _chart(call: Call) -> Json:
    listing, resolution = call.listing(), call.params.text("resolution", "1")
    step_ns = 24 * NS_PER_HOUR if resolution == "1D" else call.params.integer("resolution") * NS_PER_MINUTE
    start, end = call.params.integer("start_timestamp"), call.params.integer("end_timestamp")
    tape = list(listing.tape)
    known_ns = tape[0].ts_ns if tape else call.exchange.now_ns
    start_ns = max(start * shapes.NS_PER_MS, known_ns)
    end_ns = min(end * shapes.NS_PER_MS, call.exchange.now_ns)
    return tellings.candles(tape, listing, max(step_ns, NS_PER_MINUTE), start_ns, end_ns)


METHODS: dict[str, Method] = {
    "public/get_time": _time,
    "public/status": _status,
    "public/get_currencies": _currencies,
    "public/get_instruments": _instruments,
    "public/get_instrument": _instrument,
    "public/get_contract_size": _contract_size,
    "public/get_expirations": _expirations,
    "public/get_index_price": _index_price,
    "public/get_index_price_names": _index_names,
    "public/get_order_book": _order_book,
    "public/ticker": _ticker,
    "public/get_book_summary_by_currency": _summaries,
    "public/get_book_summary_by_instrument": _summary,
    "public/get_last_trades_by_instrument": _last_trades,
    "public/get_last_trades_by_instrument_and_time": _last_trades,
    "public/get_last_trades_by_currency": _last_trades_of_currency,
    "public/get_last_trades_by_currency_and_time": _last_trades_of_currency,
    "public/get_volatility_index_data": _volatility,
    "public/get_funding_rate_history": _funding_history,
    "public/get_funding_rate_value": _funding_value,
    "public/get_last_settlements_by_instrument": _settlements,
    "public/get_last_settlements_by_currency": _settlements,
    "public/get_delivery_prices": _delivery_prices,
    "public/get_tradingview_chart_data": _chart,
}
