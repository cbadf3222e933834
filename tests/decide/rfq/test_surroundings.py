"""R's term for tails where a request is priced: in factors, at the book."""

import numpy as np
import pytest

from flatbook.decide.policy import RiskPricePolicy
from flatbook.decide.rfq.surroundings import book_exposure, with_tails
from flatbook.kernels.chain import SPOT
from flatbook.market.beliefs import Beliefs
from flatbook.valuation.portfolio import Portfolio
from flatbook.valuation.risk_price import no_risk_price
from tests.market.snapshots import snapshot
from tests.valuation.books import listed, markets

MARKETS = markets(snapshot())
BELIEFS = Beliefs.prior(MARKETS.of("BTC").expiry_ns, np.full(4, 0.01))
POLICY = RiskPricePolicy(stress_weight=0.02)


@pytest.mark.parametrize(("right", "sign"), [("P", 1.0), ("C", -1.0)])
def test_a_book_short_of_a_wing_is_charged_for_spot_on_its_side(right: str, sign: float) -> None:
    strike = 60_000 if right == "P" else 100_000
    book = Portfolio([listed(f"BTC-30JAN26-{strike}-{right}", -100.0)])
    charged = with_tails(no_risk_price(), book, "BTC", MARKETS, BELIEFS, POLICY)
    exposure = book_exposure(book, "BTC", MARKETS, BELIEFS)
    assert sign * charged.gradient(exposure)[SPOT] > 0.0
    # At the margin no more than the weight a dollar of spot that goes to the grid's end.
    assert abs(charged.gradient(exposure)[SPOT]) <= 0.02 * 0.3
    assert np.linalg.eigvalsh(charged.curvature)[0] > -1e-18


def test_without_a_weight_or_a_book_r_is_as_it_was() -> None:
    core, short = no_risk_price(), Portfolio([listed("BTC-30JAN26-60000-P", -100.0)])
    assert with_tails(core, short, "BTC", MARKETS, BELIEFS, RiskPricePolicy()) is core
    assert with_tails(core, Portfolio([]), "BTC", MARKETS, BELIEFS, POLICY) is core
