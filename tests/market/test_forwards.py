import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_SECOND, NS_PER_YEAR, parse_utc
from flatbook.market.forwards import CarryRate, ForwardModel, Forwards
from flatbook.market.universe import FIRST_SLOTS
from tests.market.builders import forwards_of
from tests.market_analytics.chains import CHAINS, WINTER, needs_chains, snapshots

Floats = NDArray[np.float64]

NOW_NS = parse_utc("2025-03-31T12:00")
MODEL = ForwardModel()
ERROR = 2e-5


def forwards(**days_to_expiry: float) -> tuple[Forwards, NDArray[np.int64]]:
    """Slots 0, 1, ... with the given days to expiry; slot 0 open at an index of 80,000."""
    made, expiry_ns = Forwards(MODEL), np.zeros(FIRST_SLOTS, np.int64)
    expiry_ns[: len(days_to_expiry)] = [NOW_NS + round(days * NS_PER_DAY) for days in days_to_expiry.values()]
    made.set_index(80_000.0, NOW_NS)
    made.open_slot(0, expiry_ns, NOW_NS)
    return made, expiry_ns


def test_a_tick_of_the_index_moves_every_forward_alike() -> None:
    made, expiry_ns = forwards(near=10, far=100)
    made.observe(0, 80_400.0, ERROR, NOW_NS)
    made.open_slot(1, expiry_ns, NOW_NS)
    before = forwards_of(made, 2)
    made.set_index(88_000.0, NOW_NS + NS_PER_SECOND)
    np.testing.assert_allclose(forwards_of(made, 2), before * 1.1, rtol=1e-14)
    assert made.forward_usd(1) == forwards_of(made, 2)[1]
    assert made.index_ns == NOW_NS + NS_PER_SECOND


def test_observations_are_weighed_as_a_kalman_filter_would() -> None:
    made, _ = forwards(near=10)
    prior = made.deviation(0, NOW_NS) ** 2
    rng = np.random.default_rng(0)
    errors = [1e-4, 3e-4, 2e-4, 5e-4]
    seen = [0.002 + error * rng.normal() for error in errors]
    for basis, error in zip(seen, errors, strict=True):
        assert made.observe(0, 80_000.0 * math.exp(basis), error, NOW_NS)
    weights = 1 / np.square(errors)
    variance = 1 / (1 / prior + weights.sum())
    assert made.basis[0] == pytest.approx(variance * (weights @ seen), rel=1e-9)
    assert made.deviation(0, NOW_NS) == pytest.approx(math.sqrt(variance), rel=1e-9)


def test_the_error_of_a_forward_grows_with_the_root_of_its_age() -> None:
    made, _ = forwards(near=10)
    made.observe(0, 80_400.0, ERROR, NOW_NS)
    fresh = made.deviation(0, NOW_NS)
    for hours in (1, 24):
        aged = made.deviation(0, NOW_NS + hours * NS_PER_HOUR)
        assert aged**2 - fresh**2 == pytest.approx(MODEL.basis_vol**2 * hours / 8760, rel=1e-9)
    made.set_index(81_000.0, NOW_NS + NS_PER_HOUR)  # the index says nothing of the basis
    assert made.deviation(0, NOW_NS + NS_PER_HOUR) > fresh


def test_an_expiry_never_seen_has_no_bound_on_its_error() -> None:
    assert Forwards(MODEL).deviation(3, NOW_NS) == math.inf


def test_one_print_far_out_is_refused_and_changes_nothing() -> None:
    made, _ = forwards(near=10)
    made.observe(0, 80_400.0, ERROR, NOW_NS)
    before = (made.basis[0], made.variance[0], made.seen_ns[0])
    assert not made.observe(0, 84_000.0, ERROR, NOW_NS + NS_PER_SECOND)
    assert (made.basis[0], made.variance[0], made.seen_ns[0]) == before


