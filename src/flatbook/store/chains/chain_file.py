"""What a chain file held, as snapshots that are made when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import format_utc
from flatbook.market.chain_snapshot import ChainSnapshot
from flatbook.store.chains.history import History


@dataclass(frozen=True, eq=False)
class ChainFile:
    """A chain file, read.

    format      how we call what it is
    taken       rows that snapshots are made of; with `left_out` they are all of the file's
    left_out    the other rows, counted by reason
    notes       what was assumed of units, clocks and times, a sentence each
    histories   its chains over time, by underlying: BTC where coin-settled, BTC_USDC where linear
    """

    path: Path
    format: str
    taken: int
    left_out: Mapping[str, int]
    notes: tuple[str, ...]
    histories: Mapping[str, History]

    @property
    def underlyings(self) -> tuple[str, ...]:
        """What the file holds chains of, in alphabetical order."""
        return tuple(sorted(self.histories))

    @property
    def snapshots(self) -> Sequence[ChainSnapshot]:
        """All snapshots, by time and then underlying; each is made when it is taken out."""
        return _Snapshots(self.histories)

    def select(self, underlying: str) -> ChainFile:
        """The same file with the chains of one underlying; `taken` and `left_out` stay those of the file.

        Errors      BadInputError where it holds none
        """
        name = self._named(underlying)
        return ChainFile(self.path, self.format, self.taken, self.left_out, self.notes, {name: self.histories[name]})

    def at(self, ts_ns: int | None = None, underlying: str | None = None) -> ChainSnapshot:
        """The snapshot last taken at or before `ts_ns`, or the last of all; of the only underlying, or the one named.

        Errors      BadInputError for a time before the first, an underlying that is not there, or none named of several
        """
        name = self._named(underlying)
        history = self.histories[name]
        first_ns, last_ns = history.span_ns
        found = history.at(last_ns if ts_ns is None else ts_ns)
        if found is None:
            asked = format_utc(last_ns if ts_ns is None else ts_ns)
            raise BadInputError(
                f"{self.path}: no chain of {name} at or before {asked}; "
                f"it reaches from {format_utc(first_ns)} to {format_utc(last_ns)}; ask for a time in it"
            )
        return found

    def _named(self, underlying: str | None) -> str:
        have = self.underlyings
        if underlying is None:
            if len(have) == 1:
                return have[0]
            raise BadInputError(f"{self.path}: it holds chains of {', '.join(have)}; name the underlying")
        wanted = [name for name in have if name == underlying] or [
            name for name in have if name.partition("_")[0] == underlying
        ]
        if len(wanted) != 1:
            raise BadInputError(f"{self.path}: no chain of {underlying!r} in it; name one of {', '.join(have)}")
        return wanted[0]


class _Snapshots(Sequence[ChainSnapshot]):
    """The listed snapshots of several histories, by time and then name."""

    def __init__(self, histories: Mapping[str, History]) -> None:
        names = sorted(histories)
        self._histories = [histories[name] for name in names]
        lengths = [len(history.times_ns) for history in self._histories]
        times = np.concatenate([history.times_ns for history in self._histories])
        which = np.repeat(np.arange(len(names)), lengths)
        number = np.concatenate([np.arange(length) for length in lengths])
        order = np.lexsort((number, which, times))
        self._places: list[tuple[int, int]] = list(zip(which[order].tolist(), number[order].tolist(), strict=True))

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[ChainSnapshot]:
        return (self[number] for number in range(len(self)))

    @overload
    def __getitem__(self, number: int) -> ChainSnapshot: ...
    @overload
    def __getitem__(self, number: slice) -> tuple[ChainSnapshot, ...]: ...
    def __getitem__(self, number: int | slice) -> ChainSnapshot | tuple[ChainSnapshot, ...]:
        if isinstance(number, slice):
            return tuple(self[each] for each in range(*number.indices(len(self))))
        which, place = self._places[number]
        return self._histories[which].snapshot(place)
