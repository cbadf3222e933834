"""Downloads in, sessions out: what a file is, is told by its columns."""

from pathlib import Path

from flatbook.domain.errors import BadInputError
from flatbook.domain.reference import ReferenceData
from flatbook.store.importers import binance_l2, chain_table, deribit_screener, tardis
from flatbook.store.importers.formats import Format, recognise
from flatbook.store.importers.recording import write
from flatbook.store.session import SessionMeta

UNSTATED_LICENCE = "not stated; ask the source before you publish any of it"


def import_session(
    place: Path,
    out: Path,
    reference: ReferenceData,
    *,
    licence: str = UNSTATED_LICENCE,
    keep_file_order: bool = False,
) -> SessionMeta:
    """Turns the download in `place` (a folder or a file) into the session directory `out`, whole or not at all.

    Rows that cannot be used are set aside and counted in what is given back. `keep_file_order` leaves trades without
    an id in the file's order inside a minute (see `minute_clock`).

    Errors      BadInputError where no format explains the files, one is not whole, or `out` already holds something
    """
    found = recognise(place)
    if found.of(Format.SCREENER_TRADES, Format.SCREENER_CHAIN):
        recording = deribit_screener.read(found, place, reference, keep_file_order=keep_file_order)
    elif found.of(Format.TARDIS_TRADES, Format.TARDIS_CHAIN, Format.TARDIS_QUOTES):
        recording = tardis.read(found, reference)
    elif streams := found.of(Format.BINANCE_STREAMS):
        recording = binance_l2.read(streams)
    elif tables := found.of(Format.CHAIN_TABLE):
        candles = found.of(Format.CHAIN_PERPETUALS), found.of(Format.CHAIN_FUTURES)
        recording = chain_table.read(tables, reference, *candles)
    else:
        raise BadInputError(f"{place}: no recording we know; recognised by columns are {'; '.join(Format)}")
    return write(recording, out, licence)
