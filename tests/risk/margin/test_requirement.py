"""What holds of every model: orders, many accounts at once, parts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.sparse import csr_array

from flatbook.risk.margin.requirement import MarginState, capital_cost_usd
from flatbook.venues.margin import MODELS

from .books import CHAIN, REQUIREMENTS, row_of

Floats = NDArray[np.float64]

COUNT = len(CHAIN)
SIZES = arrays(np.float64, COUNT, elements=st.sampled_from([-40.0, -3.0, -0.5, 0.0, 0.0, 0.0, 0.5, 2.0, 25.0]))
ROW = st.integers(0, COUNT - 1)

few = settings(max_examples=15)
every_model = pytest.mark.parametrize("name", MODELS)


@every_model
@few
@given(held=SIZES, row=ROW, order=st.sampled_from([-30.0, -1.0, 0.1, 4.0]))
def test_an_orders_margin_is_the_difference_it_makes(name: str, held: Floats, row: int, order: float) -> None:
    requirement = REQUIREMENTS[name]
    more = held.copy()
    more[row] += order
    expected = requirement.margins(more).less(requirement.margins(held))
    scale = 1e-9 * (1.0 + float(requirement.margins(more).initial))
    state = MarginState(requirement, held)
    assert state.marginal(row, order) == pytest.approx(tuple(expected), abs=scale)
    all_rows = state.marginals(np.full(COUNT, order))
    assert (all_rows.initial[row], all_rows.maintenance[row]) == pytest.approx(tuple(expected), abs=scale)


@every_model
@few
@given(accounts=arrays(np.float64, (3, COUNT), elements=st.sampled_from([-7.0, 0.0, 0.0, 5.0])))
def test_many_accounts_at_once_are_each_alone(name: str, accounts: Floats) -> None:
    together = REQUIREMENTS[name].margins(accounts)
    for at, account in enumerate(accounts):
        alone = REQUIREMENTS[name].margins(account)
        assert together.initial[at] == pytest.approx(alone.initial, rel=1e-9, abs=1e-6)
        assert together.maintenance[at] == pytest.approx(alone.maintenance, rel=1e-9, abs=1e-6)
    sparse = REQUIREMENTS[name].many(csr_array(accounts))
    assert sparse.initial == pytest.approx(together.initial, rel=1e-9, abs=1e-6)
    assert sparse.maintenance == pytest.approx(together.maintenance, rel=1e-9, abs=1e-6)


@every_model
@few
@given(held=SIZES)
def test_the_parts_sum_to_it_and_maintenance_is_less(name: str, held: Floats) -> None:
    requirement = REQUIREMENTS[name]
    found, parts = requirement.margins(held), requirement.parts(held).values()
    assert sum(float(part.initial) for part in parts) == pytest.approx(float(found.initial), rel=1e-9, abs=1e-6)
    assert sum(float(part.maintenance) for part in parts) == pytest.approx(float(found.maintenance), rel=1e-9, abs=1e-6)
    assert 0.0 <= found.maintenance <= found.initial + 1e-9


@every_model
@few
@given(held=SIZES, share=st.floats(0.0, 1.0))
def test_less_of_the_same_needs_no_more(name: str, held: Floats, share: float) -> None:
    requirement = REQUIREMENTS[name]
    less, all_of_it = requirement.margins(share * held), requirement.margins(held)
    assert less.initial <= all_of_it.initial * (1.0 + 1e-9) + 1e-6
    assert less.maintenance <= all_of_it.maintenance * (1.0 + 1e-9) + 1e-6


@every_model
def test_nothing_held_needs_nothing(name: str) -> None:
    assert not np.any(REQUIREMENTS[name].margins(np.zeros(COUNT)))


@every_model
@few
@given(row=ROW, long=st.floats(0.1, 50.0), short=st.floats(0.1, 50.0))
def test_both_sides_of_one_contract_net(name: str, row: int, long: float, short: float) -> None:
    """One account that bought and sold a contract needs no more than two that did one each."""
    requirement = REQUIREMENTS[name]
    unit = np.zeros(COUNT)
    unit[row] = 1.0
    apart = requirement.margins(long * unit).plus(requirement.margins(-short * unit))
    netted = requirement.margins((long - short) * unit)
    assert netted.initial <= apart.initial + 1e-6
    assert netted.maintenance <= apart.maintenance + 1e-6


@pytest.mark.parametrize("name", ["derive_pm", "span"])
@few
@given(one=SIZES, other=SIZES)
def test_a_joint_account_needs_no_more_than_two(name: str, one: Floats, other: Floats) -> None:
    """Where nothing grows faster than size. Deribit's dampener is each account's, and OKX's minimum has steps."""
    requirement = REQUIREMENTS[name]
    apart = requirement.margins(one).plus(requirement.margins(other))
    assert requirement.margins(one + other).initial <= apart.initial * (1.0 + 1e-9) + 1e-6


@every_model
def test_what_an_option_costs_is_all_its_buyer_can_lose(name: str) -> None:
    """No formula asks anything of a buyer, and no scenario more than the option is worth; OKX adds MR4 and MR7."""
    requirement, row = REQUIREMENTS[name], row_of(-1.0, 60_000.0, 0.2)
    held = np.zeros(COUNT)
    held[row] = 10.0
    found = float(requirement.margins(held).initial)
    worth = 10.0 * CHAIN.mark_usd[row]
    if name.endswith("_sm"):
        assert found == 0.0
    elif name == "okx":
        assert found > 0.0
    else:
        rolled = requirement.parts(held).get("roll shock")
        assert found - (float(rolled.initial) if rolled else 0.0) <= worth * (1.0 + 1e-9)


def test_a_book_hedged_in_every_scenario_still_needs_the_minimum() -> None:
    """Calls and puts of one strike against the future of their forward: nothing moves, and it must be unwound."""
    requirement = REQUIREMENTS["okx"]
    held = np.zeros(COUNT)
    held[row_of(1.0, 80_000.0, 0.2)], held[row_of(-1.0, 80_000.0, 0.2)] = 10.0, -10.0
    held[1] = -10.0 * CHAIN.forward_usd[row_of(1.0, 80_000.0, 0.2)] / CHAIN.forward_usd[1]
    parts = requirement.parts(held)
    assert float(parts["scan"].maintenance) == pytest.approx(0.0, abs=1e-6)
    unwound = 20.0 * 0.003 * 80_000.0 + abs(held[1]) * 0.0005 * 80_000.0
    assert float(requirement.margins(held).maintenance) == pytest.approx(unwound, rel=1e-9)


def test_tying_up_capital_costs_its_rate() -> None:
    assert capital_cost_usd(np.array([1_000.0, -200.0]), 0.1, 8_760.0) == pytest.approx([100.0, -20.0])
