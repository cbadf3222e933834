"""Who trades at a venue of the study: leveraged futures, and books of options, each as large as margin lets it be.

futures         long or short of the perpetual
short vol       a strangle sold, not hedged
hedged makers   some of every option, short on balance, delta hedged in the perpetual at the start
long options    one option bought
short options   one option sold, bare
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flatbook.risk.liquidation.listing import Listing
from flatbook.risk.margin.contracts import MarginContracts
from flatbook.risk.margin.model import MarginModel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KINDS: Final = ("futures", "short_vol", "hedged_makers", "long_options", "short_options")

_HALVINGS = 40
_LARGEST = 200.0
"""Times equity: no book is larger, whatever margin would let it be."""


@dataclass(frozen=True)
class Population:
    """Lognormal equity and leverage, by median and deviation of the log.

    long_share      of futures accounts that are long; the makers have the other side of the rest
    token_share     of accounts that post a token for all their collateral, the others dollars
    margin_use      share of the balance that initial margin takes at most; a book of options takes between `least_use`
                    and that
    option_share    of accounts that hold options, by kind in proportion to `option_weights`
    maker_bias      mean of what a maker holds of an option, in its deviations
    """

    accounts: int = 500
    equity_usd: float = 20_000.0
    equity_log_deviation: float = 1.5
    leverage: float = 6.0
    leverage_log_deviation: float = 0.8
    long_share: float = 0.6
    token_share: float = 0.4
    margin_use: float = 0.9
    least_use: float = 0.5
    option_share: float = 0.4
    option_weights: tuple[float, float, float, float] = (0.3, 0.2, 0.3, 0.2)
    maker_bias: float = -0.3


@dataclass(frozen=True, eq=False)
class People:
    """Accounts (a,) as they are drawn.

    Shapes      kind (a,) places in `KINDS`; equity_usd (a,); coins (a, c) of each contract
    """

    kind: Ints
    equity_usd: Floats
    has_token: NDArray[np.bool_]
    coins: Floats


def drawn(
    people: Population, listing: Listing, contracts: MarginContracts, model: MarginModel, haircut: float,
    rng: np.random.Generator,
) -> People:  # fmt: skip
    """Accounts in the market they begin in, credited with their collateral less its haircut."""
    count = people.accounts
    equity = people.equity_usd * np.exp(people.equity_log_deviation * rng.standard_normal(count))
    leverage = people.leverage * np.exp(people.leverage_log_deviation * rng.standard_normal(count))
    side = np.where(rng.uniform(size=count) < people.long_share, 1, -1)
    has_token = rng.uniform(size=count) < people.token_share
    credited = equity * np.where(has_token, 1.0 - haircut, 1.0)
    perpetual = side * equity * leverage / contracts.index_usd
    requirement = model.requirement(contracts)
    coins = np.zeros((count, len(contracts)))
    coins[:, 0] = perpetual
    initial = requirement.margins(coins).initial
    # A requirement grows at least as fast as a position: scaled by this much, it is within what they may use.
    coins[:, 0] *= np.minimum(1.0, people.margin_use * credited / initial)
    kind = np.zeros(count, dtype=np.int64)
    if listing.pairs:
        kind = _kinds(people, rng)
        rows = np.flatnonzero(kind)
        units = _units(people, listing, contracts, kind[rows], rng) * (equity[rows, None] / contracts.index_usd)
        use = rng.uniform(people.least_use, people.margin_use, len(rows)) * credited[rows]
        worth = np.where(contracts.is_option, contracts.mark_usd, 0.0)

        def fits(size: Floats) -> NDArray[np.bool_]:
            """Whether margin and what is paid for options are covered; what was received for them covers, too."""
            held = size[:, None] * units
            paid = held @ worth
            beside = 0.0 if model.counts_option_value else paid
            return np.asarray((requirement.margins(held).initial <= use - beside) & (paid <= use))

        coins[rows] = _largest(fits, len(rows))[:, None] * units
    return People(kind, equity, has_token, coins)


def _kinds(people: Population, rng: np.random.Generator) -> Ints:
    """(a,) at random by their weights."""
    holds = rng.uniform(size=people.accounts) < people.option_share
    weights = np.array(people.option_weights)
    return np.where(holds, 1 + rng.choice(len(weights), people.accounts, p=weights / weights.sum()), 0)


def _units(
    people: Population, listing: Listing, contracts: MarginContracts, kind: Ints, rng: np.random.Generator
) -> Floats:
    """What a coin of each book is, (k, c)."""
    count, rows = len(kind), np.arange(len(kind))
    put = 1 + 2 * rng.integers(0, listing.pairs, count)
    either = put + rng.integers(0, 2, count)
    mixed = rng.normal(people.maker_bias, 1.0, (count, 2 * listing.pairs))
    units = np.zeros((count, len(contracts)))
    name = np.array(KINDS)[kind]
    for pair in (put, put + 1):
        units[rows, pair] -= name == "short_vol"
    units[rows, either] += (name == "long_options").astype(np.float64) - (name == "short_options")
    maker = name == "hedged_makers"
    units[maker, 1:] = mixed[maker] / np.sqrt(2.0 * listing.pairs)
    units[maker, 0] = -units[maker, 1:] @ contracts.delta[1:]
    return units


def _largest(fits: Callable[[Floats], NDArray[np.bool_]], count: int) -> Floats:
    """The largest sizes up to `_LARGEST` that fit, by halving, (k,)."""
    low, high = np.zeros(count), np.full(count, _LARGEST)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        fit = fits(middle)
        low, high = np.where(fit, middle, low), np.where(fit, high, middle)
    return low
