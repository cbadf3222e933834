"""Greeks by differences: against Black's closed forms, and against barriers, boundaries and fixings close by."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.kernels.black import black_full
from flatbook.valuation.contracts import Cell, parse_contract
from flatbook.valuation.exotics import price, repricer, value
from flatbook.valuation.exotics.barriers import vanilla_value
from flatbook.valuation.exotics.greeks import measure
from flatbook.valuation.exotics.reprice import Repricer
from flatbook.valuation.exotics.stencil import nodes_around
from flatbook.valuation.measures import Measures


def european(**cells: Cell) -> Measures:
    """A European option's Greeks by differences, as if Black's formula were an exotic's."""
    contract = parse_contract({"style": "american", "right": "call", "strike": 100.0, **cells})
    return measure(contract, Repricer(lambda point: vanilla_value(contract, point), "black"))


@given(
    moneyness=st.floats(-2.5, 2.5), vol=st.floats(0.05, 2.0), years=st.floats(1e-3, 3.0), sign=st.sampled_from([1, -1])
)
@settings(deadline=None)
def test_every_greek_is_blacks_to_a_hundred_thousandth_of_its_natural_size(
    moneyness: float, vol: float, years: float, sign: int
) -> None:
    forward = 100.0 * math.exp(moneyness * vol * math.sqrt(years))
    right = "call" if sign > 0 else "put"
    found = european(right=right, forward=forward, vol=vol, years=years, rate=0.0, carry=0.0)
    exact = black_full(forward, 100.0, vol, years, float(sign))
    width = vol * math.sqrt(years)
    price_size, delta_size, gamma_size = forward * width, 1.0, 1.0 / (forward * width)
    natural = Measures(
        price=price_size,
        delta=delta_size,
        gamma=gamma_size,
        vega=price_size / vol,
        theta=price_size / years,
        rho=price_size * years,
        vanna=delta_size / vol,
        volga=price_size / vol**2,
        charm=delta_size / years,
        speed=gamma_size / (forward * width),
        zomma=gamma_size / vol,
        color=gamma_size / years,
    )
    for name in Measures._fields:
        error = abs(getattr(found, name) - getattr(exact, name)) / getattr(natural, name)
        assert error < (3e-5 if name == "speed" else 1e-5), name


def test_rates_move_what_was_quoted() -> None:
    """By spot the yield stays under rho and the spot under theta; by forward the forward stays under both."""
    shared: dict[str, Cell] = {"vol": 0.4, "years": 0.5, "rate": 0.06, "carry": 0.02}
    by_spot, by_forward = european(spot=95.0, **shared), european(forward=95.0 * math.exp(0.01), **shared)
    black = black_full(95.0 * math.exp(0.01), 100.0, 0.4, 0.5, 1.0)
    discount = math.exp(-0.03)
    assert by_forward.price == pytest.approx(by_spot.price, rel=1e-14)
    assert by_forward.delta == pytest.approx(discount * black.delta, rel=1e-9)
    assert by_forward.speed == pytest.approx(discount * black.speed, rel=1e-5)
    assert by_forward.rho == pytest.approx(-0.5 * by_forward.price, rel=1e-9)
    assert by_forward.theta == pytest.approx(0.06 * by_forward.price + discount * black.theta, rel=1e-7)
    assert by_forward.charm == pytest.approx(0.06 * by_forward.delta + discount * black.charm, rel=1e-6)
    exercise_probability = by_forward.delta * 95.0 * math.exp(0.01) - by_forward.price
    assert by_spot.delta == pytest.approx(by_forward.delta * math.exp(0.01), rel=1e-9)
    assert by_spot.rho == pytest.approx(0.5 * exercise_probability, rel=1e-8)  # K T e^{-rT} N(d2)
    assert by_spot.theta == pytest.approx(by_forward.theta - 0.02 * 95.0 * by_spot.delta, rel=1e-6)


@pytest.mark.parametrize("gap", [1.0, 1e-2, 1e-4])
def test_greeks_next_to_a_barrier_look_away_from_it(gap: float) -> None:
    """Under the barrier's reflection a knock-out's value is odd where rates are nil and vol is small against the gap
    to the strike: at the barrier it is a straight line, and the price is delta times the gap."""
    cells: dict[str, Cell] = {"right": "call", "strike": 50.0, "vol": 0.3, "years": 0.5, "rate": 0.0, "carry": 0.0}
    out = value(
        parse_contract({"style": "barrier", "barrier": 90.0, "barrier_kind": "down_out", "spot": 90.0 + gap, **cells})
    )
    inside = value(
        parse_contract({"style": "barrier", "barrier": 90.0, "barrier_kind": "down_in", "spot": 90.0 + gap, **cells})
    )
    plain = european(spot=90.0 + gap, **(cells | {"strike": 50.0}))
    assert out.measures.price == pytest.approx(out.measures.delta * gap, rel=0.02 * gap + 1e-6)
    for name in Measures._fields:
        whole, parts = getattr(plain, name), getattr(out.measures, name) + getattr(inside.measures, name)
        scale = abs(getattr(out.measures, name)) + abs(getattr(inside.measures, name)) + abs(whole)
        assert parts == pytest.approx(whole, abs=2e-4 * scale + 1e-9), name


def test_an_exercised_put_is_short_the_asset_and_nothing_else() -> None:
    cells: dict[str, Cell] = {"right": "put", "strike": 100.0, "spot": 60.0, "vol": 0.3, "years": 0.5, "rate": 0.05}
    found = value(parse_contract({"style": "american", "carry": 0.02, **cells})).measures
    assert found.price == 40.0
    assert found.delta == pytest.approx(-1.0, abs=1e-12)
    assert max(abs(greek) for greek in found[2:]) < 1e-9


