"""How far an account is from liquidation: in price, in vol, in time, each by full revaluation with all else still."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from flatbook.market.shock import Shock
from flatbook.market.snapshot import Markets
from flatbook.risk.margin.account import MarginAccount

Floats = NDArray[np.float64]

SPOT_RANGE: Final = (-0.9, 3.0)
VOL_RANGE: Final = (-0.9, 3.0)
_STEPS = 45


@dataclass(frozen=True, slots=True)
class Distance:
    """The nearest move at which maintenance is no longer covered, relative or in days; None where the range has none.

    0.0 where the account is short of margin already.
    """

    name: str
    move: float | None
    furthest: float


@dataclass(frozen=True, eq=False)
class MarginCurve:
    """Margin balance, initial and maintenance requirement of positions, USD, (n,) by relative move of spot."""

    spot: Floats
    balance: Floats
    initial: Floats
    maintenance: Floats


def distances(account: MarginAccount, markets: Markets, underlying: str | None = None) -> tuple[Distance, ...]:
    """Spot down and up, vols down and up, and time; of one underlying, or of all alike."""
    held = account.entered(markets)

    def surplus(shock: Shock) -> float:
        balance, needed = held.surplus(markets.shocked(shock if underlying is None else {underlying: shock}))
        return balance - float(needed.maintenance)

    found = [
        _nearest("spot down", lambda move: surplus(Shock(spot=move)), SPOT_RANGE[0]),
        _nearest("spot up", lambda move: surplus(Shock(spot=move)), SPOT_RANGE[1]),
        _nearest("vol down", lambda move: surplus(Shock(vol=move)), VOL_RANGE[0]),
        _nearest("vol up", lambda move: surplus(Shock(vol=move)), VOL_RANGE[1]),
    ]
    days = _last_day(account, markets)
    if days > 0.0:
        found.append(_nearest("days", lambda move: surplus(Shock(days=move)), days))
    return tuple(found)


def margin_curve(account: MarginAccount, markets: Markets, spot: Floats) -> MarginCurve:
    """The account's margin as every underlying's spot moves alike."""
    held = account.entered(markets)
    rows = []
    for move in spot.tolist():
        balance, needed = held.surplus(markets.shocked(Shock(spot=move)))
        rows.append((balance, float(needed.initial), float(needed.maintenance)))
    return MarginCurve(spot, *np.array(rows).T)


def _nearest(name: str, surplus: Callable[[float], float], furthest: float) -> Distance:
    """Steps outward in equal ratios until the surplus is gone, and finds the point between."""
    near = 0.0
    if surplus(near) < 0.0:
        return Distance(name, 0.0, furthest)
    for move in np.geomspace(furthest / 100.0, furthest, _STEPS).tolist():
        if surplus(move) < 0.0:
            return Distance(name, float(brentq(surplus, near, move, xtol=1e-6, rtol=1e-9)), furthest)
        near = move
    return Distance(name, None, furthest)


def _last_day(account: MarginAccount, markets: Markets) -> float:
    """Days to the last expiry held: afterwards nothing is left that time could change."""
    days = 0.0
    for position in account.book.positions:
        expiry_ns = position.instrument.contract.expiry_ns
        if expiry_ns is not None:
            days = max(days, 365.0 * markets.of(position.underlying).years_to(expiry_ns))
    return days
