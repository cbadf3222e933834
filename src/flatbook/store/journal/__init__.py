"""The journal of a run: what came in, and a rolling digest of what went out. Append-only; the truth of the run.

    header       what the run is: configuration, version, policy, seed, and the session it reads, by digest
    inbox        events that the session does not hold (fills, acknowledgements; for a live run every event)
    checkpoint   after which event, when, which rows of the inbox by then, and the digest of all that went out

Written ahead: `append` and `checkpoint` buffer, `commit` makes them last, and the caller commits before the effects
leave. Every row's checksum is started from the row before, a checkpoint's from the inbox's too: none can be changed,
swapped or taken out unseen. What fails in the last record is torn: it is dropped, and `Journal.recovered` says so.
Damage before that is refused with its place.

`place` says where the rows are: in a file of SQLite in the run's directory, or in PostgreSQL.
"""

from flatbook.store.journal.journal import Journal
from flatbook.store.journal.place import (
    create_journal,
    has_journal,
    held_on_server,
    masked_url,
    open_journal,
    read_journal,
    server_url,
)
from flatbook.store.journal.rows import FORMAT_VERSION, Checkpoint, RunHeader
from flatbook.store.journal.sqlite import JOURNAL_FILE

__all__ = [
    "FORMAT_VERSION",
    "JOURNAL_FILE",
    "Checkpoint",
    "Journal",
    "RunHeader",
    "create_journal",
    "has_journal",
    "held_on_server",
    "masked_url",
    "open_journal",
    "read_journal",
    "server_url",
]
