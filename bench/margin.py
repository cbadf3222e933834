"""What an order adds to margin, on a chain of a thousand contracts and an account that holds four hundred of them.

The state of the account is ready, as a quoting loop has it; the other row asks for the whole account's margin anew.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from bench.measure import Work, local
from flatbook.kernels.black import black
from flatbook.risk.margin.contracts import MarginContracts
from flatbook.risk.margin.requirement import MarginState
from flatbook.venues.margin import MODELS, editions

Floats = NDArray[np.float64]

ROWS = 1_000
HELD = 400
ACCOUNTS = 1_000
INDEX_USD = 80_000.0


def works() -> list[Work]:
    """One order, an order in every contract, and many accounts, by model."""
    rng = np.random.default_rng(7)
    chain = contracts()
    held = np.zeros(ROWS)
    held[rng.permutation(ROWS)[:HELD]] = rng.normal(0.0, 10.0, HELD)
    accounts = rng.normal(0.0, 10.0, (ACCOUNTS, ROWS)) * (rng.random((ACCOUNTS, ROWS)) < 0.02)
    return [work for name in MODELS for work in _works(name, chain, held, accounts)]


def _works(name: str, chain: MarginContracts, held: Floats, accounts: Floats) -> list[Work]:
    requirement = editions(name)[-1].model.requirement(chain)
    state, row = MarginState(requirement, held), int(np.flatnonzero(held)[0])
    more, orders = held.copy(), np.ones(ROWS)
    more[row] += 1.0
    sparse = csr_array(accounts)
    anew = local("the account anew", lambda: requirement.margins(more))
    return [
        Work(f"{name}: one order", [local("flatbook", lambda: state.marginal(row, 1.0)), anew], 1, "us"),
        Work(f"{name}: an order each", [local("flatbook", lambda: state.marginals(orders))], ROWS, "M/s"),
        Work(
            f"{name}: accounts of twenty contracts",
            [
                local("flatbook", lambda: requirement.many(sparse)),
                local("as full arrays", lambda: requirement.margins(accounts)),
            ],
            ACCOUNTS,
            "M/s",
        ),
    ]


def contracts() -> MarginContracts:
    """Twelve expiries of calls and puts, and a perpetual."""
    years = np.repeat(np.geomspace(0.003, 1.0, 12), ROWS // 12 + 1)[:ROWS]
    sign = np.where(np.arange(ROWS) % 2 == 0, 1.0, -1.0)
    strike = INDEX_USD * np.exp(0.6 * np.sqrt(years) * np.linspace(-2.5, 2.5, 42)[np.arange(ROWS) // 2 % 42])
    forward, vol = INDEX_USD * np.exp(0.05 * years), np.full(ROWS, 0.6)
    greeks = black(forward, strike, vol, years, sign)
    is_option = np.arange(ROWS) > 0
    return MarginContracts(
        underlying="BTC",
        index_usd=INDEX_USD,
        names=tuple(map(str, range(ROWS))),
        is_option=is_option,
        in_coin=np.ones(ROWS, dtype=np.bool_),
        strike_usd=np.where(is_option, strike, np.nan),
        sign=np.where(is_option, sign, 0.0),
        years=np.where(is_option, years, 0.0),
        forward_usd=forward,
        vol=np.where(is_option, vol, 0.0),
        mark_usd=np.where(is_option, greeks.price, INDEX_USD),
        delta=np.where(is_option, greeks.delta, 1.0),
        rate=np.zeros(ROWS),
    )
