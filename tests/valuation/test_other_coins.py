"""R over our factors and other coins' rests: the same R that the whole covariance of prices would give."""

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.decide.hedge.best import best_hedge
from flatbook.decide.hedge.instruments import TradingTerms, delta_one, joined
from flatbook.kernels.chain import FACTORS, SPOT
from flatbook.market.covariance import CovarianceModel
from flatbook.market.other_coins import comovement
from flatbook.valuation.inventory import NOTHING_HELD
from flatbook.valuation.other_coins import priced_with_rests, with_others
from flatbook.valuation.risk_price import RiskPrice, riccati

Floats = NDArray[np.float64]
AVERSION, WEEK = 1e-6, 168 / 8760
SIGMA = CovarianceModel().prior()
VOL, OTHER = float(np.sqrt(SIGMA[SPOT, SPOT])), 0.8
FREE = TradingTerms(0.0, 0.0, 0.0, lot=1e-9)


def of_one(correlation: float, error: float) -> tuple[float, Floats]:
    """Beta, and the rest's covariance, of a coin of vol OTHER."""
    across = correlation * VOL * OTHER
    spots = np.array([[VOL**2, across], [across, OTHER**2]])
    found = comovement(spots, np.full((2, 2), error * VOL * OTHER))
    return float(found.beta[0]), found.rest


def both(beta: float, *, ours_rate: float = 0.0) -> tuple[Floats, object]:
    """Our perpetual, that costs `ours_rate`, and the other coin's, that costs nothing, a USD a unit."""
    ours, other = np.eye(FACTORS + 1)[SPOT], np.eye(FACTORS + 1)[FACTORS]
    other[SPOT] = beta
    dear = TradingTerms(ours_rate, 0.0, 0.0, lot=1e-9)
    return np.stack([ours, other]), joined(delta_one("ours", ours, 1.0, dear), delta_one("other", other, 1.0, FREE))


def test_it_is_the_riccati_equation_of_all_prices_together() -> None:
    """Second way: Σ of our factors and the coin's own return, flow in our factors alone, solved whole."""
    rng = np.random.default_rng(2)
    loading = rng.normal(size=(40, FACTORS))
    flow = loading.T @ loading * 1e3
    beta, rest = of_one(0.7, 0.1)
    mix = np.zeros((FACTORS + 1, FACTORS + 1))  # returns of all prices by our factors and the rest
    mix[:FACTORS, :FACTORS], mix[FACTORS, SPOT], mix[FACTORS, FACTORS] = np.eye(FACTORS), beta, 1.0
    blocks = np.zeros_like(mix)
    blocks[:FACTORS, :FACTORS], blocks[FACTORS, FACTORS] = SIGMA, rest[0, 0]
    whole = mix @ blocks @ mix.T
    assert whole[FACTORS, FACTORS] == pytest.approx(OTHER**2)
    reach = np.sqrt(AVERSION) * WEEK
    padded = np.pad(flow, (0, 1))
    in_prices = np.sqrt(AVERSION) * riccati(whole, padded, reach)
    core = RiskPrice(np.sqrt(AVERSION) * riccati(SIGMA, flow, reach))
    ours = priced_with_rests(core, rest, AVERSION, WEEK)
    x = rng.normal(size=FACTORS + 1) * 1e5
    exposure = with_others(NOTHING_HELD._replace(exposure=x[:FACTORS]), np.array([beta]), x[FACTORS:])
    found = ours.cost_usd(np.concatenate([exposure.exposure, exposure.others_usd]))
    assert found == pytest.approx(float(0.5 * x @ in_prices @ x), rel=1e-6)


@pytest.mark.parametrize(("correlation", "error"), [(0.8, 0.0), (0.8, 0.2), (-0.5, 0.1), (0.3, 0.15)])
def test_what_nothing_takes_away_is_hedged_by_the_regression_s_beta_times_the_shrinkage(
    correlation: float, error: float
) -> None:
    beta, rest = of_one(correlation, error)
    price = priced_with_rests(RiskPrice(AVERSION * WEEK * SIGMA), rest, AVERSION, WEEK)
    _, offered = both(beta, ours_rate=10.0)
    exposure = np.zeros(FACTORS + 1)
    exposure[SPOT] = 1e6
    plan = best_hedge(exposure, price, offered)  # type: ignore[arg-type]
    shrinkage = max(1 - (2 * error / correlation) ** 2, 0.0)
    assert plan.size[0] == 0.0, "dear"
    assert plan.size[1] == pytest.approx(-1e6 * shrinkage * correlation * VOL / OTHER, abs=1e-3)


def test_a_coin_that_is_as_good_as_ours_hedges_as_ours_and_one_that_is_no_good_not_at_all() -> None:
    rng = np.random.default_rng(4)
    root = rng.normal(size=(FACTORS, FACTORS))
    core, exposure = RiskPrice(root @ root.T * 1e-9), np.append(rng.normal(size=FACTORS) * 1e5, 0.0)
    scaled = OTHER / VOL
    beta, rest = of_one(1.0, 0.0)
    price = priced_with_rests(core, rest, AVERSION, WEEK)
    loading, offered = both(beta, ours_rate=10.0)
    by_other = best_hedge(exposure, price, offered)  # type: ignore[arg-type]
    by_ours = best_hedge(exposure, price, delta_one("ours", loading[0], 1.0, FREE))
    assert by_other.size[1] * scaled == pytest.approx(by_ours.size[0], rel=1e-9)
    assert by_other.risk_after_usd == pytest.approx(by_ours.risk_after_usd, rel=1e-9)
    beta, rest = of_one(0.0, 0.0)
    _, offered = both(beta, ours_rate=10.0)
    assert not best_hedge(exposure, priced_with_rests(core, rest, AVERSION, WEEK), offered).lots.any()  # type: ignore[arg-type]
