import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from flatbook.decide.baselines import gueant
from flatbook.decide.baselines.glft import Glft
from flatbook.decide.baselines.gueant import Assets
from flatbook.decide.baselines.intensity import Distances, ExponentialIntensity
from flatbook.domain.errors import BadInputError
from tests.market_analytics.published import golden

Floats = NDArray[np.float64]

BOUND = 8


def pair(*, is_cara: bool = False, size: tuple[float, float] = (1.0, 1.0), correlation: float = 0.7) -> Assets:
    """Two assets of the published check."""
    vol = np.array([1.0, 0.6])
    covariance = np.outer(vol, vol) * np.array([[1.0, correlation], [correlation, 1.0]])
    fills = ExponentialIntensity(np.array([1.2, 0.8]), np.array([1.5, 2.0]))
    return Assets(covariance, fills, np.array(size), 0.05, is_cara)


@pytest.fixture(scope="module")
def optimal() -> Distances:
    return gueant.optimal_distances(pair(), gueant.solve(pair(), BOUND, 40.0))


@pytest.mark.parametrize("row", golden("bergault_two_assets"), ids=lambda row: row["id"])
def test_published_distances_of_two_assets(row: dict[str, str], optimal: Distances) -> None:
    at = [int(row["q1"]), int(row["q2"])]
    exact = [float(row["bid1"]), float(row["bid2"])]
    np.testing.assert_allclose(optimal.bid[:, at[0] + BOUND, at[1] + BOUND], exact, atol=5.1e-6)
    closed = gueant.closed_form_distances(pair(), gueant.curvature(pair()), np.array(at, float))
    np.testing.assert_allclose(closed.bid, [float(row["closed_bid1"]), float(row["closed_bid2"])], atol=5.1e-6)
    mirrored = gueant.closed_form_distances(pair(), gueant.curvature(pair()), -np.array(at, float))
    np.testing.assert_allclose(mirrored.ask, closed.bid, rtol=1e-12)
    small = abs(at[0]) <= 2 and abs(at[1]) <= 2
    assert np.abs(closed.bid / exact - 1).max() < (0.02 if small else 0.03)


def test_the_published_curvature() -> None:
    gamma = gueant.curvature(pair()) / math.sqrt(0.05)
    np.testing.assert_allclose(gamma, [[0.836325, 0.250186], [0.250186, 0.485169]], atol=5.1e-7)


def test_the_optimum_is_symmetric_and_ends_at_the_bound(optimal: Distances) -> None:
    np.testing.assert_allclose(optimal.bid, optimal.ask[:, ::-1, ::-1], rtol=1e-7)
    assert np.isinf(optimal.bid[0, -1]).all()
    assert np.isinf(optimal.ask[1, :, 0]).all()
    assert np.isfinite(optimal.bid[0, :-1]).all()


@pytest.mark.parametrize("is_cara", [True, False])
def test_one_asset_is_gueant_lehalle_and_fernandez_tapia(is_cara: bool) -> None:
    fills = ExponentialIntensity(np.array([0.9]), np.array([0.3]))
    one = Assets(np.array([[0.3**2]]), fills, np.ones(1), 0.01, is_cara)
    theirs = Glft(0.3, ExponentialIntensity(0.9, 0.3), 0.01, is_cara=is_cara)
    quotes, linear = gueant.optimal_distances(one, gueant.solve(one, 20, 100.0)), theirs.distances(20, 100.0)
    np.testing.assert_allclose(quotes.bid[0], linear.bid, atol=1e-5)
    np.testing.assert_allclose(quotes.ask[0], linear.ask, atol=1e-5)
    held = np.arange(-5.0, 6.0)
    closed, closed_theirs = (
        gueant.closed_form_distances(one, gueant.curvature(one), held[None]),
        theirs.closed_form_distances(held),
    )
    np.testing.assert_allclose(closed.bid[0], closed_theirs.bid, rtol=1e-12)
    np.testing.assert_allclose(closed.ask[0], closed_theirs.ask, rtol=1e-12)


