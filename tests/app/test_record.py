"""A recording over real sockets: the exchange at one end of this machine, a session directory at the other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flatbook.app.exchange import ExchangeRequest
from flatbook.app.feed import FeedTerms, credentials_of
from flatbook.app.record import Recording, RecordRequest, check_request, record
from flatbook.domain.errors import BadInputError, ConfigurationError, VenueUnreachableError
from flatbook.domain.events import ChainQuotes, IndexTick, MarketEvent, TopOfBook
from flatbook.service.exchange.server import HOST
from flatbook.store.check import check_session
from flatbook.store.session import open_session
from flatbook.venues.deribit import load_reference
from flatbook.venues.deribit.client import socket_url
from tests.app.served import nobody_there, served


@pytest.fixture
def venue() -> Iterator[str]:
    with served(ExchangeRequest(seed=3, hours=2)) as (url, _):
        yield url


def test_a_recording_reads_back_as_what_was_heard_and_can_be_replayed(
    venue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERIBIT_API_KEY", "flatbook")
    monkeypatch.setenv("DERIBIT_API_SECRET", "flatbook")
    heard: list[MarketEvent] = []
    out = tmp_path / "session"
    feed = FeedTerms(url=venue, chain_every_s=0.5, on_venue_clock=True)

    def hear(event: MarketEvent) -> None:
        heard.append(event)
        # Not by the clock: a busy machine may hear nothing for seconds.
        if len(heard) > 30 and {IndexTick, TopOfBook, ChainQuotes} <= {type(each) for each in heard}:
            recording.stop()

    recording = Recording(RecordRequest(feed=feed, out=out, seconds=40.0), hear)
    recorded = recording.run()
    assert (recorded.connects, recorded.unreadable, recorded.unknown_fields) == (1, 0, {})
    session = open_session(out)
    read = list(session.market_events(session.from_ns, session.to_ns, load_reference()))
    assert [repr(event) for event in read] == [repr(event) for event in heard]
    assert {IndexTick, TopOfBook, ChainQuotes} <= {type(event) for event in heard}
    assert check_session(out, load_reference()).is_usable
    assert "flatbook:flatbook" not in (out / "session.toml").read_text(encoding="utf-8")


def test_a_venue_that_is_not_there_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flatbook.app.feed.CONNECT_S", 0.2)
    with pytest.raises(VenueUnreachableError, match=r"no connection within 0\.2 s"):
        record(RecordRequest(feed=FeedTerms(url=nobody_there()), out=tmp_path / "session", seconds=5))
    assert not (tmp_path / "session").exists()


def test_what_cannot_be_recorded_is_said_before_anything_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DERIBIT_API_KEY", raising=False)
    monkeypatch.delenv("DERIBIT_API_SECRET", raising=False)
    out, ours = tmp_path / "session", f"ws://{HOST}:1"
    for url, interval, seconds, said in (
        ("ws://www.deribit.com", "100ms", None, "not encrypted"),
        ("https://www.deribit.com", "100ms", None, "no websocket address"),
        (ours, "raw", None, "needs a key"),
        (ours, "1s", None, "100ms or agg2"),
        (ours, "100ms", 0.0, "more than 0 seconds"),
    ):
        with pytest.raises(BadInputError, match=said):
            check_request(RecordRequest(feed=FeedTerms(url=url, interval=interval), out=out, seconds=seconds))
    assert socket_url("wss://test.deribit.com") == "wss://test.deribit.com/ws/api/v2"


def test_an_address_with_a_password_in_it_is_refused_and_not_shown() -> None:
    with pytest.raises(BadInputError, match="no user and no password") as refused:
        socket_url("wss://me:wh1sper@test.deribit.com/ws/api/v2")
    assert "wh1sper" not in f"{refused.value}"


def test_half_a_key_is_an_error_and_a_whole_one_is_never_shown() -> None:
    with pytest.raises(ConfigurationError, match="DERIBIT_API_SECRET is not set"):
        credentials_of({"DERIBIT_API_KEY": "me"})
    assert credentials_of({}) is None
    assert "S3CRET" not in repr(credentials_of({"DERIBIT_API_KEY": "me", "DERIBIT_API_SECRET": "S3CRET"}))
