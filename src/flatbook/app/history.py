"""A venue's own history as a session: trades of a coin's options and futures, funding, and the index they carry."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import FundingRate, IndexTick, MarketEvent
from flatbook.domain.units import format_utc
from flatbook.store.atomic import new_directory
from flatbook.store.recorder import Recorder
from flatbook.store.session import SessionMeta
from flatbook.venues.deribit import load_reference
from flatbook.venues.deribit.codec import Notification
from flatbook.venues.deribit.codec_events import MarketFeed
from flatbook.venues.deribit.codec_messages import Trade
from flatbook.venues.deribit.history import History

IMPORTER = "Deribit's trade history"
_NS_PER_MS = 1_000_000
_TOLD_EVERY = 10_000
_CLOCKS = {
    "exch_ts_ns": "the venue's, from milliseconds UTC",
    "local_ts_ns": "the same: a history does not tell when anybody heard of it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRequest:
    """What is asked for: everything of these coins from `from_ns` on and before `to_ns`."""

    url: str
    currencies: tuple[str, ...]
    from_ns: int
    to_ns: int
    out: Path
    licence: str


def import_history(request: HistoryRequest, history: History, told: Callable[[str], None]) -> SessionMeta:
    """The session directory `out`, whole or not at all; `told` hears how far it is.

    Errors      BadInputError where the span is none, `out` holds something, or the venue refuses; VenueUnreachableError
    """
    if not request.from_ns < request.to_ns:
        raise BadInputError(
            f"--from {format_utc(request.from_ns)} is not before --to {format_utc(request.to_ns)}; give a span"
        )
    reference = load_reference()
    feed, count = MarketFeed(reference), 0
    with new_directory(request.out) as scratch:
        recorder = Recorder(scratch, reference, importer=IMPORTER, clocks=_CLOCKS)
        for event in _events(request, history, feed):
            recorder.take(event)
            count += 1
            if count % _TOLD_EVERY == 0:
                told(f"{count:,} events, {format_utc(event.exch_ts_ns)}")
        recorder.set_aside.update(feed.set_aside)
        if history.codec.unknown:
            recorder.notes.append(f"Fields of the venue that are not known here: {', '.join(history.codec.unknown)}.")
        recorder.notes.append("The index is what trades carry: it stands between them, and is not what it was then.")
        return recorder.finish(f"{IMPORTER} at {history.url}", request.licence)


def _events(request: HistoryRequest, history: History, feed: MarketFeed) -> Iterator[MarketEvent]:
    """All of it in order of time; at one moment funding comes before trades, and their index before them."""
    first_ms, last_ms = -(-request.from_ns // _NS_PER_MS), (request.to_ns - 1) // _NS_PER_MS
    sources: list[Iterator[tuple[int, int, MarketEvent | Trade]]] = []
    for currency in request.currencies:
        sources.append(_funding(history, currency, first_ms, last_ms))
        sources += [_trades(history, currency, kind, first_ms, last_ms) for kind in ("option", "future")]
    index_usd: dict[str, float] = {}
    for at_ms, _, told in heapq.merge(*sources, key=lambda each: each[:2]):
        if not isinstance(told, Trade):
            yield told
            continue
        at_ns = at_ms * _NS_PER_MS
        coin = told.instrument_name.split("-")[0].split("_")[0]
        prints = feed.take(Notification("trades", [told]), at_ns)
        if prints and told.index_price > 0 and index_usd.get(coin) != told.index_price:
            index_usd[coin] = told.index_price
            yield IndexTick(exch_ts_ns=at_ns, local_ts_ns=at_ns, underlying=coin, price_usd=told.index_price)
        yield from prints


def _trades(history: History, currency: str, kind: str, from_ms: int, to_ms: int) -> Iterator[tuple[int, int, Trade]]:
    for trade in history.trades(currency, kind, from_ms, to_ms):
        # A coin's trades are numbered in the order in which they were done: options and futures of one moment, too.
        number = trade.trade_id.rpartition("-")[2]
        yield trade.timestamp, 1 + int(number) if number.isdecimal() else 1, trade


def _funding(history: History, currency: str, from_ms: int, to_ms: int) -> Iterator[tuple[int, int, FundingRate]]:
    """Of the coin's perpetual that settles in it; a currency that is no coin has none."""
    if currency in ("USDC", "USDT"):
        return
    name = f"{currency}-PERPETUAL"
    for hour in history.funding(name, from_ms, to_ms + 1):
        at_ns = hour.timestamp * _NS_PER_MS
        yield (
            hour.timestamp,
            0,
            FundingRate(exch_ts_ns=at_ns, local_ts_ns=at_ns, instrument=name, rate=hour.interest_1h, hours=1.0),
        )
