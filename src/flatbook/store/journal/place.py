"""Where a run's journal is: in a file in its directory, or in PostgreSQL, which the directory then says by a file.

A URL's password is written nowhere: the file says who and where, and the password comes again with the URL, from
FLATBOOK_JOURNAL, or from where PostgreSQL's own programs take it (PGPASSWORD, ~/.pgpass).
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from flatbook.domain.errors import BadInputError
from flatbook.store.atomic import write_text
from flatbook.store.journal.database import DatabaseFailedError, InUseError
from flatbook.store.journal.journal import Journal, stored
from flatbook.store.journal.rows import RunHeader
from flatbook.store.journal.sqlite import JOURNAL_FILE
from flatbook.store.lock import RunLock
from flatbook.store.toml_text import to_toml

if TYPE_CHECKING:
    from flatbook.store.journal.postgres import PostgresDatabase

PLACE_FILE = "journal.toml"
URL_VARIABLE = "FLATBOOK_JOURNAL"
IN_FILE = "sqlite"
_MASK = "***"
_SCHEMES = ("postgresql", "postgres")
_SECRETS = re.compile("password|passfile|sslkey", re.IGNORECASE)


def create_journal(run: Path, header: RunHeader, url: str | None = None) -> Journal:
    """A new journal for the run in directory `run`: in PostgreSQL at `url`, or in a file for None and `sqlite`.

    Errors      BadInputError where there is one already, the URL is none, or the server refuses
    """
    if url is None or url == IN_FILE:
        return Journal.create(run / JOURNAL_FILE, header)
    place, lock = _checked(url), RunLock(run)
    try:
        with _server(place, _in_use(header.run_id)):
            database = _postgres().create(url, place, header.run_id, stored(header))
        if database is None:
            raise BadInputError(f"{place} holds a run {header.run_id} already; resume it, or begin another")
    except BadInputError:
        lock.release()
        raise
    write_text(run / PLACE_FILE, to_toml({"url": _without_secrets(url), "run_id": header.run_id}))
    return Journal(database, header, lock)


def open_journal(run: Path, url: str | None = None) -> Journal:
    """The journal of the run in directory `run`, to be continued. Where it is, the directory knows; `url` says how to
    come to its server where what the directory and the environment say is not enough.

    Errors      BadInputError where there is none, it is damaged, another process writes it, or the server refuses
    """
    found = _found(run, url)
    if found is None:
        return Journal.open(run / JOURNAL_FILE)
    lock, (url, place, run_id) = RunLock(run), found
    try:
        with _server(place, _in_use(run_id)):
            database = _postgres().open(url, place, run_id)
        return Journal.taken_up(database, lock)
    except BadInputError:
        lock.release()
        raise


def read_journal(run: Path, url: str | None = None) -> Journal:
    """The same to look at, whether or not its run is still going; nothing is changed.

    Errors      BadInputError where there is none, it is damaged, or the server refuses
    """
    found = _found(run, url)
    if found is None:
        return Journal.read(run / JOURNAL_FILE)
    url, place, run_id = found
    with _server(place, _in_use(run_id)):
        database = _postgres().read(url, place, run_id)
    return Journal.taken_up(database, None)


def server_url(url: str | None, run: Path | None = None) -> str | None:
    """The server of a journal: of a run that is begun with `url`, or of the one in directory `run`; None for a file."""
    if run is None:
        return None if url == IN_FILE else url
    found = _found(run, url)
    return None if found is None else found[0]


@contextmanager
def held_on_server(url: str, name: str, in_use: str) -> Iterator[None]:
    """Holds a name on the server for the block: whoever else asks for it there, from any machine, is refused.

    Errors      BadInputError, saying `in_use`, where another process holds it; or the server refuses
    """
    with ExitStack() as held:
        with _server(_checked(url), in_use):
            held.enter_context(_postgres().hold_name(url, name))
        yield


def has_journal(run: Path) -> bool:
    """Whether `run` is the directory of a run."""
    return (run / JOURNAL_FILE).is_file() or (run / PLACE_FILE).is_file()


def masked_url(url: str) -> str:
    """A URL as it may be written: whatever in it is secret is `***`."""
    return _mapped(url, lambda _secret: _MASK)


def _without_secrets(url: str) -> str:
    return _mapped(url, lambda _secret: None)


def _mapped(url: str, say: Callable[[str], str | None]) -> str:
    parts = urlsplit(url)
    who, at, where = parts.netloc.rpartition("@")
    user, colon, password = who.partition(":")
    if colon:
        said = say(password)
        who = user if said is None else f"{user}:{said}"
    asked = [(key, say(value) if _SECRETS.search(key) else value) for key, value in parse_qsl(parts.query)]
    query = urlencode([(key, value) for key, value in asked if value is not None], safe="/*")
    return urlunsplit(SplitResult(parts.scheme, f"{who}{at}{where}", parts.path, query, ""))


def _found(run: Path, url: str | None) -> tuple[str, str, str] | None:
    """The URL to use, the same for messages, and the run's id; None where the journal is in a file."""
    file = run / PLACE_FILE
    if not file.is_file():
        return None
    try:
        kept = tomllib.loads(file.read_text(encoding="utf-8"))
        known, run_id = str(kept["url"]), str(kept["run_id"])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError) as error:
        raise BadInputError(f"{file}: does not say where the journal is ({error}); restore it from a copy") from None
    asked = url or os.environ.get(URL_VARIABLE) or known
    used = known if asked == IN_FILE else asked
    return used, _checked(used), run_id


def _checked(url: str) -> str:
    """The URL for messages.

    Errors      BadInputError, in which the URL is not, where it is none of PostgreSQL
    """
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in _SCHEMES and (parts.port is None or parts.port > 0)
    except ValueError:
        is_one = False
    if not is_one:
        raise BadInputError("--journal: not a URL of PostgreSQL; use postgresql://USER@HOST/DATABASE, or sqlite")
    if "@" in parts.path + parts.query or parts.fragment:
        # A password's own sign may stand where the host should: nothing of such a URL can be shown.
        raise BadInputError("--journal: in a password write @ as %40, / as %2F, ? as %3F, # as %23, : as %3A")
    return masked_url(url)


@contextmanager
def _server(place: str, in_use: str) -> Iterator[None]:
    """A server's refusals as lines for people."""
    try:
        yield
    except InUseError:
        raise BadInputError(f"{place}: {in_use}") from None
    except DatabaseFailedError as error:
        raise BadInputError(
            f"{place}: {error}; see that the server runs and lets you in (--journal, FLATBOOK_JOURNAL, PGPASSWORD)"
        ) from None


def _in_use(run_id: str) -> str:
    return f"run {run_id} is in use by another process; wait for it, or stop it"


def _postgres() -> "type[PostgresDatabase]":
    # A run that keeps its journal in a file needs neither library.
    try:
        from flatbook.store.journal.postgres import PostgresDatabase
    except ImportError as error:
        raise BadInputError(
            f"--journal: a journal in PostgreSQL needs {error.name}, which is not installed; "
            "run: pip install 'flatbook[postgres]'"
        ) from None
    return PostgresDatabase
