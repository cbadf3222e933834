from functools import cache

import numpy as np
import pytest
from bench.utility import Outcome, simulate
from numpy.typing import NDArray

from flatbook.decide.baselines.avellaneda_stoikov import AvellanedaStoikov
from flatbook.decide.baselines.gueant import Assets
from flatbook.decide.baselines.intensity import Distances, ExponentialIntensity
from flatbook.domain.errors import BadInputError
from tests.market_analytics.published import golden

Floats = NDArray[np.float64]

FILLS = ExponentialIntensity(140.0, 1.5)
MARKET = Assets(np.array([[4.0]]), ExponentialIntensity(np.array([140.0]), np.array([1.5])), np.ones(1), 1.0)
PATHS, THEIR_PATHS, INDEPENDENT_PATHS = 20_000, 1_000, 40_000


def dealer(gamma: float) -> AvellanedaStoikov:
    return AvellanedaStoikov(2.0, FILLS, gamma)


@cache
def drawn(gamma: float, strategy: str, *, full_rule: bool) -> Outcome:
    """The paper's market: the rule in full, or with the spread that the paper prints, without its inventory part."""
    model = dealer(gamma)

    def quoter(inventory: Floats, time_left: float) -> Distances:
        held = inventory if strategy == "inventory" else 0.0 * inventory
        if full_rule:
            return model.distances(held, time_left)
        shift, half = model.reservation_shift(held, time_left), FILLS.spread(gamma)
        return Distances(half - shift, half + shift)

    return simulate(MARKET, quoter, 1.0, 200, PATHS, 0, mid_moves_first=not full_rule)


def row_id(row: dict[str, str]) -> str:
    return row["id"]


@pytest.mark.parametrize("row", golden("avellaneda_stoikov_full_rule"), ids=row_id)
def test_simulated_profits_of_the_full_rule(row: dict[str, str]) -> None:
    outcome = drawn(float(row["gamma"]), row["strategy"], full_rule=True)
    std = float(outcome.pnl.std())
    error = std * (1 / PATHS + 1 / INDEPENDENT_PATHS) ** 0.5
    assert outcome.spread == pytest.approx(float(row["spread"]), abs=0.005)
    assert outcome.pnl.mean() == pytest.approx(float(row["profit"]), abs=4 * error)
    assert std == pytest.approx(float(row["profit_std"]), rel=0.025)
    assert outcome.inventory.std() == pytest.approx(float(row["inventory_std"]), rel=0.025)


# What the working paper prints is the rule without the inventory part of its spread, and with fills drawn after the
# mid has moved: drawn before, every profit would be 2 % higher, three to six of the paper's standard errors. Two
# figures fit neither way of simulating it: the deviation of the final inventory at gamma = 0.01 (4.70, while both ways
# give 5.2), and the profit at gamma = 0.5, which hangs on what happens to quotes through the mid: 21.0 if they are
# filled where they stand, as here, 48.8 if they are held at the mid.
MISPRINTED = {("B1-inventory-0.01", "inventory_std"), ("B1-inventory-0.5", "profit")}


@pytest.mark.parametrize("row", golden("avellaneda_stoikov"), ids=row_id)
def test_simulated_profits_as_published(row: dict[str, str]) -> None:
    gamma, symmetric = float(row["gamma"]), row["strategy"] == "symmetric"
    outcome = drawn(gamma, row["strategy"], full_rule=False)
    assert 2 * float(FILLS.spread(gamma)) == pytest.approx(float(row["spread"]), abs=0.005)
    error = float(outcome.pnl.std()) * (1 / PATHS + 1 / THEIR_PATHS) ** 0.5
    assert outcome.inventory.mean() == pytest.approx(float(row["inventory"]), abs=4 * outcome.inventory.std() / 31)
    assert outcome.pnl.std() == pytest.approx(float(row["profit_std"]), rel=0.08 if gamma == 0.5 else 0.06)
    measured = {"profit": outcome.pnl.mean(), "inventory_std": outcome.inventory.std()}
    tolerance = {
        "profit": max(3 * error, 1.4 if symmetric else 0.7),
        "inventory_std": 0.06 * float(row["inventory_std"]),
    }
    for column, value in measured.items():
        agrees = abs(value - float(row[column])) <= tolerance[column]
        assert agrees == ((row["id"], column) not in MISPRINTED), (column, value)


def test_inventory_of_the_patient_ends_as_they_never_printed_it() -> None:
    by_either = [drawn(0.01, "inventory", full_rule=full).inventory.std() for full in (False, True)]
    assert min(by_either) > 5.1


def test_quotes_are_the_exact_first_order_condition_at_frozen_inventory() -> None:
    gamma, sigma, k, left = 0.1, 2.0, 1.5, 0.37
    for q in (-4, 0, 1, 7):
        charge = gamma * sigma**2 * left
        ask_indifference, bid_indifference = (1 - 2 * q) * charge / 2, (-1 - 2 * q) * charge / 2
        edge = np.log(1 + gamma / k) / gamma
        quoted = dealer(gamma).distances(q, left)
        assert float(quoted.ask) == pytest.approx(ask_indifference + edge, rel=1e-12)
        assert float(quoted.bid) == pytest.approx(-bid_indifference + edge, rel=1e-12)


def test_without_aversion_quotes_are_symmetric_at_one_over_k() -> None:
    quoted = dealer(1e-9).distances(np.array([-50.0, 0.0, 50.0]), 1.0)
    np.testing.assert_allclose(quoted, 1 / 1.5, rtol=1e-6)


def test_at_the_horizon_inventory_is_worth_the_mid() -> None:
    quoted = dealer(0.1).distances(np.array([-50.0, 0.0, 50.0]), 0.0)
    np.testing.assert_allclose(quoted, float(FILLS.spread(0.1)), rtol=1e-12)
    with pytest.raises(BadInputError, match=r"time_left of -1 must be 0 or more"):
        dealer(0.1).distances(0.0, -1.0)
