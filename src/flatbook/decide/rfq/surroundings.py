"""From a standing market and book to what prices packages: the legs' table, the book's exposure, and R."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.policy import FlowPolicy, RiskPricePolicy
from flatbook.decide.quoting import flow_liquidity
from flatbook.decide.rfq.package import LegTable
from flatbook.domain.errors import BadInputError
from flatbook.domain.instruments import Kind
from flatbook.domain.reference import Instrument
from flatbook.domain.units import NS_PER_HOUR
from flatbook.kernels.chain import FACTORS, SPOT
from flatbook.market.beliefs import Beliefs
from flatbook.market.shock import Shock
from flatbook.market.snapshot import Markets, MarketSnapshot
from flatbook.valuation.chain import ChainValues
from flatbook.valuation.exposure import position_loadings
from flatbook.valuation.portfolio import BookPosition, Portfolio
from flatbook.valuation.revaluation import gains_usd
from flatbook.valuation.risk_price import RiskPrice, no_risk_price, quadratic_risk_price
from flatbook.valuation.scenarios import ShockGrid, factor_moves
from flatbook.valuation.stress_price import StressPrice

Floats = NDArray[np.float64]

_GRID_DEVIATIONS = np.arange(-2.5, 2.6, 0.5)
"""Strikes that flow is believed to meet, in standard deviations: as a venue lists them around the money."""


class Appetite(NamedTuple):
    """What R is made of beside Σ."""

    flow: FlowPolicy
    size_coin: float
    risk_price: RiskPricePolicy


def leg_table(options: Sequence[Instrument], delta_leg: BookPosition | None, markets: Markets, of: Beliefs) -> LegTable:
    """One row an option, and one for the delta leg, whole, where there is one.

    Errors      BadInputError for a leg without a price, or legs that do not settle in one currency
    """
    first = options[0].contract
    for option in options:
        contract = option.contract
        if contract.kind is not Kind.OPTION:
            raise BadInputError(f"leg {option.name} is no option; a future or perpetual is given as the delta leg")
        if (contract.base, contract.settle) != (first.base, first.settle):
            raise BadInputError(
                f"legs {options[0].name} and {option.name} are not of one underlying settled in one currency; "
                "ask for them apart"
            )
    positions = [BookPosition(option, 1.0) for option in options]
    if delta_leg is not None:
        check_delta_leg(delta_leg.instrument, first.base)
        positions.append(delta_leg)
    return _columns(positions, first.settle, markets, of)


def check_delta_leg(instrument: Instrument, underlying: str) -> None:
    """Passes a future or perpetual on `underlying`; BadInputError for anything else."""
    contract = instrument.contract
    if contract.base != underlying or contract.kind not in (Kind.FUTURE, Kind.PERPETUAL):
        raise BadInputError(f"delta leg {instrument.name} is no future or perpetual on {underlying}; name one")


def _columns(positions: list[BookPosition], settle: str, markets: Markets, of: Beliefs) -> LegTable:
    marks = Portfolio(positions).mark(markets)
    snapshot = markets.of(positions[0].underlying)
    loadings = position_loadings(positions, marks, of.tenor_years)
    fair = marks.value_usd / markets.usd_per(settle)
    own = np.array([position.instrument.contract.settle == settle for position in positions])
    fair[own] = marks.value[own]
    table = [fair, loadings[:, 0] / snapshot.index_usd, marks.gamma_1pct_usd, marks.vega_usd]
    expiries = [position.instrument.contract.expiry_ns for position in positions]
    are_options = [position.is_vanilla for position in positions]
    errors = [
        of.error_at(expiry) if is_option else 0.0 for expiry, is_option in zip(expiries, are_options, strict=True)
    ]
    numbers = {expiry: number for number, expiry in enumerate(sorted({e for e in expiries if e is not None}))}
    return LegTable(
        names=tuple(position.instrument.name for position in positions),
        columns=np.concatenate([np.array(table).T, loadings], axis=1),
        expiry=tuple(
            numbers[expiry] if is_option and expiry is not None else -1
            for expiry, is_option in zip(expiries, are_options, strict=True)
        ),
        vega_usd=tuple(marks.vega_usd.tolist()),
        error_usd=tuple((marks.vega_usd * 100 * np.array(errors)).tolist()),
        fee_usd=tuple(
            _fee_usd(position, float(price), snapshot, markets)
            for position, price in zip(positions, marks.price, strict=True)
        ),
        hours=tuple(math.inf if expiry is None else (expiry - snapshot.ts_ns) / NS_PER_HOUR for expiry in expiries),
        vol_error=tuple(errors),
    )


def _fee_usd(position: BookPosition, price: float, snapshot: MarketSnapshot, markets: Markets) -> float:
    """The venue's maker fee of a whole position, rebates not counted on; an option's is capped by its premium."""
    spec, contract = position.instrument.spec, position.instrument.contract
    rate = max(float(spec.fees.maker), 0.0)
    if contract.kind is Kind.OPTION:
        notional = 1.0 if contract.is_inverse else snapshot.index_usd / markets.usd_per(contract.settle)
        cap = spec.fees.cap_of_premium
        fee = min(rate * notional, math.inf if cap is None else float(cap) * price)
        return fee * abs(position.size) * markets.usd_per(contract.settle)
    usd = abs(position.size) if contract.is_inverse else abs(position.size) * snapshot.index_usd
    return rate * usd


def book_exposure(book: Portfolio, underlying: str, markets: Markets, of: Beliefs) -> Floats:
    """(FACTORS,) of the positions on one underlying, USD per unit of factor.

    Options load net of what they are worth in coin, as if paid for today; balances are collateral and do not count.
    """
    positions = [position for position in book.positions if position.underlying == underlying]
    if not positions:
        return np.zeros(FACTORS)
    part = Portfolio(positions)
    return np.asarray(position_loadings(positions, part.mark(markets), of.tenor_years).sum(axis=0))


def risk_price_in(snapshot: MarketSnapshot, of: Beliefs, appetite: Appetite) -> RiskPrice:
    """R from Σ and the flow that options around the money are believed to meet; R = 0 where there is no smile."""
    years = snapshot.years
    known = np.flatnonzero(np.isfinite(snapshot.slices).all(axis=1) & (years > 0.0))
    if not known.size:
        return no_risk_price()
    level = snapshot.vol(snapshot.forward_usd[known], years[known]) * np.sqrt(years[known])
    strike = snapshot.forward_usd[known, None] * np.exp(level[:, None] * _GRID_DEVIATIONS)
    expiry = np.repeat(known, 2 * _GRID_DEVIATIONS.size)
    sign = np.tile(np.repeat([1.0, -1.0], _GRID_DEVIATIONS.size), known.size)
    strikes = np.concatenate([strike, strike], axis=1).ravel()
    values = ChainValues.of_snapshot(snapshot, expiry, strikes, sign, of.tenor_years)
    liquidity = flow_liquidity(appetite.flow, values, appetite.size_coin, np.ones(values.rows, np.bool_))
    aversion, horizon_years = appetite.risk_price.risk_aversion_per_usd, appetite.risk_price.horizon_hours / 8760.0
    return quadratic_risk_price(of.covariance, values.loading, liquidity, aversion, horizon_years)


def with_tails(
    core: RiskPrice, book: Portfolio, underlying: str, markets: Markets, of: Beliefs, policy: RiskPricePolicy
) -> RiskPrice:
    """R with the parabola of its term for tails at the book's positions on one underlying, where the policy has one."""
    positions = [position for position in book.positions if position.underlying == underlying]
    if not policy.stress_weight or not positions:
        return core
    grid, part, snapshot = ShockGrid(), Portfolio(positions), markets.of(underlying)
    gains = gains_usd(part, markets, [{underlying: Shock(spot, vol)} for spot in grid.spot for vol in grid.vol])
    # As in the exposures, options in coin are paid for today: the coin falls and rises with spot.
    worth, contracts = part.worth_usd(markets), [one.instrument.contract for one in positions]
    linear = (Kind.FUTURE, Kind.PERPETUAL, Kind.SPOT)
    in_coin = [one.settle == underlying and one.kind not in linear for one in contracts]
    level = snapshot.vol(snapshot.forward_at(of.tenor_years), of.tenor_years)
    moves = factor_moves(grid, level)
    pnl = gains.sum(axis=1) - float(worth[in_coin].sum()) * moves[:, SPOT]
    exposure = book_exposure(book, underlying, markets, of)
    return StressPrice(policy.stress_weight, policy.stress_temper_usd).in_factors(core, pnl, moves, exposure)
