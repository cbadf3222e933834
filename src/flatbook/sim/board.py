"""The other makers' quotes as the venue publishes them: a row an option, prices and vols."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.events import ChainQuotes, QuoteRow
from flatbook.sim.clocks import Clocks
from flatbook.sim.flow import Stage, moment
from flatbook.sim.makers import Market, show
from flatbook.sim.options import Contracts, Values, value, vols_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Shown(NamedTuple):
    """What the other makers show on some options: names, contracts, what they believe them worth, best prices."""

    names: list[str]
    contracts: Contracts
    believed: Values
    market: Market
    tick: float

    def event(self, underlying: str, clocks: Clocks) -> ChainQuotes:
        """The quotes as an event. A price of no vol has none; a mark of no vol has the surface's."""
        bids, asks = (
            np.where(ticks > 0, np.round(ticks * self.tick, 8), np.nan)
            for ticks in (self.market.bid_ticks, self.market.ask_ticks)
        )
        bid_vols, ask_vols, mark_vols = (
            vols_of(prices, self.contracts, self.believed) for prices in (bids, asks, self.believed.price_coin)
        )
        mark_vols = np.where(np.isnan(mark_vols), self.believed.vol, mark_vols)
        columns = (bids, asks, bid_vols, ask_vols, mark_vols, self.believed.delivery_usd)
        return ChainQuotes(
            exch_ts_ns=clocks.exch_ns,
            local_ts_ns=clocks.local_ns,
            underlying=underlying,
            rows=tuple(map(QuoteRow, self.names, *(column.tolist() for column in columns))),
        )


def show_chain(stage: Stage, rows: Ints, now_ns: int) -> Shown:
    """What the other makers show on `rows` of the chain now."""
    at_ns = np.asarray(now_ns)
    contracts = stage.chain.contracts(rows)
    now = moment(stage.world, at_ns)._replace(factors=stage.beliefs.at(at_ns))
    believed = value(stage.surface, stage.world, contracts, now)
    market = show(stage.makers, believed, contracts.sign, stage.steps)
    names = [stage.chain.instruments[row].name for row in rows.tolist()]
    return Shown(names, contracts, believed, market, float(stage.steps.finest))


def touch_ticks(stage: Stage, name: str, side: int, now_ns: int) -> int:
    """The other makers' best price that a taker of a side meets in one option now, in finest ticks; 0 for none."""
    row = stage.chain.row_of.get(name)
    if row is None or int(stage.chain.contracts(np.array([row])).expiry_ns[0]) <= now_ns:
        return 0
    market = show_chain(stage, np.array([row]), now_ns).market
    return int((market.ask_ticks if side > 0 else market.bid_ticks)[0])
