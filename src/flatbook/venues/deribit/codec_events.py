"""From what Deribit's channels say to market events. No clock: the time of each message is an argument.

    deribit_price_index.{coin}_usd    IndexTick
    ticker of what is no option       TopOfBook, and of a perpetual FundingRate, by the minute
    ticker of an option               a row of the next ChainQuotes of its coin
    trades                            TradePrint

Best prices of 0 are nobody's; vols become decimals. What no contract explains, or what cannot be true, makes no event
and is counted: the same that a recorded session sets aside when it is read. So is what comes twice, or after a later
word on the same.
"""

import math
from collections import Counter
from dataclasses import dataclass

from flatbook.domain.errors import BadInputError, UnknownInstrumentError
from flatbook.domain.events import ChainQuotes, FundingRate, IndexTick, MarketEvent, QuoteRow, TopOfBook, TradePrint
from flatbook.domain.instruments import Kind
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND
from flatbook.venues.deribit.codec import Notification
from flatbook.venues.deribit.codec_messages import IndexPrice, Ticker, Trade

_NS_PER_MS = 1_000_000
_FUNDING_HOURS = 8.0
"""The ticker's rate is for so many hours, and accrues all the time."""
_PRINTS_REMEMBERED = 10_000
_LONGEST_FUNDING_GAP_NS = 10 * NS_PER_MINUTE


@dataclass(slots=True)
class _Funding:
    """What accrued of a perpetual's funding since it was last told, on the venue's clock."""

    from_ns: int
    seen_ns: int
    rate_8h: float
    accrued: float = 0.0


@dataclass(slots=True)
class _Chain:
    """Rows of one coin that wait to be told together: the last of each option."""

    exch_ts_ns: int
    rows: dict[str, QuoteRow]


