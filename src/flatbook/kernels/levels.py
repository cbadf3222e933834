"""The vol levels of all expiries as one filtered state: what one expiry shows, the others learn by their share."""

import math

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.jit import Arg, inlined, kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def age_levels_plain(
    live: Ints, wander: Floats, log_tenor: Floats, correlation: float, years: float, p: Floats
) -> None:
    """Plain twin of `age_levels`."""
    grid = np.ix_(live, live)
    apart = np.abs(log_tenor[live][:, None] - log_tenor[live][None, :])
    p[grid] += np.outer(wander[live], wander[live]) * correlation**apart * years


@kernel(Arg.IN_INT, Arg.IN, Arg.IN, Arg.FLOAT, Arg.FLOAT, Arg.OUT_2D, plain=age_levels_plain)
def age_levels(live: Ints, wander: Floats, log_tenor: Floats, correlation: float, years: float, p: Floats) -> None:
    """Let the covariance `p` of log levels grow over `years` in which nothing was seen.

    Shapes      live (m,) slots; wander and log_tenor (slots,); p (slots, slots), symmetric
    Units       wander per square root of a year; two expiries move with `correlation` per unit of log tenor apart
    """
    for a in range(live.size):
        i = live[a]
        for b in range(live.size):
            j = live[b]
            apart = abs(log_tenor[i] - log_tenor[j])
            p[i, j] += wander[i] * wander[j] * math.exp(math.log(correlation) * apart) * years


def see_level_plain(
    live: Ints, slot: int, surprise: float, noise: float, p: Floats, params: Floats, drift: Floats
) -> None:
    """Plain twin of `see_level`."""
    gain = p[live, slot] / (p[slot, slot] + noise)
    p[np.ix_(live, live)] -= np.outer(gain, p[slot, live])
    params[live, :2] *= np.exp(2.0 * gain * surprise)[:, None]
    drift[live] += gain * surprise


@inlined
def see_level(live: Ints, slot: int, surprise: float, noise: float, p: Floats, params: Floats, drift: Floats) -> None:
    """Move every live slice's level by its share of what `slot`'s log level is seen `surprise` off, and shrink `p`.

    Shapes      live (m,), `slot` among them; p (slots, slots); params (slots, 5) raw SVI; drift (slots,)
    Units       log vol; `noise` is the observation's variance; `drift` adds up each level's moves
    Source      the Kalman measurement update of one scalar observation
    """
    total = p[slot, slot] + noise
    for a in range(live.size):
        i = live[a]
        if i == slot:
            continue
        gain = p[i, slot] / total
        for b in range(live.size):
            if live[b] != slot:
                p[i, live[b]] -= gain * p[slot, live[b]]
    for a in range(live.size):
        i = live[a]
        shift = p[i, slot] / total * surprise
        drift[i] += shift
        params[i, 0] *= math.exp(2.0 * shift)
        params[i, 1] *= math.exp(2.0 * shift)
    kept = noise / total
    for a in range(live.size):
        i = live[a]
        if i != slot:
            p[i, slot] *= kept
            p[slot, i] = p[i, slot]
    p[slot, slot] *= kept


def level_errors_plain(
    params: Floats,
    years: Floats,
    rmse: Floats,
    p: Floats,
    wander: Floats,
    unseen_years: float,
    quote_error: float,
    level: Floats,
    error: Floats,
) -> None:
    """Plain twin of `level_errors`."""
    a, b, rho, m, s = params.T
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = a + b * (-rho * m + np.sqrt(m * m + s * s))
        level[:] = np.where(years > 0, np.sqrt(np.maximum(variance, 0.0) / years), np.nan)
    unknown = np.diag(p)[: len(level)] + wander**2 * unseen_years
    seen = np.sqrt(level**2 * unknown + quote_error**2 + rmse**2)
    error[:] = np.where(np.isfinite(seen), seen, np.inf)


@kernel(
    Arg.IN_2D,
    Arg.IN,
    Arg.IN,
    Arg.IN_2D,
    Arg.IN,
    Arg.FLOAT,
    Arg.FLOAT,
    Arg.OUT,
    Arg.OUT,
    plain=level_errors_plain,
)
def level_errors(
    params: Floats,
    years: Floats,
    rmse: Floats,
    p: Floats,
    wander: Floats,
    unseen_years: float,
    quote_error: float,
    level: Floats,
    error: Floats,
) -> None:
    """Fill each slice's at-the-money vol and its standard error, in vol: of the level, of the fit, of the quotes.

    Shapes      params (n, 5) raw SVI; years, rmse, wander, level, error (n,); p (>= n, >= n) covariance of log levels
    Units       p is as of `unseen_years` ago; levels have wandered since, `wander` per square root of a year
    Domain      a slot without a slice (NaN parameters) has level NaN and error inf
    """
    for i in range(level.size):
        m, s = params[i, 3], params[i, 4]
        variance = params[i, 0] + params[i, 1] * (-params[i, 2] * m + math.sqrt(m * m + s * s))
        level[i] = math.sqrt(max(variance, 0.0) / years[i]) if years[i] > 0.0 else math.nan
        unknown = p[i, i] + wander[i] * wander[i] * unseen_years
        seen = math.sqrt(level[i] * level[i] * unknown + quote_error * quote_error + rmse[i] * rmse[i])
        error[i] = seen if math.isfinite(seen) and not math.isnan(variance) else math.inf
        if math.isnan(variance):
            level[i] = math.nan


def have_moved_plain(
    params: Floats,
    fitted_years: Floats,
    years: Floats,
    basis: Floats,
    level_then: Floats,
    basis_then: Floats,
    most_width: float,
    most_basis: float,
) -> bool:
    """Plain twin of `have_moved`."""
    n = len(years)
    a, b, rho, m, s = params[:n].T
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = a + b * (-rho * m + np.sqrt(m * m + s * s))
        level = np.sqrt(np.maximum(variance, 0.0) / fitted_years[:n])
        live = np.isfinite(level) & (fitted_years[:n] > 0.0) & (years > 0.0)
    width = np.abs(level - level_then)[live] * np.sqrt(years[live])
    return not ((width <= most_width).all() and (np.abs(basis[:n] - basis_then)[live] <= most_basis).all())


@kernel(Arg.IN_2D, *[Arg.IN] * 5, Arg.FLOAT, Arg.FLOAT, plain=have_moved_plain)
def have_moved(
    params: Floats,
    fitted_years: Floats,
    years: Floats,
    basis: Floats,
    level_then: Floats,
    basis_then: Floats,
    most_width: float,
    most_basis: float,
) -> bool:
    """Whether the at-the-money vol times root time of any live slice, or its log basis, is off what it was by more.

    Shapes      years, level_then, basis_then (n,); the others (>= n, ...), as in `level_errors`
    Domain      a slot without a slice, or past its expiry, does not count; one whose level was NaN has moved
    """
    for i in range(years.size):
        m, s = params[i, 3], params[i, 4]
        variance = params[i, 0] + params[i, 1] * (-params[i, 2] * m + math.sqrt(m * m + s * s))
        if not (years[i] > 0.0 and fitted_years[i] > 0.0 and math.isfinite(variance)):
            continue
        level = math.sqrt(max(variance, 0.0) / fitted_years[i])
        if not abs(level - level_then[i]) * math.sqrt(years[i]) <= most_width:
            return True
        if not abs(basis[i] - basis_then[i]) <= most_basis:
            return True
    return False
