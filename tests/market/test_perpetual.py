import math
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND, NS_PER_YEAR, parse_utc
from flatbook.market.analytics.funding import BINANCE, DERIBIT, HOURS_PER_YEAR, DamperRule
from flatbook.market.perpetual import Perpetual, PerpetualModel, fair_premium, top_error
from tests.market_analytics.chains import DATA

from .builders import top

Floats = NDArray[np.float64]

NOW_NS = parse_utc("2025-03-31T12:00")
MODEL = PerpetualModel()
BP = 1e-4


@dataclass(frozen=True)
class Linear:
    """A funding rule in which Ackerer, Hugonnier and Jermann's formulas are exact: kappa p + iota a year."""

    kappa: float
    iota: float
    interval_hours: float = HOURS_PER_YEAR

    def rate(self, premium: ArrayLike) -> Floats:
        return np.asarray(self.kappa * np.asarray(premium, np.float64) + self.iota)

    def premiums(self, rate: float) -> tuple[float, float]:
        return ((rate - self.iota) / self.kappa,) * 2


# QuantLib's perpetualfutures.cpp (their Props 2-4): S 10,000, r 0.04, q 0.02, iota 0.005, kappa 0.2, continuous.
def test_fair_value_is_the_published_one() -> None:
    assert 10_000 * (1 + fair_premium(Linear(0.2, 0.005), 0.04 - 0.02)) == pytest.approx(10_833.333333, abs=1e-6)


@given(st.floats(5.0, 2_000.0), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_fair_value_is_theirs_for_every_linear_rule_whatever_the_deviation(
    kappa: float, iota: float, carry: float
) -> None:
    theirs = (kappa - iota) / (kappa - carry)
    for deviation in (0.0, 1e-3):
        assert 1 + fair_premium(Linear(kappa, iota), carry, deviation) == pytest.approx(theirs, rel=1e-9)


def test_under_a_damper_fair_value_pays_the_carry_beyond_it() -> None:
    # A carry of 10.95 % a year is 1 bp in 8 hours; 2.5 bp of the premium are free.
    assert fair_premium(DERIBIT, 0.1095) == pytest.approx(3.5 * BP, abs=1e-7)
    assert fair_premium(DERIBIT, -0.1095) == pytest.approx(-3.5 * BP, abs=1e-7)


def bachelier_rate(rule: DamperRule, mean: float, deviation: float) -> float:
    """E[rule(premium)] for a normal premium in closed form: two calls bought and sold, and their mirror images."""

    def call(strike: float, mean: float) -> float:
        d = (mean - strike) / deviation
        return float((mean - strike) * norm.cdf(d) + deviation * norm.pdf(d))

    def upper(mean: float) -> float:
        return call(rule.damper, mean) - call(rule.damper + rule.cap, mean)

    return upper(mean) - upper(-mean)


@given(st.floats(-0.25, 0.25), st.floats(1e-5, 2e-3))
def test_a_premium_that_wanders_pays_the_carry_on_average(carry: float, deviation: float) -> None:
    fair = fair_premium(DERIBIT, carry, deviation)
    paid = bachelier_rate(DERIBIT, fair, deviation) * 1_095
    assert paid == pytest.approx(carry * (1 + fair), abs=1_095 * 2e-3 * deviation)
    assert fair == pytest.approx(-fair_premium(DERIBIT, -carry, deviation), abs=1e-6)


def test_a_carry_beyond_the_caps_has_the_farthest_premium_and_none_at_all_is_an_error() -> None:
    assert fair_premium(DERIBIT, 100.0) == -fair_premium(DERIBIT, -100.0) == 0.2
    with pytest.raises(BadInputError, match="has no fair premium"):
        fair_premium(DERIBIT, math.nan)


def test_never_seen_it_is_worth_the_index_with_the_models_error() -> None:
    made = Perpetual(MODEL)
    assert made.mark_usd(80_000.0, NOW_NS) == 80_000.0
    assert made.deviation(NOW_NS) == MODEL.deviation
    made.take_funding(5 * BP, 8.0, NOW_NS)
    made.revert_to(0.2, NOW_NS)
    assert made.mark_usd(80_000.0, NOW_NS + NS_PER_HOUR) == 80_000.0, "what funding says is no price"
    assert made.deviation(NOW_NS) > MODEL.deviation / 2


def test_prices_are_weighed_as_a_kalman_filter_would() -> None:
    made = Perpetual(MODEL)
    rng = np.random.default_rng(0)
    errors = np.array([1.0, 3.0, 0.5]) * BP
    seen = 4 * BP + errors * rng.normal(size=3)
    for premium, error in zip(seen, errors, strict=True):
        assert made.see(premium, error, NOW_NS)
    weights = 1 / errors**2
    variance = 1 / (1 / MODEL.deviation**2 + weights.sum())
    assert made.premium(NOW_NS) == pytest.approx(variance * (weights @ seen), rel=1e-9)
    assert made.deviation(NOW_NS) == pytest.approx(math.sqrt(variance), rel=1e-9)


def test_unseen_the_premium_goes_home_and_its_error_grows_to_the_models() -> None:
    made = Perpetual(MODEL)
    made.see(20 * BP, 1e-6, NOW_NS)
    made.revert_to(0.1, NOW_NS)
    later = NOW_NS + round(MODEL.reversion_hours * NS_PER_HOUR)
    home = math.log1p(fair_premium(DERIBIT, 0.1, MODEL.deviation))
    assert made.premium(later) == pytest.approx(home + (20 * BP - home) / math.e, rel=1e-3)
    assert made.deviation(later) == pytest.approx(MODEL.deviation * math.sqrt(1 - math.exp(-2)), rel=1e-3)
    assert made.premium(later + NS_PER_YEAR) == pytest.approx(home, abs=1e-9)
    assert made.deviation(later + NS_PER_YEAR) == pytest.approx(MODEL.deviation, rel=1e-9)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000))
