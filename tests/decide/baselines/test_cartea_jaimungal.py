import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from flatbook.decide.baselines.cartea_jaimungal import CarteaJaimungal
from flatbook.decide.baselines.glft import Glft
from flatbook.decide.baselines.intensity import ExponentialIntensity
from flatbook.domain.errors import BadInputError
from tests.market_analytics.published import golden

Floats = NDArray[np.float64]

PAPER = CarteaJaimungal(1.0, 1.0, 100.0, 1e-5, 1e-3)


@pytest.mark.parametrize("row", golden("cartea_jaimungal"), ids=lambda row: row["id"])
def test_published_depths(row: dict[str, str]) -> None:
    quotes, rung = PAPER.distances(3, 30.0), int(row["inventory"]) + 3
    for depth, printed in ((quotes.bid[rung], row["bid"]), (quotes.ask[rung], row["ask"])):
        assert depth == (pytest.approx(float(printed), abs=5.1e-9) if printed else np.inf)


@settings(deadline=None, max_examples=30)
@given(
    st.floats(0.3, 2.0),
    st.floats(0.3, 2.0),
    st.floats(0.5, 2.0),
    st.floats(0.0, 0.1),
    st.floats(0.0, 0.5),
    st.floats(0.0, 0.3),
)
def test_depths_solve_the_dealers_equation(
    buys: float, sells: float, decay: float, penalty: float, closing: float, impact: float
) -> None:
    """h by a stepper, and its supremum by the derivative: an order moves the mid whether or not it met the quote."""
    bound, left = 3, 2.0
    model = CarteaJaimungal(buys, sells, decay, penalty, closing, impact)
    held = np.arange(-bound, bound + 1.0)

    def depths(value: Floats) -> tuple[Floats, Floats]:
        ask = 1 / decay + impact + value[1:] - value[:-1]
        bid = 1 / decay + impact + value[:-1] - value[1:]
        return bid, ask

    def gain(_: float, value: Floats) -> Floats:
        bid, ask = depths(value)
        rate = -penalty * held**2 + impact * held * (buys - sells)
        rate[1:] += buys * np.exp(-decay * ask) * (ask - impact + value[:-1] - value[1:])
        rate[:-1] += sells * np.exp(-decay * bid) * (bid - impact + value[1:] - value[:-1])
        return np.asarray(rate)

    value = solve_ivp(gain, (0, left), -closing * held**2, method="DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
    quotes = model.distances(bound, left)
    bid, ask = depths(value)
    np.testing.assert_allclose(quotes.bid[:-1], bid, atol=1e-7)
    np.testing.assert_allclose(quotes.ask[1:], ask, atol=1e-7)


def test_a_running_penalty_is_half_the_aversion_times_the_variance() -> None:
    glft = Glft(0.3, ExponentialIntensity(0.9, 0.3), 0.01, is_cara=False)
    penalised = CarteaJaimungal(0.9, 0.9, 0.3, 0.5 * 0.01 * 0.3**2)
    np.testing.assert_allclose(penalised.distances(10, 50.0), glft.distances(10, 50.0), atol=1e-9)
    np.testing.assert_allclose(penalised.stationary_distances(10), glft.stationary_distances(10), atol=1e-9)


def test_what_closing_costs_matters_near_the_horizon_only() -> None:
    dear = CarteaJaimungal(1.0, 1.0, 100.0, 1e-5, 1e-2)
    near, far = dear.distances(3, 0.1), dear.distances(3, 500.0)
    assert near.bid[4] > PAPER.distances(3, 0.1).bid[4] + 0.01
    np.testing.assert_allclose(far.bid[:-1], PAPER.distances(3, 500.0).bid[:-1], atol=1e-9)
    np.testing.assert_allclose(far.bid[:-1], PAPER.stationary_distances(3).bid[:-1], atol=1e-9)


def test_where_buyers_come_more_often_a_dealer_would_rather_hold() -> None:
    quotes = CarteaJaimungal(2.0, 0.5, 100.0, 1e-5).stationary_distances(3)
    assert quotes.bid[3] < PAPER.stationary_distances(3).bid[3]
    assert quotes.ask[3] > quotes.bid[3]


def test_bad_parameters_are_refused() -> None:
    with pytest.raises(BadInputError, match="Cartea-Jaimungal: running_penalty of -1 must be 0 or more"):
        CarteaJaimungal(1.0, 1.0, 100.0, -1.0)
