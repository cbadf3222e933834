"""Names of directories for what is made anew."""

import itertools
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path


def plain_name(text: str) -> str:
    """`text` with dashes for whatever a run's id may not hold."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)


def stamped_name(parent: Path, name: str, *, is_shared: bool = False) -> str:
    """A name for something new in `parent`: the moment and `name`; numbered where the moment has one already.

    What is kept with that of others (`is_shared`), who cannot be seen, has a few drawn letters besides.
    """
    stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{plain_name(name)}"
    if is_shared:
        stamp += f"-{secrets.token_hex(3)}"
    names = itertools.chain([stamp], (f"{stamp}-{number}" for number in itertools.count(2)))
    return next(fresh for fresh in names if not (parent / fresh).exists())
