"""A package of legs as one thing: what it is worth, what it risks, and what its execution costs.

Signs are the buyer's: a leg of ratio -2 is sold twice for each package bought. A delta leg is a row of the table like
any other, its unit the whole of it, so its ratio is one over the packages asked for; at a fixed price it is worth what
that price is off the market's, at the market nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.chain import FACTORS

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

FAIR, DELTA_COIN, GAMMA_1PCT_USD, VEGA_USD = range(4)
"""The first columns of a `LegTable`; the loadings follow."""

LOADING = 4


@dataclass(frozen=True, slots=True, eq=False)
class LegTable:
    """Contracts that a package may be made of, as one market values them, a row each.

    Shapes      columns (n, LOADING + FACTORS), else n
    Units       columns, per contract bought: fair in the settlement currency; net delta in coins; gamma in USD of delta
                per 1 %; vega in USD per vol point; loadings in USD per unit of factor
                error_usd   one standard error of the surface, in USD, of vega's sign
                fee_usd     the venue's, for a contract traded; never below 0
                hours       to expiry, infinite where there is none
                learned_usd     what those know who sell to us and who buy from us, (2,) a row, as learnt of markouts;
                                None where nothing is
    Domain      `expiry` numbers expiries, -1 for what has no vega; an unknown fair value or error is NaN
    """

    names: tuple[str, ...]
    columns: Floats
    expiry: tuple[int, ...]
    vega_usd: tuple[float, ...]
    error_usd: tuple[float, ...]
    fee_usd: tuple[float, ...]
    hours: tuple[float, ...]
    vol_error: tuple[float, ...]
    learned_usd: tuple[tuple[float, float], ...] | None = None

    def __post_init__(self) -> None:
        assert self.columns.shape == (len(self.names), LOADING + FACTORS)


class Package(NamedTuple):
    """Rows of a table with signed ratios, the buyer's; a row is there once.

    legs            (row, ratio) pairs, and the same as arrays, (legs,) each
    is_long_only    whether options are bought alone, so that the package cannot be worth less than nothing
    """

    legs: tuple[tuple[int, float], ...]
    rows: Ints
    ratios: Floats
    is_long_only: bool

    @classmethod
    def of(cls, legs: Sequence[tuple[int, float]]) -> Package:
        """From its pairs."""
        rows, ratios = zip(*legs, strict=True)
        return cls(tuple(legs), np.array(rows, np.intp), np.array(ratios, np.float64), min(ratios) > 0.0)


class PackageValue(NamedTuple):
    """One package bought.

    fair                    in the settlement currency
    loading                 (FACTORS,) USD per unit of factor
    vega_by_expiry_usd      sum over expiries of |net vega|: what one who knows an expiry's level can use
    error_usd               one standard error of fair
    fee_usd                 all legs, by the venue's rule for combos
    root_squares            of the ratios of what has vega: how many independent contracts it is as good as
    """

    fair: float
    delta_coin: float
    gamma_1pct_usd: float
    vega_usd: float
    loading: Floats
    vega_by_expiry_usd: float
    error_usd: float
    fee_usd: float
    root_squares: float


def learned_charges(table: LegTable, package: Package) -> tuple[float, float]:
    """What those are learnt to know who sell us one package, and who buy one from us, USD.

    Of one expiry's legs that are bought and sold it is netted, as their vega is: what moves them moves both. So one leg
    by itself is charged as its quote is.
    """
    if table.learned_usd is None:
        return 0.0, 0.0
    sides = []
    for side in (1.0, -1.0):
        nets: dict[int, float] = {}
        for row, ratio in package.legs:
            known_usd = table.learned_usd[row][0 if side * ratio > 0.0 else 1]
            nets[table.expiry[row]] = nets.get(table.expiry[row], 0.0) + ratio * known_usd
        sides.append(sum(map(abs, nets.values())))
    return sides[0], sides[1]


def value_package(
    table: LegTable, package: Package, error_correlation: float, cheaper_side_discount: float
) -> PackageValue:
    """A package's value, risk and fees.

    error_correlation       of the surface's errors within one expiry; expiries err independently
    cheaper_side_discount   share by which the cheaper of what buys cost in fees and what sells cost is reduced; a delta
                            leg pays its own beside
    """
    sums = package.ratios.dot(table.columns.take(package.rows, axis=0))
    fees = [0.0, 0.0]
    nets: dict[int, list[float]] = {}
    squares = 0.0
    beside = 0.0
    for row, ratio in package.legs:
        expiry = table.expiry[row]
        if expiry < 0:
            beside += abs(ratio) * table.fee_usd[row]
        else:
            fees[ratio > 0.0] += abs(ratio) * table.fee_usd[row]
            error = ratio * table.error_usd[row]
            net = nets.setdefault(expiry, [0.0, 0.0, 0.0])
            net[0] += ratio * table.vega_usd[row]
            net[1] += error
            net[2] += error * error
            squares += ratio * ratio
    rest = 1.0 - error_correlation
    fair, delta_coin, gamma, vega = sums[:LOADING].tolist()
    return PackageValue(
        fair,
        delta_coin,
        gamma,
        vega,
        sums[LOADING:],
        sum(abs(net[0]) for net in nets.values()),
        math.sqrt(sum(error_correlation * net[1] * net[1] + rest * net[2] for net in nets.values())),
        max(fees) + (1.0 - cheaper_side_discount) * min(fees) + beside,
        math.sqrt(squares),
    )
