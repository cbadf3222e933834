"""The key of a live maker: from the environment or a file that is its owner's alone, and never written anywhere."""

import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from flatbook.app.feed import KEY, SECRET, LiveFeed, credentials_of
from flatbook.domain.errors import BadInputError, ConfigurationError
from flatbook.venues.deribit.client import outcome_error
from flatbook.venues.deribit.codec import result_of
from flatbook.venues.deribit.codec_account import OwnName
from flatbook.venues.deribit.codec_requests import Credentials

TRADES, GUARDS, WITHDRAWS = "trade:read_write", "account:read_write", "wallet:read_write"
"""`GUARDS` is what the venue asks of whoever wants orders cancelled when his line breaks."""


def live_key(environment: Mapping[str, str], key_file: Path | None) -> Credentials:
    """The key to trade with: the file's where one is named, else the environment's.

    Errors      ConfigurationError where there is none, or half of one; BadInputError for a file that others may read
    """
    source = dict(environment) if key_file is None else read_key_file(key_file)
    credentials = credentials_of(source)
    if credentials is None:
        where = f"set {KEY} and {SECRET}, or name a --key-file" if key_file is None else f"write {KEY} and {SECRET}"
        raise ConfigurationError(f"{key_file or 'live'}: no key to trade with; {where}")
    return credentials


def read_key_file(path: Path) -> dict[str, str]:
    """The lines `DERIBIT_API_KEY=...` and `DERIBIT_API_SECRET=...` of a file; nothing of it is ever shown.

    Errors      BadInputError where it cannot be read, is readable by others, or has another line
    """
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise BadInputError(f"--key-file {path}: cannot be read; name a text file of yours") from None
    if sys.platform != "win32" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadInputError(f"--key-file {path}: others may read it (mode {stat.S_IMODE(mode):04o}); chmod 600 it")
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, equals, value = line.partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not equals or name.strip() not in (KEY, SECRET):
            raise BadInputError(f"--key-file {path}: line {number} is neither {KEY}=... nor {SECRET}=...")
        found[name.strip()] = value.strip()
    return found


def refuse_scope(scope: Iterable[str]) -> None:
    """A key that can do more than it needs, or less.

    Errors      BadInputError where it can withdraw, or cannot trade
    """
    granted = set(scope)
    if WITHDRAWS in granted:
        raise BadInputError(
            f"the key can withdraw ({WITHDRAWS}); nothing was sent with it: make one with {TRADES}, {GUARDS} "
            "and no wallet"
        )
    for needed, what in ((TRADES, "cannot trade"), (GUARDS, "cannot have its orders cancelled when the line breaks")):
        if needed not in granted:
            raise BadInputError(f"the key {what}: it needs {needed}, and has {', '.join(sorted(granted)) or 'nothing'}")


def account_number(feed: LiveFeed, currency: str) -> int:
    """The number of the account, or subaccount, that the key is of: every key of one has the same.

    Errors      BadInputError where the venue does not say it
    """
    asked = feed.ask("private/get_account_summary", {"currency": currency, "extended": True})
    why = outcome_error(asked)
    if asked.answer is None or why:
        raise BadInputError(
            f"{feed.client.url}: which account the key is of is not known, and so not who trades it: {why}"
        )
    return result_of(asked.answer, OwnName).id