def test_refusals_in_a_row_on_one_side_reopen_the_filter_and_mixed_ones_do_not() -> None:
    made, _ = forwards(near=10)
    made.observe(0, 80_000.0, ERROR, NOW_NS)
    for n in range(4 * MODEL.gate.reopen_after):
        assert not made.observe(0, 84_000.0 if n % 2 else 76_000.0, ERROR, NOW_NS)
    accepted = [made.observe(0, 84_000.0, ERROR, NOW_NS) for _ in range(MODEL.gate.reopen_after - 1)]
    assert accepted == [False] * (MODEL.gate.reopen_after - 2) + [True]  # the last of the mixed ones was on this side
    assert made.forward_usd(0) == pytest.approx(84_000.0, rel=1e-4)
    assert made.observe(0, 84_000.0, ERROR, NOW_NS)


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_the_error_that_is_stated_is_the_error_that_is_made(seed: int) -> None:
    rng = np.random.default_rng(seed)
    made, _ = forwards(near=10)
    basis, now_ns = 0.002, NOW_NS
    for _ in range(60):
        gap_ns = int(rng.exponential(1_800)) * NS_PER_SECOND
        now_ns += gap_ns
        basis += MODEL.basis_vol * math.sqrt(gap_ns / NS_PER_YEAR) * rng.normal()
        error = 10.0 ** rng.uniform(-5, -3)
        made.observe(0, 80_000.0 * math.exp(basis + error * rng.normal()), error, now_ns)
    assert abs(made.basis[0] - basis) < 6 * made.deviation(0, now_ns)
    assert made.deviation(0, now_ns) < 1e-3


def known_at(made: Forwards, expiry_ns: NDArray[np.int64], **rates: float) -> None:
    """Observes slots 0, 1, ... at the given annual rates."""
    for slot, rate in enumerate(rates.values()):
        years = (int(expiry_ns[slot]) - NOW_NS) / NS_PER_YEAR
        made.open_slot(slot, expiry_ns, NOW_NS)
        assert made.observe(slot, 80_000.0 * math.exp(rate * years), 1e-6, NOW_NS)


def test_a_new_expiry_carries_between_its_neighbours_rates_by_log_tenor() -> None:
    made, expiry_ns = forwards(near=10, far=90, new=30, newest=270)
    known_at(made, expiry_ns, near=0.05, far=0.08)
    for slot, rate, days in ((2, 0.065, 30), (3, 0.08, 270)):
        made.open_slot(slot, expiry_ns, NOW_NS)
        # Beyond the last the rate falls back a little towards none.
        assert made.basis[slot] * 365 / days == pytest.approx(rate, rel=0.01 if slot == 2 else 0.1)
    assert made.deviation(2, NOW_NS) / 30 < made.deviation(3, NOW_NS) / 270, "what lies between is known better"


def test_with_nothing_known_an_expiry_has_no_basis_and_the_models_error() -> None:
    made, expiry_ns = forwards(only=100)
    years = 100 / 365
    assert made.basis[0] == 0.0
    assert made.deviation(0, NOW_NS) == pytest.approx(math.hypot(MODEL.rate_vol * years, 1e-4), rel=1e-9)
    made.open_slot(0, expiry_ns, NOW_NS, CarryRate(8 / 8760, 0.1, 0.01))
    assert 0.05 < made.basis[0] / years < 0.1
    assert made.deviation(0, NOW_NS) < 0.9 * MODEL.rate_vol * years


def test_funding_tells_of_the_near_end_as_far_as_it_is_known() -> None:
    made, expiry_ns = forwards(far=30, new=1)
    known_at(made, expiry_ns, far=0.05)

    def short_rate(error: float) -> float:
        made.open_slot(1, expiry_ns, NOW_NS, CarryRate(8 / 8760, 0.15, error))
        return float(made.basis[1] * 365)

    made.open_slot(1, expiry_ns, NOW_NS)
    alone = float(made.basis[1] * 365)
    assert alone == pytest.approx(0.05, rel=0.3)
    assert alone < short_rate(0.2) < short_rate(0.02) < short_rate(1e-4) < 0.15
    assert short_rate(10.0) == pytest.approx(alone, rel=1e-2)


