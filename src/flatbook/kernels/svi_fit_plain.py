"""Plain twin of `flatbook.kernels.svi_fit`: the same problem given to scipy's trust-region least squares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

from flatbook.kernels import svi_plain
from flatbook.kernels.svi_plain import GRID_END, MIN_VARIANCE, sinh_grid

Floats = NDArray[np.float64]

CONVERGED: Final = 0
OUT_OF_ITERATIONS: Final = 1
TOO_FEW_POINTS: Final = 2
BAD_INPUT: Final = 3
BUTTERFLY_LEFT: Final = 4
FIT_CODES: Final = ("converged", "out_of_iterations", "too_few_points", "bad_input", "butterfly_left")
"""Names of `fit_slice`'s result codes."""

FIT_SIZE: Final = 8
"""Length of `fit_slice`'s output: a, b, rho, m, s, rmse_vol, iterations, quotes used."""

PRIOR_NODES: Final = (-2.5, -1.0, 0.0, 1.0, 2.5)
"""Where the ridge holds a slice to its prior, in standard deviations of the prior at the money."""

BUTTERFLY_POINTS: Final = 96
BUTTERFLY_ROUNDS: Final = 4
BUTTERFLY_MARGIN: Final = 1e-3
"""What is asked of g at its points. It grows by BUTTERFLY_RAISE from round to round, for g dips between them too."""

BUTTERFLY_RAISE: Final = 3.0
BUTTERFLY_RESERVE: Final = 1e-4
"""What a slice's least g is left with for the lift that may follow; it may be 0 when no round is left."""

STEEPEST: Final = 4.0
"""Slope of the steepest wing, in standard deviations: far strikes without quotes say nothing against a steeper one."""

STEEPEST_WINGS: Final = (2.0, 2.0)
"""Slopes of both wings that Lee's bound allows."""

TYPICAL_WING: Final = 1.0
"""Slope that a wing without quotes and without a prior is drawn to, in standard deviations."""

WING_SHARE: Final = 1e-3
"""Weight of that pull, against all quotes of a slice: a deviation of slope for such a share of vol at every quote."""

MIN_SLOPE: Final = 1e-7
MIN_S: Final = 1e-5


@dataclass(frozen=True)
class Quotes:
    """What is asked of a slice: -inf and inf for absent ends of a band, NaN for an absent mid."""

    k: Floats
    lo: Floats
    hi: Floats
    mid: Floats
    weight: Floats
    mid_weight: Floats
    years: float
    k_range: tuple[float, float]
    deviation: float
    drawn_to: Floats
    wing_weight: float
    butterfly_weight: float = 0.0
    butterfly_margin: float = BUTTERFLY_MARGIN
    least_slopes: tuple[float, float] = (0.0, 0.0)
    most_slopes: tuple[float, float] = STEEPEST_WINGS

    def with_bands(self, k: Floats, lo: Floats, hi: Floats, weight: Floats) -> Quotes:
        """The same and more bands."""
        none = np.zeros(k.size)
        return replace(
            self,
            k=np.append(self.k, k),
            lo=np.append(self.lo, lo),
            hi=np.append(self.hi, hi),
            mid=np.append(self.mid, none),
            weight=np.append(self.weight, weight),
            mid_weight=np.append(self.mid_weight, none),
        )

    def residuals(self, at: Floats) -> Floats:
        """Weighted distances to bands, mids and the butterfly margin, at (p, c, u, m, s)."""
        vol = np.sqrt(_curve(at, self.k)[0] / self.years)
        excess = np.maximum(vol - self.hi, 0.0) + np.minimum(vol - self.lo, 0.0)
        pull = np.where(np.isnan(self.mid), 0.0, self.mid_weight * (vol - np.nan_to_num(self.mid)))
        wings = self.wing_weight * (at[:2] - self.drawn_to) / self.deviation
        rows = [self.weight * excess, pull, wings]
        if self.butterfly_weight > 0.0:
            short = np.minimum(self.g(at, BUTTERFLY_POINTS) - self.butterfly_margin, 0.0)
            rows.append(self.butterfly_weight * short / np.sqrt(BUTTERFLY_POINTS))
        return np.concatenate(rows)

    def g(self, at: Floats, n: int) -> Floats:
        """Durrleman's g on n points far into the wings."""
        return svi_plain.durrleman(raw(at), self.deviation * sinh_grid(n, GRID_END))

    def least_g(self, at: Floats) -> float:
        """Least of g on four times as many points, and between them."""
        return svi_plain.least_durrleman(raw(at), self.deviation, sinh_grid(4 * BUTTERFLY_POINTS, GRID_END))

    def sterner(self) -> Quotes:
        """The same with more asked of the density."""
        margin = BUTTERFLY_RAISE * self.butterfly_margin
        return replace(self, butterfly_weight=10.0 * self.butterfly_weight, butterfly_margin=margin)

    def rms_outside(self, at: Floats, used: int) -> float:
        """Weighted root mean square of the distance of the first `used` from their bands, in vol."""
        vol = np.sqrt(_curve(at, self.k[:used])[0] / self.years)
        excess = np.maximum(vol - self.hi[:used], 0.0) + np.minimum(vol - self.lo[:used], 0.0)
        return float(np.sqrt(np.average(excess**2, weights=self.weight[:used] ** 2)))


