"""What others than the index's own feed say that the index is: dated futures, prints and books of options.

Each is a price that somebody stands behind, brought back to the index by what is known of forwards and smiles. The
index that a print carries is not one of them: it comes from where the index comes from.
"""

import math

import numpy as np

from flatbook.domain.events import ChainQuotes, TopOfBook, TradePrint
from flatbook.domain.instruments import Kind
from flatbook.domain.reference import Instrument
from flatbook.kernels.implied_forward import implied_forward
from flatbook.market.expiry_quotes import ExpiryQuotes
from flatbook.market.market import Market

_VOL_ERROR = 0.1
"""What a smile may have moved with an index that jumps, in vol."""


def index_of_future(market: Market, instrument: Instrument, event: TopOfBook) -> float:
    """The index that a dated future's mid speaks of, NaN where nothing is known of its expiry's basis."""
    contract = instrument.contract
    slot = market.universe.slot_of.get(contract.expiry_ns or 0)
    if contract.kind is not Kind.FUTURE or contract.base != market.underlying or not contract.is_inverse:
        return math.nan
    return _index(market, slot, event.mid)


def index_of_print(market: Market, event: TradePrint, error: float) -> float:
    """The index at which a print's price is worth the smile's vol of its strike.

    NaN         for a block or combo, without a smile, and where a smile off by ten vol points moves it by more than
                `error`, relative
    """
    universe = market.universe
    row = universe.row_of.get(event.instrument)
    if row is None or event.off_book:
        return math.nan
    slot, strike, sign = int(universe.slot[row]), float(universe.strike_usd[row]), float(universe.sign[row])
    years, forward = float(market.years(event.local_ts_ns)[slot]), market.forwards.forward_usd(slot)
    if years * 8760 < market.model.min_hours or not market.surface.is_known(slot):
        return math.nan
    vol = market.surface.vol(slot, math.log(strike / forward))
    told = implied_forward(event.price, strike, vol, years, sign, forward)
    width = vol * math.sqrt(years)
    d1 = math.log(told / strike) / width + 0.5 * width
    vega = math.exp(-0.5 * d1 * d1) / math.sqrt(2 * math.pi) * math.sqrt(years)
    lever = strike / told * 0.5 * math.erfc(-sign * (d1 - width) / math.sqrt(2))
    return _index(market, slot, told) if vega * _VOL_ERROR <= error * lever else math.nan


def index_of_chain(market: Market, event: ChainQuotes, error: float) -> float:
    """The index by parity of a chain's calls and puts: the median of its expiries that know it within `error`."""
    universe = market.universe
    by_slot: dict[int, list[int]] = {}
    for at, quote in enumerate(event.rows):
        row = universe.row_of.get(quote.instrument)
        if row is not None:
            by_slot.setdefault(int(universe.slot[row]), []).append(at)
    told = []
    for slot, places in by_slot.items():
        quotes = [event.rows[at] for at in places]
        rows = np.array([universe.row_of[quote.instrument] for quote in quotes])
        found = ExpiryQuotes(universe.strike_usd[rows], universe.sign[rows], quotes).parity()
        if found is not None and found[1] <= error:
            told.append(_index(market, slot, found[0]))
    known = [index_usd for index_usd in told if not math.isnan(index_usd)]
    return float(np.median(known)) if known else math.nan


def _index(market: Market, slot: int | None, forward_usd: float) -> float:
    """The index of a forward, by the basis of its expiry as it is known."""
    if slot is None or slot >= len(market.forwards.basis) or not market.forwards.seen_ns[slot]:
        return math.nan
    return forward_usd / math.exp(market.forwards.basis[slot])
