"""Where one isolated position is bankrupt, and where it is liquidated: closed forms.

    linear, q coins long at p with margin m     m + q (P − p) = rate q P
    inverse, n dollars long at p with m coins   m + n (1/p − 1/P) = rate n / P

Bankruptcy is the price at rate 0. Sizes are signed and the same equations hold for shorts, whose requirement is of |q|.
Infinite where no price is far enough: an inverse short of at most its margin's coins. Source: the venues' own pages of
liquidation prices; Deribit's "Inverse Perpetual" for the second.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def linear_liquidation_price(
    size_coin: Floats, entry_usd: Floats, margin_usd: Floats, maintenance_rate: float = 0.0
) -> Floats:
    """USD a coin, zero where a long is covered down to nothing; at rate 0 the bankruptcy price. Arguments broadcast."""
    side = np.sign(size_coin)
    return np.maximum((entry_usd - margin_usd / size_coin) / (1.0 - side * maintenance_rate), 0.0)


def inverse_liquidation_price(
    size_usd: Floats, entry_usd: Floats, margin_coin: Floats, maintenance_rate: float = 0.0
) -> Floats:
    """USD a coin, infinite where a short is covered at any price; at rate 0 the bankruptcy price."""
    side = np.sign(size_usd)
    coins = margin_coin / size_usd + 1.0 / entry_usd
    with np.errstate(divide="ignore"):
        return np.where(coins > 0.0, (1.0 + side * maintenance_rate) / coins, np.inf)