def fit_slice(
    k: Floats,
    vol_lo: Floats,
    vol_hi: Floats,
    vol_mid: Floats,
    weight: Floats,
    years: float,
    start: Floats,
    prior: Floats,
    prior_weight: float,
    mid_weight: float,
    butterfly_weight: float,
    out: Floats,
) -> int:
    """As `svi_fit.fit_slice`."""
    out[:] = np.nan
    asked = ask(k, vol_lo, vol_hi, vol_mid, weight, years, prior, prior_weight, mid_weight)
    if isinstance(asked, int):
        return asked
    quotes, used = asked
    quotes = replace(quotes, butterfly_weight=butterfly_weight)
    solution = best_of_starts(quotes, start)
    for _ in range(BUTTERFLY_ROUNDS):
        if quotes.butterfly_weight <= 0.0 or quotes.least_g(solution.x) >= BUTTERFLY_RESERVE:
            break
        quotes = quotes.sterner()
        solution = solve(quotes, solution.x)
    out[:5] = raw(solution.x)
    out[5:] = quotes.rms_outside(solution.x, used), solution.nfev, used
    if butterfly_weight > 0.0 and quotes.least_g(solution.x) < 0.0:
        return BUTTERFLY_LEFT
    return CONVERGED if solution.status > 0 else OUT_OF_ITERATIONS


def fit_slices(
    first: NDArray[np.int64],
    k: Floats,
    vol_lo: Floats,
    vol_hi: Floats,
    vol_mid: Floats,
    weight: Floats,
    years: Floats,
    start: Floats,
    prior: Floats,
    prior_weight: Floats,
    mid_weight: float,
    butterfly_weight: float,
    out: Floats,
    code: NDArray[np.int8],
) -> None:
    """As `svi_fit.fit_slices`."""
    for i in range(years.size):
        part = slice(int(first[i]), int(first[i + 1]))
        code[i] = fit_slice(
            k[part],
            vol_lo[part],
            vol_hi[part],
            vol_mid[part],
            weight[part],
            float(years[i]),
            start[i],
            prior[i],
            float(prior_weight[i]),
            mid_weight,
            butterfly_weight,
            out[i],
        )


def ask(
    k: Floats,
    vol_lo: Floats,
    vol_hi: Floats,
    vol_mid: Floats,
    weight: Floats,
    years: float,
    prior: Floats,
    prior_weight: float,
    mid_weight: float,
) -> tuple[Quotes, int] | int:
    """Usable quotes with the prior's nodes after them, and how many quotes; or the code that says why not."""
    use = (weight > 0.0) & ~(np.isnan(vol_lo) & np.isnan(vol_hi) & np.isnan(vol_mid))
    used = int(use.sum())
    if not (years > 0.0 and np.isfinite(years) and np.isfinite(k[use]).all() and np.isfinite(weight[use]).all()):
        return BAD_INPUT
    columns = [k[use], _or(vol_lo[use], -np.inf), _or(vol_hi[use], np.inf), vol_mid[use], weight[use]]
    if prior_weight > 0.0 and np.isfinite(prior[0]):
        columns = [np.append(column, row) for column, row in zip(columns, _prior_rows(prior, years), strict=True)]
        columns[4][used:] = prior_weight
    if columns[0].size < 5 or used == 0:
        return TOO_FEW_POINTS
    pull = np.where(np.arange(columns[0].size) < used, mid_weight * columns[4], 0.0)
    lo, hi = float(columns[0].min()), float(columns[0].max())
    k, bid, ask_, mid, weights = columns
    middle = np.where(np.isinf(bid), ask_, np.where(np.isinf(ask_), bid, 0.5 * (bid + ask_)))
    aim = np.where(np.isnan(mid), middle, mid)
    nearness = 1.0 / (1.0 + (8.0 * k / max(float(np.abs(k).max()), 1e-12)) ** 2)
    deviation = float(np.sqrt(np.average(aim**2 * years, weights=nearness)))
    wing_weight = WING_SHARE * deviation * float(np.sqrt(np.sum(weights[:used] ** 2) / years))
    drawn_to = box(prior)[:2] if columns[0].size > used else np.full(2, TYPICAL_WING * deviation)
    return Quotes(k, bid, ask_, mid, weights, pull, years, (lo, hi), deviation, drawn_to, wing_weight), used


