"""Learning who trades at what distance, and who knows more: against the truth that answers are drawn from."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from flatbook.decide.rfq.counterparties import Answer, Counterparties
from flatbook.decide.rfq.policy import RfqPolicy
from flatbook.decide.rfq.winning import prior_view

POLICY = RfqPolicy()
PRIOR = prior_view(POLICY.dispersion)
OTHERS = math.log(4.5)


def drawn(level: float, slope: float, count: int, seed: int) -> list[Answer]:
    rng = np.random.default_rng(seed)
    distance = rng.uniform(-0.5, 2.0, count)
    against = 1 / (1 + np.exp(-(level + OTHERS + slope * distance)))
    won = rng.uniform(size=count) > against
    return [Answer(float(d), OTHERS, bool(w)) for d, w in zip(distance, won, strict=True)]


def test_before_any_answer_everybody_is_the_prior() -> None:
    known = Counterparties(POLICY)
    assert known.view("anyone") == pytest.approx((PRIOR.level, PRIOR.slope, 0.0))
    assert known.table() == []


def test_the_online_curve_is_near_the_posterior_mode_found_at_once() -> None:
    """One counterparty alone: minimise the exact log posterior of his curve and the pool's prior together."""
    answers = drawn(-1.0, 3.0, 600, 1)
    known = Counterparties(POLICY)
    for answer in answers:
        known.answered("a", answer)
    x = np.array([[1.0, answer.distance] for answer in answers])
    won = np.array([answer.won for answer in answers])
    sd = np.array([known.model.level_sd, known.model.slope_sd])
    mean = np.array([PRIOR.level, PRIOR.slope])

    def loss(theta: np.ndarray) -> float:
        against = x @ theta + OTHERS
        return float(
            np.sum(np.logaddexp(0.0, np.where(won, against, -against))) + 0.5 * np.sum(((theta - mean) / sd) ** 2)
        )

    exact = minimize(loss, mean).x
    view = known.view("b")
    assert view.level == pytest.approx(exact[0], abs=0.25)
    assert view.slope == pytest.approx(exact[1], abs=0.25)


def test_two_who_differ_are_told_apart_and_a_stranger_is_the_pool() -> None:
    known = Counterparties(POLICY)
    keen, picky = drawn(-3.0, 2.0, 400, 2), drawn(0.0, 2.0, 400, 3)
    for one, other in zip(keen, picky, strict=True):
        known.answered("keen", one)
        known.answered("picky", other)
    levels = {name: known.view(name).level for name in ("keen", "picky", "stranger")}
    assert levels["keen"] < levels["stranger"] - 0.5 < levels["picky"] - 1.0
    assert levels["keen"] == pytest.approx(-3.0, abs=0.7)
    assert levels["picky"] == pytest.approx(0.0, abs=0.7)
    assert known.deviations("keen")[0] < known.deviations("stranger")[0]
    row = {row.name: row for row in known.table()}["keen"]
    assert (row.quotes, row.wins) == (400, sum(answer.won for answer in keen))
    assert row.win_rate == row.wins / 400


def test_a_few_answers_move_a_belief_a_little() -> None:
    known = Counterparties(POLICY)
    for _ in range(3):
        known.answered("a", Answer(1.0, OTHERS, True))
    view = known.view("a")
    assert PRIOR.level - 2.0 < view.level < PRIOR.level
    assert known.view("a").curve(4.0, 0.5, 1.0).probability(1.0) > PRIOR.curve(4.0, 0.5, 1.0).probability(1.0)


def test_a_worse_price_never_wins_more_often() -> None:
    known = Counterparties(POLICY)
    for _ in range(200):
        known.answered("odd", Answer(2.0, OTHERS, True))
        known.answered("odd", Answer(-0.5, OTHERS, False))
    assert known.view("odd").slope >= 0.1


def test_markouts_are_shrunk_to_the_pool_and_the_pool_to_nothing() -> None:
    known = Counterparties(POLICY)
    for _ in range(10):
        known.marked_out("sharp", 3600.0, 2.0)
        known.marked_out("dull", 3600.0, -0.4)
    pool = (10 * 2.0 - 10 * 0.4) / (20 + 5)
    assert known.markout("stranger", 3600.0) == pytest.approx(pool)
    assert known.markout("sharp", 3600.0) == pytest.approx((20.0 + 10 * pool) / 20)
    assert known.markout("dull", 3600.0) == pytest.approx((-4.0 + 10 * pool) / 20)
    assert known.markout("sharp", 60.0) == 0.0
    assert known.view("sharp").toxicity == known.markout("sharp", 3600.0)
    assert known.table()[0].trades == (0, 0, 10)