@pytest.mark.parametrize("spot", [70.4, 70.6, 71.0, 72.0])
def test_american_delta_beside_the_exercise_boundary(spot: float) -> None:
    """A finer difference of the finer scheme agrees, so no node of the coarse one fell across the boundary."""
    cells: dict[str, Cell] = {"right": "put", "strike": 100.0, "vol": 0.3, "years": 0.5, "rate": 0.05, "carry": 0.02}
    contract = parse_contract({"style": "american", "spot": spot, **cells})
    up = price(parse_contract({"style": "american", "spot": spot + 0.01, **cells}))
    down = price(parse_contract({"style": "american", "spot": spot - 0.01, **cells}))
    assert value(contract).measures.delta == pytest.approx((up - down) / 0.02, abs=5e-4)


def test_american_greeks_of_the_quick_scheme_are_those_of_the_fine_one() -> None:
    cells: dict[str, Cell] = {"right": "put", "strike": 100.0, "spot": 95.0, "vol": 0.4, "years": 0.7, "rate": 0.05}
    contract = parse_contract({"style": "american", "carry": 0.01, **cells})
    quick = repricer(contract)
    fine = measure(contract, Repricer(quick.at, quick.method, spots=quick.spots))
    assert np.array(value(contract).measures) == pytest.approx(np.array(fine), rel=1e-3)


def test_theta_up_to_the_next_fixing() -> None:
    """An average with a fixing in an hour: the nodes in time stay before it."""
    cells: dict[str, Cell] = {"average": "arithmetic", "fixings": 4, "first_fixing_years": 1e-4, "years": 0.5}
    market = {"spot": 100.0, "vol": 0.5, "rate": 0.0, "carry": 0.0}
    contract = parse_contract({"style": "asian", "right": "call", "strike": 100.0, **cells, **market})
    pricer = repricer(contract)
    assert pricer.passed == (-math.inf, 1e-4)
    later = cells | {"first_fixing_years": 0.5e-4, "years": 0.5 - 0.5e-4}
    moved = price(parse_contract({"style": "asian", "right": "call", "strike": 100.0, **later, **market}))
    # the schedule rolls as a whole: its last fixing and its first come nearer by the same time
    slope = (moved - price(contract)) / 0.5e-4
    assert value(contract).measures.theta == pytest.approx(slope, rel=1e-3)


@pytest.mark.parametrize("average", ["arithmetic", "geometric"])
def test_theta_of_an_average_under_way(average: str) -> None:
    """A day later with spot where it is: more of the average is taken, at the spot."""
    shared: dict[str, Cell] = {"style": "asian", "right": "call", "strike": 100.0, "average": average, "fixings": 0}
    market: dict[str, Cell] = {"spot": 100.0, "vol": 0.5, "rate": 0.0, "carry": 0.0}
    day, elapsed, so_far = 1e-5, 0.1, 105.0
    share = day / (elapsed + day)
    later = so_far * (1 - share) + 100.0 * share if average == "arithmetic" else so_far ** (1 - share) * 100.0**share
    now: dict[str, Cell] = {"years": 0.4, "elapsed_years": elapsed, "average_so_far": so_far}
    then: dict[str, Cell] = {"years": 0.4 - day, "elapsed_years": elapsed + day, "average_so_far": later}
    here, moved = (parse_contract(shared | market | cells) for cells in (now, then))
    assert value(here).measures.theta == pytest.approx((price(moved) - price(here)) / day, rel=1e-3)


@given(
    room_below=st.floats(0.0, 10.0),
    room_above=st.floats(0.0, 10.0).filter(lambda room: room > 0.01),
    reach=st.sampled_from([2, 3]),
)
@settings(deadline=None)
def test_nodes_keep_inside_an_open_interval(room_below: float, room_above: float, reach: int) -> None:
    nodes = nodes_around(5.0, 1.0, reach, (5.0 - room_below, 5.0 + room_above))
    others = [node for node in nodes.values if node != 5.0]
    assert len(nodes.values) == 2 * reach + 1
    assert all(5.0 - room_below < node < 5.0 + room_above for node in others)
    cubes = np.array(nodes.values) ** 3
    assert float(nodes.derivative(cubes, 3)) == pytest.approx(6.0, rel=1e-3)
    assert float(nodes.derivative(cubes, 1)) == pytest.approx(75.0, rel=1e-6)


def test_a_put_margined_like_a_future_has_all_its_greeks() -> None:
    """At a rate of nil the nodes in rate go up alone: below it, with a yield below that, the engine has no value."""
    cells: dict[str, Cell] = {"right": "put", "strike": 100.0, "spot": 95.0, "vol": 0.4, "years": 0.5, "rate": 0.0}
    for carry in (0.0, 0.05):
        found = value(parse_contract({"style": "american", "carry": carry, **cells})).measures
        assert np.isfinite(found).all()


def test_where_only_rho_has_no_value_the_rest_stands() -> None:
    cells: dict[str, Cell] = {"right": "put", "strike": 100.0, "spot": 95.0, "vol": 0.4, "years": 0.5}
    found = value(parse_contract({"style": "american", "rate": -0.05, "carry": 0.0, **cells})).measures
    assert math.isnan(found.rho)
    assert np.isfinite(found._replace(rho=0.0)).all()
