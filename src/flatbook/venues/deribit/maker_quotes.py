"""Our quotes on their way to the venue: what is wanted, what is under way, what may rest, what is acknowledged. Pure.

A tick may move a thousand quotes while the venue takes a few requests a second. So what waits is kept by instrument,
the newest wish of each, and what was wished before is never sent. The engine numbers its messages; one is acknowledged
once everything that it wished, or a newer wish in its place, was answered.

Whether the amount of a quote that is amended counts what of it has traded the venue's pages do not say. So one that
has traded in part is taken away before it is quoted anew: what rests then is what was wished, either way.

A side that rests untouched at the price and amount that are wished is not named again: of a thousand quotes on both
sides a small move of the index changes some.
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
    # Price and amount of what rests whole, by the venue's word since which nothing was sent; sides of which something
    # else was heard since something was sent are in `_touched`: an answer may come later than what came after it.
    _stands: dict[tuple[int, int], tuple[float, float]] = field(default_factory=dict)
    _touched: set[tuple[int, int]] = field(default_factory=set)
    _parted: dict[tuple[int, int], str] = field(default_factory=dict)
    _waiting: dict[int, Wish] = field(default_factory=dict)
    _busy: set[int] = field(default_factory=set)
    _acknowledged: int = 0
    # Whether what waits or is under way changed since it was last looked through: that is asked after every message.
    _has_changed: bool = True

    def list_instrument(self, row: int, instrument: Instrument) -> None:
        """Gives the next row to an instrument."""
        assert row == len(self.instruments), f"row {row} for {instrument.name}: rows are given once, rising"
        self.instruments.append(instrument)
        self.row_of[instrument.name] = row

    def wish(self, changes: QuoteChanges) -> None:
        """Takes a message of the engine's."""
        self.last, self._has_changed = max(self.last, changes.number), True
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
            wish, self._has_changed = self._waiting.pop(row), True
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
                rests_in_part, rests_whole = each.state == "open", False
            else:
                rests_in_part = each.order_state == "open" and each.filled_amount > 0
                rests_whole = each.order_state == "open" and each.filled_amount == 0
            if not rests_whole:
                self._touched.add(at)
            if not rests_whole or self._stands.get(at) != (each.price, each.amount):
                self._stands.pop(at, None)
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
        self.under_way[request_id], self._has_changed = batch, True
        self._busy.update(batch.rows)
        for (row, wish), entry in zip(batch.rows.items(), batch.entries, strict=True):
            for side, named in ((1, entry.bid), (-1, entry.ask)):
                ticks, lots = wish.side(side)
                if lots:
                    self.may_rest[row, side] = ticks
                if named is not None:
                    self._touched.discard((row, side))
                    self._stands.pop((row, side), None)

    def answered(self, request_id: int, refused: Iterable[tuple[int, int]], orders: Iterable[OwnOrder] = ()) -> None:
        """The venue has done a batch, but for these rows' sides; its `orders` are what rests then."""
        batch, refused = self._over(request_id), set(refused)
        for order in orders:
            row = self.row_of.get(order.instrument_name)
            at = (-1 if row is None else row, 1 if order.direction == "buy" else -1)
            if row in batch.rows and at not in self._touched and isinstance(order.price, float):
                self._stands[at] = (order.price, order.amount)
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

    def doubt(self) -> None:
        """What rests may be gone: every side is named when it is wished again."""
        self._stands.clear()

    def acknowledge(self) -> int | None:
        """The message up to which everything was answered, where that is news."""
        if not self._has_changed:
            return None
        self._has_changed = False
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
        self._stands.clear()
        self._touched.clear()
        self.under_way.clear()
        self._waiting.clear()
        self._has_changed = True
        self._busy.clear()
        return [self.instruments[row].name for row in rows]

    def _over(self, request_id: int) -> Batch:
        batch, self._has_changed = self.under_way.pop(request_id), True
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
        wished = QuoteSide(price_of(instrument, ticks), amount_of(instrument, lots))
        return None if self._stands.get((row, side)) == (wished.price, wished.amount) else wished


def price_of(instrument: Instrument, ticks: int) -> float:
    """A price as it is written: the float nearest to the decimal, which is that decimal when it is printed."""
    return float(instrument.spec.ticks.finest * Decimal(ticks))


def amount_of(instrument: Instrument, lots: int) -> float:
    """An amount as it is written, likewise."""
    return float(instrument.spec.lot * Decimal(lots))
