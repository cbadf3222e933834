"""What one underlying's market says now: the stage that takes market events and answers nothing but state.

Index, forwards and smiles are kept as of the last event. Every value has its age; what is missing is missing (NaN), not
old. Nothing here depends on our own quotes or positions.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.events import ChainQuotes, FundingRate, IndexTick, QuoteRow, TopOfBook, TradePrint
from flatbook.domain.instruments import DOLLAR, ContractName, Kind
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_YEAR
from flatbook.kernels.implied import OK, implied_vol
from flatbook.kernels.implied_forward import implied_forward
from flatbook.kernels.levels import have_moved
from flatbook.market.away import AwayPerpetual
from flatbook.market.covariance import CovarianceModel, FactorCovariance
from flatbook.market.expiry_quotes import LEAST_VOL, MOST_VOL, Bands, ExpiryQuotes
from flatbook.market.factors import FactorMeter, MeterModel
from flatbook.market.forwards import ForwardModel, Forwards
from flatbook.market.other_coins import OtherCoins
from flatbook.market.perpetual import Perpetual, PerpetualModel, top_error
from flatbook.market.settling import Settling, WindowAverage, is_quiet, settling
from flatbook.market.surface import Surface
from flatbook.market.surface_model import SurfaceModel
from flatbook.market.touches import Touches
from flatbook.market.universe import Universe

Floats = NDArray[np.float64]

_SQRT_TWO_PI = math.sqrt(2 * math.pi)

_SETTLED_NS = 15 * NS_PER_MINUTE
"""An expiry is kept at its delivery price for this long; by then the venue has delivered it."""

_SHORT_YEARS = 7 / 365
"""A perpetual's premium reverts to what pays for the carry this far ahead: nearer ones are known too badly."""


@dataclass(frozen=True, slots=True)
class MarketModel:
    """Everything the market stage believes before it sees anything.

    refit_after_vol     a new observation refits its slice when it is farther from it than this, in vol ...
    refit_after_s       ... or when the slice is older than this
    mark_resolution     error of a recorded mark price, in coin
    min_hours           expiries nearer than this teach the surface nothing
    """

    forwards: ForwardModel = field(default_factory=ForwardModel)
    perpetual: PerpetualModel = field(default_factory=PerpetualModel)
    surface: SurfaceModel = field(default_factory=SurfaceModel)
    meter: MeterModel = field(default_factory=MeterModel)
    covariance: CovarianceModel = field(default_factory=CovarianceModel)
    refit_after_vol: float = 0.002
    refit_after_s: float = 20.0
    mark_resolution: float = 1e-6
    min_hours: float = 1.0


