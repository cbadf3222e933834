import math
from dataclasses import replace

import numpy as np
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.market.beliefs import Beliefs
from flatbook.market.snapshot import Markets
from flatbook.valuation.portfolio import Balance, Portfolio
from flatbook.valuation.revaluation import gains_usd
from flatbook.valuation.reverse_stress import AXES, DayMoves, reverse_stress
from tests.market.snapshots import snapshot

from .books import EVERY_STYLE, listed, markets, over_the_counter

MARKETS = markets()
PRIOR = Beliefs.prior(MARKETS.of("BTC").expiry_ns, np.full(4, 0.01))
MOVES = {name: DayMoves.of(market, PRIOR.covariance, PRIOR.tenor_days) for name, market in MARKETS.snapshots.items()}
SHORT_STRADDLE = Portfolio([listed("BTC-30JAN26-80000-C", -10.0), listed("BTC-30JAN26-80000-P", -10.0)])


def test_a_days_moves_are_those_of_the_covariance() -> None:
    deviations = MOVES["BTC"].deviations
    assert deviations[0] == pytest.approx(math.sqrt(PRIOR.covariance[0, 0] / 365))
    np.testing.assert_allclose(MOVES["BTC"].root.T @ MOVES["BTC"].root, MOVES["BTC"].covariance, rtol=1e-12)
    assert len(deviations) == len(AXES)


def test_a_linear_book_breaks_where_the_formula_says() -> None:
    """A balance of one coin loses 8,000 of 80,000 dollars at ln 0.9; nothing else moves it, and Σ takes it nearer by
    nothing, for what is free to move goes along."""
    book = Portfolio([listed("BTC-PERPETUAL", 80_000.0)], [Balance("USDC", 5.0)])
    down, up, vol_down, vol_up, together = reverse_stress(book, MARKETS, MOVES, 8_000.0)
    expected = -math.log(0.9) / MOVES["BTC"].deviations[0]
    assert down is not None
    assert together is not None
    assert down.deviations == pytest.approx(expected, rel=1e-6)
    assert down.pnl_usd == pytest.approx(-8_000.0, rel=1e-6)
    assert down.shocks["BTC"].spot == pytest.approx(-0.1, rel=1e-6)
    assert up is vol_down is vol_up is None
    assert together.deviations == pytest.approx(expected, rel=2e-3)
    coins = Portfolio([], [Balance("BTC", 1.0)])
    (same, *_) = reverse_stress(coins, MARKETS, {"BTC": MOVES["BTC"]}, 8_000.0)
    assert same is not None
    assert same.deviations == pytest.approx(expected, rel=1e-6)


def test_together_is_nearer_than_any_axis_and_loses_what_was_asked() -> None:
    *axes, together = reverse_stress(SHORT_STRADDLE, MARKETS, MOVES, 40_000.0)
    assert together is not None
    for found in (*axes, together):
        if found is not None:
            assert found.pnl_usd == pytest.approx(-40_000.0, rel=1e-5)
            assert float(gains_usd(SHORT_STRADDLE, MARKETS, [found.shocks]).sum()) == pytest.approx(found.pnl_usd)
    inverse = np.linalg.inv(MOVES["BTC"].covariance)
    for found in axes:
        if found is not None:
            shock = found.shocks["BTC"]
            alone = np.array([math.log1p(shock.spot), math.log1p(shock.vol), 0.0, 0.0])
            assert together.deviations < math.sqrt(alone @ inverse @ alone)
    # By brute force over the sphere, for what refinement may have missed.
    rng = np.random.default_rng(1)
    units = rng.normal(size=(4_000, 4))
    units /= np.linalg.norm(units, axis=1)[:, None]
    moved = 0.98 * together.deviations * units @ MOVES["BTC"].root
    happenings = [
        replace(together.shocks["BTC"], spot=math.expm1(s), vol=math.expm1(v), skew=k, convexity=c)
        for s, v, k, c in moved.tolist()
    ]
    assert gains_usd(SHORT_STRADDLE, MARKETS, happenings).sum(axis=1).min() > -40_000.0


def test_a_break_on_the_way_is_found_though_the_book_recovers_beyond() -> None:
    """A short put spread's loss ends; a long wing below it wins all back: only the middle breaks."""
    book = Portfolio(
        [
            listed("BTC-30JAN26-70000-P", -10.0),
            listed("BTC-30JAN26-60000-P", 10.0),
            listed("BTC-30JAN26-50000-P", 15.0),
        ]
    )
    down, *_ = reverse_stress(book, MARKETS, MOVES, 20_000.0)
    assert down is not None
    far = replace(down.shocks["BTC"], spot=-0.8)
    assert float(gains_usd(book, MARKETS, [far]).sum()) > 0.0
    nearer = [replace(far, spot=share * down.shocks["BTC"].spot) for share in np.linspace(0.05, 0.99, 50)]
    assert gains_usd(book, MARKETS, nearer).sum(axis=1).min() > -20_000.0


def test_a_book_that_never_breaks_has_no_answer_and_no_loss_is_no_question() -> None:
    long = Portfolio([listed("BTC-30JAN26-80000-C", 1.0)])
    assert reverse_stress(long, MARKETS, MOVES, 1e6) == (None,) * 5
    with pytest.raises(BadInputError, match="no loss to look for"):
        reverse_stress(long, MARKETS, MOVES, 0.0)
    bare = replace(snapshot(), slices=np.full((4, 5), np.nan))
    with pytest.raises(BadInputError, match="no smile says"):
        DayMoves.of(Markets({"BTC": bare}).of("BTC"), PRIOR.covariance, PRIOR.tenor_days)


def test_what_is_valued_one_by_one_is_walked_along_the_axes_alone() -> None:
    """Contracts over the counter, and options between the listed expiries: all directions would be 80,000 markets."""
    cash_call, unlisted = over_the_counter(EVERY_STYLE["cash call"], 10.0), listed("BTC-20FEB26-80000-C", 10.0)
    for position in (cash_call, unlisted):
        found = reverse_stress(Portfolio([position]), MARKETS, MOVES, 2_000.0)
        assert len(found) == 4
        assert found[0] is not None
        assert found[0].pnl_usd == pytest.approx(-2_000.0, rel=0.02)


def test_dollars_alone_break_at_no_move() -> None:
    assert reverse_stress(Portfolio([], [Balance("USDC", 100.0)]), Markets({}), {}, 100.0) == ()
