import math
from dataclasses import replace

import numpy as np
import pytest

from flatbook.market.calibration.forwards import ForwardErrors, ForwardEstimate, forward_estimates, row_forwards
from flatbook.market.chain_snapshot import LinearQuote
from tests.market_calibration.builders import SPOT_USD, Quoting, chain, smile, with_rows

DAYS = [1.0, 7.0, 30.0, 90.0]
EXPIRIES = [smile(days) for days in DAYS]


def names(estimate: ForwardEstimate) -> dict[str, float]:
    return {source.name: source.weight for source in estimate.sources}


def test_every_source_is_heard_and_the_true_forward_found() -> None:
    future = LinearQuote(
        "BTC-FUTURE", EXPIRIES[2].expiry_ns, EXPIRIES[2].forward_usd - 2.5, EXPIRIES[2].forward_usd + 2.5, math.nan
    )
    perpetual = LinearQuote("BTC-PERPETUAL", None, math.nan, math.nan, SPOT_USD * 1.0002)
    estimates = forward_estimates(chain(EXPIRIES, Quoting(tick=1e-9), linear=(future, perpetual)))
    assert [estimate.expiry_ns for estimate in estimates] == [drawn.expiry_ns for drawn in EXPIRIES]
    for estimate, drawn in zip(estimates, EXPIRIES, strict=True):
        assert estimate.forward_usd == pytest.approx(drawn.forward_usd, rel=2e-5)
        assert 0.0 < estimate.relative_error < 3e-4
        assert estimate.pairs == 25
        assert sum(source.weight for source in estimate.sources) == pytest.approx(1.0)
    assert set(names(estimates[2])) == {"parity", "stated", "BTC-FUTURE", "carry"}
    assert names(estimates[2])["BTC-FUTURE"] > 0.5


def test_an_expiry_with_nothing_of_its_own_lies_on_the_line_of_carry() -> None:
    snapshot = chain(EXPIRIES, Quoting(tick=1e-9))
    of = snapshot.expiry_ns == EXPIRIES[2].expiry_ns
    bare = with_rows(snapshot, of, bid=np.nan, forward_usd=np.nan)
    estimate = forward_estimates(bare)[2]
    assert names(estimate) == {"carry": 1.0}
    off = abs(math.log(estimate.forward_usd / EXPIRIES[2].forward_usd))
    assert off < 1e-5  # the drawn carry is one rate
    assert 1e-4 < estimate.relative_error < 5e-3


def test_beyond_the_last_forward_the_error_grows_with_the_distance() -> None:
    snapshot = chain(EXPIRIES, Quoting(tick=1e-9))
    of = snapshot.expiry_ns == EXPIRIES[3].expiry_ns
    estimate = forward_estimates(with_rows(snapshot, of, bid=np.nan, forward_usd=np.nan))[3]
    assert estimate.forward_usd == pytest.approx(EXPIRIES[3].forward_usd, rel=1e-3)
    assert estimate.relative_error == pytest.approx(0.02 * (90 - 30) / 365, rel=0.3)


def test_where_nothing_speaks_of_it_there_is_no_forward() -> None:
    snapshot = replace(chain(EXPIRIES[:1]), index_usd=math.nan)
    silent = with_rows(snapshot, snapshot.strike_usd > 0.0, bid=np.nan, forward_usd=np.nan)
    (estimate,) = forward_estimates(silent)
    assert not estimate.is_known
    assert estimate.sources == ()
    assert np.isnan(row_forwards(silent, [estimate])).all()


def test_a_stale_underlying_is_outvoted_by_parity_and_carry() -> None:
    snapshot = chain(EXPIRIES, Quoting(tick=1e-9))
    of = snapshot.expiry_ns == EXPIRIES[1].expiry_ns
    stale = forward_estimates(with_rows(snapshot, of, forward_usd=snapshot.forward_usd * 1.02))[1]
    assert names(stale)["stated"] == 0.0
    assert stale.forward_usd == pytest.approx(EXPIRIES[1].forward_usd, rel=1e-4)
    assert stale.per_stated == pytest.approx(1.0 / 1.02, rel=1e-4)


def test_an_index_of_another_minute_moves_no_forward() -> None:
    snapshot = replace(chain(EXPIRIES, Quoting(tick=1e-9)), index_usd=SPOT_USD * 0.98)
    for estimate, drawn in zip(forward_estimates(snapshot), EXPIRIES, strict=True):
        assert estimate.forward_usd == pytest.approx(drawn.forward_usd, rel=3e-4)


def test_rows_keep_the_forward_of_their_own_time() -> None:
    snapshot = chain(EXPIRIES, Quoting(tick=1e-9))
    drifting = replace(snapshot, forward_usd=snapshot.forward_usd * np.linspace(0.999, 1.001, snapshot.sign.size))
    estimates = forward_estimates(drifting)
    np.testing.assert_allclose(row_forwards(drifting, estimates), drifting.forward_usd, rtol=1.5e-3)
    assert estimates[0].relative_error > estimates[0].ratio_error


def test_expiries_that_have_passed_are_not_estimated() -> None:
    snapshot = replace(chain(EXPIRIES), ts_ns=EXPIRIES[0].expiry_ns)
    assert [estimate.expiry_ns for estimate in forward_estimates(snapshot)] == [
        drawn.expiry_ns for drawn in EXPIRIES[1:]
    ]


def test_the_error_bar_covers_the_drawn_forward_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    believed = ForwardErrors()
    missed = []
    for _ in range(60):
        offsets = rng.normal(0.0, believed.stated, len(EXPIRIES))
        snapshot = chain(EXPIRIES, Quoting(tick=1e-9, strikes=15), rng)
        for drawn, offset in zip(EXPIRIES, offsets, strict=True):
            of = snapshot.expiry_ns == drawn.expiry_ns
            snapshot = with_rows(snapshot, of, forward_usd=snapshot.forward_usd * math.exp(offset))
        snapshot = replace(snapshot, index_usd=SPOT_USD * math.exp(rng.normal(0.0, believed.index)))
        for estimate, drawn in zip(forward_estimates(snapshot), EXPIRIES, strict=True):
            missed.append(math.log(estimate.forward_usd / drawn.forward_usd) / estimate.ratio_error)
    z = np.abs(missed)
    assert 0.66 < np.mean(z < 1.0) < 0.92  # the carry's error is for crooked term structures; the drawn one is straight
    assert np.mean(z < 2.0) > 0.94
