"""The markets that a standing book is valued in: calibrated from a chain file, or as a maker knew them in a session."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import ChainQuotes, IndexTick, MarketEvent, TopOfBook, TradePrint
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE, format_utc
from flatbook.market.analytics.correlation import return_correlation
from flatbook.market.beliefs import Beliefs
from flatbook.market.calibration.slices import Calibration
from flatbook.market.calibration.surface import calibrate
from flatbook.market.chain_snapshot import ChainSnapshot
from flatbook.market.market import Market, MarketModel
from flatbook.market.snapshot import Markets, MarketSnapshot
from flatbook.store.chains import ChainFile, read_chains
from flatbook.store.session import open_session

Floats = NDArray[np.float64]

WARM_UP_HOURS = 48.0
"""How much of a session before the moment teaches its market."""

CORRELATION_STEP_NS = 10 * NS_PER_MINUTE


@dataclass(frozen=True)
class BookMarkets:
    """Markets, what is believed of each beside, in words where they are from, and what was assumed on the way."""

    markets: Markets
    beliefs: Mapping[str, Beliefs]
    source: str
    notes: tuple[str, ...]


def markets_of_chain(path: Path, underlyings: Iterable[str], at_ns: int | None = None) -> BookMarkets:
    """Each underlying's last chain at or before `at_ns` (None: the last of all), calibrated.

    Errors      BadInputError where the file is no chain file, or holds nothing of an underlying by then
    """
    file = read_chains(path)
    notes = list(file.notes)
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in file.left_out.items())
    notes.append(f"{path}: {file.format}, {file.taken:,} rows taken" + (f", left out: {left_out}" if left_out else ""))
    snapshots, beliefs = {}, {}
    for underlying in underlyings:
        chain = file.at(at_ns, history_name(file, underlying))
        calibration = calibrate(chain)
        snapshots[underlying] = calibrated_snapshot(chain, calibration, notes)
        known = [one for one in calibration.slices if one.forward.is_known]
        errors = np.array([one.error_vol for one in known], dtype=np.float64)
        beliefs[underlying] = Beliefs.prior(snapshots[underlying].expiry_ns, errors)
    return BookMarkets(Markets(snapshots), beliefs, path.name, tuple(notes))


def markets_of_session(
    path: Path, underlyings: Iterable[str], at_ns: int | None, reference: ReferenceData
) -> BookMarkets:
    """What a maker who listened to the session knew at `at_ns` (None: its end), with the correlation of its indices.

    Errors      BadInputError where there is no session, or it says nothing of an underlying by then
    """
    session = open_session(path)
    until_ns = session.to_ns if at_ns is None else at_ns
    if until_ns < session.from_ns:
        begins = format_utc(session.from_ns)
        raise BadInputError(f"{path}: begins at {begins}, after {format_utc(until_ns)}; ask for a time in it")
    learners = {name: MarketLearner(name, reference) for name in underlyings}
    begin_ns = until_ns - round(WARM_UP_HOURS * NS_PER_HOUR)
    for event in session.market_events(begin_ns, until_ns + 1, reference):
        for learner in learners.values():
            learner.take(event)
    snapshots = {name: learner.snapshot(until_ns, path) for name, learner in learners.items()}
    beliefs = {name: learner.beliefs(snapshots[name]) for name, learner in learners.items()}
    correlations, notes = _correlations(learners)
    return BookMarkets(Markets(snapshots, correlations=correlations), beliefs, path.name, tuple(notes))


def history_name(file: ChainFile, underlying: str) -> str:
    """Which of a file's chains is read: the coin-settled one where there is one, for its are the liquid options."""
    names = [name for name in file.underlyings if name.partition("_")[0] == underlying]
    return underlying if underlying in names or not names else names[0]


