"""From a path to its chains: the format, its rows, and which of them are used."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from flatbook.domain.errors import BadInputError
from flatbook.store.chains import bulk_table, tickers
from flatbook.store.chains.chain_file import ChainFile
from flatbook.store.chains.quotes import Quotes
from flatbook.store.chains.sift import sift
from flatbook.store.source_table import header


class _Layout(NamedTuple):
    """A table that we know: how we call it, the columns it is told by, and its reader."""

    name: str
    needs: frozenset[str]
    read: Callable[[Path], Quotes]


_TABLES = (
    _Layout("Deribit chain table", bulk_table.NEEDS, bulk_table.read),
    _Layout("Deribit tickers", tickers.NEEDS, tickers.read),
)


def read_chains(path: Path) -> ChainFile:
    """The chains in `path`.

    Errors      BadInputError where there is no such file, no format explains it, it is not whole, or no row is usable
    """
    if not path.is_file():
        raise BadInputError(f"{path}: no such file; give a chain file")
    name, quotes = _read(path)
    sifted = sift(quotes)
    if not sifted.histories:
        why = ", ".join(f"{count:,} {reason}" for reason, count in sorted(sifted.left_out.items())) or "it has no row"
        raise BadInputError(f"{path}: {name}, and no option in it is usable ({why})")
    notes = (*quotes.notes, quotes.beside_note) if sifted.joined else quotes.notes
    return ChainFile(path, name, sifted.taken, dict(sorted(sifted.left_out.items())), notes, sifted.histories)


def _read(path: Path) -> tuple[str, Quotes]:
    columns = header(path)
    for layout in _TABLES:
        if layout.needs <= set(columns):
            return layout.name, layout.read(path)
    raise BadInputError(
        f"{path}: no chain file we know by its columns ({', '.join(columns)}); give Tardis options_chain, Deribit "
        "tickers (JSON), or a table with instrument names and bid, ask or mark prices or vols"
    )
