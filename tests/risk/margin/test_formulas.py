"""Derive's standard rules against a loop that says them, and what SPAN's and OKX's charges are by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.risk.margin.contracts import MarginContracts
from flatbook.risk.margin.derive_standard import DeriveStandard, StandardRates
from flatbook.risk.margin.okx import OkxPortfolio
from flatbook.venues.margin import editions

from .books import CHAIN, LATEST
from .columns import Row, contracts

Floats = NDArray[np.float64]
INDEX = 80_000.0

STRIKES = (60_000.0, 75_000.0, 80_000.0, 90_000.0, 120_000.0)
LADDER: MarginContracts = contracts(
    [Row(sign, strike, 0.1, 80_500.0, in_coin=False) for strike in STRIKES for sign in (1.0, -1.0)], INDEX
)


def by_the_loop(size: list[float], rates: StandardRates, *, initial: bool) -> float:
    """StandardManager's margin of one expiry, contract by contract; a positive number is required."""
    held = [(float(LADDER.sign[at]), float(LADDER.strike_usd[at]), float(LADDER.mark_usd[at]), size[at])
            for at in range(len(size)) if size[at]]  # fmt: skip
    isolated = 0.0
    for sign, strike, mark, coins in held:
        if coins > 0.0:
            continue
        otm = max(sign * (strike - INDEX), 0.0) / INDEX
        put_rate = max(rates.put_maintenance * INDEX, rates.put_maintenance_of_mark * mark)
        maintenance = mark + (rates.call_maintenance * INDEX if sign > 0.0 else put_rate)
        needed = maintenance
        if initial:
            needed = max(rates.base - otm, rates.least) * INDEX + mark
            if sign < 0.0:
                needed = max(needed, rates.put_over_maintenance * maintenance)
        isolated += needed * -coins
    worst = 0.0
    for price in (0.0, *(strike for _, strike, _, _ in held)):
        worst = min(worst, sum(coins * max(sign * (price - strike), 0.0) for sign, strike, _, coins in held))
    calls = sum(coins for sign, _, _, coins in held if sign > 0.0)
    unpaired = (rates.unpaired_initial if initial else rates.unpaired_maintenance) * 80_500.0 * max(-calls, 0.0)
    return min(isolated, -worst + unpaired)


@settings(max_examples=60)
@given(st.lists(st.sampled_from([-3.0, -1.0, 0.0, 0.0, 1.0, 2.0]), min_size=len(LADDER), max_size=len(LADDER)))
def test_an_expiry_by_columns_is_the_loop(size: list[float]) -> None:
    model = editions("derive_sm")[0].model
    assert isinstance(model, DeriveStandard)
    rates = model.underlying["default"]
    found = model.requirement(LADDER).margins(np.array(size))
    assert float(found.initial) == pytest.approx(by_the_loop(size, rates, initial=True), abs=1e-6)
    assert float(found.maintenance) == pytest.approx(by_the_loop(size, rates, initial=False), abs=1e-6)


def held(**sizes: float) -> Floats:
    """Sizes in `CHAIN`: its perpetual, its future, and its first call, 60,000 in a week."""
    size = np.zeros(len(CHAIN))
    for name, coins in sizes.items():
        size[("perpetual", "future", "call").index(name)] = coins
    return size


def test_span_scans_delta_one_to_its_range() -> None:
    """A third of twice the range is less than the range."""
    requirement = LATEST["span"].requirement(CHAIN)
    found = requirement.margins(held(perpetual=-2.0))
    assert (float(found.initial), float(found.maintenance)) == pytest.approx((0.32 * INDEX, 0.8 * 0.32 * INDEX))


def test_span_charges_a_spread_between_expiries() -> None:
    requirement = LATEST["span"].requirement(CHAIN)
    parts = requirement.parts(held(perpetual=-1.0, future=3.0))
    assert float(parts["spreads"].initial) == pytest.approx(0.006 * INDEX)
    assert float(parts["scan"].initial) == pytest.approx(0.16 * (3.0 * 81_000.0 - 80_000.0))