def calibrated_snapshot(chain: ChainSnapshot, calibration: Calibration, notes: list[str]) -> MarketSnapshot:
    """A calibrated chain as a market; what was not fitted, or is taken for the index, is added to `notes`.

    Errors      BadInputError where the chain has neither an index nor a forward
    """
    known = [one for one in calibration.slices if one.forward.is_known]
    unfit = [one for one in calibration.slices if not one.is_published]
    notes += [f"{chain.underlying} {format_utc(one.expiry_ns)}: no smile ({one.reason})" for one in unfit]
    linear = {}
    for quote in chain.linear:
        mid = 0.5 * (quote.bid + quote.ask)
        price = quote.mark if math.isfinite(quote.mark) else mid
        if price > 0.0:
            linear[quote.instrument] = price
    index = chain.index_usd
    if not index > 0.0:
        index, of = _index_of(chain, linear, [one.forward.forward_usd for one in known])
        notes.append(f"{chain.underlying}: the file states no index; {of} is taken for it")
    return MarketSnapshot(
        underlying=chain.underlying,
        ts_ns=chain.ts_ns,
        index_usd=index,
        expiry_ns=np.array([one.expiry_ns for one in known], dtype=np.int64),
        forward_usd=np.array([one.forward.forward_usd for one in known], dtype=np.float64),
        slices=np.array([one.params for one in known], dtype=np.float64).reshape(len(known), 5),
        linear_usd=linear,
    )


def _index_of(chain: ChainSnapshot, linear: dict[str, float], forwards: list[float]) -> tuple[float, str]:
    """The next best thing: the perpetual, or the nearest expiry's forward."""
    for quote in chain.linear:
        if quote.expiry_ns is None and quote.instrument in linear:
            return linear[quote.instrument], quote.instrument
    if not forwards:
        raise BadInputError(f"{chain.underlying}: neither index nor forward at {format_utc(chain.ts_ns)}; give another")
    return forwards[0], "the nearest forward"


class MarketLearner:
    """One underlying's market as the events of a session teach it."""

    def __init__(self, underlying: str, reference: ReferenceData) -> None:
        self._market = Market(underlying, reference, MarketModel())
        self._reference = reference
        self._linear: dict[str, float] = {}
        self._times: list[int] = []
        self._prices: list[float] = []

    def take(self, event: MarketEvent) -> None:
        """Learns from an event, if it says anything of this underlying."""
        underlying = self._market.underlying
        match event:
            case IndexTick() if event.underlying == underlying:
                self._market.take_index(event)
                self._times.append(event.local_ts_ns)
                self._prices.append(event.price_usd)
            case TradePrint():
                self._market.take_trade(event)
            case ChainQuotes() if event.underlying == underlying:
                self._market.take_chain(event)
            case TopOfBook() if self._reference.instrument(event.instrument).contract.base == underlying:
                price = event.mark_price if math.isfinite(event.mark_price) else event.mid
                if price > 0.0:
                    self._linear[event.instrument] = price
            case _:
                pass

    def index(self) -> tuple[NDArray[np.int64], Floats]:
        """When its index was seen, and the index, rising in time."""
        return np.array(self._times, dtype=np.int64), np.array(self._prices)

    def snapshot(self, now_ns: int, path: Path) -> MarketSnapshot:
        """What is known at `now_ns`; BadInputError, with the session's `path`, where that is nothing."""
        if not self._times:
            underlying = self._market.underlying
            raise BadInputError(f"{path}: says nothing of {underlying} by {format_utc(now_ns)}; ask for another time")
        return replace(MarketSnapshot.of(self._market, now_ns), linear_usd=self._linear)

    def beliefs(self, snapshot: MarketSnapshot) -> Beliefs:
        """What is believed beside `snapshot`."""
        return Beliefs.of(self._market, snapshot)


def _correlations(learners: dict[str, MarketLearner]) -> tuple[dict[tuple[str, str], float], list[str]]:
    found, notes = {}, []
    for one, other in itertools.combinations(sorted(learners), 2):
        value = return_correlation(*learners[one].index(), *learners[other].index(), CORRELATION_STEP_NS)
        if math.isfinite(value):
            found[one, other] = value
            notes.append(f"correlation of {one} and {other}: {value:.3f}, of ten-minute returns in the session")
    return found, notes