@pytest.mark.parametrize("is_cara", [True, False])
def test_larger_sizes_are_units_of_their_own(is_cara: bool) -> None:
    """Quotes of z at γ are those of one unit in a market whose prices, for a unit of z, are z times as large."""
    z = np.array([2.0, 0.5])
    sized, unit = pair(is_cara=is_cara, size=(2.0, 0.5)), pair(is_cara=is_cara)
    rescaled = Assets(
        unit.covariance * np.outer(z, z),
        ExponentialIntensity(np.asarray(unit.fills.arrivals), np.asarray(unit.fills.decay) / z),
        np.ones(2),
        0.05,
        is_cara,
    )
    value, other = gueant.solve(sized, 4, 5.0), gueant.solve(rescaled, 4, 5.0)
    np.testing.assert_allclose(value, other, rtol=1e-6, atol=1e-8)
    ours, theirs = gueant.optimal_distances(sized, value), gueant.optimal_distances(rescaled, other)
    np.testing.assert_allclose(ours.bid * z[:, None, None], theirs.bid, rtol=1e-6, atol=1e-8)
    lots = np.array([3.0, -1.0])
    closed = gueant.closed_form_distances(sized, gueant.curvature(sized), z * lots)
    closed_theirs = gueant.closed_form_distances(rescaled, gueant.curvature(rescaled), lots)
    np.testing.assert_allclose(closed.bid * z, closed_theirs.bid, rtol=1e-9)


def test_assets_that_do_not_move_together_are_quoted_each_by_itself() -> None:
    apart = pair(is_cara=True, correlation=0.0)
    value = gueant.solve(apart, 4, 10.0)
    alone = []
    for asset in range(2):
        fills = ExponentialIntensity(np.asarray(apart.fills.arrivals)[[asset]], np.asarray(apart.fills.decay)[[asset]])
        one = Assets(apart.covariance[asset : asset + 1, asset : asset + 1], fills, np.ones(1), 0.05)
        alone.append(gueant.solve(one, 4, 10.0))
    np.testing.assert_allclose(value, alone[0][:, None] + alone[1][None, :], rtol=1e-6)


def test_the_closed_forms_curvature_solves_its_riccati_equation_in_time() -> None:
    assets = pair(is_cara=True)
    flow = np.diag(gueant.flow_weight(assets))

    def slope(_: float, flat: Floats) -> Floats:
        curve = flat.reshape(2, 2)
        return np.asarray(0.05 * assets.covariance - curve @ flow @ curve).ravel()

    for left in (0.5, 3.0):
        found = solve_ivp(slope, (0, left), np.zeros(4), method="DOP853", rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(
            gueant.curvature_before(assets, left), found.y[:, -1].reshape(2, 2), rtol=1e-8, atol=1e-10
        )
    np.testing.assert_allclose(gueant.curvature_before(assets, 200.0), gueant.curvature(assets), rtol=1e-9)
    assert not gueant.curvature_before(assets, 0.0).any()


@settings(deadline=None, max_examples=25)
@given(st.floats(0.05, 0.5), st.floats(0.05, 0.5), st.floats(-0.9, 0.9), st.floats(0.5, 2.0))
def test_charging_for_inventory_never_makes_it_cheaper_to_hold_more(
    first: float, second: float, correlation: float, left: float
) -> None:
    vol = np.array([first, second])
    covariance = np.outer(vol, vol) * np.array([[1.0, correlation], [correlation, 1.0]])
    fills = ExponentialIntensity(np.array([1.2, 0.8]), np.array([1.5, 2.0]))
    assets = Assets(covariance, fills, np.ones(2), 0.2)
    value = gueant.solve(assets, 3, left)
    assert value.max() == pytest.approx(value[3, 3])
    np.testing.assert_allclose(value, value[::-1, ::-1], rtol=1e-6)
    quotes = gueant.optimal_distances(assets, value)
    assert (np.diff(quotes.bid[0, :-1], axis=0) > 0).all()
    assert (np.diff(quotes.ask[1, :, 1:], axis=1) < 0).all()


def test_no_quote_leads_beyond_the_bound() -> None:
    assets = pair(size=(2.0, 0.5))
    held = gueant.inventories(assets, 3)
    quotes = gueant.within(gueant.closed_form_distances(assets, gueant.curvature(assets), held), held, assets.size, 3)
    np.testing.assert_array_equal(np.isinf(quotes.bid[0]), held[0] > 2.0 * 2.5)
    np.testing.assert_array_equal(np.isinf(quotes.ask[1]), held[1] < -0.5 * 2.5)


def test_too_many_inventories_are_refused() -> None:
    many = Assets(np.eye(4), ExponentialIntensity(np.ones(4), np.ones(4)), np.ones(4), 0.1)
    with pytest.raises(
        BadInputError, match=r"a bound of 8 makes 17\^4 inventories: take 1 or more, and at most 20,000"
    ):
        gueant.solve(many, 8, 1.0)
    with pytest.raises(
        BadInputError, match=r"^2 assets by their sizes, but covariance, arrivals and decay have shapes"
    ):
        Assets(np.eye(2), ExponentialIntensity(1.0, 1.0), np.ones(2), 0.1)
