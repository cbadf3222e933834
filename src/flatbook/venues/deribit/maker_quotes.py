"""Our quotes on their way to the venue: what is wanted, what is under way, what may rest, what is acknowledged. Pure.

A tick may move a thousand quotes while the venue takes a few requests a second. So what waits is kept by instrument,
the newest wish of each, and what was wished before is never sent. The engine numbers its messages; one is acknowledged
once everything that it wished, or a newer wish in its place, was answered.

Whether the amount of a quote that is amended counts what of it has traded the venue's pages do not say. So one that
has traded in part is taken away before it is quoted anew: what rests then is what was wished, either way.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from flatbook.domain.reference import Instrument
from flatbook.engine.effects import QuoteChanges
from flatbook.venues.deribit.codec_own import OwnOrder, OwnTrade
from flatbook.venues.deribit.codec_requests import QuoteEntry, QuoteSide
from flatbook.venues.deribit.maker_terms import LABEL


class Wish(NamedTuple):
    """Both sides of one row, as they should rest; `number` is of the oldest message that waits for it."""

    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int
    number: int

    def side(self, side: int) -> tuple[int, int]:
        """Ticks and lots of the bid (+1) or the ask (-1)."""
        return (self.bid_ticks, self.bid_lots) if side > 0 else (self.ask_ticks, self.ask_lots)


class Batch(NamedTuple):
    """One request: the rows, and what was wished of each."""

    rows: dict[int, Wish]
    entries: tuple[QuoteEntry, ...]


@dataclass(slots=True)
class QuoteLine:
    """Quotes by row of the engine's universe; `last` is the number of the engine's last message.

    Invariant   a row waits at most once; a row is in one batch under way at most, so that two wishes of it cannot
                overtake each other; a side that may rest at the venue is in `may_rest` with the price it was last given
    """

    instruments: list[Instrument] = field(default_factory=list)
    row_of: dict[str, int] = field(default_factory=dict)
    may_rest: dict[tuple[int, int], int] = field(default_factory=dict)
    under_way: dict[int, Batch] = field(default_factory=dict)
    last: int = 0
    _parted: dict[tuple[int, int], str] = field(default_factory=dict)
    _waiting: dict[int, Wish] = field(default_factory=dict)
    _busy: set[int] = field(default_factory=set)
    _acknowledged: int = 0

    def list_instrument(self, row: int, instrument: Instrument) -> None:
        """Gives the next row to an instrument."""
        assert row == len(self.instruments), f"row {row} for {instrument.name}: rows are given once, rising"
        self.instruments.append(instrument)
        self.row_of[instrument.name] = row

    def wish(self, changes: QuoteChanges) -> None:
        """Takes a message of the engine's."""
        self.last = max(self.last, changes.number)
        columns = (changes.row, changes.bid_ticks, changes.bid_lots, changes.ask_ticks, changes.ask_lots)
        for row, bid_ticks, bid_lots, ask_ticks, ask_lots in zip(*(each.tolist() for each in columns), strict=True):
            before = self._waiting.get(row)
            number = before.number if before is not None else changes.number
            self._waiting[row] = Wish(bid_ticks, bid_lots, ask_ticks, ask_lots, number)

    def next_batch(self, most: int, post_only: bool = True) -> Batch | None:
        """What may be sent now, the longest waiting first; None where nothing may. A side that is not there and not
        wished is not named, and where that leaves nothing of a row it is done."""
        rows: dict[int, Wish] = {}
        entries: list[QuoteEntry] = []
        for row in list(self._waiting):
            if len(entries) == most:
                break
            if row in self._busy:
                continue
            wish = self._waiting.pop(row)
            if (first := self._without_parted(row, wish)) != wish:
                self._waiting[row], wish = wish, first
            entry = self._entry(row, wish, post_only)
            if entry is not None:
                rows[row] = wish
                entries.append(entry)
            else:
                self._parted.pop((row, 1), None)
                self._parted.pop((row, -1), None)
        return Batch(rows, tuple(entries)) if entries else None

    def saw(self, news: Iterable[OwnTrade | OwnOrder]) -> None:
        """Notes which quotes have traded in part and rest with what is left; a trade tells it before its order does."""
        for each in news:
            row = self.row_of.get(each.instrument_name)
            if row is None or each.quote_set_id != LABEL:
                continue
            at = (row, 1 if each.direction == "buy" else -1)
            if isinstance(each, OwnTrade):
                rests_in_part = each.state == "open"
            else:
                rests_in_part = each.order_state == "open" and each.filled_amount > 0
            if rests_in_part:
                self._parted[at] = each.order_id
            elif self._parted.get(at) == each.order_id:
                del self._parted[at]

    def _without_parted(self, row: int, wish: Wish) -> Wish:
        """A wish without the sides that are to be taken away before they are quoted."""
        bid = (0, 0) if (row, 1) in self._parted else wish.side(1)
        ask = (0, 0) if (row, -1) in self._parted else wish.side(-1)
        return Wish(*bid, *ask, wish.number)

    def sent(self, request_id: int, batch: Batch) -> None:
        """A batch is on its way: what it sets may rest from now on."""
        self.under_way[request_id] = batch
        self._busy.update(batch.rows)
        for row, wish in batch.rows.items():
            for side in (1, -1):
                ticks, lots = wish.side(side)
                if lots:
                    self.may_rest[row, side] = ticks

    def answered(self, request_id: int, refused: Iterable[tuple[int, int]]) -> None:
        """The venue has done a batch, but for these rows' sides."""
        batch, refused = self._over(request_id), set(refused)
        for row, wish in batch.rows.items():
            for side in (1, -1):
                if not wish.side(side)[1] and (row, side) not in refused:
                    self.may_rest.pop((row, side), None)
                if not wish.side(side)[1]:
                    # Refused or not: what is not there cannot be taken away.
                    self._parted.pop((row, side), None)

    def refused(self, request_id: int) -> dict[int, Wish]:
        """The venue took nothing of a batch: what rested before may rest still."""
        return self._over(request_id).rows

    def acknowledge(self) -> int | None:
        """The message up to which everything was answered, where that is news."""
        open_numbers = [wish.number for wish in self._waiting.values()]
        open_numbers += [wish.number for batch in self.under_way.values() for wish in batch.rows.values()]
        reached = min(open_numbers) - 1 if open_numbers else self.last
        if reached <= self._acknowledged:
            return None
        self._acknowledged = reached
        return reached

    def forget(self) -> list[str]:
        """Nothing rests any more, and what waited or was under way is void; the instruments of which something may
        have rested."""
        rows = sorted({row for row, _ in self.may_rest} | set(self._waiting) | self._busy)
        self.may_rest.clear()
        self._parted.clear()
        self.under_way.clear()
        self._waiting.clear()
        self._busy.clear()
        return [self.instruments[row].name for row in rows]

    def _over(self, request_id: int) -> Batch:
        batch = self.under_way.pop(request_id)
        self._busy.difference_update(batch.rows)
        return batch

    def _entry(self, row: int, wish: Wish, post_only: bool) -> QuoteEntry | None:
        instrument = self.instruments[row]
        sides = {side: self._side(row, side, wish, instrument) for side in (1, -1)}
        if sides[1] is None and sides[-1] is None:
            return None
        return QuoteEntry(
            instrument_name=instrument.name, bid=sides[1], ask=sides[-1], quote_set_id=LABEL, post_only=post_only
        )

    def _side(self, row: int, side: int, wish: Wish, instrument: Instrument) -> QuoteSide | None:
        ticks, lots = wish.side(side)
        if not lots:
            resting_ticks = self.may_rest.get((row, side))
            return None if resting_ticks is None else QuoteSide(price_of(instrument, resting_ticks), 0.0)
        return QuoteSide(price_of(instrument, ticks), amount_of(instrument, lots))


def price_of(instrument: Instrument, ticks: int) -> float:
    """A price as it is written: the float nearest to the decimal, which is that decimal when it is printed."""
    return float(instrument.spec.ticks.finest * Decimal(ticks))


def amount_of(instrument: Instrument, lots: int) -> float:
    """An amount as it is written, likewise."""
    return float(instrument.spec.lot * Decimal(lots))
