"""Estimators against price paths of known vol."""

import math
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.market.analytics.realised import (
    Bars,
    close_to_close,
    garman_klass,
    parkinson,
    rogers_satchell,
    two_scales,
    vol_of_vol,
    yang_zhang,
)
from tests.market_analytics.chains import DVOL, Floats, needs_chains

VOL, HOURS = 0.6, 8760.0
ESTIMATORS: dict[str, Callable[[Bars], float]] = {
    "close to close": lambda bars: close_to_close(bars.closes, bars.bars_per_year),
    "parkinson": parkinson,
    "garman-klass": garman_klass,
    "rogers-satchell": rogers_satchell,
    "yang-zhang": yang_zhang,
}


def bars(seed: int, count: int, drift: float = 0.0, gap_vol: float = 0.0) -> Bars:
    """Hourly bars whose extremes are those of the continuous path: between steps, of a Brownian bridge.

    `drift` is per year of the log price; `gap_vol` the annual vol of what happens between bars.
    """
    rng, steps = np.random.default_rng(seed), 60
    variance = VOL**2 / HOURS / steps
    moves = rng.normal(drift / HOURS / steps, math.sqrt(variance), (count, steps))
    path = np.concatenate((np.zeros((count, 1)), np.cumsum(moves, axis=1)), axis=1)
    bulge = -2.0 * variance * np.log(rng.random((2, count, steps)))
    before, after = path[:, :-1], path[:, 1:]
    top, bottom = (
        0.5 * (before + after + side * np.sqrt(moves**2 + b)) for side, b in zip((1, -1), bulge, strict=True)
    )
    gaps = rng.normal(0.0, gap_vol / math.sqrt(HOURS), count)
    start = np.cumsum(gaps) + np.concatenate(([0.0], np.cumsum(path[:-1, -1])))
    levels = (start, start + top.max(axis=1), start + bottom.min(axis=1), start + path[:, -1])
    o, h, low, c = (np.exp(level) for level in levels)
    return Bars(o, np.maximum(h, np.maximum(o, c)), np.minimum(low, np.minimum(o, c)), c, HOURS)


def estimates(name: str, **options: float) -> Floats:
    """Annual variances of 150 series of 100 bars."""
    return np.array([ESTIMATORS[name](bars(seed, 101, **options)) ** 2 for seed in range(150)])


@pytest.mark.parametrize("name", ESTIMATORS)
def test_unbiased_without_drift(name: str) -> None:
    found = estimates(name)
    error = found.std() / math.sqrt(found.size)
    assert abs(found.mean() - VOL**2) < 3.5 * error
    assert error < 0.02 * VOL**2


def test_the_order_of_efficiency_is_that_of_the_papers() -> None:
    """Variances of estimates against close to close: 4.9, 7.4 and 6.0 times smaller for one bar."""
    spread = {name: float(estimates(name).var()) for name in ESTIMATORS}
    gain = {name: spread["close to close"] / value for name, value in spread.items()}
    assert gain["parkinson"] == pytest.approx(4.9, rel=0.3)
    assert gain["garman-klass"] == pytest.approx(7.4, rel=0.3)
    assert gain["rogers-satchell"] == pytest.approx(6.0, rel=0.3)
    assert gain["garman-klass"] > gain["parkinson"]
    assert gain["yang-zhang"] > 0.8 * gain["rogers-satchell"]


@pytest.mark.parametrize("name", ["rogers-satchell", "yang-zhang"])
def test_a_drift_is_no_vol_to_those_that_say_so(name: str) -> None:
    drift = 1.5 * VOL * math.sqrt(HOURS)
    found = estimates(name, drift=drift)
    assert abs(found.mean() - VOL**2) < 3.5 * found.std() / math.sqrt(found.size)
    assert estimates("parkinson", drift=drift).mean() > 1.2 * VOL**2


def test_yang_zhang_counts_what_happens_between_bars() -> None:
    found = estimates("yang-zhang", gap_vol=0.4)
    assert abs(found.mean() - VOL**2 - 0.4**2) < 3.5 * found.std() / math.sqrt(found.size)
    assert estimates("rogers-satchell", gap_vol=0.4).mean() == pytest.approx(VOL**2, rel=0.02)


def ticks(seed: int, noise: float, n: int = 20_000, span_years: float = 1 / 365) -> Floats:
    """Prices of a day with independent errors of relative size `noise`."""
    rng = np.random.default_rng(seed)
    level = np.concatenate(([0.0], np.cumsum(rng.normal(0.0, VOL * math.sqrt(span_years / n), n))))
    return np.asarray(np.exp(level + noise * rng.normal(size=n + 1)))


@pytest.mark.parametrize("noise", [0.0, 1e-4, 5e-4])
def test_two_scales_see_through_noise(noise: float) -> None:
    found = np.array([two_scales(ticks(seed, noise), 1 / 365) ** 2 for seed in range(60)])
    assert abs(found.mean() - VOL**2) < 3.5 * found.std() / math.sqrt(found.size) + 0.002 * VOL**2
    assert found.std() < 0.25 * VOL**2
    if noise > 0.0:
        naive = close_to_close(ticks(0, noise), 20_000 * 365)
        assert naive > 1.15 * VOL


def test_two_scales_by_hand() -> None:
    """Four returns +1 %, -1 %, +1 %, -1 % at scale 2: slow returns vanish, and all was noise."""
    price = np.exp(np.array([0.0, 0.01, 0.0, 0.01, 0.0]))
    assert two_scales(price, 1.0, scale=2) == 0.0
    steady = np.exp(0.01 * np.arange(5.0))
    slow, fast, share = 3 * 0.02**2 / 2, 4 * 0.01**2, 3 / 8
    assert two_scales(steady, 1.0, scale=2) ** 2 == pytest.approx((slow - share * fast) / (1 - share))


def test_vol_of_vol_is_relative() -> None:
    rng = np.random.default_rng(5)
    level = np.exp(np.cumsum(rng.normal(0.0, 0.9 / math.sqrt(365), 20_000)))
    assert vol_of_vol(level, 365) == pytest.approx(0.9, rel=0.02)
    assert vol_of_vol(70.0 * level, 365) == pytest.approx(vol_of_vol(level, 365), rel=1e-12)


@needs_chains
def test_the_vol_of_dvol() -> None:
    level = pl.read_csv(DVOL)["close"].to_numpy()
    assert 0.5 < vol_of_vol(level, 365) < 2.0


def test_what_is_no_bar_is_named() -> None:
    one = np.array([100.0, 100.0])
    with pytest.raises(BadInputError, match="bar 1 is none"):
        Bars(one, np.array([101.0, 99.0]), one, one, HOURS)
    with pytest.raises(BadInputError, match="one length"):
        Bars(one, one, one, one[:1], HOURS)
    with pytest.raises(BadInputError, match="bars per year"):
        Bars(one, one, one, one, 0.0)
    with pytest.raises(BadInputError, match="two or more"):
        close_to_close(one[:1], HOURS)
    with pytest.raises(BadInputError, match="three or more"):
        yang_zhang(Bars(one, one, one, one, HOURS))
    with pytest.raises(BadInputError, match="more ticks"):
        two_scales(one, 1.0)
    with pytest.raises(BadInputError, match="more ticks"):
        two_scales(np.zeros(0), 1.0)
