"""What the venue shows of itself in Deribit's shapes: instruments, books, tickers, trades on the tape.

Prices and sizes are numbers as the venue prints them; times are milliseconds.
"""

import math
from collections.abc import Iterable
from typing import Any

from flatbook.domain.instruments import Kind, Right, format_expiry
from flatbook.risk.margin.deribit_standard import DeribitStandard
from flatbook.sim.options import vols_of_one
from flatbook.sim.venue.account import index_name
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.listing import Listing
from flatbook.sim.venue.orders import Print

Json = dict[str, Any]

NS_PER_MS = 1_000_000
NO_EXPIRY_MS = 32_503_708_800_000
"""The venue's expiry of what has none: the year 3000."""

KINDS = {Kind.OPTION: "option", Kind.FUTURE: "future", Kind.PERPETUAL: "future", Kind.SPOT: "spot"}


def ms(ts_ns: int) -> int:
    """Nanoseconds as the venue's milliseconds."""
    return ts_ns // NS_PER_MS


def number(value: float, digits: int = 8) -> float | None:
    """A number to be sent; None for what is not known."""
    return round(value, digits) if math.isfinite(value) else None


def kind_of(listing: Listing) -> str:
    """The kind by the venue's word: a perpetual is a future."""
    return KINDS[listing.instrument.contract.kind]


def currency_of(listing: Listing) -> str:
    """The currency under which the venue files an instrument: what it settles in."""
    return listing.instrument.contract.settle


def contract_size(listing: Listing) -> float:
    """How much of the amount one contract is."""
    return 1.0 if listing.is_option and listing.instrument.contract.is_inverse else listing.instrument.lot_size


def max_leverage(margin: DeribitStandard) -> int:
    """Of a small position in a future or perpetual."""
    return round(1.0 / margin.future.initial)


def instrument(listing: Listing, margin: DeribitStandard) -> Json:
    """As in `public/get_instruments`; the greatest leverage is the margin rules'."""
    known, contract = listing.instrument, listing.instrument.contract
    fees, ticks = known.spec.fees, known.spec.ticks
    is_linear = not contract.is_inverse
    shape: Json = {
        "instrument_name": known.name,
        "instrument_id": listing.number,
        "kind": kind_of(listing),
        "state": "open" if listing.is_open else "closed",
        "is_active": listing.is_open,
        "price_index": index_name(known),
        "base_currency": contract.base,
        "counter_currency": contract.quote,
        "quote_currency": contract.base if listing.is_option and contract.is_inverse else contract.quote,
        "settlement_currency": contract.settle,
        "instrument_type": "linear" if is_linear else "reversed",
        "tick_size": float(ticks.finest),
        "tick_size_steps": [],
        "min_trade_amount": known.lot_size,
        "contract_size": contract_size(listing),
        "maker_commission": float(fees.maker),
        "taker_commission": float(fees.taker),
        "block_trade_commission": float(fees.maker),
        "block_trade_min_trade_amount": known.lot_size,
        "block_trade_tick_size": float(ticks.finest),
        "creation_timestamp": ms(listing.listed_ns),
        "expiration_timestamp": NO_EXPIRY_MS if contract.expiry_ns is None else ms(contract.expiry_ns),
    }
    if ticks.above is not None and ticks.coarse is not None:
        shape["tick_size_steps"] = [{"above_price": float(ticks.above), "tick_size": float(ticks.coarse)}]
    if contract.kind is Kind.OPTION:
        shape |= {
            "strike": float(contract.strike or 0),
            "option_type": "call" if contract.right is Right.CALL else "put",
            "settlement_period": "day",
        }
    elif contract.kind is not Kind.SPOT:
        shape |= {
            "settlement_period": "perpetual" if contract.kind is Kind.PERPETUAL else "week",
            "future_type": shape["instrument_type"],
            "max_leverage": max_leverage(margin),
            "max_liquidation_commission": 0.0,
        }
    return shape


def levels(listing: Listing, side: int, depth: int | None) -> list[list[float]]:
    """Prices and amounts of a side, best first."""
    return [[listing.price(ticks), listing.amount(lots)] for ticks, lots in listing.book.depth(side, depth)]


