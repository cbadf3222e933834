"""What the units of a chain are held to: put-call parity of its marks, and Black of its mark vols."""

import numpy as np
from scipy.special import ndtr

from flatbook.market.chain_snapshot import ChainSnapshot, Floats

NS_PER_YEAR = 365 * 24 * 3_600 * 1e9


def black_mark(chain: ChainSnapshot) -> Floats:
    """Each option's value at its mark vol and forward, in the settlement currency (Black 1976), shape (n,)."""
    width = chain.mark_iv * np.sqrt((chain.expiry_ns - chain.ts_ns) / NS_PER_YEAR)
    d1 = np.log(chain.forward_usd / chain.strike_usd) / width + width / 2
    value_usd = chain.sign * (
        chain.forward_usd * ndtr(chain.sign * d1) - chain.strike_usd * ndtr(chain.sign * (d1 - width))
    )
    return np.asarray(value_usd / chain.forward_usd if chain.is_inverse else value_usd)


def black_errors(chain: ChainSnapshot) -> Floats:
    """How far marks are from Black, without those that have none."""
    error = np.abs(black_mark(chain) - chain.mark)
    return np.asarray(error[np.isfinite(error)])


def parity_errors(chain: ChainSnapshot) -> Floats:
    """How far the marks of each call and put of a strike are from C - P = 1 - K/F, coin-settled."""
    pairs: dict[tuple[int, float], dict[float, int]] = {}
    for row, key in enumerate(zip(chain.expiry_ns.tolist(), chain.strike_usd.tolist(), strict=True)):
        pairs.setdefault(key, {})[float(chain.sign[row])] = row
    both = np.array([(pair[1.0], pair[-1.0]) for pair in pairs.values() if len(pair) == 2])
    call, put = both.T
    forward = (chain.forward_usd[call] + chain.forward_usd[put]) / 2
    return np.asarray(np.abs(chain.mark[call] - chain.mark[put] - (1 - chain.strike_usd[call] / forward)))


def count(*columns: Floats) -> list[int]:
    """How many of each column are known."""
    return [int(np.isfinite(column).sum()) for column in columns]
