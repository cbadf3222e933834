"""Contracts over the counter in a run: their paths by every tick, their worth and risk now and then in full.

An exotic takes milliseconds where the chain takes microseconds. So it is revalued in full when the index has moved
beyond a cutoff or some time has passed, and in between its worth goes by its delta, gamma and theta from there. What
was told of causes in between is taken back at the next full value, whose own explanation is told instead; so causes sum
to the change of worth at every moment. A stress is a full revaluation, from the last full value.

Only contracts on the run's one underlying that settle in its coin live here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.black import CHAIN_ROWS
from flatbook.kernels.chain import FACTORS
from flatbook.kernels.factors import PRIMITIVES, load_factors, map_factors
from flatbook.market.market import Market
from flatbook.market.shock import Shock
from flatbook.market.snapshot import Markets, MarketSnapshot
from flatbook.valuation.chain import DELTA, GAMMA, PRICE, VEGA
from flatbook.valuation.contracts import Style
from flatbook.valuation.exotics.on_surface import reference_strike
from flatbook.valuation.explain import PNL_PARTS
from flatbook.valuation.inventory import BookMeasures
from flatbook.valuation.marks import Marks
from flatbook.valuation.otc import OtcTerms, PathState
from flatbook.valuation.payoffs import in_settlement, payoff, payoff_at_hit
from flatbook.valuation.portfolio import BookPosition, Portfolio
from flatbook.valuation.scenarios import ShockGrid
from flatbook.valuation.standing_explain import STANDING_PARTS, parts_usd

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Freshness:
    """When a full value is due: the index this far, relative, from the last one's, or this long after it."""

    index_move: float = 0.001
    seconds: float = 60.0


class Ended(NamedTuple):
    """A contract that has come to its end, and what it pays in coin for each contract held long."""

    name: str
    amount_coin: float


@dataclass(frozen=True, eq=False)
class _Anchor:
    """The last full value."""

    markets: Markets
    marks: Marks
    loading: Floats

    @property
    def market(self) -> MarketSnapshot:
        (market,) = self.markets.snapshots.values()
        return market


_PLACES: Final = np.array([PNL_PARTS.index(part if part in PNL_PARTS else "unexplained") for part in STANDING_PARTS])
"""Where a standing part goes in a run's P&L; a coin-settled book has no currency part."""

_SOON_YEARS: Final = 1e-9