def test_a_process_of_its_own_law_is_inferred_within_its_stated_error() -> None:
    """Coverage: carry curves drawn from the model, some expiries seen with errors, the others inferred."""
    rng = np.random.default_rng(4)
    days = np.array([1.0, 2.0, 5.0, 12.0, 33.0, 60.0, 120.0, 200.0, 300.0])
    years, at = days / 365, np.log(days / 365)
    law = MODEL.rate_vol**2 * np.exp(-np.abs(at[:, None] - at) / MODEL.rate_reach)
    root = np.linalg.cholesky(law)
    scores = []
    for _ in range(150):
        rates, hidden = root @ rng.normal(size=len(days)), rng.choice(len(days), 4, replace=False)
        made, expiry_ns = forwards(**{f"d{day}": day for day in days})
        for slot in set(range(len(days))) - set(hidden.tolist()):
            made.open_slot(slot, expiry_ns, NOW_NS)
            error = 10.0 ** rng.uniform(-5, -3.5)
            seen = rates[slot] * years[slot] + error * rng.normal()
            made.observe(slot, 80_000.0 * math.exp(seen), error, NOW_NS)
        for slot in hidden.tolist():
            made.open_slot(slot, expiry_ns, NOW_NS)
            scores.append((made.basis[slot] - rates[slot] * years[slot]) / made.deviation(slot, NOW_NS))
    inside = np.abs(np.array(scores)) < 2
    assert 0.93 < inside.mean() <= 1.0
    assert 0.7 < np.std(scores) < 1.1


@needs_chains
def test_a_recorded_expiry_left_out_is_inferred_within_the_stated_error() -> None:
    """Every fourth snapshot of January 2026: each forward from the others', against the venue's own, over the
    perpetual's price of the same moment."""
    perpetuals = pl.read_csv(CHAINS / "perpetual_prices.csv.gz", infer_schema_length=None)
    coin = perpetuals.filter(pl.col("coin") == "BTC")
    price = dict(zip(coin["obs_datetime"], coin["candle_price_used"], strict=True))
    scores, widths = [], []
    for n, snapshot in enumerate(snapshots(WINTER[:1], "BTC")):
        expiries = [expiry for expiry in snapshot.expiries if expiry.years * 365 > 1]
        if n % 4 or snapshot.name not in price:
            continue
        for left_out in range(len(expiries)):
            made, expiry_ns = forwards(**{expiry.name: expiry.years * 365 for expiry in expiries})
            made.set_index(price[snapshot.name], NOW_NS)
            for slot, expiry in enumerate(expiries):
                if slot != left_out:
                    made.open_slot(slot, expiry_ns, NOW_NS)
                    made.observe(slot, expiry.forward_usd, 3e-4, NOW_NS)
            made.open_slot(left_out, expiry_ns, NOW_NS)
            off = math.log(expiries[left_out].forward_usd / made.forward_usd(left_out))
            scores.append(off / math.hypot(made.deviation(left_out, NOW_NS), 3e-4))
            widths.append(made.deviation(left_out, NOW_NS) / (MODEL.rate_vol * expiries[left_out].years))
    assert np.mean(np.abs(scores) < 2) > 0.93
    assert np.median(widths) < 0.5, "neighbours tell most of it"


def test_the_funding_curve_is_what_forwards_pay_over_the_perpetual() -> None:
    made, expiry_ns = forwards(near=10, far=100)
    assert made.funding_curve(expiry_ns, 80_000.0, NOW_NS) is None
    known_at(made, expiry_ns, near=0.05, far=0.08)
    curve = made.funding_curve(expiry_ns, 80_000.0 * math.exp(3e-4), NOW_NS)
    assert curve is not None
    first = 0.05 - 3e-4 * 365 / 10
    assert curve.implied_funding(0.0, 10 / 365) == pytest.approx(first, abs=1e-4)
    assert curve.implied_funding(10 / 365, 100 / 365) == pytest.approx((0.08 * 100 - 0.05 * 10) / 90, abs=1e-4)
