"""What an option that delivers at an average is worth."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.domain.instruments import parse_name
from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND, NS_PER_YEAR, parse_utc
from flatbook.kernels.black import black
from flatbook.sim.options import Contracts, Moment, Values, value, vol_of, vols_of
from flatbook.sim.smile import Factors, TermStructure
from flatbook.sim.streams import stream
from flatbook.sim.world import Reverting, World, WorldParameters, draw_world

EXPIRY = parse_utc("2025-04-01T08:00")
VOL = 0.6
FLAT = Factors(*(np.array(number) for number in (VOL**2, VOL**2, 0.0, 1e-9)))
SURFACE = TermStructure(30.0, 0.0)
STRIKES = np.array([70_000.0, 79_000.0, 80_000.0, 81_500.0, 95_000.0])
STEADY = Reverting(0.0, 0.0, 1.0)


@pytest.fixture(scope="module")
def world() -> World:
    """A world that ends at the expiry, with an index that has moved in the window."""
    parameters = WorldParameters(start_index_usd=80_000.0, vol=1.5)
    return draw_world(parameters, 3, EXPIRY - NS_PER_HOUR, NS_PER_SECOND, 3_600)


def values(world: World, now_ns: int, index_usd: float, sign: float, carry: float = 0.0) -> Values:
    contracts = Contracts(STRIKES, np.full(STRIKES.size, sign), np.full(STRIKES.size, EXPIRY))
    return value(SURFACE, world, contracts, Moment(np.asarray(now_ns), np.array(index_usd), np.array(carry), FLAT))


def simulated(
    world: World, now_ns: int, index_usd: float, sign: float, pairs: int = 40_000
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean payoff over expected delivery and its standard error, by simulating the average in half-minutes."""
    window_ns = EXPIRY - 30 * NS_PER_MINUTE
    moments = np.arange(now_ns, EXPIRY, 30 * NS_PER_SECOND)
    normals = stream(1, "test").standard_normal((pairs, moments.size))
    step = VOL * math.sqrt(30 * NS_PER_SECOND / NS_PER_YEAR)
    past = world.index_at(np.arange(window_ns, now_ns, NS_PER_SECOND)) if now_ns > window_ns else np.zeros(0)
    payoffs, means = [], []
    for shocks in (normals, -normals):
        later = index_usd * np.exp(np.cumsum(step * shocks - 0.5 * step**2, axis=1))
        ends = np.concatenate([np.full((pairs, 1), index_usd), later], axis=1)
        coming = (0.5 * (ends[:, 1:] + ends[:, :-1]))[:, moments >= window_ns]
        average = (past.sum() + 30 * coming.sum(axis=1)) / (past.size + 30 * coming.shape[1])
        payoffs.append(np.maximum(sign * (average[:, None] - STRIKES), 0))
        means.append(average.mean())
    payoff, mean = 0.5 * (payoffs[0] + payoffs[1]), np.mean(means)
    return payoff.mean(axis=0) / mean, payoff.std(axis=0) / math.sqrt(pairs) / mean


@pytest.mark.parametrize("minutes", [50, 30, 20, 6])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_worth_is_the_mean_payoff_on_the_average(world: World, minutes: int, sign: float) -> None:
    now_ns = EXPIRY - minutes * NS_PER_MINUTE
    index_usd = float(world.index_at(np.array([now_ns]))[0])
    found = values(world, now_ns, index_usd, sign).price_coin
    payoff, error = simulated(world, now_ns, index_usd, sign)
    assert (np.abs(found - payoff) < 4 * error + 0.004 * payoff + 1e-8).all()
    assert (error < 0.03 * payoff)[payoff > 1e-4].all(), "the comparison means something"


@pytest.mark.parametrize("minutes", [3_000, 50, 20, 1])
def test_call_minus_put_is_a_forward_in_coin(world: World, minutes: int) -> None:
    now_ns = EXPIRY - minutes * NS_PER_MINUTE
    call, put = (values(world, now_ns, 80_500.0, sign, carry=0.05) for sign in (1.0, -1.0))
    assert call.price_coin - put.price_coin == pytest.approx(1 - STRIKES / call.delivery_usd, abs=1e-12)


def test_long_before_expiry_it_is_black_less_two_thirds_of_the_window(world: World) -> None:
    now_ns = EXPIRY - 48 * NS_PER_HOUR
    years = 48 / 8_760
    forward = 80_500.0 * math.exp(0.05 * years)
    found = values(world, now_ns, 80_500.0, 1.0, carry=0.05)
    plain = black(forward, STRIKES, VOL, years - 20 / 525_600, 1.0)
    assert found.price_coin == pytest.approx(np.asarray(plain.price) / forward, rel=1e-9)
    assert found.vol == pytest.approx(VOL * math.sqrt(1 - 20 / (48 * 60)), rel=1e-6)


def test_value_is_continuous_as_the_window_opens(world: World) -> None:
    opening = EXPIRY - 30 * NS_PER_MINUTE
    before, after = (values(world, now_ns, 80_500.0, 1.0).price_coin for now_ns in (opening - 1_000, opening + 1_000))
    assert before == pytest.approx(after, rel=1e-5)


@pytest.mark.parametrize("minutes", [3_000, 50, 20])
def test_vega_is_the_slope_in_vol(world: World, minutes: int) -> None:
    now_ns, bump = EXPIRY - minutes * NS_PER_MINUTE, 1e-4
    contracts = Contracts(STRIKES, np.ones(STRIKES.size), np.full(STRIKES.size, EXPIRY))
    found = []
    for vol in (VOL - bump, VOL, VOL + bump):
        factors = Factors(np.array(vol**2), np.array(vol**2), *FLAT[2:])
        found.append(
            value(SURFACE, world, contracts, Moment(np.asarray(now_ns), np.array(80_500.0), np.array(0.0), factors))
        )
    shrink = found[1].vol / VOL
    slope = (found[2].price_coin - found[0].price_coin) / (2 * bump)
    assert found[1].vega_coin * shrink == pytest.approx(slope, rel=1e-4, abs=1e-9)


def test_vols_of_prices_give_the_prices_back(world: World) -> None:
    now_ns = EXPIRY - 48 * NS_PER_HOUR
    contracts = Contracts(STRIKES, np.ones(STRIKES.size), np.full(STRIKES.size, EXPIRY))
    found = values(world, now_ns, 80_500.0, 1.0)
    assert vols_of(found.price_coin, contracts, found) == pytest.approx(found.vol, rel=1e-9)
    name = parse_name("BTC-1APR25-80000-C")
    assert vol_of(float(found.price_coin[2]), 80_500.0, name, now_ns) == pytest.approx(found.vol[2], rel=1e-9)
    assert math.isnan(vol_of(1.5, 80_500.0, name, now_ns)), "no vol makes a call worth more than the coin"
