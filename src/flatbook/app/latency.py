"""How long answers take: from the arrival of a message to the moment its effects were handed to the venue."""

import math
from collections.abc import Callable, Iterator
from time import perf_counter_ns

from flatbook.domain.events import (
    AnyEvent,
    ChainQuotes,
    FundingRate,
    IndexTick,
    TopOfBook,
    TradePrint,
)
from flatbook.domain.reference import Instrument
from flatbook.engine.effects import Effects
from flatbook.engine.venue import Venue
from flatbook.report.facts import LatencyFacts

_FED = (IndexTick, TopOfBook, TradePrint, ChainQuotes, FundingRate)
"""What a feed tells; a venue's answers to us have no message of the feed behind them."""

_LEAST_NS, _MOST_NS = 1_000, 100_000_000_000
_STEP = math.log(1.01)
_NS_PER_MS = 1e6


class Histogram:
    """Durations from a microsecond to 100 s by steps of 1 %, in fixed memory; a quantile is at most that too high."""

    def __init__(self) -> None:
        self._counts = [0] * (self._bucket(_MOST_NS) + 1)
        self.samples = self.most_ns = 0

    def add(self, duration_ns: int) -> None:
        """One more duration."""
        self._counts[self._bucket(duration_ns)] += 1
        self.samples += 1
        self.most_ns = max(self.most_ns, duration_ns)

    def quantile_ns(self, share: float) -> float:
        """The least duration that `share` of all are not above; NaN where there is none."""
        left = math.ceil(share * self.samples)
        for bucket, count in enumerate(self._counts):
            left -= count
            if count and left <= 0:
                return min(_LEAST_NS * math.exp(_STEP * bucket), self.most_ns)
        return math.nan

    @staticmethod
    def _bucket(duration_ns: int) -> int:
        within = min(max(duration_ns, _LEAST_NS), _MOST_NS)
        return math.ceil(math.log(within / _LEAST_NS) / _STEP)


class LatencyWatch:
    """Times a venue's messages that change quotes; `arrived_ns` is when the message of the last event had come, None
    where nobody waits for the answer: an event of the past is replayed."""

    def __init__(self, arrived_ns: Callable[[], int | None]) -> None:
        self._arrived_ns = arrived_ns
        self._feed_to_quote = Histogram()

    def timed(self, venue: Venue) -> Venue:
        """The same venue, watched."""
        return _Timed(venue, self)

    def sent(self, event: AnyEvent, effects: Effects) -> None:
        """What an event caused is handed over."""
        arrived_ns = self._arrived_ns()
        if arrived_ns is not None and effects.quotes is not None and isinstance(event, _FED):
            self._feed_to_quote.add(perf_counter_ns() - arrived_ns)

    def facts(self) -> LatencyFacts | None:
        """So far; None before the first."""
        seen = self._feed_to_quote
        if not seen.samples:
            return None
        return LatencyFacts(
            feed_to_quote_p50_ms=seen.quantile_ns(0.5) / _NS_PER_MS,
            feed_to_quote_p99_ms=seen.quantile_ns(0.99) / _NS_PER_MS,
            feed_to_quote_max_ms=seen.most_ns / _NS_PER_MS,
            samples=seen.samples,
        )


class _Timed:
    """`engine.venue.Venue` around another."""

    def __init__(self, venue: Venue, watch: LatencyWatch) -> None:
        self._venue, self._watch = venue, watch
        self._event: AnyEvent | None = None

    def events(self) -> Iterator[AnyEvent]:
        for event in self._venue.events():
            self._event = event
            yield event

    def list_instrument(self, row: int, instrument: Instrument) -> None:
        self._venue.list_instrument(row, instrument)

    def submit(self, effects: Effects) -> None:
        self._venue.submit(effects)
        if self._event is not None:
            self._watch.sent(self._event, effects)
