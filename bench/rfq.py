"""A package of four legs priced for a request, the market's state being ready: from legs to both sides and their parts.

In: a request. Out: fair value, the charge of the whole package against the book, winner's curse, fees, hedge, the
option of its life, the best markup, both prices on the tick. The other row prices the same legs one by one.
"""

from __future__ import annotations

import numpy as np

from bench.measure import Work, local
from flatbook.decide.rfq.package import Package
from flatbook.decide.rfq.pricing import Ask, PackageQuote, RfqMarket, RfqTerms, quote_package
from flatbook.decide.rfq.surroundings import Appetite, leg_table, risk_price_in
from flatbook.domain.units import NS_PER_DAY, parse_utc
from flatbook.kernels.chain import FACTORS, LEVELS
from flatbook.market.beliefs import Beliefs
from flatbook.market.snapshot import Markets, MarketSnapshot
from flatbook.policies import read_policy
from flatbook.venues.deribit import cheaper_side_discount, load_reference

NOW_NS = parse_utc("2025-03-31T08:00")
INDEX_USD = 80_000.0
LEGS = ("BTC-25APR25-70000-P", "BTC-25APR25-75000-P", "BTC-30MAY25-85000-C", "BTC-30MAY25-90000-C")
RATIOS = (1.0, -1.0, -1.0, 1.0)


def works() -> list[Work]:
    """A request to its quote."""
    market = ready_market()
    package = Ask(Package.of(list(enumerate(RATIOS))), 10.0, 10.0, 4.0)
    single = [package._replace(package=Package.of([(row, 1.0)])) for row in range(len(LEGS))]
    assert isinstance(quote_package(market, package), PackageQuote)
    return [
        Work(
            "a package of four legs, request to both prices",
            [
                local("flatbook", lambda: quote_package(market, package)),
                local("the four legs one by one", lambda: [quote_package(market, ask) for ask in single]),
            ],
            1,
            "us",
            most_seconds=20e-6,
        )
    ]


def ready_market() -> RfqMarket:
    """Two smiles, the shipped maker `advanced`, a book that is short vega."""
    days = np.array([25.0, 60.0])
    years = days / 365
    width = 0.55 * np.sqrt(years)
    scale = np.stack([width**2, width, np.ones(2), width, width], axis=1)
    snapshot = MarketSnapshot(
        "BTC",
        NOW_NS,
        INDEX_USD,
        NOW_NS + (days * NS_PER_DAY).astype(np.int64),
        INDEX_USD * np.exp(0.05 * years),
        np.array([0.4, 0.4, -0.2, 0.1, 1.2]) * scale,
    )
    policy, reference = read_policy("advanced")[0], load_reference()
    beliefs = Beliefs.prior(snapshot.expiry_ns, np.full(2, 0.004))
    markets = Markets({"BTC": snapshot})
    appetite = Appetite(policy.flow, policy.quoting.size_coin, policy.risk_price)
    exposure = np.zeros(FACTORS)
    exposure[LEVELS] = -1e5
    return RfqMarket(
        leg_table([reference.instrument(name) for name in LEGS], None, markets, beliefs),
        RfqTerms(policy.rfq, policy.quoting, policy.hedging, cheaper_side_discount()),
        INDEX_USD,
        INDEX_USD,
        exposure,
        risk_price_in(snapshot, beliefs, appetite),
        beliefs.covariance,
        1e-4,
    )
