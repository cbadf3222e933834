"""Packages as the live chain values them: legs as rows of a table, and what a whole package adds to the book."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.rfq.package import LegTable, Package
from flatbook.decide.rfq.pricing import RfqMarket, RfqTerms
from flatbook.domain.events import DeltaLeg, RequestForQuote
from flatbook.domain.reference import Instrument
from flatbook.engine import leaning
from flatbook.kernels.chain import FACTORS, PREMIUM, SPOT, SQUARED
from flatbook.kernels.factors import load_factors
from flatbook.kernels.fill_units import LINEAR
from flatbook.risk.package_gate import PackageRisk, Room, worst_of
from flatbook.risk.reservation import MARGIN
from flatbook.valuation.chain import VEGA
from flatbook.valuation.risk_price import RiskPrice, no_risk_price

if TYPE_CHECKING:
    from flatbook.engine.rfq_desk import Request, RfqDesk
    from flatbook.engine.state import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_HOURS_PER_YEAR = 8_760.0
_CONTRACTS = LINEAR.index("contracts")


@dataclass(frozen=True, slots=True, eq=False)
class Legs:
    """What is asked for, found in the chain: rows with whole ratios, and a perpetual that trades with the whole of it.

    packages    how many; `delta_leg` None where there is none
    """

    rows: Ints
    ratios: Floats
    packages: float
    instruments: tuple[Instrument, ...]
    delta_leg: DeltaLeg | None
    package: Package

    @property
    def tick(self) -> float:
        """Of the package's price: the finest of its legs'."""
        return min(instrument.tick_size for instrument in self.instruments)

    def fair_coin(self, state: State) -> float:
        """What one package is worth by the last valuation."""
        worth = float(self.ratios @ state.values.fair_coin[self.rows])
        return worth + _leg_worth_coin(self.delta_leg, state) / self.packages


def find_legs(state: State, asked: RequestForQuote) -> Legs | str:
    """The legs of a request in the chain, or why it cannot be priced here."""
    universe, reference = state.market.universe, state.setup.reference
    names = [leg.instrument for leg in asked.legs]
    unknown = [name for name in names if name not in universe.row_of]
    if unknown:
        return f"{', '.join(unknown)}: not in the chain"
    if not names or len(set(names)) < len(names) or asked.size <= 0.0:
        return "a package needs a size, and each of its legs once"
    leg = asked.delta_leg
    if leg is not None and (leg.instrument != state.setup.hedge.name or not leg.price > 0.0):
        return f"delta leg {leg.instrument}: only {state.setup.hedge.name} at a price trades with a package"
    pairs = [(number, float(one.ratio)) for number, one in enumerate(asked.legs)]
    package = Package.of(pairs if leg is None else [*pairs, (len(pairs), 1.0 / asked.size)])
    return Legs(
        rows=np.array([universe.row_of[name] for name in names], np.int64),
        ratios=np.array([ratio for _, ratio in pairs]),
        packages=asked.size,
        instruments=tuple(reference.instrument(name) for name in names),
        delta_leg=leg,
        # A leg at a price off the market may cost more than the options are worth.
        package=package if leg is None else package._replace(is_long_only=False),
    )


def leg_table(state: State, legs: Legs, slice_error: Floats) -> LegTable:
    """One row an option, and one for the delta leg, whole, where there is one; as of the last valuation.

    `slice_error` (slots,) is one standard error of each smile, in vol.
    """
    values, rows = state.values, legs.rows
    index_usd, slot = values.index_usd, values.slot[rows]
    n = len(rows) + (legs.delta_leg is not None)
    columns = np.zeros((n, 4 + FACTORS))
    options = columns[: len(rows)]
    forward = values.forward_usd[rows]
    greeks = np.ascontiguousarray(values.greeks[:, rows])
    loading = np.empty((len(rows), FACTORS))
    load_factors(index_usd, slot, values.factor_map, forward, values.moneyness[rows], greeks, loading)
    options[:, 0] = values.fair_coin[rows]
    options[:, 1] = loading[:, SPOT] / index_usd
    options[:, 2] = loading[:, SQUARED] / 50.0
    options[:, 3] = greeks[VEGA] * index_usd / forward / 100.0
    options[:, 4:] = loading
    if legs.delta_leg is not None:
        columns[-1] = _delta_leg_columns(legs.delta_leg, state)
    beside = (0.0,) * (n - len(rows))
    error = slice_error[slot]
    vega_usd = options[:, 3]
    return LegTable(
        names=tuple(one.name for one in legs.instruments) + (() if legs.delta_leg is None else ("delta leg",)),
        columns=columns,
        expiry=(*slot.tolist(), *(-1 for _ in beside)),
        vega_usd=(*vega_usd.tolist(), *beside),
        error_usd=(*(100.0 * vega_usd * error).tolist(), *beside),
        fee_usd=_fees_usd(state, legs),
        hours=(*(_HOURS_PER_YEAR * values.years[rows]).tolist(), *(np.inf for _ in beside)),
        vol_error=(*error.tolist(), *beside),
        learned_usd=_learned_usd(state, legs),
    )


def _leg_worth_coin(leg: DeltaLeg | None, state: State) -> float:
    """What its price is off the market's, the whole leg bought."""
    return 0.0 if leg is None else leg.size * (1.0 / leg.price - 1.0 / state.perp_price_usd)


def _delta_leg_columns(leg: DeltaLeg, state: State) -> Floats:
    """As the book will carry it: coin owed at the price it was bought at, dollars held at the market's."""
    index_usd = state.values.index_usd
    column = np.zeros(4 + FACTORS)
    column[0] = _leg_worth_coin(leg, state)
    column[1] = leg.size / leg.price
    column[4 + SPOT], column[4 + PREMIUM] = (
        leg.size * index_usd / leg.price,
        leg.size * index_usd / state.perp_price_usd,
    )
    return column


