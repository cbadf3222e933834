from dataclasses import replace

import numpy as np
import pytest

from flatbook.sim.hedging.book import SHORT_STRANGLE, OptionBook, along, greeks
from flatbook.sim.hedging.paths import GEOMETRIC, STEP_YEARS, STOCHASTIC_VOL, Paths, simulated

PATHS = simulated(STOCHASTIC_VOL, range(3), 24)


def at(paths: Paths, **factors: float) -> Paths:
    """The same paths, factors moved by so much."""
    moved = {name: getattr(paths.factors, name) + by for name, by in factors.items()}
    return replace(paths, factors=paths.factors._replace(**moved))


def test_strikes_are_around_each_paths_own_start() -> None:
    book = along(PATHS, SHORT_STRANGLE)
    width = book.atm_vol[:, 0] * np.sqrt(7 / 365)
    moneyness = np.log(book.strike_usd / PATHS.index_usd[:, :1])
    assert moneyness == pytest.approx(np.stack([-0.5 * width, 0.5 * width], axis=1))
    assert book.years[0, -1] == pytest.approx(6 / 365)
    assert np.all(book.dollar_gamma_usd < 0.0)
    assert np.all(book.vega_usd < 0.0)


def test_greeks_are_slopes_of_the_value() -> None:
    index, strike = np.full((1, 1), 80_000.0), np.full((1, 1), 85_000.0)
    vol, years = np.full((1, 1), 0.6), np.full((1, 1), 0.05)
    value, delta, gamma, vega = greeks(index, strike, vol, years, 1.0)[:, 0, 0]
    up, down = (greeks(index + step, strike, vol, years, 1.0)[0, 0, 0] for step in (10.0, -10.0))
    assert delta == pytest.approx((up - down) / 20, rel=1e-6)
    assert gamma == pytest.approx((up - 2 * value + down) / 100, rel=1e-4)
    firmer, softer = (greeks(index, strike, vol + step, years, 1.0)[0, 0, 0] for step in (1e-4, -1e-4))
    assert vega == pytest.approx((firmer - softer) / 2e-4, rel=1e-6)


def test_a_book_is_the_sum_of_its_options() -> None:
    whole = along(PATHS, SHORT_STRANGLE)
    legs = [
        along(PATHS, OptionBook(7.0, (deviation,), (sign,), (size,)))
        for deviation, sign, size in zip(
            SHORT_STRANGLE.deviations, SHORT_STRANGLE.signs, SHORT_STRANGLE.sizes, strict=True
        )
    ]
    for column in ("value_usd", "delta_usd", "dollar_gamma_usd", "vega_usd"):
        assert getattr(whole, column) == pytest.approx(sum(getattr(leg, column) for leg in legs))


def test_a_step_is_explained_by_its_greeks() -> None:
    """In Black's world: delta, gamma and the theta that pays for it; what is left is of third order."""
    paths = simulated(GEOMETRIC, range(4), 24)
    book = along(paths, SHORT_STRANGLE)
    moves = np.diff(paths.index_usd) / paths.index_usd[:, :-1]
    curve = 0.5 * book.dollar_gamma_usd[:, :-1] * (moves**2 - GEOMETRIC.vol**2 * STEP_YEARS)
    explained = book.delta_usd[:, :-1] * moves + curve
    left = np.diff(book.value_usd) - explained
    assert np.abs(left).max() < 0.02 * np.abs(np.diff(book.value_usd)).max()
    assert np.abs(left).sum() < 0.05 * np.abs(curve).sum()


def test_vols_come_from_the_paths_own_smile() -> None:
    book = along(PATHS, SHORT_STRANGLE)
    dearer = along(at(PATHS, variance=0.05), SHORT_STRANGLE)
    assert np.all(dearer.atm_vol > book.atm_vol)
    tilted = along(at(PATHS, skew=-0.2), SHORT_STRANGLE)
    # vols of the put leg, the first, rise against the call's
    assert np.all(tilted.vol[0, :, 0] - tilted.vol[1, :, 0] > book.vol[0, :, 0] - book.vol[1, :, 0])
