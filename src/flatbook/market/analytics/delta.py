"""Delta by convention, the estimators that two of them need, and the hedging error of each.

    Black               N(d1), of the forward at an unmoved vol
    premium-adjusted    less the premium in coin: the net transaction delta, which hedges a coin-settled option
    smile               plus what the smile's slide does, by an estimated stickiness ratio
    minimum variance    plus the expected move of vol with spot, a quadratic in delta (Hull and White)

A stickiness ratio is Bergomi's skew stickiness: the move of the vol at the money per skew and log move of spot, 1 for
a smile sticky by strike, 0 for one that slides with the forward, about 2 for a local vol. The deltas of a linear
option are those of a premium of 0.

Sources: Hull and White (2017), "Optimal delta hedging for options", J. Banking and Finance 82; Bergomi (2009), "Smile
dynamics IV"; Lucic and Sepp (2024) for the premium-adjusted delta.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flatbook.domain.errors import BadInputError
from flatbook.market.analytics.regression import Moments, fit, shrunk

Floats = NDArray[np.float64]

STICKY_STRIKE = 1.0
STICKY_MONEYNESS = 0.0


class OptionColumns(NamedTuple):
    """Options as columns, shape (n,) each.

    black_delta     USD per USD of forward: a put's is negative
    vega_usd        per 1.00 of vol
    price_coin      premium over forward; 0 for a linear option
    forward_usd, years
    vol_slope       of the smile at the option's strike, d vol / d ln K
    sign            +1 call, -1 put
    """

    black_delta: Floats
    vega_usd: Floats
    price_coin: Floats
    forward_usd: Floats
    years: Floats
    vol_slope: Floats
    sign: Floats

    def call_delta(self) -> Floats:
        """Black delta of the call at the same strike: a put's vol moves with it."""
        return np.asarray(np.where(self.sign > 0.0, self.black_delta, self.black_delta + 1.0))


class Deltas(NamedTuple):
    """One delta by each convention, shape (n,), coins of underlying per contract."""

    black: Floats
    premium_adjusted: Floats
    smile: Floats
    minimum_variance: Floats


@dataclass(frozen=True, slots=True)
class VolMove:
    """Expected move of an option's vol per relative move of spot: (a + b delta + c delta^2) / sqrt(T).

    delta is the Black delta of the call. All zeros is a vol that does not move with spot.
    """

    a: float = 0.0
    b: float = 0.0
    c: float = 0.0

    def per_log_move(self, call_delta: Floats, years: Floats) -> Floats:
        """d E[vol] / d ln S, shape (n,)."""
        return np.asarray((self.a + self.b * call_delta + self.c * call_delta**2) / np.sqrt(years))


def deltas(options: OptionColumns, stickiness: ArrayLike, move: VolMove) -> Deltas:
    """All conventions side by side; `stickiness` is a ratio for all options, or (n,) by tenor."""
    net = options.black_delta - options.price_coin
    per_log_move = options.vega_usd / options.forward_usd
    slide = (np.asarray(stickiness, dtype=np.float64) - 1.0) * options.vol_slope
    expected = move.per_log_move(options.call_delta(), options.years)
    return Deltas(options.black_delta, net, net + per_log_move * slide, net + per_log_move * expected)


def observe_stickiness(moments: Moments, skew: Floats, log_move: Floats, vol_move: Floats, decay: float) -> Moments:
    """Takes moves of the vol at the money (of one expiry, its money moving with it) over moves of its log forward.

    Shapes      (n,) each; `skew` d vol / d ln K at the money before the move
    The regression is of what a sticky strike leaves unexplained, so that evidence is against a ratio of 1. One call is
    one block: what moved at the same time.
    """
    expected = skew * log_move
    return moments.observe(expected[:, None], vol_move - expected, decay)


def stickiness_of(moments: Moments) -> float:
    """The estimated stickiness ratio, drawn to a sticky strike; just that until |t| of 2 says otherwise."""
    return STICKY_STRIKE + float(shrunk(fit(moments))[0])


def observe_vol_move(
    moments: Moments, options: OptionColumns, forward_after_usd: Floats, price_after_usd: Floats, decay: float
) -> Moments:
    """Takes what Black deltas left unhedged over one step, as Hull and White regress it.

    Both sides are over the forward, so that dear underlyings do not outvote cheap ones. `options` are a whole chain
    as of before the step, of three moments.
    """
    before_usd = options.price_coin * options.forward_usd
    forward_move = forward_after_usd - options.forward_usd
    unhedged = price_after_usd - before_usd - options.black_delta * forward_move
    exposure = options.vega_usd / np.sqrt(options.years) * forward_move / options.forward_usd
    delta = options.call_delta()
    rows = exposure[:, None] * np.stack((np.ones(delta.size), delta, delta**2), axis=1)
    return moments.observe(rows / options.forward_usd[:, None], unhedged / options.forward_usd, decay)


def vol_move_of(moments: Moments) -> VolMove:
    """The estimated quadratic, drawn to a vol that does not move; just that until chains agree on a move."""
    a, b, c = (float(value) for value in shrunk(fit(moments)))
    return VolMove(a, b, c)


def hedged_pnl_coin(
    price_before_coin: Floats,
    price_after_coin: Floats,
    delta: Floats,
    forward_before_usd: Floats,
    forward_after_usd: Floats,
) -> Floats:
    """P&L in coin of one option long, hedged by a coin-settled future short of `delta` coins, shape (n,).

    A coin-settled future of USD notional n earns n (1/F0 - 1/F1) coins, and delta coins of it are a notional of
    delta F0.
    """
    return np.asarray(price_after_coin - price_before_coin - delta * (1.0 - forward_before_usd / forward_after_usd))


class HedgingError(NamedTuple):
    """What one convention leaves: root mean square P&L in coin, and the share of the premium-adjusted delta's squared
    P&L that it saves (negative: it adds)."""

    convention: str
    rms_coin: float
    gain: float


def hedging_errors(pnl_coin: Mapping[str, Floats]) -> tuple[HedgingError, ...]:
    """A table of hedged P&L by convention; "premium_adjusted" must be among them, as what the others are held to."""
    if "premium_adjusted" not in pnl_coin or not all(pnl.size for pnl in pnl_coin.values()):
        raise BadInputError('hedging errors are held to those of "premium_adjusted"; give its P&L, and no empty one')
    square = {name: float(np.mean(pnl**2)) for name, pnl in pnl_coin.items()}
    base = square["premium_adjusted"]
    return tuple(HedgingError(name, float(np.sqrt(value)), 1.0 - value / base) for name, value in square.items())
