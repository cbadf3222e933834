"""The feed as an iterator, over real sockets."""

import logging
import signal
import threading
from collections.abc import Iterable
from itertools import pairwise

import pytest

from flatbook.app.exchange import ExchangeRequest
from flatbook.app.feed import FeedTerms, LiveFeed
from flatbook.domain.errors import VenueUnreachableError
from flatbook.domain.events import AnyEvent, ChainQuotes, Clock, IndexTick, OrderAccepted
from flatbook.venues.deribit import load_reference
from flatbook.venues.deribit.client_actions import Told
from flatbook.venues.deribit.client_requests import Asked
from tests.app.served import nobody_there, served

PERPETUAL = "BTC-PERPETUAL"


class Own:
    """Makes one event of every private word."""

    def __init__(self) -> None:
        self.channels: list[str] = []
        self.answers: list[Asked] = []

    def told(self, told: Told, local_ts_ns: int) -> Iterable[AnyEvent]:
        self.channels.append(told.message.channel)
        return [OrderAccepted(exch_ts_ns=local_ts_ns, local_ts_ns=local_ts_ns, order_id=told.message.channel)]

    def settled(self, asked: Asked, local_ts_ns: int) -> Iterable[AnyEvent]:
        self.answers.append(asked)
        return [OrderAccepted(exch_ts_ns=local_ts_ns, local_ts_ns=local_ts_ns, order_id=asked.method)]


def test_what_is_told_to_us_alone_comes_in_its_place_among_the_market(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERIBIT_API_KEY", "flatbook")
    monkeypatch.setenv("DERIBIT_API_SECRET", "flatbook")
    own = Own()
    with served(ExchangeRequest(seed=3, hours=2)) as (url, _):
        feed = LiveFeed(FeedTerms(url=url, on_venue_clock=True), load_reference(), own)
        feed.open()
        try:
            assert feed.ask("private/get_account_summary", {"currency": "BTC"}).error is None
            feed.client.subscribe([f"user.orders.{PERPETUAL}.raw"])
            order = {"instrument_name": PERPETUAL, "amount": 10.0, "type": "limit", "price": 1000.0}
            feed.client.post("private/buy", order)
            events: list[AnyEvent] = []
            for event in feed.events():
                events.append(event)
                kinds = {type(each) for each in events}
                if own.channels and own.answers and {IndexTick, ChainQuotes} <= kinds:
                    feed.stop()
        finally:
            feed.close()
    # Awaited answers are not told again.
    assert [each.method for each in own.answers] == ["private/buy"]
    assert own.channels[0] == f"user.orders.{PERPETUAL}.raw"
    assert all(before.local_ts_ns <= after.local_ts_ns for before, after in pairwise(events))
    # On the venue's clock nothing is known before it happens.
    assert all(event.exch_ts_ns <= event.local_ts_ns for event in events)
    chain = next(event for event in events if isinstance(event, ChainQuotes))
    assert sum(event.local_ts_ns == chain.local_ts_ns for event in events) == 1


def test_where_nothing_is_heard_the_clock_is_and_listeners_come_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr("flatbook.app.feed.QUIET_S", 0.1)
    monkeypatch.setattr("flatbook.app.feed._TEND_S", 0.1)
    with served(ExchangeRequest(seed=3, hours=1)) as (url, api):
        feed = LiveFeed(FeedTerms(url=url, on_venue_clock=True), load_reference())
        feed.open()
        first = next(iter(feed.events()))
        gone = next(name for name in feed.client.protocol.channels.wanted if name.endswith("-C.100ms"))
        feed.client.unsubscribe([gone])
        assert gone not in feed.client.protocol.channels.wanted
        # As at a break of the line: what is listed is asked for again, and this one is listed.
        feed.client.protocol.connects += 1
        for _event in feed.events():
            if gone in feed.client.protocol.channels.heard_ns:
                break
        monkeypatch.setattr(api, "advance", lambda now_ns: None)
        quiet = next(event for event in feed.events() if isinstance(event, Clock))
        feed.close()
    assert first.local_ts_ns < quiet.local_ts_ns == quiet.exch_ts_ns <= feed.last_local_ns


def test_a_signal_ends_the_wait_and_nobody_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flatbook.app.feed.CONNECT_S", 0.3)
    feed = LiveFeed(FeedTerms(url=nobody_there()), load_reference())
    with pytest.raises(VenueUnreachableError, match=r"no connection within 0\.3 s"):
        feed.open()
    monkeypatch.setattr("flatbook.app.feed.CONNECT_S", 15.0)
    monkeypatch.setattr("flatbook.app.feed.QUIET_S", 60.0)
    with served(ExchangeRequest(seed=3, hours=1)) as (url, api):
        feed = LiveFeed(FeedTerms(url=url), load_reference())
        before = signal.signal(signal.SIGUSR1, lambda _number, _frame: feed.stop())
        try:
            feed.open()
            monkeypatch.setattr(api, "advance", lambda now_ns: None)
            threading.Timer(0.3, signal.raise_signal, (signal.SIGUSR1,)).start()
            assert len(list(feed.events())) < 10_000
        finally:
            signal.signal(signal.SIGUSR1, before)
            feed.close()