class OtcBook:
    """Contracts over the counter held in a run.

    value_usd   of all that is held, as of the last `mark`
    Invariant   between two marks, the parts that `mark` returns sum to the change of `value_usd`
    """

    def __init__(self, freshness: Freshness | None = None) -> None:
        self.value_usd = 0.0
        self._freshness = freshness or Freshness()
        self._held: dict[str, BookPosition] = {}
        self._anchor: _Anchor | None = None
        self._stressed: tuple[_Anchor, ShockGrid, Floats] | None = None
        self._is_stale = False
        self._told: Floats = np.zeros(len(STANDING_PARTS))
        self._spot_usd = math.nan

    def __len__(self) -> int:
        return len(self._held)

    def positions(self) -> tuple[BookPosition, ...]:
        """What is held, by name."""
        return tuple(self._held[name] for name in sorted(self._held))

    def hold(self, position: BookPosition, market: Market, now_ns: int) -> None:
        """Takes a contract in, whose path is as of now.

        Errors      BadInputError where the market does not price it
        """
        name, before = position.instrument.name, self._held.get(position.instrument.name)
        size = position.size + (before.size if before is not None else 0.0)
        self._held[name] = replace(_as_of(position, now_ns), size=size)
        self._spot_usd = market.forwards.index_usd
        self._begin_anew(market, now_ns)

    def drop(self, name: str, market: Market, now_ns: int) -> None:
        """Lets a contract go that has ended."""
        del self._held[name]
        self._begin_anew(market, now_ns)

    def take_index(self, price_usd: float, now_ns: int) -> tuple[Ended, ...]:
        """A tick of the index: averages, extremes and barriers learn of it; which contracts end by it.

        At expiry the last index known by then counts. What ends is held until it is dropped.
        """
        ended = tuple(filter(None, (self._tick(position, price_usd, now_ns) for position in self.positions())))
        self._spot_usd = price_usd
        self._is_stale |= bool(ended)
        return ended

    def mark(self, market: Market, now_ns: int) -> Floats:
        """Values what is held now; returns the change of worth since the last mark by cause, in USD (PNL_PARTS,)."""
        parts = np.zeros(len(PNL_PARTS))
        if self._anchor is not None:
            before, told = self.value_usd, self._told
            if self._is_due(market, now_ns):
                whole = self._explained_anew(market, now_ns)
                self._told = np.zeros(len(STANDING_PARTS))
            else:
                whole = self._told = self._taylor(market, now_ns)
                self.value_usd = float(self._anchor.marks.value_usd.sum() + whole.sum())
            np.add.at(parts, _PLACES, whole - told)
            parts[PNL_PARTS.index("unexplained")] += self.value_usd - before - float(parts.sum())
        return parts

    def refresh(self) -> None:
        """Asks for a full value at the next mark."""
        self._is_stale = True

    def price_coin(self, name: str) -> float:
        """What one contract is worth in coin by the last full value."""
        assert self._anchor is not None
        return float(self._anchor.marks.price[sorted(self._held).index(name)])

    def add_to(self, book: BookMeasures) -> BookMeasures:
        """The exposures and Greeks of the rest of the book with these; of the last full value."""
        if self._anchor is None:
            return book
        marks = self._anchor.marks
        return BookMeasures(
            book.exposure + self._anchor.loading,
            book.gamma_1pct_usd + float(marks.gamma_1pct_usd.sum()),
            book.vega_usd_per_vol_pt + float(marks.vega_usd.sum()),
            book.theta_usd_per_day + float(marks.theta_usd.sum()),
        )

    def scenario_pnl_usd(self, grid: ShockGrid) -> Floats:
        """P&L under each shock of the last full value, shape (len(spot), len(vol)); exactly nothing without one."""
        shape = len(grid.spot), len(grid.vol)
        if self._anchor is None:
            return np.zeros(shape)
        if self._stressed is None or self._stressed[0] is not self._anchor or self._stressed[1] != grid:
            book, markets = Portfolio(self.positions()), self._anchor.markets
            unmoved = book.worth_usd(markets)
            gained = [
                float((book.worth_usd(markets.shocked(Shock(spot, vol))) - unmoved).sum())
                for spot in grid.spot
                for vol in grid.vol
            ]
            self._stressed = self._anchor, grid, np.array(gained).reshape(shape)
        return self._stressed[2]

    def _begin_anew(self, market: Market, now_ns: int) -> None:
        self._anchor = self._anchored(market, now_ns) if self._held else None
        self._told = np.zeros(len(STANDING_PARTS))
        self.value_usd = float(self._anchor.marks.value_usd.sum()) if self._anchor is not None else 0.0

    def _anchored(self, market: Market, now_ns: int) -> _Anchor:
        markets = _markets(market, now_ns)
        marks = Portfolio(self.positions()).mark(markets)
        self._is_stale = False
        return _Anchor(markets, marks, _loading(self.positions(), markets.of(market.underlying), marks, market))

    def _is_due(self, market: Market, now_ns: int) -> bool:
        assert self._anchor is not None
        then = self._anchor.market
        move = abs(market.forwards.index_usd / then.index_usd - 1.0)
        is_old = now_ns - then.ts_ns >= self._freshness.seconds * 1e9
        return self._is_stale or is_old or not move <= self._freshness.index_move

    def _explained_anew(self, market: Market, now_ns: int) -> Floats:
        """Makes a new anchor; the causes of the whole change from the old one."""
        old = self._anchor
        assert old is not None
        self._anchor = new = self._anchored(market, now_ns)
        self.value_usd = float(new.marks.value_usd.sum())
        book = Portfolio(self.positions())
        return np.asarray(parts_usd(book, old.marks, new.marks, old.markets, new.markets).sum(axis=0))

    def _taylor(self, market: Market, now_ns: int) -> Floats:
        """Causes from the anchor to now at its vols and bases."""
        assert self._anchor is not None
        marks, then = self._anchor.marks, self._anchor.market
        move = market.forwards.index_usd / then.index_usd - 1.0
        days = (now_ns - then.ts_ns) / 86_400e9
        parts = np.zeros(len(STANDING_PARTS))
        parts[:3] = (
            float(marks.delta_usd.sum()) * move,
            50 * float(marks.gamma_1pct_usd.sum()) * move * move,
            float(marks.theta_usd.sum()) * days,
        )
        return parts

    def _tick(self, position: BookPosition, price_usd: float, now_ns: int) -> Ended | None:
        terms, path = position.otc, position.path
        assert terms is not None
        name = position.instrument.name
        if now_ns >= terms.expiry_ns:
            spot = price_usd if now_ns == terms.expiry_ns else self._spot_usd
            path = self._seen(terms, path, spot, terms.expiry_ns)
            return Ended(name, in_settlement(terms, payoff(terms, path, spot, math.nan), spot))
        path = self._seen(terms, path, price_usd, now_ns)
        if terms.barrier is not None and not path.was_hit and terms.barrier.touched(price_usd):
            paid = payoff_at_hit(terms, price_usd)
            if paid is not None:
                return Ended(name, in_settlement(terms, paid, price_usd))
            path = replace(path, was_hit=True)
            self._is_stale = True
        self._held[name] = replace(position, path=path)
        return None

    def _seen(self, terms: OtcTerms, path: PathState, price_usd: float, now_ns: int) -> PathState:
        """The path after a tick: the price until now was the last one's."""
        match terms.style:
            case Style.LOOKBACK:
                worst = min if terms.template.sign > 0 else max
                known = self._spot_usd if math.isnan(path.extreme) else path.extreme
                return replace(path, extreme=worst(known, price_usd), seen_ns=now_ns)
            case Style.ASIAN if terms.averaging_from_ns is not None and now_ns > terms.averaging_from_ns:
                return replace(path, average=terms.average_at(now_ns, path, self._spot_usd), seen_ns=now_ns)
            case _:
                return replace(path, seen_ns=now_ns)


