"""A listed instrument: its book, its mark, its tape and its day."""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from flatbook.domain.instruments import Kind
from flatbook.domain.reference import Instrument
from flatbook.domain.units import NS_PER_DAY
from flatbook.sim.matching import Book, LevelChange
from flatbook.sim.venue.orders import Print

TAPE_LENGTH = 10_000
_FUTURE_BAND = 0.015
_OPTION_BAND_COIN = 0.023
_OPTION_BAND_COIN_PER_DELTA = 0.05


class Mark(NamedTuple):
    """The venue's valuation; `iv` is a decimal.

    Units       delta in coin per contract, gamma per USD, vega USD per vol point, theta USD per day, rho USD per point;
                zero for what is no option
    """

    price: float = math.nan
    underlying_usd: float = math.nan
    iv: float = math.nan
    delta: float = 1.0
    gamma: float = 0.0
    vega: float = 0.0
    theta: float = 0.0
    rho: float = 0.0


class Totals(NamedTuple):
    """What traded: coins, USD, the highest, the lowest and the first price."""

    coins: float
    usd: float
    high: float
    low: float
    first: float


@dataclass(slots=True)
class Day:
    """What traded in the last day, by minute: minute, coins, USD, high, low, first price."""

    minutes: "deque[list[float]]" = field(default_factory=deque)
    # The totals of all minutes but the last, which alone changes, and of how many from which one on.
    _before: tuple[tuple[float, int], Totals] | None = None

    def totals(self) -> Totals | None:
        """Over the day; None where nothing traded. Asked for with every ticker: a day's minutes are not summed anew."""
        if not self.minutes:
            return None
        key = (self.minutes[0][0], len(self.minutes))
        if self._before is None or self._before[0] != key:
            self._before = (key, self._sum_but_last())
        before, (_, coins, usd, high, low, _) = self._before[1], self.minutes[-1]
        return Totals(
            before.coins + coins, before.usd + usd, max(before.high, high), min(before.low, low), self.minutes[0][5]
        )

    def _sum_but_last(self) -> Totals:
        rows = list(self.minutes)[:-1]
        high, low = (max(row[3] for row in rows), min(row[4] for row in rows)) if rows else (-math.inf, math.inf)
        return Totals(sum(row[1] for row in rows), sum(row[2] for row in rows), high, low, 0.0)

    def add(self, ts_ns: int, price: float, size_coin: float, usd: float) -> None:
        """Counts a trade."""
        minute = ts_ns // 60_000_000_000
        if not self.minutes or self.minutes[-1][0] != minute:
            self.minutes.append([minute, 0.0, 0.0, price, price, price])
        row = self.minutes[-1]
        row[1] += size_coin
        row[2] += usd
        row[3], row[4] = max(row[3], price), min(row[4], price)

    def forget(self, now_ns: int) -> None:
        """Drops what is older than a day."""
        oldest = now_ns // 60_000_000_000 - 1_440
        while self.minutes and self.minutes[0][0] < oldest:
            self.minutes.popleft()


@dataclass(slots=True, eq=False)
class Listing:
    """One instrument as the venue lists it. `change_id` counts the changes of its book that were published."""

    number: int
    instrument: Instrument
    listed_ns: int
    book: Book = field(default_factory=Book)
    mark: Mark = field(default_factory=Mark)
    change_id: int = 0
    trade_seq: int = 0
    tick_direction: int = 1
    is_open: bool = True
    holdings: dict[str, int] = field(default_factory=dict)
    settlement_price: float = math.nan
    delivery_usd: float = math.nan
    funding_8h: float = 0.0
    tape: "deque[Print]" = field(default_factory=lambda: deque(maxlen=TAPE_LENGTH))
    day: Day = field(default_factory=Day)

    @property
    def name(self) -> str:
        """The instrument's name."""
        return self.instrument.name

    @property
    def is_option(self) -> bool:
        """Whether it is an option."""
        return self.instrument.contract.kind is Kind.OPTION

    def price(self, ticks: float) -> float:
        """Ticks as a price in quote currency, without the noise of floats."""
        return round(ticks * self.instrument.tick_size, 8)

    def amount(self, lots: int) -> float:
        """Lots as an amount: coins, or USD for inverse futures."""
        return round(lots * self.instrument.lot_size, 8)

    def coins(self, lots: int, price: float) -> float:
        """Lots in coins of the base."""
        amount = lots * self.instrument.lot_size
        return amount / price if self.instrument.is_reciprocal else amount

    def best(self, side: int) -> tuple[float, float]:
        """Best price and amount of a side; zeros where it is empty, as the venue says it."""
        best = self.book.best(side)
        return (self.price(best[0]), self.amount(best[1])) if best else (0.0, 0.0)

    def bounds(self) -> tuple[float, float]:
        """The lowest price that may be sold at, and the highest that may be bought at.

        As wide as those recorded: 1.5 % of a future's mark; of an option by its delta, 0.023 to 0.073 in coin.
        """
        price, tick = self.mark.price, self.instrument.tick_size
        if math.isnan(price):
            return tick, math.inf
        if not self.is_option:
            return price * (1 - _FUTURE_BAND), price * (1 + _FUTURE_BAND)
        scale = 1.0 if self.instrument.contract.is_inverse else self.mark.underlying_usd
        width = scale * (_OPTION_BAND_COIN + _OPTION_BAND_COIN_PER_DELTA * abs(self.mark.delta))
        return max(price - width, tick), price + width

    @property
    def open_lots(self) -> int:
        """Open interest: what all who are long hold, the house's makers and takers each counted as one."""
        return sum(lots for lots in self.holdings.values() if lots > 0)

    def forget(self, now_ns: int) -> None:
        """Drops the day's trades of before a day, and the tape of what expired a day ago."""
        self.day.forget(now_ns)
        if not self.is_open and now_ns - (self.instrument.contract.expiry_ns or now_ns) > NS_PER_DAY:
            self.tape.clear()

    def hold(self, owner: str, lots: int) -> None:
        """Adds to what an owner holds."""
        self.holdings[owner] = self.holdings.get(owner, 0) + lots

    def take_changes(self) -> tuple[int, list[LevelChange]]:
        """The book's changes since last asked, and the id of the state before; the id rises where there are any."""
        before, changes = self.change_id, self.book.take_changes()
        self.change_id += bool(changes)
        return before, changes
