import math
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.market.analytics.funding import (
    BINANCE,
    BYBIT,
    DERIBIT,
    HYPERLIQUID,
    DamperRule,
    InterestRule,
    accrued_coin,
    annualised,
    average_premium,
    basis,
    carry_curve,
    impact_premium,
    mark_premium,
)
from tests.market_analytics.chains import CHAINS, DATA, WINTER, Expiry, needs_chains, snapshots

PREMIUMS = st.floats(-0.2, 0.2)


@pytest.mark.parametrize(
    ("premium", "rate"),
    [(0.0, 0.0), (0.0002, 0.0), (-0.00025, 0.0), (0.0005, 0.00025), (-0.001, -0.00075), (0.03, 0.005), (-0.2, -0.005)],
)
def test_deribit_by_hand(premium: float, rate: float) -> None:
    assert float(DERIBIT.rate(premium)) == pytest.approx(rate, abs=1e-18)


@pytest.mark.parametrize(
    ("premium", "rate"),
    [(0.0, 0.0001), (0.0003, 0.0001), (0.0006, 0.0001), (0.001, 0.0005), (-0.0004, 0.0001), (-0.001, -0.0005)],
)
def test_binance_by_hand(premium: float, rate: float) -> None:
    assert float(BINANCE.rate(premium)) == pytest.approx(rate, abs=1e-18)
    assert float(HYPERLIQUID.rate(premium)) == pytest.approx(rate / 8, abs=1e-18)


@given(PREMIUMS)
def test_rules_are_bounded_rising_and_meet_their_kinks(premium: float) -> None:
    for rule in (DERIBIT, BINANCE, BYBIT, HYPERLIQUID):
        here, above = rule.rate(np.array([premium, premium + 1e-4]))
        assert here <= above <= here + 1e-4 + 1e-15
        assert abs(here) <= rule.cap
    assert float(DERIBIT.rate(-premium)) == -float(DERIBIT.rate(premium))


def test_a_cap_counts_per_payment() -> None:
    assert float(HYPERLIQUID.rate(1.0)) == 0.04
    assert float(InterestRule(interval_hours=4.0).rate(0.001)) == pytest.approx(0.00025)
    assert float(DamperRule(damper=0.0005).rate(0.0006)) == pytest.approx(0.0001)


@given(PREMIUMS)
def test_the_premiums_of_a_rate_are_those_that_pay_it(premium: float) -> None:
    for rule in (DERIBIT, BINANCE, HYPERLIQUID):
        rate = float(rule.rate(premium))
        low, high = rule.premiums(rate)
        if abs(rate) < rule.cap:
            assert low - 1e-12 <= premium <= high + 1e-12
            np.testing.assert_allclose(rule.rate(np.array([low, high])), rate, atol=1e-15)
            assert high == low or rule.rate(high + 1e-6) > rate > rule.rate(low - 1e-6)


def test_premiums_and_their_average() -> None:
    np.testing.assert_allclose(mark_premium([101.0, 99.0], 100.0), [0.01, -0.01])
    np.testing.assert_allclose(
        impact_premium([101.0, 99.5, 98.0], [101.2, 100.5, 99.0], 100.0), [0.01, 0.0, -0.01], atol=1e-16
    )
    samples = np.array([0.001, 0.002, 0.004])
    assert average_premium(samples) == pytest.approx((0.001 + 2 * 0.002 + 3 * 0.004) / 6)
    assert average_premium(samples, weighted_by_time=False) == pytest.approx(0.007 / 3)
    with pytest.raises(BadInputError, match="no premium"):
        average_premium(np.zeros(0))


def test_longs_pay_when_the_rate_is_positive() -> None:
    """1 bp per 8 hours on 80,000 USD long for 4 hours: 4 USD, at 80,000 a twenty-thousandth of a coin."""
    assert accrued_coin(0.0001, 8.0, 4.0, 80_000.0, 80_000.0) == pytest.approx(-5e-5)
    assert accrued_coin(0.0001, 8.0, 4.0, -80_000.0, 80_000.0) == pytest.approx(5e-5)
    assert float(annualised(0.0001, 8.0)) == pytest.approx(0.1095)


def test_basis_in_three_units() -> None:
    found = basis([101.0, 100.0], 100.0, [0.1, 0.0])
    np.testing.assert_allclose(found.usd, [1.0, 0.0])
    np.testing.assert_allclose(found.share, [0.01, 0.0])
    assert found.annual[0] == pytest.approx(math.log(1.01) / 0.1)
    assert math.isnan(found.annual[1])


