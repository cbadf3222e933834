from dataclasses import replace

import numpy as np
import pytest

from flatbook.market.calibration.forwards import forward_estimates
from flatbook.market.calibration.quotes import REASONS, USED, QuoteBands, quote_bands
from flatbook.market.chain_snapshot import ChainSnapshot
from tests.market_calibration.builders import Quoting, chain, smile, with_rows

EXPIRIES = [smile(2.0), smile(20.0), smile(200.0)]


def bands_of(snapshot: ChainSnapshot) -> QuoteBands:
    return quote_bands(snapshot, forward_estimates(snapshot))


@pytest.mark.parametrize("settle", ["BTC", "USDC"])
def test_bands_are_the_vols_that_were_quoted(settle: str) -> None:
    bands = bands_of(chain(EXPIRIES, Quoting(settle=settle, tick=1e-9)))
    for at, drawn in enumerate(EXPIRIES):
        of = bands.of(at)
        k = bands.k[of]
        assert (np.diff(k) > 0.0).all()
        np.testing.assert_allclose(k, np.log(bands.strike_usd[of] / drawn.forward_usd), atol=1e-4)
        np.testing.assert_allclose(bands.vol_lo[of], drawn.vol(k) - 0.01, atol=1e-3)
        np.testing.assert_allclose(bands.vol_hi[of], drawn.vol(k) + 0.01, atol=1e-3)
        np.testing.assert_allclose(bands.vol_mid[of], drawn.vol(k), atol=1e-3)
    assert bands.rows[0][USED] == 25


def test_every_row_is_accounted_for_by_a_reason() -> None:
    snapshot = chain(EXPIRIES, Quoting(tick=1e-4))
    rows = np.arange(snapshot.sign.size)
    messy = with_rows(snapshot, rows % 7 == 1, bid=np.nan, ask=np.nan)
    messy = with_rows(messy, rows % 7 == 2, bid=messy.ask * 1.5)
    messy = with_rows(messy, rows % 7 == 3, ask=1e-4, bid=np.nan)
    messy = with_rows(messy, rows % 11 == 4, bid=2.0, ask=np.nan)
    bands = bands_of(messy)
    for at, expiry in enumerate(bands.expiry_ns):
        assert sum(bands.rows[at].values()) == int((messy.expiry_ns == expiry).sum())
        assert set(bands.rows[at]) <= set(REASONS)
    told = {reason for left in bands.rows for reason in left}
    assert {"no bid and no ask", "bid above ask", "ask below intrinsic value", "bid above any value"} <= told


def test_a_side_without_a_quote_is_open() -> None:
    snapshot = chain(EXPIRIES[1:2], Quoting(tick=1e-9))
    out_of_money = (snapshot.sign > 0.0) == (snapshot.strike_usd > EXPIRIES[1].forward_usd)
    calls_only_asks = with_rows(snapshot, ~out_of_money, bid=np.nan, ask=np.nan)
    calls_only_asks = with_rows(calls_only_asks, out_of_money & (snapshot.sign > 0.0), bid=np.nan)
    bands = bands_of(calls_only_asks)
    right = bands.k > 0.0
    assert np.isnan(bands.vol_lo[right]).all()
    assert np.isnan(bands.vol_mid[right]).all()
    assert np.isfinite(bands.vol_hi[right]).all()
    assert np.isfinite(bands.vol_mid[~right]).all()
    # An ask alone says no more than that the vol is somewhere below it.
    assert bands.weight[right].max() < bands.weight[~right].min()


def test_the_partner_in_the_money_stands_in_as_far_as_the_forward_is_known() -> None:
    snapshot = chain(EXPIRIES[1:2], Quoting(tick=1e-9))
    near = np.abs(np.log(snapshot.strike_usd / EXPIRIES[1].forward_usd)) < 0.1
    puts_only = with_rows(snapshot, (snapshot.sign > 0.0) & near, bid=np.nan, ask=np.nan)
    bands = bands_of(puts_only)
    calls_side = (bands.k > 0.0) & (bands.k < 0.1)
    true = EXPIRIES[1].vol(bands.k)
    assert np.isfinite(bands.vol_mid[calls_side]).all()
    assert (bands.vol_lo[calls_side] < true[calls_side] - 0.009).all()
    assert (bands.vol_hi[calls_side] > true[calls_side] + 0.009).all()
    np.testing.assert_allclose(bands.vol_mid[calls_side], true[calls_side], atol=2e-3)


def test_where_there_are_no_prices_stated_vols_are_taken() -> None:
    snapshot = chain(EXPIRIES, Quoting(tick=1e-9))
    none = np.full(snapshot.sign.size, np.nan)
    vols = replace(snapshot, bid=none, ask=none, bid_iv=np.full(none.size, 0.58), ask_iv=np.full(none.size, 0.6))
    bands = bands_of(vols)
    assert (bands.vol_lo == 0.58).all()
    assert (bands.vol_hi == 0.6).all()
    one_price = with_rows(vols, snapshot.sign != 0.0, ask=snapshot.ask)
    assert np.isnan(bands_of(one_price).vol_lo).all()


def test_sharper_and_larger_quotes_count_for_more() -> None:
    snapshot = chain(EXPIRIES[1:2], Quoting(tick=1e-9))
    wide = chain(EXPIRIES[1:2], Quoting(tick=1e-9, half_vol=0.02))
    assert bands_of(snapshot).weight[12] == pytest.approx(2.0 * bands_of(wide).weight[12], rel=0.1)
    strike = np.unique(snapshot.strike_usd)[12]
    size = np.where(snapshot.strike_usd == strike, 100.0, 1.0)
    sized = bands_of(replace(snapshot, bid_size=size, ask_size=size))
    assert sized.weight[12] == pytest.approx(np.sqrt(2.0 * 100.0 / 101.0) * bands_of(snapshot).weight[12])
    assert sized.weight[11] == pytest.approx(bands_of(snapshot).weight[11])


def test_a_quote_far_sharper_than_the_others_is_not_believed_to_be() -> None:
    snapshot = chain(EXPIRIES[1:2], Quoting(tick=1e-9))
    mid = 0.5 * (snapshot.bid + snapshot.ask)
    one = snapshot.strike_usd == np.unique(snapshot.strike_usd)[12]
    locked = bands_of(with_rows(snapshot, one, bid=mid * 0.9999, ask=mid * 1.0001))
    assert locked.weight[12] < 2.1 * np.median(locked.weight)


def test_without_a_forward_nothing_is_said() -> None:
    snapshot = replace(chain(EXPIRIES[:1]), index_usd=np.nan)
    silent = with_rows(snapshot, snapshot.strike_usd > 0.0, bid=np.nan, forward_usd=np.nan)
    bands = bands_of(silent)
    assert bands.k.size == 0
    assert bands.rows[0] == {"no forward": 50}
