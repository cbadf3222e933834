import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from flatbook.decide.baselines.glft import Glft
from flatbook.decide.baselines.intensity import ExponentialIntensity
from flatbook.domain.errors import BadInputError
from tests.market_analytics.published import golden

BOUND = 30
FILLS = ExponentialIntensity(0.9, 0.3)
PAPER = Glft(0.3, FILLS, 0.01)


@pytest.mark.parametrize("row", golden("glft"), ids=lambda row: row["id"])
def test_published_distances(row: dict[str, str]) -> None:
    q = int(row["inventory"])
    exact, closed = PAPER.distances(BOUND, 600.0), PAPER.closed_form_distances(q)
    assert exact.bid[q + BOUND] == pytest.approx(float(row["bid"]), abs=5.1e-7)
    assert exact.ask[q + BOUND] == pytest.approx(float(row["ask"]), abs=5.1e-7)
    assert float(closed.bid) == pytest.approx(float(row["closed_bid"]), abs=5.1e-7)
    assert float(closed.ask) == pytest.approx(float(row["closed_ask"]), abs=5.1e-7)


@pytest.mark.parametrize("row", golden("glft_variants"), ids=lambda row: row["id"])
def test_published_variants(row: dict[str, str]) -> None:
    model = Glft(0.3, FILLS, 0.01, drift=float(row["drift"]), impact=float(row["impact"]), is_cara=row["cara"] == "yes")
    q, half_digit = int(row["inventory"]), 0.51 * 10.0 ** -int(row["digits"])
    assert model.distances(BOUND, 600.0).bid[q + BOUND] == pytest.approx(float(row["bid"]), abs=half_digit)
    assert float(model.closed_form_distances(q).bid) == pytest.approx(float(row["closed_bid"]), abs=half_digit)


def test_constants_of_the_paper() -> None:
    assert 0.9 * float(FILLS.constant(0.01)) == pytest.approx(0.325678356, abs=5e-10)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.1, 1.0), st.floats(0.3, 2.0), st.floats(0.3, 1.5), st.floats(0.01, 0.5), st.floats(-0.05, 0.05))
@pytest.mark.parametrize("is_cara", [True, False])
def test_the_optimum_solves_the_dealers_equation(
    is_cara: bool, vol: float, arrivals: float, decay: float, aversion: float, drift: float
) -> None:
    """θ' = cost - H's, by a stepper that knows nothing of the linear form; impact moves all that is held."""
    bound, left, impact = 4, 3.0, 0.2
    model = Glft(vol, ExponentialIntensity(arrivals, decay), aversion, drift, impact, is_cara)
    held = np.arange(-bound, bound + 1.0)
    trade_aversion = aversion if is_cara else 0.0

    def gain(_: float, value: np.ndarray) -> np.ndarray:
        rate = drift * held - 0.5 * aversion * vol**2 * held**2
        lost = np.diff(value) - impact * held[1:]  # buying from q to q + 1 marks all q + 1 down
        won = -np.diff(value) + impact * held[:-1]  # selling from q to q - 1 marks what is left, q - 1, up
        rate[:-1] += model.fills.hamiltonian(-lost, trade_aversion)
        rate[1:] += model.fills.hamiltonian(-won, trade_aversion)
        return np.asarray(rate)

    value = solve_ivp(gain, (0, left), np.zeros(len(held)), method="DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
    quotes = model.distances(bound, left)
    spread = float(model.fills.spread(trade_aversion))
    np.testing.assert_allclose(quotes.bid[:-1], spread - np.diff(value) + impact * held[1:], atol=1e-7)
    np.testing.assert_allclose(quotes.ask[1:], spread + np.diff(value) - impact * held[:-1], atol=1e-7)


def test_quotes_near_their_stationary_ones_as_a_hyperbolic_tangent_of_the_time_left() -> None:
    ever = PAPER.stationary_distances(BOUND)
    inner = slice(BOUND - 5, BOUND + 6)
    np.testing.assert_allclose(PAPER.distances(BOUND, 600.0).bid[inner], ever.bid[inner], atol=1e-6)
    pace = np.sqrt(0.01 * 0.3**2 * 2 * 0.9 * 0.3 * float(FILLS.constant(0.01)))
    for left in (15.0, 30.0, 60.0, 120.0):
        share = np.diff(PAPER.distances(BOUND, left).bid[inner]) / np.diff(ever.bid[inner])
        np.testing.assert_allclose(share, np.tanh(pace * left), rtol=0.005)


def test_the_closed_form_holds_well_inside_the_bound_and_not_beside_it() -> None:
    ever, held = PAPER.stationary_distances(BOUND), np.arange(-BOUND, BOUND + 1.0)
    closed = PAPER.closed_form_distances(held)
    inner = np.abs(held) <= 20
    assert np.abs(closed.bid - ever.bid)[inner].max() < 0.005
    assert np.abs(closed.ask - ever.ask)[np.abs(held) <= 20].max() < 0.005
    assert closed.ask[-1] - ever.ask[-1] > 0.05


market = st.tuples(st.floats(0.1, 1.0), st.floats(0.3, 3.0), st.floats(0.2, 1.5), st.floats(0.01, 0.3))


@settings(deadline=None)
@given(market, st.floats(1.05, 2.0))
def test_spread_and_skew_go_with_risk_and_against_flow(
    parameters: tuple[float, float, float, float], more: float
) -> None:
    vol, arrivals, decay, aversion = parameters

    def spread(*changed: float) -> float:
        quotes = Glft(changed[0], ExponentialIntensity(changed[1], changed[2]), changed[3]).closed_form_distances(0.0)
        return float(quotes.bid + quotes.ask)

    def slope(*changed: float) -> float:
        return float(Glft(changed[0], ExponentialIntensity(changed[1], changed[2]), changed[3]).slope())

    assert spread(vol * more, arrivals, decay, aversion) > spread(*parameters)
    assert spread(vol, arrivals * more, decay, aversion) < spread(*parameters)
    assert spread(vol, arrivals, decay * more, aversion) < spread(*parameters)
    assert slope(vol * more, arrivals, decay, aversion) == pytest.approx(more * slope(*parameters))
    assert slope(vol, arrivals, decay, aversion * more) > slope(*parameters)
    assert slope(vol, arrivals * more, decay, aversion) < slope(*parameters)


def test_bad_parameters_are_refused() -> None:
    with pytest.raises(BadInputError, match="GLFT: risk_aversion of 0 must be above 0"):
        Glft(0.3, FILLS, 0.0)
    with pytest.raises(BadInputError, match="GLFT: impact of -1 must be 0 or more"):
        Glft(0.3, FILLS, 0.01, impact=-1.0)
