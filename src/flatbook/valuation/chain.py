"""The whole chain valued at one instant: columns that are filled in place, and stamped."""

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.black import CHAIN_ROWS, price_chain
from flatbook.kernels.chain import FACTORS, SLOT_ROWS, spread_slots
from flatbook.kernels.factors import PRIMITIVES, load_factors, map_factors
from flatbook.kernels.revalue import COLUMNS, OF_SLOTS, revalue
from flatbook.market.market import Market
from flatbook.market.settling import Settling
from flatbook.market.snapshot import MarketSnapshot
from flatbook.market.universe import Ladders
from flatbook.valuation.settling import expected_delivery_usd, settle_greeks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PRICE, DELTA, GAMMA, VEGA, THETA, VANNA, VOLGA = range(7)
"""Rows of `ChainValues.greeks` that are used by name; the order of `kernels.black.CHAIN_ROWS`."""

_NO_COINS: Floats = np.zeros(0)


class ChainValues:
    """Values, Greeks and factor loadings of every option of a universe, a row each.

    Shapes      all (rows,), greeks (7, rows), slot (rows,), factor_map (slots, PRIMITIVES * FACTORS), level (slots,)
    Units       forward, Greeks in USD per contract of one coin (see kernels.black); fair in coin; vol decimal, and
                vol_error its smile's standard error; factor_map as in kernels.factors; `perp_usd` the
                perpetual's mark, `linear_usd` that of the dollar-settled one, `away_usd` of another venue's; level the
                vol at the forward, NaN where there is no slice
    delivery_usd    (slots,) what a dated future is worth: its forward, in the settlement window the price it is
                    expected to be delivered at, of which `fixed_share` (slots,) no longer moves
    others_usd, others_index_usd    (coins,) what the perpetuals of other coins that may hedge are worth, and their
                    indices; NaN before they are known
    settling        expiries in their last hour, each with its rows: their price and Greeks are `valuation.settling`'s
    Invariant   everything is as of `ts_ns` and `index_usd`; a row without a slice is NaN, an expired one intrinsic
    """

    def __init__(self) -> None:
        self.ts_ns = 0
        self.index_usd = np.nan
        self.perp_usd = np.nan
        self.linear_usd = np.nan
        self.away_usd = np.nan
        self.others_usd = self.others_index_usd = _NO_COINS
        self.rows = 0
        self.slot: Ints = np.zeros(0, np.int64)
        self.settling: tuple[tuple[Settling, Ints], ...] = ()
        self._allocate(0)
        self._allocate_slots(0)

    def _allocate(self, rows: int) -> None:
        self.rows = rows
        self._table: Floats = np.full((len(COLUMNS), rows), np.nan)
        self.forward_usd, self.years, self.vol, self.moneyness, self.fair_coin, self.vol_error = self._table
        self.greeks: Floats = np.full((len(CHAIN_ROWS), rows), np.nan)

    def _allocate_slots(self, slots: int) -> None:
        self._slots: Floats = np.empty((len(SLOT_ROWS), slots))
        self._of_slots: Floats = np.full((len(OF_SLOTS), slots), np.nan)
        self.level, _, self.delivery_usd, self.fixed_share = self._of_slots
        self.fixed_share.fill(0.0)
        self.factor_map: Floats = np.empty((slots, PRIMITIVES * FACTORS))

    @property
    def slot_years(self) -> Floats:
        """(slots,) years to each expiry, 0 once past."""
        return np.asarray(np.maximum(self._slots[1], 0.0))

    def revalue(self, market: Market, now_ns: int) -> None:
        """Recomputes every column from the market as it is."""
        universe = market.universe
        if universe.count != self.rows:
            self._allocate(universe.count)
        if universe.slots != self._slots.shape[1]:
            self._allocate_slots(universe.slots)
        ladders = universe.ladders()
        columns = ladders.columns
        self.slot, self.ts_ns, self.index_usd = columns.slot, now_ns, market.forwards.index_usd
        revalue(
            market.tenor_years,
            self.index_usd,
            market.forwards.basis,
            universe.expiry_ns,
            now_ns,
            *market.surface.known(now_ns),
            ladders.walk,
            ladders.first,
            ladders.run_slot,
            columns.strike_usd,
            columns.sign,
            self._slots,
            self._of_slots,
            self.factor_map,
            self._table,
            self.greeks,
        )
        self._settle(market, ladders)
        self.perp_usd = market.perpetual.mark_usd(self.index_usd, now_ns)
        self.linear_usd = market.linear.mark_usd(self.index_usd, now_ns)
        if market.away is not None:
            self.away_usd = market.away.perpetual.mark_usd(self.index_usd, now_ns)
        if market.others is not None:
            self.others_usd, self.others_index_usd = market.others.prices_usd(now_ns)

    def _settle(self, market: Market, ladders: Ladders) -> None:
        """Values what is in its settlement window as the average it pays on."""
        self.settling = ()
        if not (near := market.settling(self._slots[1], self.ts_ns)):
            return
        self.settling = tuple([(one, ladders.rows(one.slot)) for one in near])
        for one, rows in self.settling:
            strike, sign = ladders.columns.strike_usd[rows], ladders.columns.sign[rows]
            self.greeks[:, rows] = settle_greeks(
                one, self.index_usd, self.forward_usd[rows], strike, self.vol[rows], sign
            )
            self.fair_coin[rows] = self.greeks[PRICE, rows] / self.forward_usd[rows]
            expected = expected_delivery_usd(one, float(self._slots[0, one.slot]))
            self.delivery_usd[one.slot], self.fixed_share[one.slot] = expected

    @property
    def slots(self) -> Floats:
        """What the expiries said, (len(SLOT_ROWS), slots), rows `kernels.chain.SLOT_ROWS`."""
        return self._slots

    @property
    def loading(self) -> Floats:
        """What buying a contract adds to exposures, (rows, FACTORS), USD per unit of factor (see kernels.factors)."""
        loading = np.empty((self.rows, FACTORS))
        load_factors(self.index_usd, self.slot, self.factor_map, self.forward_usd, self.moneyness, self.greeks, loading)
        return loading

    @classmethod
    def of_snapshot(
        cls, snapshot: MarketSnapshot, expiry: Ints, strike_usd: Floats, sign: Floats, tenor_years: Floats
    ) -> "ChainValues":
        """Options by place of their expiry in a snapshot, strike and sign, (n,) each, a row each."""
        values = cls()
        values._allocate(len(expiry))
        values._allocate_slots(len(snapshot.expiry_ns))
        values._slots[0], values._slots[1] = snapshot.forward_usd, snapshot.years
        values._slots[2:] = snapshot.slices.T
        values.slot, values.ts_ns, values.index_usd = expiry, snapshot.ts_ns, snapshot.index_usd
        map_factors(tenor_years, snapshot.years, values.factor_map)
        order = np.argsort(expiry, kind="stable")
        first = np.flatnonzero(np.diff(expiry[order], prepend=-1, append=-1))
        spread_slots(
            order,
            first,
            expiry[order][first[:-1]],
            strike_usd,
            values._slots,
            values.forward_usd,
            values.years,
            values.vol,
            values.moneyness,
        )
        price_chain(
            values.forward_usd, strike_usd, values.moneyness, values.vol, values.years, sign, values.fair_coin,
            values.greeks,
        )  # fmt: skip
        return values

    def copy_from(self, other: "ChainValues") -> None:
        """Becomes a copy of `other`, in place where the sizes agree."""
        if self.rows != other.rows:
            self._allocate(other.rows)
        if self._slots.shape != other._slots.shape:
            self._allocate_slots(other._slots.shape[1])
        self.ts_ns, self.index_usd, self.slot = other.ts_ns, other.index_usd, other.slot
        self.perp_usd, self.linear_usd, self.settling = other.perp_usd, other.linear_usd, other.settling
        self.away_usd = other.away_usd
        self.others_usd, self.others_index_usd = other.others_usd, other.others_index_usd
        for mine, theirs in zip(self._columns(), other._columns(), strict=True):
            mine[...] = theirs

    def _columns(self) -> tuple[Floats, ...]:
        return (
            self._table,
            self.greeks,
            self._slots,
            self._of_slots,
            self.factor_map,
        )
