"""A desk in one market: BTC at 80,000, three expiries, a policy's terms, and a book to quote against."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.rfq.package import Package
from flatbook.decide.rfq.policy import RfqPolicy
from flatbook.decide.rfq.pricing import Ask, PackageQuote, RfqMarket, RfqTerms, quote_package
from flatbook.decide.rfq.surroundings import Appetite, leg_table, risk_price_in
from flatbook.kernels.chain import FACTORS
from flatbook.market.beliefs import Beliefs
from flatbook.market.snapshot import Markets
from flatbook.policies import read_policy
from flatbook.valuation.portfolio import BookPosition
from flatbook.valuation.risk_price import RiskPrice
from flatbook.venues.deribit import load_reference
from tests.market.snapshots import snapshot

Floats = NDArray[np.float64]

REFERENCE = load_reference()
POLICY = read_policy("advanced")[0]
MARKET = snapshot()
MARKETS = Markets({"BTC": MARKET})
BELIEFS = Beliefs.prior(MARKET.expiry_ns, np.full(len(MARKET.expiry_ns), 0.004))
APPETITE = Appetite(POLICY.flow, POLICY.quoting.size_coin, POLICY.risk_price)
RISK_PRICE = risk_price_in(MARKET, BELIEFS, APPETITE)
FLAT = np.zeros(FACTORS)


def terms(rfq: RfqPolicy | None = None, discount: float = 1.0) -> RfqTerms:
    return RfqTerms(rfq or RfqPolicy(hedge_at_fill=False), POLICY.quoting, POLICY.hedging, discount)


def desk(
    names: list[str],
    exposure: Floats = FLAT,
    risk_price: RiskPrice = RISK_PRICE,
    rfq: RfqPolicy | None = None,
    delta_leg: BookPosition | None = None,
    tick: float = 1e-4,
) -> RfqMarket:
    table = leg_table([REFERENCE.instrument(name) for name in names], delta_leg, MARKETS, BELIEFS)
    return RfqMarket(
        table, terms(rfq), MARKET.index_usd, MARKET.index_usd, exposure, risk_price, BELIEFS.covariance, tick
    )


def asked(legs: Mapping[int, float], size: float = 1.0, ttl_s: float = 10.0, competitors: float = 4.0) -> Ask:
    """Rows of a desk's table, with ratios."""
    return Ask(Package.of(list(legs.items())), size, ttl_s, competitors)


def quoted(market: RfqMarket, ask: Ask) -> PackageQuote:
    answer = quote_package(market, ask)
    assert isinstance(answer, PackageQuote), answer
    return answer
