"""On a whole chain whose Σ and flow are known, the factor-skew quoter beats every published model at any aversion."""

import numpy as np
import pytest
from bench.chain_utility import MULTIPLES, Outcome, Shortfall, known_chain, shortfalls

from flatbook.decide.policy import BASELINES


def earned_at(risk: float, swept: list[Shortfall]) -> float | None:
    """What a model earns at that risk, between its aversions; None where none of them takes as little, or as much."""
    points = sorted((float(short.outcome.risk.mean()), float(short.outcome.earned.mean())) for short in swept)
    risks, earned = zip(*points, strict=True)
    return float(np.interp(risk, risks, earned)) if risks[0] <= risk <= risks[-1] else None


@pytest.mark.parametrize("is_hedged", [True, False])
def test_every_published_model_falls_short_at_95_percent_and_at_the_same_risk(is_hedged: bool) -> None:
    ours, found = shortfalls(known_chain(is_hedged=is_hedged), days=1.0, steps=100, paths=50, seed=0)
    assert ours.utility.mean() > 0
    assert len(found) == len(BASELINES) * len(MULTIPLES)
    assert not [(short.name, short.aversion_per_usd, short.low) for short in found if short.low <= 0.0]
    risk, compared = float(ours.risk.mean()), 0
    for name in BASELINES:
        earned = earned_at(risk, [short for short in found if short.name == name])
        compared += earned is not None
        assert earned is None or earned < ours.earned.mean()
    assert compared >= 3


def test_utility_is_what_was_earned_less_the_risk() -> None:
    outcome = Outcome(np.array([3.0, 5.0]), np.array([1.0, 0.5]))
    np.testing.assert_array_equal(outcome.utility, [2.0, 4.5])