def price_coin_of(position: BookPosition, market: Market, now_ns: int) -> float:
    """What one contract is worth in coin.

    Errors      BadInputError where the market does not price it
    """
    return float(Portfolio([_as_of(position, now_ns)]).mark(_markets(market, now_ns)).price[0])


def _as_of(position: BookPosition, now_ns: int) -> BookPosition:
    return replace(position, path=replace(position.path, seen_ns=now_ns))


def _markets(market: Market, now_ns: int) -> Markets:
    return Markets({market.underlying: MarketSnapshot.of(market, now_ns)})


def _loading(positions: tuple[BookPosition, ...], market: MarketSnapshot, marks: Marks, live: Market) -> Floats:
    """The book's exposures to the risk factors (kernels.factors), (FACTORS,): as rows of a chain would load them.

    Each position is a row with an expiry of its own; its vega has the moneyness of the strike whose vol it has.
    """
    years = np.maximum(np.nan_to_num(marks.years), _SOON_YEARS)
    forward = market.index_usd * np.exp(np.nan_to_num(marks.log_basis))
    terms = [position.otc for position in positions if position.otc is not None]
    strikes = np.array([reference_strike(one, market, left) for one, left in zip(terms, years.tolist(), strict=True)])
    width = np.maximum(np.nan_to_num(marks.vol) * np.sqrt(years), _SOON_YEARS)
    scale = market.index_usd / forward
    greeks = np.zeros((len(CHAIN_ROWS), len(positions)))
    greeks[PRICE], greeks[DELTA] = marks.value_usd / scale, marks.delta_coin
    greeks[GAMMA] = 100 * marks.gamma_1pct_usd / (forward * forward * scale)
    greeks[VEGA] = 100 * marks.vega_usd / scale
    factor_map, loading = np.empty((len(years), PRIMITIVES * FACTORS)), np.empty((len(years), FACTORS))
    map_factors(np.array(live.model.covariance.tenor_days) / 365, years, factor_map)
    rows, moneyness = np.arange(len(years)), np.log(strikes / forward) / width
    load_factors(market.index_usd, rows, factor_map, forward, moneyness, greeks, loading)
    total: Floats = loading.sum(axis=0)
    # Loadings are net of what was paid; the worth itself is held in coin, as an option's is.
    total[0] += float(marks.value_usd.sum())
    return total
