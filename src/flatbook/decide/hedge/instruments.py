"""What the book can be hedged with, as columns: what each instrument does to the risk factors, and what it costs.

Sizes are in the instrument's own unit, whatever its venue counts: a USD of notional for inverse futures and
perpetuals, a coin for spot and linear ones, a contract for options. Every cost is USD per unit traded, so that none of
the solver knows one kind from another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError

Floats = NDArray[np.float64]

HOURS_PER_YEAR = 8760.0
FUNDING_HOURS = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class HedgeSet:
    """Instruments to hedge with, a row each.

    Shapes      name m names; loading (m, factors); all else (m,)
    buy_usd, sell_usd   what buying and what selling costs per unit, impact apart
    loading             USD per unit of factor that buying one unit adds to the book
    lot, least, most    units: a size is a multiple of lot, at least `least` if not 0, at most `most` a time
    fee_usd             per unit traded
    half_spread_usd     per unit traded, from the mid
    impact_usd          per unit squared: a trade of n costs impact n² besides
    carry_buy_usd       per unit bought, over the time that the hedge is expected to be held; negative where it earns
    carry_sell_usd      per unit sold
    Domain      lot and most > 0; least, fee, half-spread and impact >= 0; buying and selling the same unit may not earn
    """

    name: tuple[str, ...]
    loading: Floats
    lot: Floats
    least: Floats
    most: Floats
    fee_usd: Floats
    half_spread_usd: Floats
    impact_usd: Floats
    carry_buy_usd: Floats
    carry_sell_usd: Floats
    buy_usd: Floats = field(init=False)
    sell_usd: Floats = field(init=False)

    def __post_init__(self) -> None:
        m, half = len(self.name), self.fee_usd + self.half_spread_usd
        object.__setattr__(self, "buy_usd", half + self.carry_buy_usd)
        object.__setattr__(self, "sell_usd", half + self.carry_sell_usd)
        for column in _columns(self):
            values = getattr(self, column)
            if values.shape[:1] != (m,) or values.ndim != (2 if column == "loading" else 1):
                raise BadInputError(f"hedge set: {column} has shape {values.shape}; give a row for each of {m} names")
            if not np.all(np.isfinite(values)):
                row = self.name[int(np.argmin(np.isfinite(values).reshape(m, -1).all(axis=1)))]
                raise BadInputError(f"hedge set: {column} of {row} is not a number; leave out what has no price")
        for column in ("lot", "most"):
            self._refuse(column, getattr(self, column) <= 0.0, "use more than 0")
        for column in ("least", "fee_usd", "half_spread_usd", "impact_usd"):
            self._refuse(column, getattr(self, column) < 0.0, "use 0 or more")
        self._refuse("carry_buy_usd", self.buy_usd + self.sell_usd < 0.0, "a round trip may not earn")

    def _refuse(self, column: str, wrong: NDArray[np.bool_], remedy: str) -> None:
        if wrong.any():
            row = int(np.argmax(wrong))
            raise BadInputError(f"hedge set: {column} of {self.name[row]} is {getattr(self, column)[row]:g}; {remedy}")

    def cost_usd(self, size: Floats) -> float:
        """What trades of `size` (m,) units cost in all."""
        proportional = np.where(size > 0.0, self.buy_usd, -self.sell_usd) * size
        return float(np.sum(proportional + self.impact_usd * size * size))


def joined(*sets: HedgeSet) -> HedgeSet:
    """One set of the rows of several, in order; their factors are the same."""
    columns = {column: np.concatenate([getattr(part, column) for part in sets]) for column in _columns(sets[0])}
    return HedgeSet(name=tuple(name for part in sets for name in part.name), **columns)


def loading_row(factors: Sequence[str], exposure: Mapping[str, float]) -> Floats:
    """(factors,) loadings from USD per unit of factor by name; a factor not named is 0.

    Errors      BadInputError for a factor that is not one of them
    """
    if unknown := exposure.keys() - set(factors):
        raise BadInputError(f"no risk factor {', '.join(sorted(unknown))}; there are {', '.join(factors)}")
    return np.array([exposure.get(factor, 0.0) for factor in factors])


@dataclass(frozen=True, slots=True)
class TradingTerms:
    """What trading a delta-one instrument costs, relative to its notional.

    fee_rate, half_spread_rate      of the notional traded
    impact_rate_per_musd            price move per million USD traded
    lot, least, most                in the instrument's unit
    """

    fee_rate: float
    half_spread_rate: float
    impact_rate_per_musd: float
    lot: float
    least: float = 0.0
    most: float = np.inf


@dataclass(frozen=True, slots=True)
class Carry:
    """What holding one USD of an instrument costs over the time it is expected to be held.

    long_rate       what a long pays (funding paid, basis lost); a short earns it
    buy_rate, sell_rate     what a purchase or a sale costs besides, of whichever sign: margin bound or set free
    """

    long_rate: float = 0.0
    buy_rate: float = 0.0
    sell_rate: float = 0.0


def funding_rate(rate_8h: float, holding_hours: float) -> float:
    """What a long of a perpetual pays over its holding time, of the notional; 0 where the rate is unknown (NaN)."""
    return 0.0 if np.isnan(rate_8h) else rate_8h * holding_hours / FUNDING_HOURS


def basis_rate(log_basis: float, years_to_expiry: float, holding_hours: float) -> float:
    """What a long of a dated future loses as its basis runs off evenly to expiry, of the notional."""
    share = min(holding_hours / HOURS_PER_YEAR / years_to_expiry, 1.0) if years_to_expiry > 0.0 else 1.0
    return log_basis * share


def margin_rates(
    margin_rate: float, capital_cost_per_year: float, holding_hours: float, held: float
) -> tuple[float, float]:
    """(buy, sell) cost of the margin that one USD more binds, from the sign of the position held.

    What reduces a position sets margin free. Past zero it binds margin again, which is not seen here: what flips a
    position looks cheaper by twice its margin, which is small beside its fee.
    """
    rate = margin_rate * capital_cost_per_year * holding_hours / HOURS_PER_YEAR
    return (-rate, rate) if held < 0.0 else (rate, -rate) if held > 0.0 else (rate, rate)


def delta_one(name: str, loading: Floats, unit_usd: float, terms: TradingTerms, carry: Carry = Carry()) -> HedgeSet:
    """A set of one future, perpetual or spot, whose unit is worth `unit_usd`.

    An inverse contract of one USD loads 1 on spot, a linear one of a coin its price; a perpetual loads its premium
    factor too, a dated future its basis.
    """

    def column(value: float) -> Floats:
        return np.array([value])

    long_usd = carry.long_rate * unit_usd
    return HedgeSet(
        name=(name,),
        loading=loading[None, :],
        lot=column(terms.lot),
        least=column(terms.least),
        most=column(min(terms.most, _MOST)),
        fee_usd=column(terms.fee_rate * unit_usd),
        half_spread_usd=column(terms.half_spread_rate * unit_usd),
        impact_usd=column(terms.impact_rate_per_musd / 1e6 * unit_usd**2),
        carry_buy_usd=column(long_usd + carry.buy_rate * unit_usd),
        carry_sell_usd=column(-long_usd + carry.sell_rate * unit_usd),
    )


_MOST = 1e15
"""A clip nobody reaches, for instruments without one: the solver wants every size bounded."""


def _columns(hedge_set: HedgeSet) -> list[str]:
    return [one.name for one in fields(hedge_set) if one.init and one.name != "name"]
