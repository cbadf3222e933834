"""Names of directories for what is made anew."""

import itertools
import re
from datetime import UTC, datetime
from pathlib import Path


def plain_name(text: str) -> str:
    """`text` with dashes for whatever a run's id may not hold."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)


def stamped_name(parent: Path, name: str) -> str:
    """A name for something new in `parent`: the moment and `name`; numbered where the moment has one already."""
    stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{plain_name(name)}"
    names = itertools.chain([stamp], (f"{stamp}-{number}" for number in itertools.count(2)))
    return next(fresh for fresh in names if not (parent / fresh).exists())
