"""Other coins of the simulated market, as far as a hedger meets them: an index that moves with ours, and a perpetual.

A coin's return is its vol, a multiple of ours of the moment, times what of it is our return and what is its own, so
that the two correlate as stated over any span; a jump of ours is one of its. All of it is drawn from the seed before
anyone trades, from streams of its own: what else the market does is the same with it and without.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import ConfigurationError
from flatbook.domain.events import FundingRate, IndexTick, TopOfBook
from flatbook.domain.instruments import DOLLAR
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_YEAR
from flatbook.sim.clocks import Clocks
from flatbook.sim.perpetual import PerpetualMarket, PerpetualTerms, funding_rate_8h
from flatbook.sim.streams import stream
from flatbook.sim.world import Reverting, World, WorldParameters

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OtherCoinParameters:
    """The law of one coin.

    start_index_usd     index at the start
    correlation         of its returns with ours
    vol_ratio           its vol over ours, at every moment
    premium_bp          perpetual over index, basis points
    perpetual           what trading the perpetual costs beside its fee; the premium of these terms is not used
    """

    start_index_usd: float = 3_000.0
    correlation: float = 0.8
    vol_ratio: float = 1.3
    premium_bp: Reverting = field(default_factory=lambda: Reverting(1.0, 3.0, 3_000.0))
    perpetual: PerpetualTerms = field(
        default_factory=lambda: PerpetualTerms(half_spread_bp=0.6, daily_vol=0.04, daily_volume_usd=1e10)
    )

    def __post_init__(self) -> None:
        if not -1.0 <= self.correlation <= 1.0:
            raise ConfigurationError(f"simulated market: a correlation of {self.correlation:g}; use -1 to 1")
        for name in ("start_index_usd", "vol_ratio"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"simulated market: {name} is {getattr(self, name):g}; use more than 0")


DRAWN: Mapping[str, OtherCoinParameters] = {"ETH": OtherCoinParameters()}
"""The coins that the simulated market knows beside its own."""


def draw_index(law: OtherCoinParameters, ours: WorldParameters, world: World, seed: int, coin: str) -> Floats:
    """The coin's index by step of our world, USD, rounded to the cent.

    It is a martingale; ours drifts with its carry, by next to nothing in a step.
    """
    step_years = world.step_ns / NS_PER_YEAR
    at_ns = world.start_ns + world.step_ns * np.arange(world.index_usd.size - 1)
    jump_variance = ours.jumps_per_year * (ours.jump_mean**2 + ours.jump_deviation**2)
    variance = (world.minute_at(at_ns).factors.variance + jump_variance) * step_years
    own = np.sqrt(variance) * stream(seed, f"index {coin}").standard_normal(variance.size)
    shared = np.diff(np.log(world.index_usd)) + 0.5 * variance
    rho, ratio = law.correlation, law.vol_ratio
    moves = ratio * (rho * shared + math.sqrt(1.0 - rho * rho) * own) - 0.5 * ratio**2 * variance
    path = law.start_index_usd * np.exp(np.concatenate([[0.0], np.cumsum(moves)]))
    return np.asarray(np.round(path, 2))


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """A coin's paths: index by step, premium (fraction) by minute."""

    coin: str
    instrument: Instrument
    index_usd: Floats
    premium: Floats


class OtherCoins:
    """Prices them, and shows them: every tick of their indices, and their perpetuals' best prices once a minute."""

    def __init__(
        self,
        coins: Sequence[str],
        laws: Mapping[str, OtherCoinParameters],
        reference: ReferenceData,
        market: PerpetualMarket,
        drawn: tuple[WorldParameters, World, int],
    ) -> None:
        """`drawn` is our own coin's law, its paths, and the seed.

        Errors      ConfigurationError for a coin that this market does not draw
        """
        ours, self._world, seed = drawn
        self._market = market
        self._coins = []
        for coin in coins:
            if coin not in laws:
                known = ", ".join(laws) or "none"
                raise ConfigurationError(
                    f"hedging.correlated: the simulated market draws {known} and not {coin}; leave it out"
                )
            law, instrument = laws[coin], reference.instrument(f"{coin}_{DOLLAR}-PERPETUAL")
            minutes = self._world.minutes.premium.size - 1
            premium = 1e-4 * law.premium_bp.path(stream(seed, f"premium {coin}"), minutes)
            index_usd = draw_index(law, ours, self._world, seed, coin)
            self._coins.append(_Drawn(coin, instrument, index_usd, premium))
            market.terms_of[instrument.name] = law.perpetual

    def ticks(self, step: int, clocks: Clocks) -> Iterator[IndexTick]:
        """Every coin's index at a step of the world."""
        for drawn in self._coins:
            yield IndexTick(
                exch_ts_ns=clocks.exch_ns,
                local_ts_ns=clocks.local_ns,
                underlying=drawn.coin,
                price_usd=float(drawn.index_usd[step]),
            )

    def show(self, step: int, clocks: Clocks) -> Iterator[TopOfBook]:
        """The premium is of this minute from now on; the best prices with it."""
        minute = (clocks.exch_ns - self._world.start_ns) // NS_PER_MINUTE
        for drawn in self._coins:
            name, index_usd = drawn.instrument.name, float(drawn.index_usd[step])
            self._market.premium_of[name] = float(drawn.premium[minute])
            bid, ask = (
                ticks * drawn.instrument.tick_size for ticks in self._market.shown_ticks(drawn.instrument, index_usd)
            )
            yield TopOfBook(
                exch_ts_ns=clocks.exch_ns,
                local_ts_ns=clocks.local_ns,
                instrument=name,
                bid=bid,
                ask=ask,
                bid_amount=math.nan,
                ask_amount=math.nan,
                mark_price=round(self._market.mid_usd(name, index_usd), 2),
            )

    def funding(self, from_ns: int, clocks: Clocks) -> Iterator[FundingRate]:
        """What each perpetual pays at the rates of its premium since `from_ns`."""
        minutes = (np.arange(from_ns, clocks.exch_ns, NS_PER_MINUTE) - self._world.start_ns) // NS_PER_MINUTE
        hours = (clocks.exch_ns - from_ns) / NS_PER_HOUR
        for drawn in self._coins:
            rate_8h = float(funding_rate_8h(drawn.premium[minutes]).mean())
            yield FundingRate(
                exch_ts_ns=clocks.exch_ns,
                local_ts_ns=clocks.local_ns,
                instrument=drawn.instrument.name,
                rate=rate_8h * hours / 8,
                hours=hours,
            )

    @property
    def names(self) -> frozenset[str]:
        """Of the perpetuals."""
        return frozenset(drawn.instrument.name for drawn in self._coins)