def grouped(listing: Listing, side: int, group: str, depth: int) -> list[list[float]]:
    """Levels put together on a coarser grid, each price rounded away from the other side."""
    if group == "none":
        return levels(listing, side, depth)
    step = max(round(float(group) / listing.instrument.tick_size), 1)
    sums: dict[int, int] = {}
    for ticks, lots in listing.book.depth(side):
        at = ticks // step * step if side > 0 else -(-ticks // step) * step
        if at not in sums and len(sums) == depth:
            break
        sums[at] = sums.get(at, 0) + lots
    return [[listing.price(ticks), listing.amount(lots)] for ticks, lots in sums.items()]


def top(listing: Listing) -> Json:
    """Best prices and amounts; zeros where a side is empty."""
    (bid, bid_amount), (ask, ask_amount) = listing.best(1), listing.best(-1)
    return {
        "best_bid_price": bid,
        "best_bid_amount": bid_amount,
        "best_ask_price": ask,
        "best_ask_amount": ask_amount,
    }


def quote(exchange: Exchange, listing: Listing) -> Json:
    """As in the channel `quote`."""
    return {"timestamp": ms(exchange.now_ns), "instrument_name": listing.name} | top(listing)


def stats(exchange: Exchange, listing: Listing) -> Json:
    """The last day: amounts in coin and USD, None where nothing traded."""
    listing.day.forget(exchange.now_ns)
    totals = listing.day.totals()
    if totals is None:
        return {
            "volume": 0.0,
            "volume_usd": 0.0,
            "volume_notional": 0.0,
            "price_change": None,
            "low": None,
            "high": None,
        }
    last = listing.price(listing.tape[-1].price_ticks)
    usd = round(totals.usd, 2)
    return {
        "volume": round(totals.coins, 8),
        "volume_usd": usd,
        "volume_notional": usd,
        "price_change": round(100 * (last / totals.first - 1), 4),
        "low": totals.low,
        "high": totals.high,
    }


def ticker(exchange: Exchange, listing: Listing) -> Json:
    """As in `public/ticker` and the channel of that name."""
    mark, index_usd = listing.mark, exchange.index_of(listing)
    low, high = listing.bounds()
    shape: Json = {
        "timestamp": ms(exchange.now_ns),
        "state": "open" if listing.is_open else "closed",
        "instrument_name": listing.name,
        "index_price": number(index_usd, 4),
        "mark_price": number(mark.price, 6),
        "last_price": listing.price(listing.tape[-1].price_ticks) if listing.tape else None,
        "settlement_price": number(listing.settlement_price),
        "min_price": number(low, 4),
        "max_price": number(high, 4),
        "open_interest": listing.amount(listing.open_lots),
        "estimated_delivery_price": number(index_usd, 4),
        "stats": stats(exchange, listing),
    } | top(listing)
    if listing.is_option:
        shape |= _vols(exchange, listing, shape)
    elif listing.instrument.contract.kind is Kind.PERPETUAL:
        shape |= {
            "funding_8h": round(listing.funding_8h, 8),
            "current_funding": round(listing.funding_8h, 8),
            "interest_value": round(100 * (mark.price / index_usd - 1), 8),
        }
    if not math.isnan(listing.delivery_usd):
        shape["delivery_price"] = round(listing.delivery_usd, 4)
    return shape


def _vols(exchange: Exchange, listing: Listing, shape: Json) -> Json:
    """What an option's ticker has beside: vols in percent, Greeks, and what it is an option on."""
    mark, contract = listing.mark, listing.instrument.contract
    prices = shape["best_bid_price"], shape["best_ask_price"]
    vols = [0.0, 0.0]
    if not math.isnan(mark.underlying_usd) and (contract.expiry_ns or 0) > exchange.now_ns:
        unit = 1.0 if contract.is_inverse else mark.underlying_usd
        vols = vols_of_one([price / unit for price in prices], mark.underlying_usd, contract, exchange.now_ns)
    bid_iv, ask_iv = (
        round(100 * vol, 2) if price and not math.isnan(vol) else 0.0 for price, vol in zip(prices, vols, strict=True)
    )
    return {
        "underlying_price": number(mark.underlying_usd, 4),
        "underlying_index": _underlying_index(exchange, listing),
        "interest_rate": 0.0,
        "mark_iv": number(100 * mark.iv, 2),
        "bid_iv": bid_iv,
        "ask_iv": ask_iv,
        "greeks": {
            "delta": number(mark.delta, 5),
            "gamma": number(mark.gamma, 7),
            "vega": number(mark.vega, 5),
            "theta": number(mark.theta, 5),
            "rho": number(mark.rho, 5),
        },
    }


