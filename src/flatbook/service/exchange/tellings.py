"""What channels say: books as snapshots and changes, tickers, index, marks, volatility."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any

from flatbook.domain.units import NS_PER_DAY, NS_PER_MINUTE
from flatbook.service.exchange import shapes
from flatbook.service.exchange.shapes import Json, ms, number
from flatbook.sim.matching import LevelChange
from flatbook.sim.venue.account import index_name
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.listing import Listing
from flatbook.sim.venue.orders import Print
from flatbook.venues.deribit.channels import Channel


def snapshot(exchange: Exchange, listing: Listing) -> Json:
    """A book whole, every level new."""
    sides = {
        name: [["new", *level] for level in shapes.levels(listing, side, None)]
        for name, side in (("bids", 1), ("asks", -1))
    }
    return _book(exchange, listing, "snapshot") | sides


def change(exchange: Exchange, listing: Listing, before_id: int, changes: Iterable[LevelChange]) -> Json:
    """What changed of a book since `before_id`."""
    sides: dict[int, list[list[object]]] = {1: [], -1: []}
    for side, ticks, before_lots, now_lots in changes:
        action = "delete" if now_lots == 0 else "change" if before_lots else "new"
        sides[side].append([action, listing.price(ticks), listing.amount(now_lots)])
    head = _book(exchange, listing, "change") | {"prev_change_id": before_id}
    return head | {"bids": sides[1], "asks": sides[-1]}


def value(exchange: Exchange, listing: Listing, channel: Channel) -> Json:
    """What a channel of which only the last word counts says now."""
    if channel.sort == "quote":
        return shapes.quote(exchange, listing)
    if channel.sort == "perpetual":
        return {
            "timestamp": ms(exchange.now_ns),
            "index_price": exchange.index_of(listing),
            "interest": round(listing.funding_8h, 8),
        }
    if channel.sort == "chart":
        return candle(exchange, listing, channel.resolution)
    if channel.sort == "grouped_book":
        depth = int(channel.depth)
        return {
            "timestamp": ms(exchange.now_ns),
            "instrument_name": listing.name,
            "change_id": listing.change_id,
            "bids": shapes.grouped(listing, 1, channel.group, depth),
            "asks": shapes.grouped(listing, -1, channel.group, depth),
        }
    return shapes.ticker(exchange, listing)


def candle(exchange: Exchange, listing: Listing, resolution: str) -> Json:
    """The candle that is being made, of some minutes or "1D"; as in `chart.trades`."""
    step_ns = NS_PER_DAY if resolution == "1D" else int(resolution) * NS_PER_MINUTE
    columns = candles(list(listing.tape), listing, step_ns, exchange.now_ns, exchange.now_ns)
    names = {"ticks": "tick"} | {name: name for name in ("open", "high", "low", "close", "volume", "cost")}
    return {told: columns[name][-1] for name, told in names.items()}


def candles(tape: list[Print], listing: Listing, step_ns: int, start_ns: int, end_ns: int) -> Json:
    """As in `public/get_tradingview_chart_data`: a candle for each step, one without trades at the last close."""
    columns: dict[str, list[float]] = {name: [] for name in ("ticks", "open", "high", "low", "close", "volume", "cost")}
    times = [each.ts_ns for each in tape]
    close = 0.0
    for at_ns in range(start_ns // step_ns * step_ns, end_ns + 1, step_ns):
        rows = tape[bisect_left(times, at_ns) : bisect_left(times, at_ns + step_ns)]
        prices = [listing.price(each.price_ticks) for each in rows] or ([close] if close else [])
        if not prices:
            continue
        close = prices[-1]
        coins = sum(listing.coins(each.size_lots, listing.price(each.price_ticks)) for each in rows)
        row = (ms(at_ns), prices[0], max(prices), min(prices), close, round(coins, 8), round(coins * close, 4))
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    return {**columns, "status": "ok" if columns["ticks"] else "no_data"}


def index(exchange: Exchange, base: str, name: str) -> Json:
    """As in `deribit_price_index`."""
    return {"timestamp": ms(exchange.now_ns), "price": exchange.index_usd[base], "index_name": name}


def of_index(exchange: Exchange, channel: Channel, volatility: Sequence[tuple[int, float]]) -> Any:
    """What a channel of an index says now; None where it has nothing to say yet."""
    base = channel.index_name.split("_")[0].upper()
    if base not in exchange.index_usd:
        return None
    if channel.sort == "volatility":
        if not volatility:
            return None
        ts_ns, points = volatility[-1]
        return {"timestamp": ms(ts_ns), "volatility": round(points, 2), "index_name": channel.index_name}
    if channel.sort == "marks":
        return [
            {"instrument_name": each.name, "mark_price": number(each.mark.price, 6), "iv": number(each.mark.iv, 4)}
            for each in exchange.listings.values()
            if each.is_option and each.is_open and index_name(each.instrument) == channel.index_name
        ]
    if channel.sort == "expiration":
        return {"seconds": 0, "price": exchange.index_usd[base], "is_estimated": False}
    return None


def _book(exchange: Exchange, listing: Listing, sort: str) -> Json:
    return {
        "type": sort,
        "timestamp": ms(exchange.now_ns),
        "instrument_name": listing.name,
        "change_id": listing.change_id,
    }
