"""Other coins whose perpetuals may hedge: their index, premium and touch, and how they move with ours.

A coin's return is `beta` times ours and a rest that has nothing to do with it. A correlation is believed as far as it
is sure: ρ (1 - (2 error / ρ)²), nothing where it is within two errors. So what is uncertain counts as rest, and a coin
of which little was seen hedges less, or not at all. Before anything was seen none is expected to move with ours.

Source      James and Stein's factor with its positive part, of one number: Efron and Morris (1973), "Stein's estimation
            rule and its competitors", J. American Statistical Association 68. Theirs has one error, by which one in
            three unrelated coins would hedge; by two it is one in twenty
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import ConfigurationError
from flatbook.domain.events import FundingRate, IndexTick, TopOfBook
from flatbook.domain.instruments import DOLLAR
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import NS_PER_SECOND, NS_PER_YEAR
from flatbook.kernels.chain import FACTORS, SPOT
from flatbook.market.covariance import CovarianceModel
from flatbook.market.factors import FactorMoves, MeterModel
from flatbook.market.joint_covariance import JointCovariance
from flatbook.market.perpetual import Perpetual, PerpetualModel, top_error
from flatbook.market.touches import DollarTouch, half_spread

Floats = NDArray[np.float64]

_ERRORS = 2.0
"""A correlation within so many standard errors is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Comovement:
    """How other coins move with ours, as far as it is sure.

    Shapes      beta, correlation, error, vol (coins,); rest (coins, coins)
    beta                what a coin's relative move is expected to be, of ours
    rest                covariance per year of what is left of their returns
    correlation, error  of each with ours as it was estimated, and its standard error
    vol                 of each, annual
    """

    beta: Floats
    rest: Floats
    correlation: Floats
    error: Floats
    vol: Floats


def comovement(covariance: Floats, error: Floats) -> Comovement:
    """From the covariance of returns and the standard error of its entries, both (1 + coins, 1 + coins), ours first.

    With a correlation kept to its share k_j the one of two other coins is kept to k_i k_j: so what is believed is a
    covariance, with every coin's variance as it was estimated, and `rest` has no negative variance in it.
    """
    deviation = np.sqrt(np.diag(covariance))
    scale = np.outer(deviation, deviation)
    correlation, errors = covariance / scale, (error / scale)[0, 1:]
    found, doubt = correlation[0, 1:], _ERRORS * errors
    ratio = np.divide(doubt, found, out=np.ones_like(found), where=np.abs(found) > doubt)
    kept = np.concatenate([[1.0], 1.0 - ratio * ratio])
    believed = correlation * np.outer(kept, kept)
    np.fill_diagonal(believed, 1.0)
    believed *= scale
    beta = believed[0, 1:] / believed[0, 0]
    rest = believed[1:, 1:] - np.outer(beta, beta) * believed[0, 0]
    return Comovement(beta, rest, found, errors, deviation[1:])


class OtherCoin:
    """One of them: its index, and its perpetual that is paid in dollars.

    Invariant   `index_ns` is the local time of the last tick, 0 before the first; `index_usd` is NaN until then
    """

    def __init__(self, name: str, reference: ReferenceData, model: PerpetualModel) -> None:
        self.name = name
        self.instrument = reference.instrument(f"{name}_{DOLLAR}-PERPETUAL")
        self.index_usd = math.nan
        self.index_ns = 0
        self.perpetual = Perpetual(model)
        self.touch = DollarTouch()
        self._index_exch_ns = 0
        self._read_ns = 0
        self._read_log = math.nan

    def take_index(self, event: IndexTick) -> None:
        """A tick of its index."""
        self.index_usd, self.index_ns = event.price_usd, event.local_ts_ns
        self._index_exch_ns = event.exch_ts_ns

    def take_top(self, event: TopOfBook, vol: float) -> None:
        """The perpetual's best prices: its premium, and what it costs to take; `vol` is the index's, annual."""
        over_index = event.mid / self.index_usd
        if not over_index > 0.0:
            return
        error = top_error(event, self.perpetual.model.mark_error, vol, event.exch_ts_ns - self._index_exch_ns)
        self.perpetual.see(math.log(over_index), error, event.local_ts_ns)
        self.touch = DollarTouch(half_spread(event), event.local_ts_ns)

    def take_funding(self, event: FundingRate) -> None:
        """Funding that the perpetual paid."""
        self.perpetual.take_funding(event.rate, event.hours, event.local_ts_ns)

    def moved(self, elapsed_ns: int, now_ns: int, oldest_ns: float) -> float:
        """Its log return per root year since `elapsed_ns` ago; NaN where it was not read then, or is too old now."""
        before_ns, before = self._read_ns, self._read_log
        is_fresh = self.index_ns > oldest_ns
        self._read_ns, self._read_log = now_ns, math.log(self.index_usd) if is_fresh else math.nan
        if now_ns - before_ns != elapsed_ns or elapsed_ns <= 0:
            return math.nan
        return (self._read_log - before) / math.sqrt(elapsed_ns / NS_PER_YEAR)