def _underlying_index(exchange: Exchange, listing: Listing) -> str:
    """The future of an option's expiry; the venue calls one that is not listed synthetic."""
    contract = listing.instrument.contract
    future = f"{contract.base}-{format_expiry(contract.expiry_ns or 0)}"
    return future if future in exchange.listings else f"SYN.{future}"


def order_book(exchange: Exchange, listing: Listing, depth: int) -> Json:
    """As in `public/get_order_book`: the ticker with the levels."""
    return ticker(exchange, listing) | {
        "change_id": listing.change_id,
        "bids": levels(listing, 1, depth),
        "asks": levels(listing, -1, depth),
    }


def trade(listing: Listing, printed: Print) -> Json:
    """As on the tape."""
    amount = listing.amount(printed.size_lots)
    shape: Json = {
        "trade_id": trade_id(listing, printed),
        "trade_seq": printed.trade_seq,
        "timestamp": ms(printed.ts_ns),
        "instrument_name": listing.name,
        "direction": "buy" if printed.side > 0 else "sell",
        "price": listing.price(printed.price_ticks),
        "amount": amount,
        "contracts": round(amount / contract_size(listing), 8),
        "tick_direction": printed.tick_direction,
        "mark_price": number(printed.mark_price, 6),
        "index_price": number(printed.index_usd, 4),
    }
    if listing.is_option:
        shape["iv"] = 0.0 if math.isnan(printed.iv) else round(100 * printed.iv, 2)
    if printed.is_liquidation:
        shape["liquidation"] = "T"
    if printed.block_trade_id:
        shape["block_trade_id"] = printed.block_trade_id
    return shape


def trade_id(listing: Listing, printed: Print) -> str:
    """The trade's id as the venue writes it: a number for BTC, with the currency before it for others."""
    settle = currency_of(listing)
    return f"{printed.trade_id}" if settle == "BTC" else f"{settle}-{printed.trade_id}"


def summary(exchange: Exchange, listing: Listing) -> Json:
    """As in `public/get_book_summary_by_instrument`."""
    day = stats(exchange, listing)
    (bid, _), (ask, _) = listing.best(1), listing.best(-1)
    contract, mark = listing.instrument.contract, listing.mark
    shape: Json = {
        "instrument_name": listing.name,
        "creation_timestamp": ms(exchange.now_ns),
        "base_currency": contract.base,
        "quote_currency": contract.base if listing.is_option and contract.is_inverse else contract.quote,
        "bid_price": bid or None,
        "ask_price": ask or None,
        "mid_price": round(0.5 * (bid + ask), 8) if bid and ask else None,
        "mark_price": number(mark.price, 6),
        "last": listing.price(listing.tape[-1].price_ticks) if listing.tape else None,
        "open_interest": listing.amount(listing.open_lots),
        "high": day["high"],
        "low": day["low"],
        "price_change": day["price_change"],
        "volume": day["volume"],
        "volume_usd": day["volume_usd"],
        "estimated_delivery_price": number(exchange.index_of(listing), 4),
    }
    if listing.is_option:
        shape |= {
            "mark_iv": number(100 * mark.iv, 2),
            "underlying_price": number(mark.underlying_usd, 4),
            "underlying_index": _underlying_index(exchange, listing),
            "interest_rate": 0.0,
        }
    elif contract.kind is Kind.PERPETUAL:
        shape |= {"funding_8h": round(listing.funding_8h, 8), "current_funding": round(listing.funding_8h, 8)}
    return shape


def chosen(listings: Iterable[Listing], currency: str, kind: str, *, expired: bool = False) -> list[Listing]:
    """Listings of a currency and kind ("any" for all), open or over."""
    return [
        each
        for each in listings
        if currency in ("any", currency_of(each)) and kind in ("any", kind_of(each)) and each.is_open != expired
    ]
