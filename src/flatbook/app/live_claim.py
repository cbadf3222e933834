"""One maker an account, whatever key it has: held by the key before the venue is asked anything, and by the account's
own number as soon as the venue has said it.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from flatbook.store.journal import held_on_server
from flatbook.store.lock import account_lock

_LOOPBACK = ("127.0.0.1", "localhost", "::1")

Claim = Callable[[int], None]
"""Called with the account's number before anything is sent to trade.

Errors      BadInputError where another process has the account
"""


@contextmanager
def claiming(url: str, key_id: str, locks: Path, server: str | None = None) -> Iterator[Claim]:
    """Holds the key for the block, and the account that the claim is called with.

    `locks` as in `store.lock`: against this user's processes on this machine. Where journals are kept on a `server`,
    against every maker that keeps its own there, on whatever machine.

    Errors      BadInputError where another process has the key
    """
    with ExitStack() as held:
        held.enter_context(account_lock("deribit", key_id, locks))

        def claim(account: int) -> None:
            name = f"{books_of(url)} account {account}"
            held.enter_context(account_lock("deribit", name, locks))
            if server is not None:
                in_use = f"{name} is traded by another process, maybe on another machine; stop it first"
                held.enter_context(held_on_server(server, name, in_use))

        yield claim


def books_of(url: str) -> str:
    """Whose numbers accounts have: the venue's, its test net's, or those of a server by its address."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host.endswith(".deribit.com"):
        return "test.deribit.com" if host.startswith("test") else "deribit.com"
    return f"{'127.0.0.1' if host in _LOOPBACK else host}:{parts.port}"
