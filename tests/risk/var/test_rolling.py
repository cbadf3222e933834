from dataclasses import replace

import numpy as np
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_HOUR
from flatbook.kernels.chain import SPOT
from flatbook.market.shock import Shock
from flatbook.market.snapshot import Markets
from flatbook.risk.var.book_rows import risk_book
from flatbook.risk.var.history import FactorHistory, levels_of
from flatbook.risk.var.revaluation import option_worth_usd
from flatbook.risk.var.rolling import FEWEST_READINGS, Forecaster, Recording, judge, realised_usd, roll, struck_anew
from flatbook.risk.var.sources import FactorScenarios, VolFilter, filtered, historical
from flatbook.valuation.portfolio import Portfolio
from tests.market.snapshots import snapshot
from tests.valuation.books import listed

from .builders import TENOR_YEARS, prices_alone, prior, wandering

NOW = Markets({"BTC": snapshot()})
BOOK = risk_book(
    Portfolio(
        [
            listed("BTC-30JAN26-80000-C", -10.0),
            listed("BTC-30JAN26-80000-P", -10.0),
            listed("BTC-PERPETUAL", -40_000.0, 70_000.0),
            listed("BTC-27MAR26", 5_000.0),
            listed("BTC_USDC-PERPETUAL", 0.3),
        ]
    ),
    NOW,
)
SIGMA = prior()


def forecasters(seed: int = 1) -> dict[str, Forecaster]:
    rng = np.random.default_rng(seed)
    return {
        "historical": lambda known: historical(known, SIGMA, 6.0, rng),
        "filtered": lambda known: filtered(known, SIGMA, 6.0, 300, VolFilter(), rng),
    }


def by_history_alone() -> dict[str, Forecaster]:
    return {"historical": forecasters()["historical"]}


def walk(steps: int, seed: int) -> FactorHistory:
    history = prices_alone(wandering(steps, SIGMA, np.random.default_rng(seed)))
    levels = history.levels.copy()
    levels[:, 0, SPOT] += np.log(80_000.0) - levels[-1, 0, SPOT]
    return replace(history, levels=levels)


def test_forecasts_of_a_random_walk_hold() -> None:
    made = roll(BOOK, NOW, Recording(walk(400, 2), {}), 6.0, TENOR_YEARS, forecasters())
    for forecasts in made.values():
        assert forecasts.loss.size == 400 - FEWEST_READINGS
        held = judge(forecasts, 0.95, np.random.default_rng(1))
        assert held.conditional.p_value > 0.02
        assert held.shortfall_test.p_value > 0.02
        assert held.light.zone == "green"


def test_forecasts_that_are_too_small_are_found_out() -> None:
    def timid(known: FactorHistory) -> FactorScenarios:
        drawn = historical(known, SIGMA, 6.0, np.random.default_rng(1))
        return replace(drawn, moves=0.6 * drawn.moves)

    made = roll(BOOK, NOW, Recording(walk(240, 3), {}), 6.0, TENOR_YEARS, {"timid": timid})
    held = judge(made["timid"], 0.95, np.random.default_rng(1))
    assert held.coverage.p_value < 0.01
    assert held.shortfall_test.p_value < 0.01
    assert held.light.zone != "green"


def test_a_forecast_knows_nothing_of_what_comes_after_it() -> None:
    history = walk(110, 4)
    levels = history.levels.copy()
    levels[100:] += 0.5
    other = replace(history, levels=levels)
    one, two = (
        roll(BOOK, NOW, Recording(each, {}), 6.0, TENOR_YEARS, by_history_alone())["historical"]
        for each in (history, other)
    )
    same = one.made_ns < history.times_ns[100]
    assert same.sum() == 100 - FEWEST_READINGS
    for at in np.flatnonzero(same).tolist():
        assert np.array_equal(one.scenarios[at], two.scenarios[at])
    assert not np.array_equal(one.scenarios[-1], two.scenarios[-1])


def test_a_book_struck_anew_in_its_own_market_is_itself() -> None:
    then = struck_anew(BOOK, NOW, NOW)
    assert then.options[0].strike == pytest.approx(BOOK.options[0].strike)
    assert then.options[0].expiry_ns.tolist() == BOOK.options[0].expiry_ns.tolist()
    assert not realised_usd(then, NOW, NOW, walk(2, 1), (1, 1), TENOR_YEARS).any()


def test_a_book_struck_anew_keeps_its_worth_in_deviations_and_dollars() -> None:
    after = Markets({"BTC": snapshot(index_usd=40_000.0)})
    then = struck_anew(BOOK, NOW, after)
    still = np.zeros((1, 13))
    before, now = (
        option_worth_usd(book.options[0], markets.of("BTC"), still, 0.0, TENOR_YEARS)
        for book, markets in ((BOOK, NOW), (then, after))
    )
    assert now == pytest.approx(before)
    assert [row.size for row in then.linear] == pytest.approx([-40_000.0, 5_000.0, 0.6])


def test_what_came_is_told_by_the_recorded_market() -> None:
    first = snapshot()
    moved = first.shocked(Shock(spot=0.03, vol=0.2, days=0.25))
    levels = np.stack([levels_of(one, TENOR_YEARS) for one in (first, moved)])[:, None]
    factors = FactorHistory(("BTC",), np.array([first.ts_ns, moved.ts_ns]), levels)
    portfolio = Portfolio([listed("BTC-30JAN26-80000-C", -10.0), listed("BTC-PERPETUAL", -40_000.0)])
    found = realised_usd(risk_book(portfolio, NOW), NOW, Markets({"BTC": moved}), factors, (0, 1), TENOR_YEARS)
    entered = portfolio.entered(NOW)
    gain = entered.worth_usd(Markets({"BTC": moved})) - entered.worth_usd(NOW)
    assert found == pytest.approx(gain, rel=1e-9)


def test_a_gap_in_the_history_is_not_forecast_over() -> None:
    history = walk(140, 5)
    times = history.times_ns.copy()
    times[:100] -= 1_000 * NS_PER_HOUR
    made = roll(BOOK, NOW, Recording(replace(history, times_ns=times), {}), 6.0, TENOR_YEARS, by_history_alone())
    assert int(times[98]) in made["historical"].made_ns.tolist()
    assert int(times[99]) not in made["historical"].made_ns.tolist()


def test_too_short_a_history_is_said() -> None:
    with pytest.raises(BadInputError, match="leaves 0 windows of 6 hours"):
        roll(BOOK, NOW, Recording(walk(50, 6), {}), 6.0, TENOR_YEARS, forecasters())