class Market:
    """One underlying's market, and beside it what other coins say that may hedge; `others` is None where none may.

    Invariant   whatever is published (forwards, smiles, Σ) comes from events taken so far, each with its time
    """

    def __init__(self, underlying: str, reference: ReferenceData, model: MarketModel) -> None:
        self.model = model
        self.underlying = underlying
        self.universe = Universe(underlying, reference)
        self.forwards = Forwards(model.forwards)
        self.perpetual = Perpetual(model.perpetual)
        self.linear = Perpetual(model.perpetual)
        self.away: AwayPerpetual | None = None
        self.surface = Surface(model.surface)
        self.meter = FactorMeter(model.meter, model.covariance.tenor_days)
        self.covariance = FactorCovariance.of(model.covariance, model.meter.overlap)
        self.tenor_years: Floats = np.array(model.covariance.tenor_days) / 365
        self.touches = Touches(self.universe.capacity)
        self.mark_coin: Floats = np.full(self.universe.capacity, np.nan)
        self.mark_ns: NDArray[np.int64] = np.zeros(self.universe.capacity, np.int64)
        self.set_aside = 0
        self._scratch = [np.zeros(1) for _ in range(6)]
        self._code = np.zeros(1, np.int8)
        self._index_exch_ns = 0
        self._average = WindowAverage()
        self._reference = reference
        self._years_of = (0, 0)
        self._years: Floats = np.zeros(0)
        self.others: OtherCoins | None = None

    def years(self, now_ns: int) -> Floats:
        """Years to each slot's expiry, negative once past; read-only, for all ask it several times of a moment."""
        universe = self.universe
        if self._years_of != (now_ns, universe.slots):
            self._years_of = (now_ns, universe.slots)
            self._years = (universe.expiry_ns[: universe.slots] - now_ns) / NS_PER_YEAR
            self._years.setflags(write=False)
        return self._years

    def have_moved(
        self, level_then: Floats, basis_then: Floats, most_width: float, most_basis: float, now_ns: int
    ) -> bool:
        """Whether any live expiry is farther than that from where it was, or expiries were listed since.

        most_width      of its at-the-money vol times root time
        most_basis      of its forward's log basis
        """
        slices = self.surface.slices
        return len(level_then) != self.universe.slots or have_moved(
            slices.params,
            slices.fitted_years,
            self.years(now_ns),
            self.forwards.basis,
            level_then,
            basis_then,
            most_width,
            most_basis,
        )

    def take_index(self, event: IndexTick) -> None:
        """A tick of the index moves every forward. Factors are read just before it, when all is of one moment."""
        if self.meter.is_due(event.local_ts_ns) and self.forwards.index_usd > 0:
            self._read_factors()
        self.forwards.set_index(event.price_usd, event.local_ts_ns)
        self._index_exch_ns = event.exch_ts_ns
        self._average.tick(event.exch_ts_ns, event.price_usd)

    def settling(self, years: Floats, now_ns: int) -> tuple[Settling, ...]:
        """The expiries too near, or just past, to be valued as if they paid on one price; `years` to each slot's."""
        if is_quiet(now_ns, round(self.model.min_hours * NS_PER_HOUR), _SETTLED_NS):
            return ()
        left_ns = self.universe.expiry_ns[: len(years)] - now_ns
        near = np.flatnonzero((left_ns < self.model.min_hours * NS_PER_HOUR) & (left_ns > -_SETTLED_NS))
        found = (
            settling(
                slot,
                float(years[slot]),
                float(self.surface.slices.fitted_years[slot]),
                self._average.average_usd(int(self.universe.expiry_ns[slot]), now_ns),
            )
            for slot in near.tolist()
        )
        return tuple(one for one in found if one is not None)

    def _read_factors(self) -> None:
        """Moves of the factors teach Σ; and the premium reverts to what pays for the carry of the forwards."""
        now_ns = self.forwards.index_ns
        moves = self.meter.read(self.forwards, self.surface, self.perpetual, self.years(now_ns), now_ns)
        if moves is not None:
            self.covariance.observe(moves, now_ns)
        if self.others is not None:
            self.others.read(moves, now_ns)
        if self.forwards.seen_ns.any():
            carry = self.forwards.carry(_SHORT_YEARS, self.universe.expiry_ns, now_ns)
            self.perpetual.revert_to(carry.rate, now_ns)
            self.linear.revert_to(carry.rate, now_ns)
            if self.away is not None:
                self.away.perpetual.revert_to(carry.rate, now_ns)

    def take_top(self, event: TopOfBook) -> None:
        """The best prices of a perpetual tell its premium, a dated future's its expiry's forward.

        A contract that is not quoted in dollars tells nothing here, nor does a future that no option expires with. Of
        spot only what it costs is kept: its price is the index.
        """
        instrument = self._reference.instrument(event.instrument)
        contract, over_index = instrument.contract, event.mid / self.forwards.index_usd
        if contract.base != self.underlying or not _is_in_dollars(contract) or not over_index > 0:
            return
        model, apart_ns = self.model, event.exch_ts_ns - self._index_exch_ns
        error = top_error(event, model.perpetual.mark_error, model.covariance.spot_vol, apart_ns)
        if self.away is not None and instrument is self.away.instrument:
            self.away.take_top(event, over_index, error)
            return
        if contract.kind is Kind.PERPETUAL:
            perpetual = self.perpetual if contract.is_inverse else self.linear
            perpetual.see(math.log(over_index), error, event.local_ts_ns)
        if not contract.is_inverse:
            self.touches.see_dollars(contract.kind, event)
        if not contract.is_inverse or contract.kind is Kind.PERPETUAL:
            return
        slot = self.universe.slot_of.get(contract.expiry_ns or 0)
        if slot is not None and self.years(event.local_ts_ns)[slot] * 8760 >= self.model.min_hours:
            self._open(slot, event.local_ts_ns)
            self.forwards.observe(slot, event.mid, error, event.local_ts_ns)
            self.touches.see_future(slot, instrument, event)

    def take_funding(self, event: FundingRate) -> None:
        """Funding of a perpetual tells of its premium in the hours before."""
        contract = self._reference.instrument(event.instrument).contract
        if contract.base == self.underlying and _is_in_dollars(contract):
            perpetual = self.perpetual if contract.is_inverse else self.linear
            perpetual.take_funding(event.rate, event.hours, event.local_ts_ns)

    def take_trade(self, event: TradePrint) -> int | None:
        """A print teaches its expiry's forward and smile: the venue's mark where it gives one, the traded vol else.

        Returns     the expiry's slot, None where the print taught nothing
        """
        now_ns = event.local_ts_ns
        row = self._row(event.instrument)
        if row is None or math.isnan(self.forwards.index_usd):
            return None
        universe = self.universe
        slot = int(universe.slot[row])
        years = (int(universe.expiry_ns[slot]) - now_ns) / NS_PER_YEAR
        if years * 8760 < self.model.min_hours:
            return None
        strike, sign = float(universe.strike_usd[row]), float(universe.sign[row])
        if not math.isnan(event.iv):
            self._learn_forward(slot, event.price, strike, event.iv, years, sign, now_ns)
        if not math.isnan(event.mark_price):
            self.mark_coin[row], self.mark_ns[row] = event.mark_price, now_ns
            vol, error = self._vol_of(slot, event.mark_price, strike, years, sign, now_ns)
        else:
            vol, error = event.iv, self.model.surface.quote_error
        if not LEAST_VOL < vol < MOST_VOL:
            self.set_aside += 1
            return None
        k = math.log(strike / self.forwards.forward_usd(slot))
        self._see(slot, k, vol, math.hypot(error, self.model.surface.quote_error), now_ns)
        return slot

    def take_chain(self, event: ChainQuotes) -> None:
        """A chain's quotes: forwards from the venue or by parity, then bands for every smile, then a fit of each."""
        if math.isnan(self.forwards.index_usd):
            return
        now_ns = event.local_ts_ns
        by_slot: dict[int, list[tuple[int, QuoteRow]]] = {}
        known = [(row, quote) for quote in event.rows if (row := self._row(quote.instrument)) is not None]
        self.touches.see_options(known, self.universe.capacity, now_ns)
        for row, quote in known:
            by_slot.setdefault(int(self.universe.slot[row]), []).append((row, quote))
        years, chain = self.years(now_ns), dict[int, Bands]()
        for slot, quotes in by_slot.items():
            if years[slot] * 8760 >= self.model.min_hours:
                bands = self._learn_from_expiry(slot, quotes, float(years[slot]), now_ns)
                if len(bands.k):
                    chain[slot] = bands
        if chain:
            self.surface.age(years, now_ns)
            self.surface.see_chain(chain)

    def _learn_from_expiry(self, slot: int, quotes: list[tuple[int, QuoteRow]], years: float, now_ns: int) -> Bands:
        """Takes the forward that a chain's rows tell; what they say of the smile about it."""
        rows = np.array([row for row, _ in quotes])
        of_expiry = ExpiryQuotes(self.universe.strike_usd[rows], self.universe.sign[rows], [one for _, one in quotes])
        self._open(slot, now_ns)
        found = of_expiry.forward()
        if found is not None:
            self.forwards.observe(slot, *found, now_ns)
        bands, crossed = of_expiry.bands(self.forwards.forward_usd(slot), years)
        self.set_aside += crossed
        return bands

    def _row(self, name: str) -> int | None:
        row = self.universe.row(name)
        if row is not None and row >= len(self.mark_coin):
            more = self.universe.capacity - len(self.mark_coin)
            self.mark_coin = np.concatenate([self.mark_coin, np.full(more, np.nan)])
            self.mark_ns = np.concatenate([self.mark_ns, np.zeros(more, np.int64)])
        slots = self.universe.slot_capacity
        if slots > len(self.forwards.basis):
            self.forwards.grow(slots)
            self.surface.grow(slots)
        return row

    def _open(self, slot: int, now_ns: int) -> None:
        if not self.forwards.seen_ns[slot]:
            perpetual = self.perpetual
            beside = perpetual.implied_carry(now_ns) if perpetual.seen_ns or perpetual.funding_ns else None
            self.forwards.open_slot(slot, self.universe.expiry_ns, now_ns, beside)

    def _learn_forward(
        self, slot: int, price: float, strike: float, iv: float, years: float, sign: float, now_ns: int
    ) -> None:
        """A traded price and its vol imply a forward, well where the option has delta, not at all in the wings."""
        self._open(slot, now_ns)
        forward = implied_forward(price, strike, iv, years, sign, self.forwards.forward_usd(slot))
        if math.isnan(forward):
            return
        width = iv * math.sqrt(years)
        d2 = math.log(forward / strike) / width - 0.5 * width
        lever = strike / forward * 0.5 * math.erfc(-sign * d2 / math.sqrt(2))
        vega = math.exp(-0.5 * (d2 + width) ** 2) / _SQRT_TWO_PI * math.sqrt(years)
        # In a wing the vol no longer absorbs what the taker paid over fair, and it would all be read as forward.
        if lever > 0.05 and abs(d2 + width) < 1.5:
            noise = (vega * 5e-5 + self.model.mark_resolution) / lever
            self.forwards.observe(slot, forward, math.hypot(noise, 2e-5), now_ns)

    def _vol_of(
        self, slot: int, price: float, strike: float, years: float, sign: float, now_ns: int
    ) -> tuple[float, float]:
        """Vol of a coin price at the slot's forward, and its error from the price's resolution; NaN where none."""
        forward = self.forwards.forward_usd(slot)
        price_, forward_, strike_, years_, sign_, vol_ = self._scratch
        price_[0], forward_[0], strike_[0], years_[0], sign_[0] = price * forward, forward, strike, years, sign
        implied_vol(price_, forward_, strike_, years_, sign_, vol_, self._code)
        vol = float(vol_[0])
        if self._code[0] != OK or not LEAST_VOL < vol < MOST_VOL:
            return math.nan, math.nan
        width = vol * math.sqrt(years)
        d1 = math.log(forward / strike) / width + 0.5 * width
        vega = math.exp(-0.5 * d1 * d1) / _SQRT_TWO_PI * math.sqrt(years)
        error = (self.model.mark_resolution + 0.5 * self.forwards.deviation(slot, now_ns)) / max(vega, 1e-9)
        return (vol, error) if error < 0.1 else (math.nan, math.nan)

    def _see(self, slot: int, k: float, vol: float, error: float, now_ns: int) -> None:
        """Moves the levels by a seen vol, and refits the slot's shape where that is due."""
        surface = self.surface
        surface.age(self.years(now_ns), now_ns)
        if not surface.is_known(slot):
            surface.seed(slot, vol)
        if not surface.see(slot, k, vol, error):
            return
        off = abs(surface.vol(slot, k) - vol)
        stale = now_ns - int(surface.fitted_ns[slot]) > self.model.refit_after_s * 1e9
        if off > self.model.refit_after_vol or stale:
            surface.refit(slot)


def _is_in_dollars(contract: ContractName) -> bool:
    """Whether its price is in dollars: an inverse contract's, or one's that is paid in them."""
    return contract.is_inverse or contract.settle == DOLLAR