class OtherCoins:
    """All of them, and Σ of their prices and our factors together.

    names       of the coins, in the order of every array of theirs
    place_of    that order, by the names of their perpetuals
    """

    def __init__(
        self,
        underlying: str,
        names: Sequence[str],
        reference: ReferenceData,
        models: tuple[CovarianceModel, PerpetualModel, MeterModel],
        spot_vol: float = 0.75,
    ) -> None:
        """`models` are our own; of another coin's covariance only the index's annual vol before it is seen is another.

        Errors      ConfigurationError for a coin that is our own, or is named twice; UnknownInstrumentError for one
                    whose perpetual nobody lists
        """
        if underlying in names or len(set(names)) < len(names):
            raise ConfigurationError(
                f"hedging.correlated: {', '.join(names)} for a run in {underlying}; name each other coin once"
            )
        ours, perpetual, meter = models
        self.names = tuple(names)
        self.coins = tuple(OtherCoin(name, reference, perpetual) for name in names)
        self.joint = JointCovariance(
            {underlying: ours, **{name: replace(ours, spot_vol=spot_vol) for name in names}}, 0.0, meter.overlap
        )
        self._spot_vol = spot_vol
        self._fresh_ns = meter.fresh_s * NS_PER_SECOND
        self.place_of = {coin.instrument.name: place for place, coin in enumerate(self.coins)}
        self._of = dict(zip(self.names, self.coins, strict=True))
        self._underlying = underlying

    def of(self, name: str) -> OtherCoin | None:
        """The coin called `name`; None where it is none of them."""
        return self._of.get(name)

    def take_top(self, event: TopOfBook) -> None:
        """Best prices, of a perpetual of one of them or of anything else."""
        if (place := self.place_of.get(event.instrument)) is not None:
            self.coins[place].take_top(event, self._spot_vol)

    def take_funding(self, event: FundingRate) -> None:
        """Funding, of a perpetual of one of them or of another."""
        if (place := self.place_of.get(event.instrument)) is not None:
            self.coins[place].take_funding(event)

    def read(self, moves: FactorMoves | None, now_ns: int) -> None:
        """Reads every coin when our factors are read; their moves together teach Σ. None where ours begin anew."""
        elapsed_ns = 0 if moves is None else moves.elapsed_ns
        seen = {}
        for coin in self.coins:
            single, nothing = np.full(FACTORS, np.nan), np.full(FACTORS, np.nan)
            single[SPOT] = coin.moved(elapsed_ns, now_ns, now_ns - self._fresh_ns)
            if math.isfinite(single[SPOT]):
                seen[coin.name] = FactorMoves(single, nothing, elapsed_ns)
        if moves is not None:
            self.joint.observe({self._underlying: moves, **seen}, now_ns)

    def comovement(self) -> Comovement:
        """How they move with ours, as of the last reading."""
        spots = [SPOT + FACTORS * place for place in range(1 + len(self.names))]
        of_spots = np.ix_(spots, spots)
        return comovement(self.joint.matrix()[of_spots], self.joint.sigma.standard_error()[of_spots])

    def prices_usd(self, now_ns: int) -> Floats:
        """(2, coins): what each perpetual is worth, and its index; NaN before the first tick."""
        index = np.array([coin.index_usd for coin in self.coins])
        marks = [coin.perpetual.mark_usd(coin.index_usd, now_ns) for coin in self.coins]
        return np.stack([np.array(marks), index])
