"""Binance's raw streams, a line a message: our time in nanoseconds, a space, the JSON; the REST book among them.

What a file records is told by its messages: COIN-M names a pair (`ps`), USD-M chains its differences (`pu`), spot does
neither. Differences follow one another by their update ids (futures: `pu` is the `u` before; spot: `U` is one more);
the snapshot takes its place among them by `lastUpdateId`. Best prices (bookTicker) say what levels say a little later;
they are not kept.

**Clocks.** A recorder may be behind the venue, so that messages arrive before they were sent. Its clock is then set
forward until the fastest message of all files takes no time: delays are what a message took longer than the fastest.
"""

from __future__ import annotations

import gzip
import re
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from flatbook.domain.errors import BadInputError
from flatbook.kernels import l2_layout as at
from flatbook.store.importers.recording import Recording
from flatbook.store.session import BookContract
from flatbook.store.tables import BOOKS

NAME = "Binance streams"
VENUE = "binance"
SUFFIXES = (".jsonl", ".jsonl.gz")

_LINE = re.compile(rb"([0-9]{19}) (\{.*\})\s*")
_NS_PER_MS = 1_000_000
_DECIMALS = 9
_USD_A_CONTRACT = {"BTC": 100}
_USD_A_CONTRACT_ELSE = 10
_QUOTES = ("USDT", "USDC")

Level = tuple[float, float]


class _Message(msgspec.Struct):
    """The fields we use of depth differences, trades and best prices, in Binance's letters."""

    s: str
    e: str = ""
    E: int = 0
    T: int = 0
    ps: str = ""
    U: int = 0
    u: int = 0
    pu: int = 0
    t: int = 0
    m: bool = False
    X: str = "MARKET"
    b: list[Level] | float = 0.0
    a: list[Level] | float = 0.0
    p: float = 0.0
    q: float = 0.0


class _Line(msgspec.Struct):
    """A stream's message, or the snapshot from REST."""

    data: _Message | None = None
    lastUpdateId: int = 0  # noqa: N815 (Binance's name)
    T: int = 0
    bids: list[Level] = []
    asks: list[Level] = []


_DECODER = msgspec.json.Decoder(_Line, strict=False)


def is_stream(path: Path) -> bool:
    """Whether the file's first line is a time and a message."""
    try:
        first = next(iter(_lines(path)), b"")
    except BadInputError:
        return False
    return _LINE.fullmatch(first) is not None


