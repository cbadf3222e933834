"""An order by the id that we gave it: the one question that each venue wants asked in its own way."""

from __future__ import annotations

from typing import Any

from flatbook.venues.ccxt.accounts import Account
from flatbook.venues.ccxt.codec_own import Row
from flatbook.venues.ccxt.library import library_error
from flatbook.venues.ccxt.orders import Asked


async def orders_by_client_id(exchange: Any, account: Account, asked: Asked) -> list[Row]:
    """What the venue knows under our id, none where it knows nothing.

    Errors      the library's, but for the one that says there is no such order
    """
    match account.find_by:
        case "link_id":
            return await _by_link_id(exchange, asked)
        case "label":
            return await _by_label(exchange, asked)
    try:
        row = await exchange.fetch_order(
            asked.venue_id or None, asked.listed.symbol, {"clientOrderId": asked.client_id}
        )
    except library_error("OrderNotFound"):
        return []
    return [row]


async def _by_link_id(exchange: Any, asked: Asked) -> list[Row]:
    """Bybit: open orders and the latest that ended are in one place, older ones in another."""
    market = exchange.market(asked.listed.symbol)
    category = "spot" if market["spot"] else "linear" if market["linear"] else "inverse"
    query = {"category": category, "symbol": market["id"], "orderLinkId": asked.client_id}
    for endpoint in (exchange.privateGetV5OrderRealtime, exchange.privateGetV5OrderHistory):
        answer = await endpoint(query)
        if answer["result"]["list"]:
            return [exchange.parse_order(row, market) for row in answer["result"]["list"]]
    return []


async def _by_label(exchange: Any, asked: Asked) -> list[Row]:
    market = exchange.market(asked.listed.symbol)
    query = {"currency": market["settleId"] or market["quoteId"], "label": asked.client_id}
    answer = await exchange.privateGetGetOrderStateByLabel(query)
    return [exchange.parse_order(row, market) for row in answer["result"]]