class MarketFeed:
    """The market as events. Local times that are given must not run backwards."""

    def __init__(self, reference: ReferenceData, chain_every_ns: int = NS_PER_SECOND) -> None:
        self.set_aside: Counter[str] = Counter()
        self._reference, self._chain_every_ns = reference, chain_every_ns
        self._index_usd: dict[str, float] = {}
        self._funding: dict[str, _Funding] = {}
        self._chains: dict[str, _Chain] = {}
        self._told_chain_ns = 0
        self._latest_ms: dict[str, int] = {}
        self._prints: dict[str, None] = {}

    def take(self, told: Notification, local_ts_ns: int) -> list[MarketEvent]:
        """What a channel said, as events in the order of `domain.events`."""
        match told.data:
            case IndexPrice() as index:
                return self._index(index, local_ts_ns)
            case Ticker() as ticker:
                instrument = self._known(ticker.instrument_name, "ticker")
                if instrument is None or self._is_old(ticker.instrument_name, ticker.timestamp, "ticker"):
                    return []
                if instrument.contract.kind is Kind.OPTION:
                    self._option(ticker, instrument)
                    return []
                return self._top(ticker, instrument, local_ts_ns)
            case [Trade(), *_] as trades:
                prints = (self._trade(each, local_ts_ns) for each in trades)
                return [each for each in prints if each is not None]
        return []

    def chains(self, local_ts_ns: int) -> list[MarketEvent]:
        """Chains of which something was heard since they were last told, once `chain_every_ns` have passed."""
        if local_ts_ns - self._told_chain_ns < self._chain_every_ns or not self._chains:
            return []
        self._told_chain_ns = local_ts_ns
        waiting, self._chains = self._chains, {}
        return [
            ChainQuotes(
                exch_ts_ns=chain.exch_ts_ns,
                local_ts_ns=local_ts_ns,
                underlying=underlying,
                rows=tuple(chain.rows.values()),
            )
            for underlying, chain in sorted(waiting.items())
        ]

    def _known(self, name: str, what: str) -> Instrument | None:
        try:
            return self._reference.instrument(name)
        except UnknownInstrumentError:
            self.set_aside[f"{what} of an unknown instrument"] += 1
            return None

    def _is_old(self, name: str, timestamp_ms: int, what: str) -> bool:
        """Whether something later was heard of this before."""
        if timestamp_ms < self._latest_ms.get(name, 0):
            self.set_aside[f"{what} older than the one before"] += 1
            return True
        self._latest_ms[name] = timestamp_ms
        return False

    def _is_known_print(self, trade_id: str) -> bool:
        """Whether this print came before; the last ones are remembered."""
        if trade_id in self._prints:
            self.set_aside["trade told twice"] += 1
            return True
        self._prints[trade_id] = None
        if len(self._prints) > _PRINTS_REMEMBERED:
            del self._prints[next(iter(self._prints))]
        return False

    def _index(self, told: IndexPrice, local_ts_ns: int) -> list[MarketEvent]:
        coin, _, quote = told.index_name.upper().partition("_")
        if quote != "USD":
            return []
        if not _is_price(told.price):
            self.set_aside["index that is no price"] += 1
            return []
        if self._is_old(told.index_name, told.timestamp, "index"):
            return []
        if self._index_usd.get(coin) == told.price:
            return []
        self._index_usd[coin] = told.price
        exch_ts_ns = told.timestamp * _NS_PER_MS
        return [IndexTick(exch_ts_ns=exch_ts_ns, local_ts_ns=local_ts_ns, underlying=coin, price_usd=told.price)]

    def _top(self, told: Ticker, instrument: Instrument, local_ts_ns: int) -> list[MarketEvent]:
        bid, ask = told.best_bid_price or math.nan, told.best_ask_price or math.nan
        if bid > ask:
            self.set_aside["crossed top of book"] += 1
            return []
        top = TopOfBook(
            exch_ts_ns=told.timestamp * _NS_PER_MS,
            local_ts_ns=local_ts_ns,
            instrument=instrument.name,
            bid=bid,
            ask=ask,
            bid_amount=told.best_bid_amount or math.nan,
            ask_amount=told.best_ask_amount or math.nan,
            mark_price=told.mark_price or math.nan,
        )
        if told.current_funding is None:
            return [top]
        return [top, *self._accrue(instrument.name, top.exch_ts_ns, told.current_funding, local_ts_ns)]

    def _accrue(self, name: str, now_ns: int, rate_8h: float, local_ts_ns: int) -> list[MarketEvent]:
        """Funding by the minute: each rate holds until the next is heard; nothing is claimed over a silence."""
        known = self._funding.get(name)
        if known is None or now_ns - known.seen_ns > _LONGEST_FUNDING_GAP_NS:
            self._funding[name] = _Funding(now_ns, now_ns, rate_8h)
            return []
        known.accrued += known.rate_8h * max(now_ns - known.seen_ns, 0) / NS_PER_HOUR / _FUNDING_HOURS
        known.seen_ns, known.rate_8h = max(now_ns, known.seen_ns), rate_8h
        if known.seen_ns - known.from_ns < NS_PER_MINUTE:
            return []
        hours = (known.seen_ns - known.from_ns) / NS_PER_HOUR
        event = FundingRate(
            exch_ts_ns=known.seen_ns, local_ts_ns=local_ts_ns, instrument=name, rate=known.accrued, hours=hours
        )
        known.from_ns, known.accrued = known.seen_ns, 0.0
        return [event]

    def _option(self, told: Ticker, instrument: Instrument) -> None:
        bid, ask = told.best_bid_price or math.nan, told.best_ask_price or math.nan
        bid_iv, ask_iv = _decimal(told.bid_iv), _decimal(told.ask_iv)
        if bid > ask or bid_iv > ask_iv:
            self.set_aside["crossed quote"] += 1
            return
        row = QuoteRow(
            instrument.name, bid, ask, bid_iv, ask_iv, _decimal(told.mark_iv), told.underlying_price or math.nan
        )
        chain = self._chains.setdefault(instrument.contract.base, _Chain(0, {}))
        # The latest word on an option is the one that stands, and in its place among the others.
        chain.rows.pop(instrument.name, None)
        chain.rows[instrument.name] = row
        chain.exch_ts_ns = max(chain.exch_ts_ns, told.timestamp * _NS_PER_MS)

    def _trade(self, told: Trade, local_ts_ns: int) -> TradePrint | None:
        instrument = self._known(told.instrument_name, "trade")
        if instrument is None or self._is_known_print(told.trade_id):
            return None
        try:
            price_ticks, size_lots = instrument.price_ticks(told.price), instrument.size_lots(told.amount)
        except BadInputError:
            price_ticks = size_lots = 0
        if min(price_ticks, size_lots) < 1:
            self.set_aside["trade off the tick or not in whole lots"] += 1
            return None
        return TradePrint(
            exch_ts_ns=told.timestamp * _NS_PER_MS,
            local_ts_ns=local_ts_ns,
            instrument=instrument.name,
            trade_id=told.trade_id,
            taker_side=1 if told.direction == "buy" else -1,
            price=told.price,
            size_lots=size_lots,
            mark_price=told.mark_price or math.nan,
            iv=_decimal(told.iv),
            index_usd=told.index_price or math.nan,
            off_book=any((told.block_trade_id, told.block_rfq_id, told.combo_trade_id, told.combo_id)),
        )


def _is_price(value: float) -> bool:
    return math.isfinite(value) and value > 0


def _decimal(percent: float | None) -> float:
    """A vol in percent as a decimal; NaN where there is none."""
    return percent / 100 if percent else math.nan