def _fees_usd(state: State, legs: Legs) -> tuple[float, ...]:
    """The venue's maker fees of a contract, capped by its premium, and of the whole delta leg; no rebate counted on."""
    index_usd, fees = state.values.index_usd, legs.instruments[0].spec.fees
    rate, cap = max(float(fees.maker), 0.0), float(fees.cap_of_premium or 1)
    options = [min(rate, cap * fair) * index_usd for fair in state.values.fair_coin[legs.rows].tolist()]
    if legs.delta_leg is None:
        return tuple(options)
    return *options, max(float(state.setup.hedge.spec.fees.maker), 0.0) * abs(legs.delta_leg.size)


def _learned_usd(state: State, legs: Legs) -> tuple[tuple[float, float], ...] | None:
    if state.flow is None or state.setup.policy.quoting.adverse_selection != "learned":
        return None
    takers = state.flow.takers
    if takers.shape[1] <= int(legs.rows.max()):
        return None
    known = [(sell, buy) for sell, buy in (takers[1:, legs.rows] * state.values.index_usd).T.tolist()]
    return tuple(known if legs.delta_leg is None else [*known, (0.0, 0.0)])


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What pricing needs beside the legs, and keeps between two valuations: errors of smiles, and R with its tails."""

    slice_error: Floats
    risk_price: RiskPrice


def surroundings_of(state: State) -> Surroundings:
    """As of the last valuation."""
    _, error = state.market.surface.levels_and_errors(state.market.universe.slots, state.now_ns)
    price = no_risk_price()
    if state.setup.policy.quoting.skew == "price_of_risk":
        price = leaning.priced(state, state.risk_price)
    return Surroundings(error, price)


def market_for(state: State, legs: Legs, around: Surroundings) -> RfqMarket:
    """What prices a package now: the same R, fair values and mood as the quotes'."""
    policy, index_usd = state.setup.policy, state.values.index_usd
    return RfqMarket(
        leg_table(state, legs, around.slice_error),
        RfqTerms(policy.rfq, policy.quoting, policy.hedging, state.setup.cheaper_side_discount),
        index_usd,
        index_usd,
        state.book.exposure,
        around.risk_price,
        np.zeros((FACTORS, FACTORS)) if state.desk.covariance is None else state.desk.covariance,
        legs.tick,
        state.widen,
    )


def limit_charges_usd(state: State, legs: Legs) -> tuple[float, float]:
    """What buying and what selling all packages costs for bounds that are not of the factors, USD; options alone, for
    a delta leg frees margin."""
    if state.setup.policy.quoting.skew != "price_of_risk":
        return 0.0, 0.0
    return state.leaning.holdings.package_usd(state, legs.rows, legs.packages * legs.ratios)


def package_risk(state: State, legs: Legs) -> PackageRisk:
    """What buying all packages adds on the gate's axes, and what is held and rests in the legs."""
    rows, size = legs.rows, legs.packages * legs.ratios
    reservation = state.gate.reservation
    pairs = list(zip(rows.tolist(), size.tolist(), strict=True))
    if legs.delta_leg is not None:
        pairs.append((-1, legs.delta_leg.size / legs.delta_leg.price))
    axes = np.sum([reservation.added(row, coin) for row, coin in pairs], axis=0)
    # Legs that offset each other are contracts all the same.
    axes[_CONTRACTS] = np.abs(size).sum()
    if state.margin_limit is not None:
        steepest = state.margin_limit.steepest_usd
        axes[MARGIN] = max(float(np.abs(size) @ side[rows]) for side in steepest)
        if legs.delta_leg is not None:
            axes[MARGIN] += abs(legs.delta_leg.size / legs.delta_leg.price) * float(
                steepest[:, state.values.rows].max()
            )
    quoted = state.table.grid[:, rows]
    resting = np.where(size > 0.0, quoted[1], quoted[3]) * state.market.universe.lot_coin[rows]
    known = reservation.position
    bound = known[rows] if len(known) == state.values.rows else None
    return PackageRisk(size, state.inventory.size_coin[rows], resting, axes, bound)


def standing_axes(state: State, but: Request | None = None) -> Floats:
    """What standing answers may add at most, up and down, (2, axes); `but` one of them."""
    axes = state.gate.reservation.axes
    if state.rfqs is None:
        return np.zeros((2, axes))
    answers = (
        (one.told[-1].risk, one.told[-1].quote.bid is not None, one.told[-1].quote.ask is not None)
        for one in state.rfqs.open.values()
        if one.stands and one is not but
    )
    return worst_of(answers, axes)


def kept_axes(state: State, desk: RfqDesk) -> Floats:
    """What of the bounds quotes leave to answers, (2, axes): what those that stand may take, and never less than the
    policy's share of what was left when quotes were last fitted."""
    standing, room = standing_axes(state), state.gate.reservation.room
    if room.shape != standing.shape or desk.reserved.shape != standing.shape:
        return standing
    left = np.where(np.isfinite(room), room + desk.reserved, 0.0)
    return np.maximum(standing, desk.policy.room_share * left)


def room_for(state: State, request: Request) -> Room:
    """What quotes, orders and the other answers leave of the bounds."""
    reservation, desk = state.gate.reservation, state.rfqs
    assert desk is not None
    if reservation.worst.shape != (2, reservation.axes) or desk.reserved.shape != (2, reservation.axes):
        # Nothing was ever fitted on these axes: nothing is known to be left.
        none = np.zeros((2, reservation.axes))
        return Room(none, none)
    return Room(reservation.worst + standing_axes(state, request), reservation.room + desk.reserved)
