"""The gain of a standing book between two markets, split and closed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.kernels.explain import explain_step_plain
from flatbook.market.shock import Shock
from flatbook.market.snapshot import Markets, MarketSnapshot
from flatbook.valuation.portfolio import Balance, Portfolio
from flatbook.valuation.standing_explain import STANDING_PARTS, Explanation, explain_standing
from tests.market.snapshots import snapshot

from .books import EVERY_STYLE, listed, markets, over_the_counter
from .test_portfolio import BOOK, FLAT_MARKETS, LISTED

Floats = NDArray[np.float64]

AT = {name: place for place, name in enumerate(STANDING_PARTS)}
BEFORE = markets(snapshot(linear_usd={"BTC-PERPETUAL": 80_010.0}))


def moved(
    spot: float = 0.01, vol: float = 0.02, days: float = 0.25, basis: float = 0.001, dollar: float = 1.0,
    start: Markets = BEFORE,
) -> Markets:  # fmt: skip
    """Spot, vols, time, carry and the dollar's coin all move at once; ETH by half. Strikes keep their vols."""
    shifted = start.shocked({"BTC": Shock(spot, vol, days), "ETH": Shock(spot / 2, vol / 2, days)})

    def dearer(market: MarketSnapshot) -> MarketSnapshot:
        linear = {name: price * (1 + basis) for name, price in market.linear_usd.items()}
        slices = market.slices - np.log1p(basis) * np.array([0.0, 0.0, 0.0, 1.0, 0.0])
        return replace(market, forward_usd=market.forward_usd * (1 + basis), slices=slices, linear_usd=linear)

    ahead = {name: dearer(market) for name, market in shifted.snapshots.items()}
    return replace(shifted, snapshots=ahead, dollars={**shifted.dollars, "USDC": dollar})


def closes(found: Explanation, book: Portfolio, before: Markets, after: Markets) -> None:
    entered = book.entered(before)
    gained = entered.worth_usd(after) - entered.worth_usd(before)
    np.testing.assert_allclose(found.usd.sum(axis=1), gained, rtol=1e-9, atol=1e-6)
    value = entered.mark(after).value - entered.mark(before).value
    np.testing.assert_allclose(found.settle.sum(axis=1), value, rtol=1e-9, atol=1e-9)
    total = gained.sum() + book.balances_usd(after) - book.balances_usd(before)
    assert sum(found.by_part().values()) == pytest.approx(total, rel=1e-9)


def test_the_parts_sum_to_the_revaluation_whatever_happens() -> None:
    some = Portfolio([*BOOK.positions[:9], *BOOK.positions[9::5]], BOOK.balances)
    for after in (moved(spot=-0.3, vol=0.8, days=10.0), moved(days=25.0), moved(dollar=0.97)):
        closes(explain_standing(some, BEFORE, after), some, BEFORE, after)


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.tuples(st.sampled_from(LISTED), st.floats(-100.0, 100.0)), min_size=1, max_size=8),
    st.floats(-0.5, 0.5), st.floats(-0.5, 1.0), st.floats(0.0, 40.0), st.floats(0.9, 1.1),
)  # fmt: skip
def test_any_listed_book_closes(
    rows: list[tuple[tuple[str, float], float]], spot: float, vol: float, days: float, dollar: float
) -> None:
    book = Portfolio([listed(name, size) for (name, _), size in rows], [Balance("BTC", 1.0), Balance("USDC", 10.0)])
    after = moved(spot, vol, days, dollar=dollar)
    closes(explain_standing(book, BEFORE, after), book, BEFORE, after)


def test_little_is_left_of_a_little_move() -> None:
    """On a smile that keeps its shape, what no part holds is of second order: half the move, a quarter of it.

    Those are the crosses of time, basis and a second asset with the rest.
    """

    def left(size: float) -> tuple[Floats, Floats]:
        after = moved(0.01 * size, 0.02 * size, 0.1 * size, 0.0005 * size, start=FLAT_MARKETS)
        found = explain_standing(BOOK, FLAT_MARKETS, after)
        return np.abs(found.usd[:, AT["unexplained"]]), np.abs(found.usd).sum(axis=1)

    (whole, gross), (half, _) = left(1.0), left(0.5)
    assert (whole <= 0.05 * gross + 1.0).all()
    assert (half <= 0.35 * whole + 1e-4 * gross).all()