@given(st.lists(st.floats(-0.3, 0.5), min_size=3, max_size=3))
def test_a_curve_gives_back_its_rates_and_forwards(rates: list[float]) -> None:
    years = np.array([0.02, 0.1, 0.5])
    forward = 80_000.0 * np.exp(np.cumsum(np.array(rates) * np.diff(years, prepend=0.0)))
    curve = carry_curve(years, forward, 80_000.0)
    np.testing.assert_allclose(curve.rate, rates, atol=1e-11)
    np.testing.assert_allclose(80_000.0 * np.exp(curve.log_basis(years)), forward, rtol=1e-13)
    assert curve.implied_funding(0.02, 0.1) == pytest.approx(rates[1], abs=1e-10)
    assert curve.implied_funding(0.5, 2.0) == pytest.approx(rates[2], abs=1e-10)
    assert curve.implied_funding(0.0, 0.1) == pytest.approx(math.log(forward[1] / 80_000.0) / 0.1, abs=1e-10)


@given(st.floats(-0.3, 0.5))
def test_rolling_the_implied_rate_earns_the_forward(rate: float) -> None:
    curve = carry_curve(np.array([0.2]), np.array([80_000.0 * math.exp(0.2 * rate)]), 80_000.0)
    payments = round(0.2 * 1095)
    value = 1.0
    for n in range(payments):
        value *= 1.0 + curve.implied_rate(n / 1095, 8.0)
    assert value == pytest.approx(math.exp(0.2 * rate), rel=1e-9)


def test_bad_curves_are_refused() -> None:
    years, forward = np.array([0.1, 0.2]), np.array([80_000.0, 80_100.0])
    with pytest.raises(BadInputError, match="rising"):
        carry_curve(years[::-1], forward, 80_000.0)
    with pytest.raises(BadInputError, match="one forward"):
        carry_curve(years, forward[:1], 80_000.0)
    with pytest.raises(BadInputError, match="above 0"):
        carry_curve(years, forward, 0.0)
    with pytest.raises(BadInputError, match="must rise"):
        carry_curve(years, forward, 80_000.0).implied_funding(0.2, 0.1)


def parity_forward(expiry: Expiry) -> float:
    """Median over strikes within 10 % of C - P = 1 - K/F, mids in coin."""
    near = np.abs(expiry.log_moneyness()) < 0.1
    return float(np.nanmedian((expiry.strike_usd / (1 - expiry.quotes.call_mid() + expiry.quotes.put_mid()))[near]))


@needs_chains
def test_options_and_futures_imply_one_curve() -> None:
    """January 2026: quoted options' parity against candles of the dated futures, both over the perpetual's candle."""
    files = (CHAINS / "term_futures_marks.csv.gz", CHAINS / "perpetual_prices.csv.gz")
    futures, perpetuals = (pl.read_csv(file, infer_schema_length=None) for file in files)
    price = {
        (row["timestamp"], row["futures_instrument_name"]): row["term_candle_price_used"]
        for row in futures.iter_rows(named=True)
    }
    start = {
        row["obs_datetime"]: row["candle_price_used"]
        for row in perpetuals.filter(pl.col("coin") == "BTC").iter_rows(named=True)
    }
    gaps, implied = [], []
    for chain in snapshots(WINTER[:1], "BTC"):
        rows = []
        for expiry in chain.expiries:
            day = datetime.fromisoformat(expiry.name)
            future = price.get((chain.name, f"BTC-{day.day}{day:%b%y}".upper()))
            if future:
                rows.append((expiry.years, parity_forward(expiry), future))
        if len(rows) >= 3 and start.get(chain.name):
            years, parity, future = (np.array(column) for column in zip(*rows, strict=True))
            ours, theirs = (carry_curve(years, forward, start[chain.name]) for forward in (parity, future))
            gaps.append(ours.implied_funding(14 / 365, 180 / 365) - theirs.implied_funding(14 / 365, 180 / 365))
            implied.append(ours.implied_funding(14 / 365, 180 / 365))
    assert len(gaps) >= 50
    assert np.median(np.abs(gaps)) < 0.002
    assert 0.0 < np.median(implied) < 0.12


@pytest.mark.skipif(not (DATA / "funding").exists(), reason="recorded funding is not beside the repository")
def test_recorded_binance_rates_are_rates_of_the_rule() -> None:
    """Premiums are mostly small: of 5,386 payments the most common is the interest rate; none is above the cap."""
    text = pl.read_csv(DATA / "funding" / "binance_BTCUSDT_8h.csv.gz")
    column = next(name for name in text.columns if "rate" in name.lower())
    rates = text[column].cast(pl.String).str.strip_chars("%").cast(pl.Float64).to_numpy() / 100
    levels, counts = np.unique(np.round(rates, 6), return_counts=True)
    assert levels[np.argmax(counts)] == BINANCE.interest
    assert np.abs(rates).max() <= BINANCE.cap