def test_span_has_a_minimum_for_short_options() -> None:
    """Ten calls so far out that no scenario finds them."""
    requirement = LATEST["span"].requirement(contracts([Row(1.0, 400_000.0, 0.02)], INDEX))
    assert float(requirement.margins(np.array([-10.0])).initial) == pytest.approx(10.0 * 0.005 * INDEX, rel=1e-6)


def test_okx_multiplies_the_minimums_tranches() -> None:
    model = LATEST["okx"]
    assert isinstance(model, OkxPortfolio)
    raw = np.array([0.0, 100_000.0, 250_000.0, 600_000.0])
    assert model.minimum_usd(raw) == pytest.approx([0.0, 100_000.0, 250_000.0, 250_000.0 + 500_000.0 + 400_000.0])


def test_okx_charges_basis_by_time_and_initial_by_its_ratio() -> None:
    """MR1's 12 % is MR6's 24 % at half; the future is a fifth of a year away."""
    requirement = LATEST["okx"].requirement(CHAIN)
    found = requirement.margins(held(future=1.0))
    assert float(found.maintenance) == pytest.approx(0.12 * 81_000.0 + 0.05 * 0.2 * INDEX)
    assert float(found.initial) == pytest.approx(1.3 * float(found.maintenance))


def okx(**changes: object) -> OkxPortfolio:
    model = LATEST["okx"]
    assert isinstance(model, OkxPortfolio)
    return model.model_copy(update=changes)


def test_okx_published_examples_come_out() -> None:
    """MR7 of 30,000 by the tiers of December 2021; MR9 of ten millions hedged, by the rates of its example."""
    minimum = okx(tranche_usd=(0.0, 10_000.0, 70_000.0), multiplier=(1.0, 2.0, 4.0))
    assert float(minimum.minimum_usd(np.array(30_000.0))) == pytest.approx(50_000.0)
    depeg = okx(depeg_price=(1.0,), depeg_rate=((0.0075, 0.0175, 0.025),))
    for cash in ([10e6, 0.0, -12e6], [-10e6, 0.0, 12e6], [10e6, -10e6, 0.0], [0.0, 10e6, -10e6]):
        assert float(depeg.depeg_usd(np.array(cash))) == pytest.approx(202_500.0)


def test_okx_sets_dollars_against_each_other_in_their_order() -> None:
    """Ten millions of USDT against seven of USD, then against three of USDC; what is left has one sign."""
    charged = float(okx().depeg_usd(np.array([10e6, -4e6, -7e6])))
    first = 5_000.0 + 40_000.0 + 2e6 * 0.025
    assert charged == pytest.approx(first + 5_000.0 + 2e6 * 0.01)
    assert float(okx().depeg_usd(np.array([3e6, 2e6, 1e6]))) == 0.0
    off_peg = okx(stable_usd={"USDT": 0.99, "USDC": 1.0})
    assert float(off_peg.depeg_usd(np.array([2e6, 0.0, -2e6]))) == pytest.approx(1e6 * 0.005 + 1e6 * 0.015)
    assert float(off_peg.depeg_usd(np.array([0.0, 2e6, -2e6]))) == pytest.approx(1e6 * 0.005 + 1e6 * 0.01)
    assert okx(stable_usd={"USDT": 0.895}).depeg_rates("USDT", "USD") == pytest.approx([0.2025, 0.2075, 0.2125])


def test_okx_charges_a_hedge_in_other_dollars_and_the_discount_of_an_option() -> None:
    """A perpetual in coin against one in USDC; an option's value for a fifth of a year at two per cent."""
    rows = [Row(), Row(in_coin=False), Row(1.0, 80_000.0, 0.2, in_coin=False)]
    requirement = okx().requirement(contracts(rows, INDEX))
    parts = requirement.parts(np.array([-50.0, 50.0, 0.0]))
    assert float(parts["scan"].maintenance) == pytest.approx(0.0, abs=1e-6)
    assert float(parts["stable coins"].maintenance) == pytest.approx(5_000.0 + 0.01 * 3e6)
    option = requirement.parts(np.array([0.0, 0.0, 10.0]))
    worth = 10.0 * float(contracts(rows, INDEX).mark_usd[2])
    assert float(option["interest"].maintenance) == pytest.approx(0.02 * 0.2 * worth)
    assert float(option["stable coins"].maintenance) == 0.0
