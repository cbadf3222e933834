"""What lies beside a chain file, told by its columns."""

from pathlib import Path

from flatbook.domain.errors import BadInputError
from flatbook.store.source_table import header

_SUFFIXES = (".parquet", ".csv", ".csv.gz")


def tables_beside(path: Path, needs: frozenset[str], without: frozenset[str] = frozenset()) -> list[Path]:
    """The tables in the folder of `path` that have all columns of `needs` and none of `without`, in name order."""
    found = []
    for other in sorted(path.parent.iterdir()):
        if other != path and other.name.endswith(_SUFFIXES) and other.is_file():
            columns = _columns(other)
            if needs <= columns and not without & columns:
                found.append(other)
    return found


def _columns(path: Path) -> frozenset[str]:
    """A neighbour that cannot be read is not what was asked for: nothing of it."""
    try:
        return frozenset(header(path))
    except BadInputError:
        return frozenset()
