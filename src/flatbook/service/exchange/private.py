"""Methods about an account: what it has, what it did, how it is protected."""

from collections.abc import Iterable

from flatbook.domain.units import risk_amount
from flatbook.service.exchange import own_shapes, public, shapes
from flatbook.service.exchange.session import Call, Method
from flatbook.service.exchange.shapes import Json, ms, number
from flatbook.service.exchange.trading import order_number, size_lots
from flatbook.sim.matching import SelfTrade
from flatbook.sim.venue.margin import requirement
from flatbook.sim.venue.mmp import MmpConfig, MmpGroup
from flatbook.sim.venue.orders import Execution, Order
from flatbook.venues.deribit.rpc import Code, RpcError


def _currency(call: Call) -> str:
    currency = call.params.text("currency")
    if currency not in public.CURRENCIES:
        raise RpcError(Code.INVALID_PARAMS, "unknown currency", "currency")
    return currency


def _summary(call: Call) -> Json:
    return own_shapes.portfolio(call.exchange, call.account, _currency(call)) | _who(call)


def _summaries(call: Call) -> Json:
    shapes_of = [own_shapes.portfolio(call.exchange, call.account, each) for each in public.CURRENCIES]
    return {"summaries": shapes_of} | _who(call)


def _who(call: Call) -> Json:
    number = list(call.exchange.accounts).index(call.account.name) + 1
    return {
        "id": number,
        "username": call.account.name,
        "system_name": call.account.name,
        "type": "main",
        "email": "",
        "mmp_enabled": bool(call.account.mmp),
        "self_trading_reject_mode": call.account.self_trade.value,
        "self_trading_extended_to_subaccounts": False,
        "interuser_transfers_enabled": False,
    }


def _subaccounts(call: Call) -> list[Json]:
    return [_who(call) | {"is_password": False, "receive_notifications": False}]


def _positions(call: Call) -> list[Json]:
    currency, kind = call.params.text("currency", "any"), call.params.text("kind", "any")
    held = [call.exchange.listings[name] for name in sorted(call.account.ledger.open_lots())]
    return [own_shapes.position(call.exchange, call.account, each) for each in shapes.chosen(held, currency, kind)]


def _position(call: Call) -> Json:
    return own_shapes.position(call.exchange, call.account, call.listing())


def _orders(call: Call, orders: Iterable[Order]) -> list[Json]:
    listings = call.exchange.listings
    return [own_shapes.order(listings[each.request.instrument], each) for each in orders]


def _names(call: Call) -> set[str]:
    """The instruments that a call is about: the one it names, or those of a currency and kind, open or over."""
    if call.params.has("instrument_name"):
        return {call.listing().name}
    currency, kind = call.params.text("currency", "any"), call.params.text("kind", "any")
    listings = call.exchange.listings.values()
    both = shapes.chosen(listings, currency, kind) + shapes.chosen(listings, currency, kind, expired=True)
    return {each.name for each in both}


def _open_orders(call: Call) -> list[Json]:
    names = _names(call)
    return _orders(call, (each for each in call.account.orders.values() if each.request.instrument in names))


def _open_orders_by_label(call: Call) -> list[Json]:
    label = call.params.text("label")
    return _orders(call, (each for each in call.account.orders.values() if each.request.label == label))


def _order_state(call: Call) -> Json:
    return _orders(call, [call.exchange.order_of(call.account, order_number(call.params))])[0]


def _order_state_by_label(call: Call) -> list[Json]:
    label = call.params.text("label")
    return _orders(call, (each for each in call.account.history if each.request.label == label))


def _order_history(call: Call) -> list[Json]:
    names = _names(call)
    unfilled = call.params.flag("include_unfilled", call.params.flag("include_old"))
    count, offset = call.params.integer("count", 20), call.params.integer("offset", 0)
    over = [
        each
        for each in reversed(call.account.history)
        if each.number not in call.account.orders
        and each.request.instrument in names
        and (each.filled_lots or unfilled)
    ]
    return _orders(call, over[offset : offset + count])


def _trades(call: Call) -> Json:
    names = _names(call)
    by_id = {each.printed.trade_id: each for each in call.account.executions if each.printed.instrument in names}
    found = public.page(call, (each.printed for each in by_id.values()))
    count = min(max(call.params.integer("count", 10), 1), public.MOST_TRADES)
    done = [by_id[each.trade_id] for each in found[:count]]
    return {"trades": _executions(call, done), "has_more": len(found) > count}


def _trades_of_order(call: Call) -> list[Json]:
    number = order_number(call.params)
    return _executions(call, (each for each in call.account.executions if each.order.number == number))


def _executions(call: Call, executions: Iterable[Execution]) -> list[Json]:
    listings = call.exchange.listings
    return [own_shapes.execution(listings[each.printed.instrument], each) for each in executions]


def _settlement_history(call: Call) -> Json:
    names = _names(call)
    found = [
        {
            "type": each.cause,
            "timestamp": ms(each.ts_ns),
            "instrument_name": each.instrument,
            "session_profit_loss": risk_amount(each.units, each.currency),
            "profit_loss": risk_amount(each.units, each.currency),
            "funding": risk_amount(each.funding_units, each.currency),
        }
        for each in reversed(call.api.cash_of(call.account))
        if each.cause in ("settlement", "delivery") and (each.instrument in names or each.cause == "delivery")
    ]
    return {"settlements": found[: call.params.integer("count", 20)], "continuation": "none"}


