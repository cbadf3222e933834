"""A market heard while it happens, and kept in the run's own directory before anybody acts on it.

RUN/session/        its recording: the run is replayed from there, and from the clock's events in its journal
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from flatbook.app.request import RunRequest
from flatbook.domain.errors import BadInputError
from flatbook.domain.events import AnyEvent, Clock, MarketEvent
from flatbook.domain.reference import ReferenceData
from flatbook.store.journal import Journal
from flatbook.store.recorder import Recorder
from flatbook.store.session import META_FILE, SessionMeta
from flatbook.venues.deribit import load_reference

if TYPE_CHECKING:
    from flatbook.app.feed import LiveFeed  # a run that hears nothing starts without a socket's libraries

SESSION_DIRECTORY = "session"
LICENCE = "the venue's terms apply"


class Heard:
    """A feed's events until `to_ns`, each on its way to the disk before it is given on."""

    def __init__(self, feed: "LiveFeed", directory: Path, reference: ReferenceData, to_ns: int) -> None:
        self._feed, self._directory, self._reference, self._to_ns = feed, directory, reference, to_ns
        self._recorder: Recorder | None = None

    def events(self) -> Iterator[AnyEvent]:
        """As `LiveFeed.events`; what is no event of the market is not recorded."""
        recorder = self._recorder = Recorder(self._directory, self._reference)
        for event in self._feed.events():
            if event.local_ts_ns >= self._to_ns:
                return
            if isinstance(event, MarketEvent):
                recorder.take(event)
                recorder.sync()
            yield event

    def market_events(self) -> Iterator[MarketEvent | Clock]:
        """Those of the market, and the clock."""
        for event in self.events():
            if isinstance(event, MarketEvent | Clock):
                yield event

    def close(self) -> None:
        """Makes the recording whole."""
        if self._recorder is not None and self._recorder.last_local_ns:
            self._recorder.set_aside.update(self._feed.set_aside)
            self._recorder.finish(source_of(self._feed.client.url), LICENCE)


def source_of(url: str) -> str:
    """What a recording's session.toml says of where it comes from."""
    return f"Deribit's websocket at {url}"


def made_whole(request: RunRequest, run: Path) -> SessionMeta | None:
    """Ends the recording of a run that was killed; None where there is nothing to be done.

    Errors      BadInputError where the run goes on, or its recording is damaged
    """
    session = run / SESSION_DIRECTORY
    if request.heard_at is None or not (session / "recording").is_dir():
        return None
    return Recorder(session, load_reference()).finish(source_of(request.heard_at), LICENCE)


def replayed_from(request: RunRequest, run: Path, moved: str | None) -> str | None:
    """The session that a run is made from again: `moved`, where it was said, else what it was begun with.

    Errors      BadInputError where a run's own recording is not whole
    """
    if request.heard_at is None or moved is not None:
        return moved
    session = run / SESSION_DIRECTORY
    if not (session / META_FILE).exists():
        raise BadInputError(
            f"{session}: not whole yet: the run goes on, or was killed; `flatbook run --resume {run}` makes it whole"
        )
    return str(session)


def heard_clocks(request: RunRequest, journal: Journal) -> list[Clock]:
    """The clock's events that a run heard: its recording has none."""
    if request.heard_at is None:
        return []
    return [event for _, event in journal.inbox() if isinstance(event, Clock)]
