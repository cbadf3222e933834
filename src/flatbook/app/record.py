"""Recording: a venue's feed, as the market events that a maker would have had, into a session directory."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flatbook.app.feed import KEY, SECRET, FeedTerms, LiveFeed, credentials_of
from flatbook.app.interrupt import interruptible
from flatbook.domain.errors import BadInputError, VenueUnreachableError
from flatbook.domain.events import MarketEvent
from flatbook.domain.units import format_utc
from flatbook.store.recorder import Recorder
from flatbook.store.session import SessionMeta
from flatbook.venues.deribit import load_reference
from flatbook.venues.deribit.client import socket_url


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRequest:
    """What is recorded: a feed, until `seconds` have passed; None is until it is stopped."""

    feed: FeedTerms
    out: Path
    seconds: float | None = None
    licence: str = "the venue's terms apply"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a recording gave: the session's description, and how the line held."""

    meta: SessionMeta
    connects: int
    gaps: int
    unreadable: int
    unknown_fields: dict[str, int]


def record(request: RecordRequest) -> Recorded:
    """Records until the time is up or it is interrupted; then makes the session whole.

    Errors      BadInputError for a directory that cannot be used, or where nothing was heard; VenueUnreachableError
    """
    recording = Recording(request)
    with interruptible(recording.stop):
        return recording.run()


def check_feed(terms: FeedTerms) -> None:
    """Errors before anything is opened.

    Errors      BadInputError
    """
    socket_url(terms.url)
    if terms.interval not in ("raw", "100ms", "agg2"):
        raise BadInputError(f"--interval {terms.interval!r}: use raw (needs a key), 100ms or agg2")
    if terms.interval == "raw" and credentials_of(dict(os.environ)) is None:
        raise BadInputError(f"--interval raw needs a key: set {KEY} and {SECRET}, or use 100ms")


def check_request(request: RecordRequest) -> None:
    """Errors before anything is opened.

    Errors      BadInputError
    """
    check_feed(request.feed)
    if request.seconds is not None and not request.seconds > 0:
        raise BadInputError(f"--for {request.seconds:g}: use more than 0 seconds")


class Recording:
    """One recording: what is heard becomes rows."""

    def __init__(self, request: RecordRequest, heard: Callable[[MarketEvent], None] = lambda event: None) -> None:
        reference = load_reference()
        self._request, self._heard = request, heard
        self._feed = LiveFeed(request.feed, reference)
        self._recorder = Recorder(request.out, reference)
        self._feed.last_local_ns = self._recorder.last_local_ns

    def stop(self) -> None:
        """Nothing is recorded after what was heard last."""
        self._feed.stop()

    def run(self) -> Recorded:
        """Records."""
        try:
            self._feed.open()
            self._take_all()
        except VenueUnreachableError:
            self._recorder.abandon()
            raise
        finally:
            self._feed.close()
        return self._finish()

    def _take_all(self) -> None:
        begun = time.monotonic()
        for event in self._feed.events():
            if isinstance(event, MarketEvent):
                self._recorder.take(event)
                self._heard(event)
                self._recorder.sync()
            if self._request.seconds is not None and time.monotonic() - begun >= self._request.seconds:
                return

    def _finish(self) -> Recorded:
        protocol = self._feed.client.protocol
        self._recorder.set_aside.update(self._feed.set_aside)
        if protocol.connects > 1:
            ended = format_utc(self._recorder.last_local_ns)
            note = f"The line broke {protocol.connects - 1} times before {ended}; what was said meanwhile is missing."
            self._recorder.notes.append(note)
        source = f"Deribit's websocket at {self._feed.client.url}"
        meta = self._recorder.finish(source, self._request.licence)
        gaps = sum(book.gaps for book in protocol.channels.books.values())
        return Recorded(meta, protocol.connects, gaps, self._feed.client.unreadable, dict(protocol.codec.unknown))


def document(recorded: Recorded, out: Path) -> dict[str, Any]:
    """The recording as one JSON document."""
    meta = recorded.meta
    return {
        "session": str(out),
        "span": {"start": meta.span.start, "end": meta.span.end},
        "counts": meta.counts,
        "set_aside": meta.set_aside,
        "connects": recorded.connects,
        "gaps": recorded.gaps,
        "unreadable": recorded.unreadable,
        "unknown_fields": recorded.unknown_fields,
    }