def _transaction_log(call: Call) -> Json:
    currency = _currency(call)
    start, end = call.params.integer("start_timestamp"), call.params.integer("end_timestamp")
    first, count = call.params.integer("continuation", 1), call.params.integer("count", 100)
    logs = [
        {
            "id": number,
            "type": each.cause,
            "timestamp": ms(each.ts_ns),
            "instrument_name": each.instrument,
            "currency": currency,
            "change": risk_amount(each.units, currency),
            "total_interest_pl": risk_amount(each.funding_units, currency) if each.cause == "settlement" else None,
        }
        for number, each in enumerate(call.api.cash_of(call.account), 1)
        if each.currency == currency and start <= ms(each.ts_ns) <= end and number >= first
    ]
    return {"logs": logs[:count], "continuation": logs[count]["id"] if len(logs) > count else None}


def _margins(call: Call) -> Json:
    """Initial margin of so much bought or sold by itself; what is bought of an option is paid for instead."""
    listing, price = call.listing(), call.params.number("price")
    lots, rules = size_lots(listing, call.params), call.account.margin
    bought, sold = requirement(rules, listing, lots)[0], requirement(rules, listing, -lots)[0]
    low, high = listing.bounds()
    return {
        "buy": number(price * listing.amount(lots) if listing.is_option else bought),
        "sell": number(sold),
        "min_price": number(low, 4),
        "max_price": number(high, 4),
    }


def _index(call: Call) -> str:
    return call.params.text("index_name", choices=("btc_usd", "btc_usdc"))


def _set_mmp(call: Call) -> list[Json]:
    params, index = call.params, _index(call)
    group = params.text("mmp_group", "")
    config = MmpConfig(
        interval_s=params.integer("interval"),
        frozen_s=params.integer("frozen_time"),
        quantity_coin=params.number("quantity_limit", 0.0),
        delta_coin=params.number("delta_limit", 0.0),
        vega_usd=params.number("vega_limit", 0.0),
        max_quote_coin=params.number("max_quote_quantity", 0.0),
    )
    if config.interval_s == 0:
        call.account.mmp.pop((index, group), None)
        return []
    if not (config.quantity_coin or config.delta_coin or config.vega_usd):
        raise RpcError(Code.INVALID_PARAMS, "at least one limit is required", "quantity_limit")
    if not config.max_quote_coin:
        raise RpcError(Code.INVALID_PARAMS, "is required", "max_quote_quantity")
    known = call.account.mmp.get((index, group))
    if known is None:
        call.account.mmp[index, group] = MmpGroup(config)
    else:
        known.config = config
    return [own_shapes.mmp_config(index, group, config)]


def _get_mmp(call: Call) -> list[Json]:
    index = call.params.text("index_name", "any")
    group = call.params.text("mmp_group", "")
    return [
        own_shapes.mmp_config(*key, known.config)
        for key, known in call.account.mmp.items()
        if index in ("any", key[0]) and group in ("", key[1])
    ]


def _reset_mmp(call: Call) -> str:
    group = call.account.mmp.get((_index(call), call.params.text("mmp_group", "")))
    if group is None:
        raise RpcError(Code.INVALID_PARAMS, "no such group", "mmp_group")
    group.reset()
    return "ok"


def _mmp_status(call: Call) -> list[Json]:
    now_ns = call.exchange.now_ns
    return [
        {
            "index_name": index,
            "mmp_group": group,
            "frozen_until": own_shapes.frozen_until(known.frozen_until_ns),
        }
        for (index, group), known in call.account.mmp.items()
        if known.is_frozen(now_ns)
    ]


def _set_self_trading(call: Call) -> str:
    choices = [each.value for each in SelfTrade]
    call.account.self_trade = SelfTrade(call.params.text("mode", choices=choices))
    return "ok"


METHODS: dict[str, Method] = {
    "private/get_account_summary": _summary,
    "private/get_account_summaries": _summaries,
    "private/get_subaccounts": _subaccounts,
    "private/get_positions": _positions,
    "private/get_position": _position,
    "private/get_open_orders": _open_orders,
    "private/get_open_orders_by_currency": _open_orders,
    "private/get_open_orders_by_instrument": _open_orders,
    "private/get_open_orders_by_label": _open_orders_by_label,
    "private/get_order_state": _order_state,
    "private/get_order_state_by_label": _order_state_by_label,
    "private/get_order_history_by_currency": _order_history,
    "private/get_order_history_by_instrument": _order_history,
    "private/get_user_trades_by_currency": _trades,
    "private/get_user_trades_by_currency_and_time": _trades,
    "private/get_user_trades_by_instrument": _trades,
    "private/get_user_trades_by_instrument_and_time": _trades,
    "private/get_user_trades_by_order": _trades_of_order,
    "private/get_settlement_history_by_currency": _settlement_history,
    "private/get_settlement_history_by_instrument": _settlement_history,
    "private/get_transaction_log": _transaction_log,
    "private/get_margins": _margins,
    "private/set_mmp_config": _set_mmp,
    "private/get_mmp_config": _get_mmp,
    "private/reset_mmp": _reset_mmp,
    "private/get_mmp_status": _mmp_status,
    "private/set_self_trading_config": _set_self_trading,
}