@dataclass(slots=True)
class _Market:
    """What one market's files have told so far; a list of rows in the making."""

    recording: Recording
    exch_ms: array[int] = field(default_factory=lambda: array("q"))
    local_ns: array[int] = field(default_factory=lambda: array("q"))
    what: array[int] = field(default_factory=lambda: array("b"))
    price: array[float] = field(default_factory=lambda: array("d"))
    size: array[float] = field(default_factory=lambda: array("d"))
    last_id: int = 0
    is_whole: bool = False
    waiting: list[_Message] = field(default_factory=list)
    trades: set[int] = field(default_factory=set)
    kind: str = ""
    symbol: str = ""
    base: str = ""
    quote: str = ""

    @property
    def name(self) -> str:
        """The instrument's name in the house's language."""
        head = self.base if self.kind == "COIN-M" else f"{self.base}_{self.quote}"
        return head if self.kind == "spot" else f"{head}-PERPETUAL"

    def row(self, exch_ms: int, local_ns: int, what: int, price: float, size: float) -> None:
        self.exch_ms.append(exch_ms)
        self.local_ns.append(local_ns)
        self.what.append(what)
        self.price.append(price)
        self.size.append(size)

    def trade(self, message: _Message, local_ns: int) -> None:
        if message.X != "MARKET":
            self.recording.set_aside["trade outside the market (insurance fund, deleveraging)"] += 1
        elif message.t in self.trades:
            self.recording.set_aside["trade that repeats another's id"] += 1
        else:
            self.trades.add(message.t)
            self.row(message.T, local_ns, at.SELL_PRINT if message.m else at.BUY_PRINT, message.p, message.q)

    def difference(self, message: _Message, local_ns: int) -> None:
        if not self.is_whole:
            self.waiting.append(message)
            return
        follows = message.pu == self.last_id if self.kind != "spot" else self.last_id + 1 == message.U
        if self.last_id and not follows:
            self.recording.set_aside["hole in the update ids: no book until the next snapshot"] += 1
            self.is_whole = False
            self.waiting = [message]
            self._clear(message.T or message.E, local_ns)
            return
        self._apply(message, message.T or message.E, local_ns)

    def snapshot(self, line: _Line, local_ns: int) -> None:
        """The whole book, and on it the differences that came before it and are newer than it."""
        newer = [message for message in self.waiting if message.u > line.lastUpdateId]
        if len(newer) < len(self.waiting):
            older = len(self.waiting) - len(newer)
            self.recording.set_aside["depth that the snapshot after it holds as well"] += older
        exch_ms = line.T or max((message.E for message in self.waiting), default=local_ns // _NS_PER_MS)
        self._clear(exch_ms, local_ns)
        for levels, what in ((line.bids, at.BID), (line.asks, at.ASK)):
            for price, size in levels:
                self.row(exch_ms, local_ns, what, price, size)
        self.waiting, self.is_whole, self.last_id = [], True, 0
        for message in newer:
            self._apply(message, max(exch_ms, message.T or message.E), local_ns)

    def _apply(self, message: _Message, exch_ms: int, local_ns: int) -> None:
        self.last_id = message.u
        for levels, what in ((message.b, at.BID), (message.a, at.ASK)):
            for price, size in levels if isinstance(levels, list) else []:
                self.row(exch_ms, local_ns, what, price, size)

    def _clear(self, exch_ms: int, local_ns: int) -> None:
        if self.price:
            self.row(exch_ms, local_ns, at.CLEAR_BIDS, min(self.price), 0.0)
            self.row(exch_ms, local_ns, at.CLEAR_ASKS, max(self.price), 0.0)


def read(paths: list[Path], recording: Recording | None = None) -> Recording:
    """The books of every market that `paths`, in the order of their names, record.

    Errors      BadInputError for a line that is no such message, or where no book is whole
    """
    recording = recording or Recording(NAME)
    recording.inputs += paths
    markets: dict[tuple[str, str], _Market] = {}
    for path in paths:
        _read_file(path, markets, recording)
    found = [market for market in markets.values() if at.BID in market.what or at.ASK in market.what]
    for market in markets.values():
        if market.waiting:
            recording.set_aside["depth without a snapshot"] += len(market.waiting)
    if not found:
        raise BadInputError(f"{paths[0]}: no snapshot of a book among its lines; record one with the differences")
    behind_ns = max(0, max(int(np.max(_exch_ns(market) - np.array(market.local_ns))) for market in found))
    frames = [_frame(market, behind_ns) for market in found]
    recording.books = pl.concat(frame for frame, _ in frames)
    recording.contracts = {market.name: contract for market, (_, contract) in zip(found, frames, strict=True)}
    recording.clocks = {
        "exch_ts_ns": "Binance's, of the transaction where the message says it, in milliseconds UTC",
        "local_ts_ns": f"the recorder's, set forward by {behind_ns / 1e9:.6f} s",
    }
    recording.units = {"price_ticks, size_lots": "whole ticks and lots of the contract in [books]"}
    if behind_ns:
        recording.notes.append(
            f"The recorder's clock was at least {behind_ns / 1e9:.3f} s behind the venue's: it is set forward by that, "
            "so that the fastest message takes no time and no delay is negative."
        )
    return recording


def _read_file(path: Path, markets: dict[tuple[str, str], _Market], recording: Recording) -> None:
    market: _Market | None = None
    early: list[tuple[_Line, int]] = []
    for number, text in enumerate(_lines(path)):
        found = _LINE.fullmatch(text)
        try:
            if found is None:
                raise msgspec.DecodeError("not a time in nanoseconds and a JSON object")
            line, local_ns = _DECODER.decode(found[2]), int(found[1])
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise BadInputError(f"{path}: line {number + 1}: {error}; record or fetch it again") from None
        if market is None:
            early.append((line, local_ns))
            if line.data is None or line.data.e not in ("depthUpdate", "trade"):
                continue
            if line.data.e == "trade" and not line.data.ps:
                continue
            market = _market_of(line.data, markets, recording)
            for waited, waited_ns in early:
                _take(market, waited, waited_ns)
        else:
            _take(market, line, local_ns)
    if market is None:
        raise BadInputError(f"{path}: no difference of a book among its lines; it cannot be imported as one")


def _market_of(message: _Message, markets: dict[tuple[str, str], _Market], recording: Recording) -> _Market:
    kind = "COIN-M" if message.ps else "USD-M" if message.pu else "spot"
    market = markets.setdefault((kind, message.s), _Market(recording, kind=kind, symbol=message.s))
    pair = message.ps or message.s
    quote = "USD" if kind == "COIN-M" else next((known for known in _QUOTES if pair.endswith(known)), "")
    if not quote or (kind == "COIN-M" and not message.s.endswith("_PERP")):
        raise BadInputError(f"{kind} {message.s}: only perpetuals and spot in {', '.join(_QUOTES)} are imported")
    market.base, market.quote = pair.removesuffix(quote), quote
    return market


def _take(market: _Market, line: _Line, local_ns: int) -> None:
    message = line.data
    if message is None:
        if line.lastUpdateId:
            market.snapshot(line, local_ns)
        return
    if message.s != market.symbol:
        raise BadInputError(f"{message.s} among the lines of {market.symbol}; give each market a file of its own")
    if message.e == "depthUpdate":
        market.difference(message, local_ns)
    elif message.e == "trade":
        market.trade(message, local_ns)
    elif isinstance(message.b, float) and isinstance(message.a, float) and message.b >= message.a:
        market.recording.set_aside["crossed best prices (bookTicker)"] += 1


def _exch_ns(market: _Market) -> Any:
    return np.array(market.exch_ms, dtype=np.int64) * _NS_PER_MS


def _frame(market: _Market, behind_ns: int) -> tuple[pl.DataFrame, BookContract]:
    price, size = np.array(market.price), np.array(market.size)
    price_places, size_places = _places(price), _places(size)
    frame = pl.DataFrame(
        {
            "exch_ts_ns": _exch_ns(market),
            "local_ts_ns": np.array(market.local_ns, dtype=np.int64) + behind_ns,
            "instrument": pl.repeat(market.name, price.size, eager=True),
            "what": np.array(market.what, dtype=np.int8),
            "price_ticks": np.rint(price * 10.0**price_places).astype(np.int64),
            "size_lots": np.rint(size * 10.0**size_places).astype(np.int64),
        },
        schema=BOOKS.schema,
    )
    usd = _USD_A_CONTRACT.get(market.base, _USD_A_CONTRACT_ELSE) if market.kind == "COIN-M" else None
    contract = BookContract(VENUE, market.symbol, _power(price_places), _power(size_places), usd)
    return frame, contract


def _places(values: Any) -> int:
    """The fewest decimals that all values have."""
    for places in range(_DECIMALS + 1):
        scaled = values * 10.0**places
        if np.all(np.abs(scaled - np.rint(scaled)) < 1e-3):
            return places
    raise BadInputError(f"a price or size has more than {_DECIMALS} decimals; it is no Binance stream")


def _power(places: int) -> str:
    return format(10**-places, f".{places}f")


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield from file
    except (OSError, EOFError, zlib.error) as error:
        raise BadInputError(f"{path}: not a whole file ({error}); fetch it again") from None