def best_of_starts(quotes: Quotes, start: Floats) -> OptimizeResult:
    """The solution from the given slice; where that is NaN, the best from three smiles of different curvature."""
    if np.isfinite(start[0]):
        return solve(quotes, box(start))
    deviation = quotes.deviation
    smiles = [np.array([deviation, deviation, 0.5 * deviation**2, 0.0, size * deviation]) for size in (0.2, 0.7, 2.0)]
    return min((solve(quotes, smile) for smile in smiles), key=lambda found: float(found.cost))


def solve(quotes: Quotes, at: Floats) -> OptimizeResult:
    """Least squares of `quotes.residuals` from (p, c, u, m, s) inside the bounds."""
    k_lo, k_hi = quotes.k_range
    width = k_hi - k_lo
    least_p, least_c = (max(slope, MIN_SLOPE) for slope in quotes.least_slopes)
    lowest = np.array([least_p, least_c, MIN_VARIANCE, k_lo - width, MIN_S])
    steepest = min(STEEPEST * quotes.deviation, 2.0)
    bounds = zip((least_p, least_c), quotes.most_slopes, strict=True)
    most_p, most_c = (max(min(steepest, most), least + 1e-9) for least, most in bounds)
    highest = np.array([most_p, most_c, np.inf, k_hi + width, 10.0 * (width + MIN_S)])
    inside = np.clip(at, lowest + 1e-12, highest - 1e-12)
    from scipy.optimize import least_squares  # half a start's time, and only the plain twin needs it

    return least_squares(quotes.residuals, inside, bounds=(lowest, highest), x_scale="jac", xtol=1e-12, ftol=1e-12)


def box(params: Floats) -> Floats:
    """(p, c, u, m, s) of raw parameters: wing slopes, least variance, centre, curvature."""
    a, b, rho, m, s = params[:5]
    return np.array([b * (1.0 - rho), b * (1.0 + rho), a + b * s * np.sqrt(1.0 - rho * rho), m, s])


def raw(at: Floats) -> Floats:
    """Raw parameters of (p, c, u, m, s)."""
    p, c, u, m, s = at
    return np.array([u - s * np.sqrt(p * c), 0.5 * (p + c), (c - p) / (c + p), m, s])


def _curve(at: Floats, k: Floats) -> tuple[Floats, Floats, Floats]:
    """w, w' and w'' of the slice (p, c, u, m, s)."""
    p, c, u, m, s = at
    y = k - m
    radius = np.sqrt(y * y + s * s)
    b, lean = 0.5 * (c + p), 0.5 * (c - p)
    return u - s * np.sqrt(p * c) + lean * y + b * radius, lean + b * y / radius, b * s * s / radius**3


def _prior_rows(prior: Floats, years: float) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    a, b, rho, m, s = prior
    deviation = np.sqrt(max(a + b * (np.sqrt(m * m + s * s) - rho * m), MIN_VARIANCE))
    k = np.array(PRIOR_NODES) * deviation
    vol = np.sqrt(np.maximum(a + b * (rho * (k - m) + np.hypot(k - m, s)), MIN_VARIANCE) / years)
    return k, vol, vol, vol, np.zeros(k.size)


def _or(end: Floats, absent: float) -> Floats:
    return np.where(np.isnan(end), absent, end)
