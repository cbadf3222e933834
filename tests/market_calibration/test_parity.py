import math

import numpy as np
import pytest

from flatbook.market.calibration.parity import ParityPairs, parity_pairs, parity_regression
from tests.market_calibration.builders import Quoting, chain, smile, with_rows

ONE = [smile(30.0)]
FORWARD_USD = ONE[0].forward_usd


def everything(n: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.arange(n)


@pytest.mark.parametrize("settle", ["BTC", "USDC"])
@pytest.mark.parametrize("stated", [True, False], ids=["stated", "not stated"])
def test_mids_in_the_middle_give_the_forward_exactly(settle: str, stated: bool) -> None:
    snapshot = chain(ONE, Quoting(settle=settle, stated=stated, tick=1e-9))
    pairs = parity_pairs(snapshot, everything(snapshot.sign.size))
    found = parity_regression(pairs, outlier=4.0)
    assert found is not None
    regression, used = found
    assert pairs.is_relative is stated
    assert used == 25
    # A price is not linear in its vol: mids are off by a little of the spread.
    assert math.exp(regression.log) == pytest.approx(1.0 if stated else FORWARD_USD, rel=1e-5)
    assert 0.0 < regression.deviation < 1e-3


def test_a_pair_with_a_side_missing_says_nothing() -> None:
    snapshot = chain(ONE, Quoting(tick=1e-9))
    rows = everything(snapshot.sign.size)
    without = with_rows(snapshot, rows < 13, bid=np.nan)  # calls come first, then puts
    assert parity_pairs(without, rows).ratio.size == 12
    assert parity_regression(parity_pairs(without, rows[:1]), outlier=4.0) is None


def test_a_strike_off_the_line_is_left_out() -> None:
    snapshot = chain(ONE, Quoting(tick=1e-9))
    rows = everything(snapshot.sign.size)
    stale = with_rows(snapshot, rows == 12, bid=snapshot.bid + 0.05, ask=snapshot.ask + 0.05)
    found = parity_regression(parity_pairs(stale, rows), outlier=4.0)
    assert found is not None
    assert found[1] == 24
    assert found[0].log == pytest.approx(0.0, abs=1e-5)


def test_rows_of_different_times_err_by_what_the_market_moved_between() -> None:
    snapshot = chain(ONE, Quoting(tick=1e-9))
    rows = everything(snapshot.sign.size)
    apart = with_rows(snapshot, snapshot.sign > 0.0, forward_usd=snapshot.forward_usd * 1.01)
    pairs = parity_pairs(apart, rows)
    assert (pairs.deviation >= math.log(1.01)).all()
    assert (parity_pairs(snapshot, rows).deviation < 0.01).any()


def test_the_error_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    missed = []
    for _ in range(400):
        snapshot = chain(ONE, Quoting(tick=1e-9, strikes=15), rng)
        found = parity_regression(parity_pairs(snapshot, everything(snapshot.sign.size)), outlier=4.0)
        assert found is not None
        missed.append(found[0].log / found[0].deviation)
    z = np.abs(missed)
    assert np.mean(z < 1.0) == pytest.approx(0.683, abs=0.06)
    assert np.mean(z < 2.0) == pytest.approx(0.954, abs=0.03)


def test_scatter_beyond_the_spreads_enlarges_the_error() -> None:
    log = np.array([-3.0, -1.0, 0.0, 1.0, 3.0]) * 1e-3
    tight = parity_regression(ParityPairs(np.exp(log), np.full(5, 2e-3), is_relative=True), outlier=4.0)
    tighter = parity_regression(ParityPairs(np.exp(log), np.full(5, 1e-3), is_relative=True), outlier=4.0)
    assert tight is not None
    assert tighter is not None
    assert tight[0].deviation == pytest.approx(tighter[0].deviation)
    wide = parity_regression(ParityPairs(np.exp(log), np.full(5, 1e-2), is_relative=True), outlier=4.0)
    assert wide is not None
    assert wide[0].deviation == pytest.approx(1e-2 / math.sqrt(5.0))
