"""Σ along a crisis: nothing later is known, a market as believed teaches nothing new, and a wilder one does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_DAY, NS_PER_HOUR
from flatbook.kernels.chain import FACTORS, LEVELS, PREMIUM, SPOT
from flatbook.market.beliefs import Beliefs
from flatbook.market.covariance import CovarianceModel
from flatbook.market.shock import Shocks
from flatbook.sim.crises.learning import PathCovariance
from flatbook.sim.crises.outcome import Replayed
from flatbook.sim.crises.path import CrisisPath, days_since_first
from flatbook.sim.crises.replay import ReplayTerms, replay
from flatbook.sim.crises.rules import HedgeView, price_of_risk
from flatbook.sim.crises.venue import HedgeMarket
from flatbook.valuation.portfolio import Portfolio
from tests.valuation.books import listed, markets

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MARKETS = markets()
BELIEFS = {name: Beliefs.prior(one.expiry_ns, np.zeros(4)) for name, one in MARKETS.snapshots.items()}
PRIOR = CovarianceModel()
BOOK = Portfolio([listed("BTC-30JAN26-80000-C", -100.0), listed("BTC-30JAN26-70000-P", -100.0)])
TERMS = ReplayTerms(HedgeMarket(1e10), price_of_risk(1e-5, 24.0), beliefs=BELIEFS)
LEVEL = LEVELS.start + 1
DELTA = np.zeros(FACTORS)
DELTA[[SPOT, PREMIUM]] = 1.0


def path(
    log_spot: Floats, log_vol: Floats, hours: float = 1.0, seen: Flags | None = None, term: float = 0.0
) -> CrisisPath:
    """A path from logs since its first step; terms are twisted by `term` of the vols' log move."""
    n = len(log_spot)
    ts_ns = NS_PER_DAY + np.arange(n, dtype=np.int64) * round(hours * NS_PER_HOUR)
    days = days_since_first(ts_ns)
    moves = Shocks.made(n, spot=np.expm1(log_spot), vol=np.expm1(log_vol), days=days, term=term * log_vol)
    return CrisisPath("made", ts_ns, {"BTC": moves}, np.zeros(n), 1e10, seen)


def walk(steps: int, vol: float, seed: int, hours: float = 1.0) -> Floats:
    """A random walk of that annual vol, from 0."""
    draws = np.random.default_rng(seed).standard_normal(steps - 1)
    return np.concatenate([[0.0], np.cumsum(vol * np.sqrt(hours / 8760.0) * draws)])


def both(crisis: CrisisPath) -> tuple[Replayed, Replayed]:
    """With Σ learning, and as it was."""
    return replay(BOOK, MARKETS, crisis, TERMS), replay(BOOK, MARKETS, crisis, replace(TERMS, learns=False))


def learnt(crisis: CrisisPath) -> PathCovariance:
    sigma = PathCovariance(BELIEFS["BTC"], crisis)
    for step in range(len(crisis)):
        sigma.see(MARKETS.of("BTC").shocked(crisis.of("BTC").at(step)), step)
    return sigma


def test_what_comes_later_changes_nothing_before() -> None:
    """A path cut short, and one that ends in another way, are the same to the last bit as far as they go."""
    spot, vol = walk(60, 1.5, 1), walk(60, 1.0, 2)
    seen = np.arange(60) % 6 == 0
    whole = replay(BOOK, MARKETS, path(spot, vol, seen=seen), TERMS)
    cut = replay(BOOK, MARKETS, path(spot[:31], vol[:31], seen=seen[:31]), TERMS)
    other = np.where(np.arange(60) > 30, spot - 0.4, spot)
    turned = replay(BOOK, MARKETS, path(other, vol, seen=seen), TERMS)
    for until_then in (cut, turned):
        for one, same in zip(whole.steps, until_then.steps, strict=True):
            assert one[:31].tobytes() == same[:31].tobytes()
    assert turned.steps.spot_vol[31] > 2.0 * whole.steps.spot_vol[31]
    assert whole.steps.spot_vol[30] > 1.3 * whole.steps.spot_vol[0]


@pytest.mark.parametrize("seed", [3, 6, 8])
def test_a_market_as_believed_is_hedged_as_before(seed: int) -> None:
    """Five days at the prior's own vols: what learning adds is noise, and less than hedging leaves anyhow."""
    spot, own = walk(121, PRIOR.spot_vol, seed), walk(121, PRIOR.vol_of_vol, seed + 50)
    along = PRIOR.spot_level_correlation
    crisis = path(spot, along * PRIOR.vol_of_vol / PRIOR.spot_vol * spot + np.sqrt(1.0 - along**2) * own, term=0.45)
    learning, static = both(crisis)
    assert static.steps.spot_vol == pytest.approx(PRIOR.spot_vol)
    assert learning.steps.spot_vol[-1] == pytest.approx(PRIOR.spot_vol, rel=0.1)
    ours, theirs = (np.diff(one.steps.pnl_usd) for one in (learning, static))
    assert np.std(ours) == pytest.approx(np.std(theirs), rel=0.1)
    assert 0.0 < np.std(ours - theirs) < 0.5 * np.std(theirs)


def test_a_market_three_times_as_wild_is_learnt_and_narrows_the_zone() -> None:
    """Of plain delta the zone's half width is cost over what R bends by: it goes as one over Σ's variance."""
    crisis = path(walk(121, 3.0 * PRIOR.spot_vol, 5), np.zeros(121))
    sigma = learnt(crisis).matrix
    assert np.sqrt(sigma[SPOT, SPOT]) == pytest.approx(3.0 * PRIOR.spot_vol, rel=0.3)
    for covariance in (PRIOR.prior(), sigma):
        bend = 1e-5 * 24.0 / 8760.0 * float(DELTA @ covariance @ DELTA)
        width = 0.0005 / bend
        assert hedge_of(0.99 * width, covariance) == 0.0
        assert hedge_of(1.1 * width, covariance) == pytest.approx(-0.1 * width, abs=10.0)


def hedge_of(delta_usd: float, covariance: Floats) -> float:
    view = HedgeView("BTC", 8e4, delta_usd, 0.0, lambda: delta_usd * DELTA, 0.0005, 0.0, 0.5, covariance)
    return price_of_risk(1e-5, 24.0)(view)


def test_straight_lines_between_recordings_do_not_teach_that_vols_stand_still() -> None:
    """Vols recorded every half day, and the same path as if each hour had been seen."""
    halves, hours = 20, 12
    closes = walk(halves + 1, 2.0, 6, hours=12.0)
    vol = np.interp(np.arange(halves * hours + 1) / hours, np.arange(halves + 1), closes)
    spot = walk(len(vol), PRIOR.spot_vol, 7)
    recorded = np.arange(len(vol)) % hours == 0
    told, drawn = (learnt(path(spot, vol, seen=seen)).matrix[LEVEL, LEVEL] for seen in (recorded, None))
    daily = path(spot[recorded], closes, hours=12.0)
    assert told == pytest.approx(learnt(daily).matrix[LEVEL, LEVEL], rel=1e-9)
    assert drawn < 0.5 * told


def test_a_rule_that_asks_for_a_covariance_nobody_follows_is_refused() -> None:
    view = HedgeView("BTC", 1.0, 0.0, 0.0, lambda: np.zeros(13), 0.001, 0.0, 0.5)
    with pytest.raises(BadInputError, match="BTC: no covariance to price its risk by"):
        price_of_risk(1e-6, 24.0)(view)