def test_the_error_that_is_stated_is_the_error_that_is_made(seed: int) -> None:
    """A premium that follows the model, seen at odd times with odd errors: its distance in stated errors is normal."""
    rng = np.random.default_rng(seed)
    scores = []
    for _ in range(8):
        made, now_ns, premium = Perpetual(MODEL), NOW_NS, MODEL.deviation * rng.normal()
        for n in range(30):
            gap_ns = round(rng.exponential(40)) * NS_PER_MINUTE
            kept = math.exp(-gap_ns / NS_PER_HOUR / MODEL.reversion_hours)
            premium = kept * premium + MODEL.deviation * math.sqrt(1 - kept * kept) * rng.normal()
            now_ns += gap_ns
            if n > 0 and n % 5 == 0:
                scores.append((premium - made.premium(now_ns)) / made.deviation(now_ns))
            error = 10.0 ** rng.uniform(-6, -3.5)
            made.see(premium + error * rng.normal(), error, now_ns)
    assert np.max(np.abs(scores)) < 4.5
    assert 0.6 < np.std(scores) < 1.4


def test_one_price_far_out_is_refused_and_three_on_one_side_are_believed() -> None:
    made = Perpetual(MODEL)
    made.see(1 * BP, 0.1 * BP, NOW_NS)
    taken = [made.see(30 * BP, 0.1 * BP, NOW_NS + n * NS_PER_SECOND) for n in range(1, 4)]
    assert taken == [False, False, True]
    assert made.premium(NOW_NS + 3 * NS_PER_SECOND) == pytest.approx(30 * BP, rel=1e-2)


@pytest.mark.parametrize(("bp", "hours"), [(6.0, 1.0), (6.0, 8.0), (-6.0, 8.0), (1.0, 8.0), (100.0, 8.0)])
def test_a_premium_known_and_slow_pays_the_venues_formula(bp: float, hours: float) -> None:
    made = Perpetual(PerpetualModel(deviation=1e-4, reversion_hours=1e6))
    for n in range(3):
        made.see(bp * BP, 1e-6, NOW_NS + n)
    rule = float(DERIBIT.rate(math.expm1(bp * BP)))
    assert made.expected_funding(hours, NOW_NS + 3) == pytest.approx(rule * hours / 8, abs=2e-7)


@pytest.mark.parametrize(("premium_bp", "carry", "hours"), [(8.0, 0.05, 8.0), (0.0, 0.3, 24.0), (-5.0, 0.0, 3.0)])
def test_expected_funding_is_the_average_over_paths(premium_bp: float, carry: float, hours: float) -> None:
    made = Perpetual(PerpetualModel(reversion_hours=12.0))
    made.see(premium_bp * BP, 1 * BP, NOW_NS)
    made.revert_to(carry, NOW_NS)
    rng, paths, steps = np.random.default_rng(1), 20_000, 48
    premium = made.premium(NOW_NS) + made.deviation(NOW_NS) * rng.normal(size=paths)
    kept = math.exp(-hours / steps / 12.0)
    paid = np.zeros(paths)
    for _ in range(steps):
        paid += DERIBIT.rate(np.expm1(premium)) / 8 * hours / steps
        shock = MODEL.deviation * math.sqrt(1 - kept * kept) * rng.normal(size=paths)
        premium = made.fair_premium + (premium - made.fair_premium) * kept + shock
    standard_error = paid.std() / math.sqrt(paths)
    assert made.expected_funding(hours, NOW_NS) == pytest.approx(paid.mean(), abs=4 * standard_error + 2e-7)
    if hours == 8.0:
        years, rate, error = made.implied_carry(NOW_NS)
        assert years * HOURS_PER_YEAR == pytest.approx(8.0)
        assert rate == pytest.approx(paid.mean() * 1_095, abs=1_095 * 4 * standard_error)
        assert 1_095 * paid.std() <= error <= 1.5 * 1_095 * paid.std()


