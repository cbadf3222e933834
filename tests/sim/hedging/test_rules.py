from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.decide.hedge.best import best_hedge
from flatbook.decide.hedge.gamma_aware import GapMotion, gamma_aware
from flatbook.decide.hedge.instruments import TradingTerms, delta_one
from flatbook.decide.hedge.rules import zakamouline
from flatbook.sim.hedging import rules
from flatbook.sim.hedging.book import SHORT_STRANGLE, along, greeks
from flatbook.sim.hedging.paths import STOCHASTIC_VOL, simulated
from flatbook.sim.hedging.rules import CLASSICAL, OURS, Stage, Zone, stage_of
from flatbook.valuation.risk_price import RiskPrice

Floats = NDArray[np.float64]

COST = 5.5e-4
PATHS = simulated(STOCHASTIC_VOL, range(4), 48)
BOOK = along(PATHS, SHORT_STRANGLE)
STAGE = stage_of(PATHS, BOOK, COST)


def risk_of(stage: Stage, path: int, step: int, aversion: float, years: float) -> RiskPrice:
    """R = γ/2 x'Σx over some time, of delta and vega; the variance of vol is of no matter to the hedge."""
    spot, slope = stage.spot_variance[path, step], stage.vol_per_log_move[path, step]
    covariance = np.array([[spot, slope * spot], [slope * spot, slope**2 * spot + 1.0]])
    return RiskPrice(aversion * years * covariance)


@pytest.mark.parametrize("aversion", [3e-7, 3e-6, 3e-5])
@pytest.mark.parametrize("aware", [False, True])
def test_our_zones_are_what_the_hedger_would_do(aversion: float, aware: bool) -> None:
    zone = (rules.gamma_aware_price if aware else rules.price_of_risk)(STAGE, aversion)
    spot = np.array([1.0, 0.0])
    perpetual = delta_one("PERP", spot, 1.0, TradingTerms(COST, 0.0, 0.0, lot=1e-3))
    traded = 0
    for path, step in [(0, 0), (1, 100), (2, 333), (3, 575)]:
        index, years = PATHS.index_usd[path, step], float(BOOK.years[path, step])
        price = risk_of(STAGE, path, step, aversion, years if aware else rules.STAYS_DAYS / 365)
        if aware:
            motion = GapMotion(BOOK.dollar_gamma_usd[path, step], STAGE.spot_variance[path, step])
            price = gamma_aware(price, spot, COST, aversion, motion)
        exposure = np.array([BOOK.delta_usd[path, step], BOOK.vega_usd[path, step]])
        for held_coin in (-60.0, 0.0, 60.0):
            plan = best_hedge(exposure + held_coin * index * spot, price, perpetual)
            gap = held_coin - zone.target_coin[path, step]
            wanted = -np.sign(gap) * max(abs(gap) - zone.half_width_coin[path, step], 0.0)
            assert plan.size[0] == pytest.approx(wanted * index, abs=0.1)
            traded += wanted != 0.0
    assert traded >= 4


def test_without_a_link_of_vol_to_the_index_the_least_risk_is_blacks_delta() -> None:
    apart = replace(STAGE, vol_per_log_move=np.zeros(PATHS.index_usd.shape))
    assert np.array_equal(rules.least_risk_target(apart), rules.black_target(apart))
    assert not np.allclose(rules.least_risk_target(STAGE), rules.black_target(STAGE))


def test_the_link_of_vol_to_the_index_is_learnt_and_known_only_after() -> None:
    """Moves of both drawn with a slope, and then another history from a step on."""
    draw = np.random.default_rng(0)
    moves = draw.normal(0.0, 1e-3, (2, PATHS.steps))
    slope = np.array([[-1.5], [0.8]])
    vol = 0.6 + np.concatenate([np.zeros((2, 1)), np.cumsum(slope * moves, axis=1)], axis=1)
    index = 8e4 * np.exp(np.concatenate([np.zeros((2, 1)), np.cumsum(moves, axis=1)], axis=1))
    two = simulated(STOCHASTIC_VOL, range(2), 48)
    paths = replace(two, index_usd=index)
    wide = np.ones(index.shape)
    strikes = np.full((2, 2), 8e4)
    options = along(two, SHORT_STRANGLE)
    book = replace(options, atm_vol=0.6 * wide, years=0.05 * wide, vol=np.stack([vol, vol]), strike_usd=strikes)
    stage = stage_of(paths, book, COST)
    # the prior holds the slope back by its share of the weight
    assert np.all(np.sign(stage.vol_per_log_move[:, -1]) == np.sign(slope[:, 0]))
    assert 0.2 < stage.vol_per_log_move[0, -1] / -1.5 < 1.0
    assert stage.vol_per_log_move[:, 0].tolist() == [0.0, 0.0]
    later = vol.copy()
    later[:, 301:] += 0.5
    again = stage_of(paths, replace(book, vol=np.stack([later, later])), COST)
    assert np.array_equal(again.vol_per_log_move[:, :301], stage.vol_per_log_move[:, :301])
    assert not np.array_equal(again.vol_per_log_move[:, 301:], stage.vol_per_log_move[:, 301:])


def test_zakamoulines_target_is_the_delta_at_his_vol() -> None:
    zone = rules.zakamouline_band(STAGE, 1e-6)
    adjusted = zakamouline(STAGE.terms(1e-6)).hedging_vol(1.0, BOOK.dollar_gamma_usd)
    assert np.all(adjusted < 1.0)  # short gamma
    here = (slice(1, 2), slice(200, 201))
    delta = sum(
        size
        * greeks(PATHS.index_usd[here], strike.reshape(1, 1), vol[here] * adjusted[here], BOOK.years[here], sign)[1]
        for size, strike, vol, sign in zip(BOOK.size, BOOK.strike_usd[1], BOOK.vol, BOOK.sign, strict=True)
    )
    assert zone.target_coin[here] == pytest.approx(-delta)


@pytest.mark.parametrize("rule", [*CLASSICAL, *OURS], ids=lambda rule: rule.name)
def test_every_rule_gives_a_zone_for_each_value_that_widens_or_narrows_with_it(rule: rules.Rule) -> None:
    zones = [rule.zone(STAGE, value) for value in rule.values]

    def size(zone: Zone) -> float:
        return float(zone.half_width_coin.mean() + zone.every_steps)

    for zone in zones:
        assert zone.target_coin.shape == zone.half_width_coin.shape == PATHS.index_usd.shape
        assert np.all(np.isfinite(zone.target_coin))
        assert np.all(zone.half_width_coin >= 0.0)
    sizes = [size(zone) for zone in zones]
    assert sizes == sorted(sizes, reverse=rule.parameter == "risk aversion")
    assert len(set(sizes)) == len(sizes)
