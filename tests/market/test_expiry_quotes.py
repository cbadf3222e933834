import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.domain.events import QuoteRow
from flatbook.kernels.black import inverse
from flatbook.market.expiry_quotes import ExpiryQuotes

Floats = NDArray[np.float64]

NAN = math.nan
YEARS = 0.1
STRIKES = np.arange(60_000.0, 105_000.0, 5_000.0)
STRIKE = np.repeat(STRIKES, 2)
SIGN = np.tile([1.0, -1.0], len(STRIKES))


def fair(forward: float, vol: float = 0.6) -> Floats:
    return np.asarray(inverse(forward, STRIKE, vol, YEARS, SIGN).price)


def quoted(bid: Floats, ask: Floats, stated: float = NAN, vols: tuple[float, float] = (NAN, NAN)) -> ExpiryQuotes:
    rows = [QuoteRow("", b, a, *vols, NAN, stated) for b, a in zip(bid, ask, strict=True)]
    return ExpiryQuotes(STRIKE, SIGN, rows)


@given(st.floats(70_000.0, 95_000.0))
def test_parity_gives_back_the_forward_of_a_clean_chain(forward: float) -> None:
    middle = fair(forward)
    found = quoted(middle - 0.0005, middle + 0.0005).forward()
    assert found is not None
    assert found[0] == pytest.approx(forward, rel=1e-9)


def test_a_wrong_pair_is_left_out_and_one_sided_ones_tell_nothing() -> None:
    bid, ask = fair(80_500.0) - 0.0005, fair(80_500.0) + 0.0005
    bid[4], ask[4], bid[9] = bid[4] + 0.05, ask[4] + 0.05, NAN
    found = quoted(bid, ask).forward()
    assert found is not None
    assert found[0] == pytest.approx(80_500.0, rel=1e-9)


def test_parity_states_the_error_that_spreads_make() -> None:
    rng, scores = np.random.default_rng(2), []
    spread = np.repeat(rng.uniform(0.0005, 0.003, len(STRIKES)), 2)
    for _ in range(300):
        middle = fair(80_500.0) + spread * rng.uniform(-0.5, 0.5, len(spread))
        found = quoted(middle - spread / 2, middle + spread / 2).forward()
        assert found is not None
        scores.append((found[0] / 80_500.0 - 1) / found[1])
    assert np.std(scores) == pytest.approx(1.0, abs=0.25)
    assert abs(np.mean(scores)) < 0.2


@pytest.mark.parametrize("half", [0.0, -0.001, NAN])
def test_without_a_pair_whose_spread_is_open_there_is_no_forward(half: float) -> None:
    assert quoted(fair(80_500.0) - half, fair(80_500.0) + half).forward() is None


def test_a_stated_forward_comes_first() -> None:
    assert quoted(fair(80_500.0) - 0.001, fair(80_500.0) + 0.001, 80_510.0).forward() == (80_510.0, 2e-5)


def test_a_side_without_a_vol_has_that_of_its_price() -> None:
    bid, ask = fair(80_500.0, 0.58), fair(80_500.0, 0.62)
    bands, crossed = quoted(bid, ask).bands(80_500.0, YEARS)
    np.testing.assert_allclose(bands.low, 0.58, rtol=1e-9)
    np.testing.assert_allclose(bands.high, 0.62, rtol=1e-9)
    np.testing.assert_allclose(np.unique(bands.k), np.log(STRIKES / 80_500.0))
    assert crossed == 0
    assert bands.level == pytest.approx(0.6)
    stated, _ = quoted(bid, ask, vols=(0.57, NAN)).bands(80_500.0, YEARS)
    np.testing.assert_allclose(stated.low, 0.57)
    np.testing.assert_allclose(stated.high, 0.62, rtol=1e-9)


def test_what_says_nothing_of_a_smile_is_no_band() -> None:
    nothing = np.full(len(STRIKE), NAN)
    for vols in ((0.62, 0.58), (NAN, 0.6), (0.0, 0.6), (0.3, 0.6), (0.01, 0.011), (5.5, 6.0)):
        bands, crossed = quoted(nothing, nothing, vols=vols).bands(80_500.0, YEARS)
        assert len(bands.k) == 0
        assert crossed == (len(STRIKE) if vols[0] > vols[1] else 0)
    far, _ = quoted(nothing, nothing, vols=(0.59, 0.61)).bands(80_500.0, YEARS / 1e4)
    assert np.abs(far.k).max() < 10 * 0.61 * math.sqrt(YEARS / 1e4)
