import math
from dataclasses import replace

import numpy as np
import pytest

from flatbook.market.calibration.gate import arbitrages_of, calibrate_all, judge
from flatbook.market.calibration.slices import Calibration
from flatbook.market.calibration.surface import calibrate
from tests.market_calibration.builders import Quoting, chain, later, smile, with_rows

EXPIRIES = [smile(days) for days in (2.0, 9.0, 37.0)]


def with_params(calibration: Calibration, at: int, params: list[float]) -> Calibration:
    slices = list(calibration.slices)
    slices[at] = replace(slices[at], params=np.array(params))
    return replace(calibration, slices=tuple(slices))


def test_a_good_day_is_judged_good() -> None:
    rng = np.random.default_rng(1)
    verdict = judge(calibrate_all(later(chain(EXPIRIES, Quoting(tick=1e-9), rng), hours) for hours in range(3)))
    assert (verdict.chains, verdict.slices, verdict.fitted, verdict.share_fitted) == (3, 9, 9, 1.0)
    assert (verdict.thin_aged, verdict.thin_missing, verdict.arbitrages) == (0, 0, 0)
    assert 0.0 < verdict.weighted_rmse_vol < verdict.half_spread_vol == pytest.approx(0.01, abs=1e-3)
    assert verdict.within == 1.0
    assert len(verdict.worst) == 9
    assert verdict.worst[0].badness() >= verdict.worst[-1].badness()


def test_what_is_not_fitted_is_worst_and_what_is_thin_is_counted_apart() -> None:
    snapshot = chain(EXPIRIES, Quoting(tick=1e-9))
    first = snapshot.expiry_ns == EXPIRIES[0].expiry_ns
    kept = np.unique(snapshot.strike_usd[first])[:3]
    thin = with_rows(snapshot, first & ~np.isin(snapshot.strike_usd, kept), bid=np.nan, ask=np.nan)
    verdict = judge(calibrate_all([thin, later(snapshot, 1.0), later(thin, 2.0)]))
    assert (verdict.slices, verdict.fitted) == (7, 7)
    assert (verdict.thin_missing, verdict.thin_aged) == (1, 1)
    shouting = with_rows(snapshot, first, bid=snapshot.bid * np.where(np.arange(snapshot.sign.size) % 2, 3.0, 1.0))
    shouting = replace(shouting, ask=np.maximum(shouting.bid * 1.01, shouting.ask))
    failed = judge(calibrate_all([shouting]))
    assert failed.fitted < failed.slices
    assert failed.worst[0].badness() == math.inf
    assert failed.worst[0].why == failed.worst[0].one.reason != ""


def test_a_wide_quote_is_named_as_the_reason() -> None:
    snapshot = chain(EXPIRIES, Quoting(tick=1e-9))
    strike = np.unique(snapshot.strike_usd[snapshot.expiry_ns == EXPIRIES[1].expiry_ns])[14]
    one = (snapshot.expiry_ns == EXPIRIES[1].expiry_ns) & (snapshot.strike_usd == strike)
    verdict = judge([calibrate(with_rows(snapshot, one, bid=snapshot.bid * 0.7, ask=snapshot.ask * 1.01))])
    assert verdict.worst[0].one.expiry_ns == EXPIRIES[1].expiry_ns
    assert f"{strike:g} quoted" in verdict.worst[0].why
    assert verdict.worst[0].why.endswith("which is met")


def test_no_chain_is_no_verdict() -> None:
    verdict = judge([])
    assert verdict.slices == 0
    assert math.isnan(verdict.share_fitted)
    assert math.isnan(verdict.rmse_vol)
    assert verdict.worst == ()


def test_the_dense_check_sees_each_kind_of_arbitrage() -> None:
    good = calibrate(chain(EXPIRIES, Quoting(tick=1e-9)))
    assert arbitrages_of(good) == []
    vogt = [-0.0410, 0.1331, 0.3060, 0.3586, 0.4153]
    assert arbitrages_of(with_params(good, 2, vogt)) == [EXPIRIES[2].expiry_ns]
    lower = good.slices[0].params * np.array([0.9, 0.9, 1.0, 1.0, 1.0])
    assert arbitrages_of(with_params(good, 1, lower.tolist())) == [EXPIRIES[1].expiry_ns]
    flatter = good.slices[1].params.copy()
    flatter[0] += 0.5 * flatter[0]
    flatter[1] = 0.9 * good.slices[0].params[1]
    assert EXPIRIES[1].expiry_ns in arbitrages_of(with_params(good, 1, flatter.tolist()))
    steep = good.slices[2].params.copy()
    steep[1] = 2.0
    assert EXPIRIES[2].expiry_ns in arbitrages_of(with_params(good, 2, steep.tolist()))
    sharp = [0.3**2 * 0.1, 0.15, -0.4, -0.33, 3e-6]
    assert EXPIRIES[2].expiry_ns in arbitrages_of(with_params(good, 2, sharp))


def test_chains_of_one_coin_settled_in_two_currencies_do_not_lend_to_each_other() -> None:
    inverse, linear = (chain(EXPIRIES, Quoting(tick=1e-9, settle=settle)) for settle in ("BTC", "USDC"))
    silent = with_rows(later(linear, 1.0), linear.sign != 0.0, bid=np.nan, ask=np.nan)
    first, second = calibrate_all([inverse, silent])
    assert len(first.published()) == 3
    assert second.published() == ()