@given(st.floats(-0.2, 0.2))
def test_in_the_long_run_funding_pays_the_carry_of_the_forwards(carry: float) -> None:
    made = Perpetual(MODEL)
    made.see(3 * BP, 1 * BP, NOW_NS)
    made.revert_to(carry, NOW_NS)
    assert made.expected_funding(HOURS_PER_YEAR, NOW_NS) == pytest.approx(carry, abs=0.01)


def test_expected_funding_follows_what_is_learnt_and_else_the_clock() -> None:
    made = Perpetual(MODEL)
    made.see(10 * BP, 0.1 * BP, NOW_NS)
    first = made.expected_funding(8.0, NOW_NS)
    assert made.expected_funding(8.0, NOW_NS + 10 * NS_PER_MINUTE - 1) == first
    assert 0 < made.expected_funding(8.0, NOW_NS + NS_PER_HOUR) < first
    assert made.expected_funding(4.0, NOW_NS) == pytest.approx(first / 2, rel=0.1)
    made.see(10.5 * BP, 0.1 * BP, NOW_NS)
    assert made.expected_funding(8.0, NOW_NS) > first


def test_what_was_paid_last_tells_of_what_will_be() -> None:
    made = Perpetual(MODEL)
    assert made.expected_funding(8.0, NOW_NS) == pytest.approx(0.0, abs=1e-6)
    made.take_funding(5 * BP, 8.0, NOW_NS)
    assert made.funding_rate_8h == pytest.approx(5 * BP)
    assert 2 * BP < made.expected_funding(8.0, NOW_NS) < 5 * BP
    made.take_funding(0.0, 8.0, NOW_NS + 8 * NS_PER_HOUR)
    assert made.expected_funding(8.0, NOW_NS + 8 * NS_PER_HOUR) < 2 * BP


@pytest.mark.skipif(not (DATA / "funding").exists(), reason="recorded funding is not beside the repository")
@pytest.mark.parametrize("name", ["binance_BTCUSD_CM_8h", "binance_BTCUSDT_8h"])
def test_recorded_funding_is_foreseen_better_than_by_the_last_rate(name: str) -> None:
    text = pl.read_csv(DATA / "funding" / f"{name}.csv.gz")["Funding Rate"]
    rates = text.str.strip_suffix("%").cast(pl.Float64).to_numpy()[::-1] / 100
    made, foreseen = Perpetual(PerpetualModel(rule=BINANCE)), []
    for n, rate in enumerate(rates):
        now_ns = NOW_NS + 8 * n * NS_PER_HOUR
        made.take_funding(float(rate), 8.0, now_ns)
        foreseen.append(made.expected_funding(8.0, now_ns))

    def error(guess: Floats) -> float:
        return float(np.sqrt(np.mean((guess - rates[1:]) ** 2)))

    assert error(np.array(foreseen[:-1])) < 0.96 * error(rates[:-1])
    assert error(np.array(foreseen[:-1])) < 0.65 * error(np.zeros(len(rates) - 1))


def test_the_error_of_a_top_is_its_spread_and_the_time_since_the_index() -> None:
    whole = top(0, 80_000.0, 80_008.0)
    assert top_error(whole, 1e-3, 0.5, 0) == pytest.approx(4 / 80_004 / math.sqrt(3))
    apart_ns = 15 * NS_PER_MINUTE
    moved = 0.5 * math.sqrt(15 / (365 * 1_440))
    assert top_error(whole, 1e-3, 0.5, -apart_ns) == pytest.approx(moved, rel=1e-3)
    assert top_error(top(0, math.nan, 80_008.0, mark=80_000.0), 1e-3, 0.5, 0) == 1e-3
    assert top_error(top(0, 80_000.0, 80_000.0), 1e-3, 0.5, 0) == 1e-6
