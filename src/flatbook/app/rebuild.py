"""A run's report made anew from its journal and the session that it names."""

import time
from pathlib import Path

from flatbook.app.compose import compose_again
from flatbook.app.conduct import conduct
from flatbook.app.finish import Finished, finish
from flatbook.store.journal import Journal
from flatbook.store.run_directory import open_run_directory


def rebuilt(path: Path, session: str | None = None) -> Finished:
    """The run in directory `path` as far as its journal reaches; it may have ended, been cut off, or still be going.

    `session` says where its session lies, if that has moved.

    Errors      BadInputError where the journal is damaged or the session is not what it was; ReplayDivergedError where
                the replay does not come to what the journal holds
    """
    started = time.monotonic()
    with Journal.read(open_run_directory(path).journal) as journal:
        header, last = journal.header, journal.last_checkpoint()
        request, market, engine = compose_again(header, session)
        if last is not None:
            conduct(engine, market.venue, journal, lambda _event: engine.state.events < last.event_seq)
    return finish(engine, request, market, header.run_id, header.version, time.monotonic() - started)
