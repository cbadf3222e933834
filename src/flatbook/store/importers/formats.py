"""What a file is, told by its columns or its first line and never by its name."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from flatbook.domain.errors import BadInputError
from flatbook.store.chains import bulk_table, screener, tardis
from flatbook.store.importers import binance_l2
from flatbook.store.source_table import header


class Format(StrEnum):
    """The recordings we can read; the value is how we name each to the user."""

    SCREENER_TRADES = "Deribit screener trades"
    SCREENER_CHAIN = screener.NAME
    SPOT_BARS = "Binance spot bars"
    FUNDING_PERCENT = "funding history, rate as text in percent"
    FUNDING_DECIMAL = "funding history, rate as a decimal"
    TARDIS_TRADES = "Tardis trades"
    TARDIS_CHAIN = tardis.NAME
    TARDIS_QUOTES = "Tardis quotes"
    TARDIS_TICKER = "Tardis derivative_ticker"
    CHAIN_TABLE = bulk_table.NAME
    CHAIN_PERPETUALS = "perpetual candles beside a Deribit chain table"
    CHAIN_FUTURES = "dated futures' candles beside a Deribit chain table"
    BINANCE_STREAMS = "Binance streams of depth and trades, a line each"


_COLUMNS: dict[Format, frozenset[str]] = {
    Format.SCREENER_TRADES: frozenset(
        {"Side", "Instrument", "IV (%)", "Size", "Underlying Price", "Entry Date", "Price (USD)"}
    ),
    Format.SCREENER_CHAIN: screener.NEEDS,
    Format.SPOT_BARS: frozenset({"open_time", "open", "high", "low", "close", "close_time"}),
    Format.FUNDING_PERCENT: frozenset({"Time", "Contracts", "Funding Interval", "Funding Rate"}),
    Format.FUNDING_DECIMAL: frozenset({"Symbol", "Date", "Funding Rate"}),
    Format.TARDIS_TRADES: tardis.IDENTITY | {"id", "side", "price", "amount"},
    Format.TARDIS_CHAIN: tardis.NEEDS,
    Format.TARDIS_QUOTES: tardis.IDENTITY | {"bid_price", "ask_price", "bid_amount", "ask_amount"},
    Format.TARDIS_TICKER: tardis.IDENTITY | {"index_price", "mark_price", "funding_rate"},
    Format.CHAIN_TABLE: bulk_table.NEEDS,
    Format.CHAIN_PERPETUALS: frozenset(bulk_table.PERPETUALS),
    Format.CHAIN_FUTURES: frozenset(bulk_table.FUTURES),
}
_SUFFIXES = (".parquet", ".csv", ".csv.gz")


@dataclass(frozen=True, slots=True)
class Recognised:
    """The files of a place by format, in name order, and those no format explains."""

    files: dict[Format, list[Path]]
    unknown: list[Path]

    def of(self, *formats: Format) -> list[Path]:
        """The files of any of `formats`."""
        return [path for kind in formats for path in self.files.get(kind, [])]


def recognise(place: Path) -> Recognised:
    """What the file `place`, or each file directly in the folder `place`, is.

    Errors      BadInputError where there is no such place, or a file's header cannot be read
    """
    if not place.exists():
        raise BadInputError(f"{place}: no such file or directory; give the folder or file that was downloaded")
    candidates = sorted(place.iterdir()) if place.is_dir() else [place]
    found = Recognised({}, [])
    for path in candidates:
        if path.is_file() and path.name.endswith(binance_l2.SUFFIXES):
            if binance_l2.is_stream(path):
                found.files.setdefault(Format.BINANCE_STREAMS, []).append(path)
            else:
                found.unknown.append(path)
        elif path.is_file() and path.name.endswith(_SUFFIXES):
            kind = _format_of(header(path))
            if kind is None:
                found.unknown.append(path)
            else:
                found.files.setdefault(kind, []).append(path)
    return found


def _format_of(columns: list[str]) -> Format | None:
    have = frozenset(columns)
    return next((kind for kind, needed in _COLUMNS.items() if needed <= have), None)
