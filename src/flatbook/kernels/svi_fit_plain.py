"""Plain twin of `flatbook.kernels.svi_fit`: the same problem given to scipy's trust-region least squares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares

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
BUTTERFLY_MARGIN: Final = 1e-3
BUTTERFLY_ROUNDS: Final = 4
DENSITY_REACH: Final = 5.0
MIN_SLOPE: Final = 1e-7
MIN_VARIANCE: Final = 1e-12
MIN_S: Final = 1e-5


@dataclass(frozen=True)
class _Quotes:
    """Usable quotes and the prior's nodes: -inf and inf for absent ends, NaN for an absent mid."""

    k: Floats
    lo: Floats
    hi: Floats
    mid: Floats
    weight: Floats
    mid_weight: Floats
    years: float
    butterfly_weight: float

    def residuals(self, box: Floats) -> Floats:
        """Weighted distances to bands, mids and the butterfly margin, at (p, c, u, m, s)."""
        w, _, _ = _curve(box, self.k)
        vol = np.sqrt(w / self.years)
        excess = np.maximum(vol - self.hi, 0.0) + np.minimum(vol - self.lo, 0.0)
        pull = np.where(np.isnan(self.mid), 0.0, self.mid_weight * (vol - np.nan_to_num(self.mid)))
        rows = [self.weight * excess, pull]
        if self.butterfly_weight > 0.0:
            short = np.minimum(self.g(box, BUTTERFLY_POINTS) - BUTTERFLY_MARGIN, 0.0)
            rows.append(self.butterfly_weight * short / np.sqrt(BUTTERFLY_POINTS))
        return np.concatenate(rows)

    def g(self, box: Floats, n: int) -> Floats:
        """Durrleman's g on n points of the quoted range, half of it beyond on each side, and five deviations."""
        lo, hi = float(self.k.min()), float(self.k.max())
        reach = DENSITY_REACH * self.deviation()
        k = np.linspace(min(1.5 * lo - 0.5 * hi, -reach), max(1.5 * hi - 0.5 * lo, reach), n)
        w, dw, d2w = _curve(box, k)
        return (1.0 - 0.5 * k * dw / w) ** 2 - 0.25 * dw**2 * (1.0 / w + 0.25) + 0.5 * d2w

    def targets(self) -> Floats:
        """The vols that a cold start aims at: the mid, else the middle of the band, else its one end."""
        middle = np.where(np.isinf(self.lo), self.hi, np.where(np.isinf(self.hi), self.lo, 0.5 * (self.lo + self.hi)))
        return np.where(np.isnan(self.mid), middle, self.mid)

    def deviation(self) -> float:
        """Root mean total variance of the quotes, those nearest the money counting most."""
        z = 8.0 * self.k / max(float(np.abs(self.k).max()), 1e-12)
        return float(np.sqrt(np.average(self.targets() ** 2 * self.years, weights=1.0 / (1.0 + z * z))))

    def least_g(self, box: Floats, n: int) -> float:
        """Least of `g`."""
        return float(np.min(self.g(box, n)))


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
    said = ~(np.isnan(vol_lo) & np.isnan(vol_hi) & np.isnan(vol_mid))
    use = (weight > 0.0) & said
    if not (years > 0.0 and np.isfinite(years) and np.isfinite(k[use]).all() and np.isfinite(weight[use]).all()):
        return BAD_INPUT
    used = int(use.sum())
    out[7] = used
    columns = [k[use], _or(vol_lo[use], -np.inf), _or(vol_hi[use], np.inf), vol_mid[use], weight[use]]
    if prior_weight > 0.0 and np.isfinite(prior[0]):
        columns = [np.append(column, row) for column, row in zip(columns, _prior_rows(prior, years), strict=True)]
        columns[4][used:] = prior_weight
    pull = np.where(np.arange(columns[0].size) < used, mid_weight * columns[4], 0.0)
    if columns[0].size < 5 or used == 0:
        return TOO_FEW_POINTS
    quotes = _Quotes(columns[0], columns[1], columns[2], columns[3], columns[4], pull, years, butterfly_weight)
    solution = min((_solve(quotes, box) for box in _starts(quotes, start)), key=lambda found: float(found.cost))
    for _ in range(BUTTERFLY_ROUNDS):
        if quotes.butterfly_weight <= 0.0 or quotes.least_g(solution.x, 4 * BUTTERFLY_POINTS) >= 0.0:
            break
        quotes = replace(quotes, butterfly_weight=10.0 * quotes.butterfly_weight)
        solution = _solve(quotes, solution.x)
    box = np.asarray(solution.x, dtype=np.float64)
    p, c, u, m, s = box
    out[:5] = u - s * np.sqrt(p * c), 0.5 * (p + c), (c - p) / (c + p), m, s
    vol = np.sqrt(_curve(box, quotes.k[:used])[0] / years)
    excess = np.maximum(vol - quotes.hi[:used], 0.0) + np.minimum(vol - quotes.lo[:used], 0.0)
    out[5] = np.sqrt(np.average(excess**2, weights=quotes.weight[:used] ** 2))
    out[6] = solution.nfev
    if butterfly_weight > 0.0 and quotes.least_g(box, 4 * BUTTERFLY_POINTS) < 0.0:
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


def _starts(quotes: _Quotes, start: Floats) -> list[Floats]:
    """(p, c, u, m, s) to search from: the given slice, or three symmetric smiles of different curvature."""
    if np.isfinite(start[0]):
        a, b, rho, m, s = start
        return [np.array([b * (1.0 - rho), b * (1.0 + rho), a + b * s * np.sqrt(1.0 - rho * rho), m, s])]
    deviation = quotes.deviation()
    return [np.array([deviation, deviation, 0.5 * deviation**2, 0.0, size * deviation]) for size in (0.2, 0.7, 2.0)]


def _solve(quotes: _Quotes, box: Floats) -> OptimizeResult:
    width = float(np.ptp(quotes.k))
    lowest = np.array([MIN_SLOPE, MIN_SLOPE, MIN_VARIANCE, float(quotes.k.min()) - width, MIN_S])
    highest = np.array([2.0, 2.0, np.inf, float(quotes.k.max()) + width, 10.0 * (width + MIN_S)])
    inside = np.clip(box, lowest + 1e-12, highest - 1e-12)
    return least_squares(quotes.residuals, inside, bounds=(lowest, highest), x_scale="jac", xtol=1e-12, ftol=1e-12)


def _curve(box: Floats, k: Floats) -> tuple[Floats, Floats, Floats]:
    """w, w' and w'' of the slice with wing slopes p and c, least variance u, centre m and curvature s."""
    p, c, u, m, s = box
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