def test_one_cause_at_a_time_goes_under_its_name() -> None:
    call, deal = listed("BTC-30JAN26-80000-C", 10.0), over_the_counter(EVERY_STYLE["down and out call"], 2.0)
    book = Portfolio([call, deal, listed("BTC_USDC-30JAN26-90000-P", 3.0)])
    still = {"spot": 0.0, "vol": 0.0, "days": 0.0, "basis": 0.0}
    causes = {"spot": "delta", "vol": "vega", "days": "theta", "basis": "basis"}
    for cause, part in causes.items():
        move = {**still, cause: 1e-4}
        found = explain_standing(book, BEFORE, moved(move["spot"], move["vol"], move["days"], move["basis"]))
        for table in (found.usd, found.settle):
            others = np.abs(np.delete(table, AT[part], axis=1)).max(axis=1)
            # The barrier sees the smile's shape move, too.
            assert (others < [2e-2, 0.1, 2e-2] * np.abs(table[:, AT[part]])).all(), cause


def test_inverse_options_are_split_as_the_engine_splits_them() -> None:
    """The kernel of the run's P&L, over the same step, part by part."""
    names = ["BTC-30JAN26-80000-C", "BTC-9JAN26-75000-P", "BTC-27MAR26-100000-C"]
    sizes = np.array([10.0, -4.0, 2.5])
    book = Portfolio([listed(name, size) for name, size in zip(names, sizes, strict=True)])
    after = moved()
    first, last = book.mark(BEFORE), book.mark(after)
    index = np.array([BEFORE.of("BTC").index_usd, after.of("BTC").index_usd])
    forward, forward_next = (index[n] * np.exp(marks.log_basis) for n, marks in enumerate((first, last)))
    scale = sizes * index[0] / forward
    greeks = np.zeros((11, 3))
    greeks[0], greeks[1] = first.price * forward, first.delta_coin / sizes
    greeks[2] = first.gamma_1pct_usd * 100 / (scale * forward**2)
    greeks[3], greeks[4] = first.vega_usd * 100 / scale, first.theta_usd * 365 / scale
    greeks[5], greeks[6] = first.vanna_usd * 100 / (scale * forward), first.volga_usd * 10_000 / scale
    usd, none, cells = np.zeros((2, 9)), np.zeros(3), np.zeros(2)
    worth = np.array([sizes @ first.price, 0.0])
    usd[0, 8] = worth[0] * index[0]
    explain_step_plain(
        index, sizes, none, none, np.full(3, -1), forward, first.vol, first.years, greeks, forward_next, last.vol,
        last.years, last.price * forward_next, cells, cells, cells, worth, usd, np.zeros((2, 9)),
    )  # fmt: skip
    parts = usd[0] - np.array([0.0] * 8 + [sizes @ first.price * index[0]])
    found = explain_standing(book, BEFORE, after).by_part()
    for name, value in zip(("delta", "gamma", "theta", "vega", "vanna", "volga", "basis"), parts, strict=False):
        assert found[name] == pytest.approx(value, rel=1e-9), name
    assert found["unexplained"] == pytest.approx(parts[8], rel=1e-6, abs=1e-6)


def test_in_coin_a_hedged_inverse_option_does_not_move_with_spot() -> None:
    """The net delta hedges coin: the perpetual's part cancels the option's to first order."""
    call = listed("BTC-30JAN26-80000-C", 10.0)
    net = float(Portfolio([call]).mark(BEFORE).net_delta_coin[0])
    mark = BEFORE.of("BTC").linear_usd["BTC-PERPETUAL"]
    book = Portfolio([call, listed("BTC-PERPETUAL", -net * mark)])
    found = explain_standing(book, BEFORE, moved(spot=1e-3, vol=0.0, days=0.0, basis=0.0))
    delta = found.settle[:, AT["delta"]]
    assert delta.sum() == pytest.approx(0.0, abs=1e-9 * np.abs(delta).max())
    assert delta[0] == pytest.approx(net * 1e-3)


def test_a_dollar_that_slips_is_a_part_of_its_own() -> None:
    book = Portfolio([listed("BTC_USDC-30JAN26-80000-C", 2.0)], [Balance("USDC", 1_000.0)])
    after = replace(BEFORE, dollars={**BEFORE.dollars, "USDC": 0.99})
    found = explain_standing(book, BEFORE, after)
    assert found.usd[0, AT["currency"]] == pytest.approx(-0.01 * book.mark(after).value[0])
    assert found.by_part()["currency"] == pytest.approx(found.usd[0, AT["currency"]] - 10.0)
