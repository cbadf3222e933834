"""A known market to observe: an index, forwards and smiles by expiry, and the prints and chains they would show."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.events import ChainQuotes, IndexTick, QuoteRow, TopOfBook, TradePrint
from flatbook.domain.instruments import parse_expiry
from flatbook.domain.units import NS_PER_DAY, NS_PER_SECOND, parse_utc, years_between
from flatbook.kernels.black import inverse
from flatbook.market.forwards import Forwards
from flatbook.market.market import Market, MarketModel
from flatbook.venues.deribit import load_reference

Floats = NDArray[np.float64]

REFERENCE = load_reference()
START_NS = parse_utc("2025-03-31T12:00")
NAN = float("nan")
SMILE = np.array([0.45, 0.35, -0.25, 0.1, 0.9])
"""Raw SVI at one deviation: a and b in units of variance and deviation, m and s in deviations."""


def at(seconds: float) -> int:
    """Nanoseconds of a moment after the tests' noon."""
    return START_NS + round(seconds * NS_PER_SECOND)


def new_market(model: MarketModel | None = None) -> Market:
    return Market("BTC", REFERENCE, model or MarketModel())


@dataclass
class World:
    """What is true: one smile for all expiries, scaled to each one's level, and a carry of `rate` a year."""

    index_usd: float = 80_000.0
    rate: float = 0.05
    vol: float = 0.6
    tenor_power: float = 0.0
    smile: Floats = field(default_factory=lambda: SMILE.copy())

    def years(self, name: str, seconds: float) -> float:
        expiry_ns = parse_expiry(name.split("-")[1])
        assert expiry_ns is not None
        return years_between(at(seconds), expiry_ns)

    def forward_usd(self, name: str, seconds: float) -> float:
        return self.index_usd * math.exp(self.rate * self.years(name, seconds))

    def slice_at(self, years: float) -> Floats:
        """Raw SVI of an expiry `years` away."""
        width = self.vol * (years * 365 / 30) ** self.tenor_power * math.sqrt(years)
        return np.asarray(self.smile * np.array([width**2, width, 1.0, width, width]))

    def vol_at(self, name: str, seconds: float) -> float:
        years = self.years(name, seconds)
        a, b, rho, m, s = self.slice_at(years)
        k = math.log(float(name.split("-")[2]) / self.forward_usd(name, seconds))
        return math.sqrt((a + b * (rho * (k - m) + math.hypot(k - m, s))) / years)

    def fair_coin(self, name: str, seconds: float, vol: float | None = None) -> float:
        sign = 1.0 if name.endswith("C") else -1.0
        vol = self.vol_at(name, seconds) if vol is None else vol
        forward = self.forward_usd(name, seconds)
        return float(inverse(forward, float(name.split("-")[2]), vol, self.years(name, seconds), sign).price)

    def index(self, seconds: float) -> IndexTick:
        return index(seconds, self.index_usd)

    def trade(self, seconds: float, name: str, *, vol: float | None = None, mark: bool = True) -> TradePrint:
        """A print at fair, or at `vol`, with the venue's mark or without."""
        vol = self.vol_at(name, seconds) if vol is None else vol
        price = self.fair_coin(name, seconds, vol)
        return trade(seconds, name, price, price if mark else NAN, vol)

    def quote(self, seconds: float, name: str, half_vol: float = 0.005, *, prices: bool = True) -> QuoteRow:
        """A two-sided quote around fair, the forward not stated."""
        vol = self.vol_at(name, seconds)
        bid, ask = (self.fair_coin(name, seconds, vol + side * half_vol) if prices else NAN for side in (-1, 1))
        return QuoteRow(name, bid, ask, vol - half_vol, vol + half_vol, NAN, NAN)


def index(seconds: float, price_usd: float) -> IndexTick:
    return IndexTick(exch_ts_ns=at(seconds), local_ts_ns=at(seconds), underlying="BTC", price_usd=price_usd)


def trade(seconds: float, name: str, price: float, mark: float, iv: float) -> TradePrint:
    return TradePrint(
        exch_ts_ns=at(seconds),
        local_ts_ns=at(seconds),
        instrument=name,
        trade_id=f"T{seconds}",
        taker_side=1,
        price=price,
        size_lots=10,
        mark_price=mark,
        iv=iv,
        index_usd=80_000.0,
        off_book=False,
    )


def top(seconds: float, bid: float, ask: float, name: str = "BTC-PERPETUAL", mark: float = NAN) -> TopOfBook:
    return TopOfBook(
        exch_ts_ns=at(seconds), local_ts_ns=at(seconds), instrument=name, bid=bid, ask=ask, bid_amount=NAN,
        ask_amount=NAN, mark_price=mark,
    )  # fmt: skip


def chain(seconds: float, rows: Iterable[QuoteRow]) -> ChainQuotes:
    return ChainQuotes(exch_ts_ns=at(seconds), local_ts_ns=at(seconds), underlying="BTC", rows=tuple(rows))


def options(date: str, low: int = 60_000, high: int = 105_000, step: int = 5_000) -> list[str]:
    """Both rights at every strike of an expiry."""
    return [f"BTC-{date}-{strike}-{right}" for strike in range(low, high, step) for right in "CP"]


DAY_S = NS_PER_DAY / NS_PER_SECOND


def shown_market(world: World, *dates: str, seconds: float = 0.0) -> Market:
    """A market that saw the world's index and whole chains of some expiries."""
    market = new_market()
    market.take_index(world.index(seconds))
    names = [name for date in dates for name in options(date)]
    market.take_chain(chain(seconds, [world.quote(seconds, name) for name in names]))
    return market


def forwards_of(forwards: Forwards, slots: int) -> Floats:
    """(slots,) the forwards of the first expiries."""
    return np.array([forwards.forward_usd(slot) for slot in range(slots)])
