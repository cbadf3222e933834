"""What takers know: found again where it is known, widening where it hurts, gone when it is."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.domain.errors import ConfigurationError
from flatbook.domain.units import NS_PER_SECOND
from flatbook.market.flow.buckets import FlowBuckets
from flatbook.market.flow.markouts import ChainColumns, MarkoutModel, Markouts, Trade
from flatbook.market.flow.toxicity import AdverseSelection, LossStatus, ToxicityModel, adverse_selection

Floats = NDArray[np.float64]

BUCKETS = FlowBuckets(tenor_edges_days=(7.0,), otm_edges=())
START_NS = 1_743_000_000 * NS_PER_SECOND
STEP_S = 30
STEP_NS = STEP_S * NS_PER_SECOND
UNIT = 2e-4
LASTING = MarkoutModel(horizons_s=(60.0,), half_life_hours=1e9)
MODEL = ToxicityModel()


def chain(fair: Floats) -> ChainColumns:
    n = len(fair)
    return ChainColumns(fair, np.full(n, 0.5), np.full(n, 0.01), np.zeros(n))


class Drawn:
    """Four options, one a bucket, whose values walk; takers of whom a share knows the value a minute on.

    A taker who knows buys what will rise: the maker loses the mean size of a minute's move from each of them, so that
    the mean loss is the share times `move`, in units.
    """

    def __init__(self, seed: int, model: MarkoutModel = LASTING, vol_units: float = 0.7) -> None:
        self.rng = np.random.default_rng(seed)
        self.markouts = Markouts(BUCKETS, model)
        self.now_ns = START_NS
        self.move = vol_units * math.sqrt(2) * math.sqrt(2 / math.pi)
        self._vol = vol_units * UNIT
        self._path = 0.05 + self._vol * np.cumsum(self.rng.normal(size=(3, 4)), axis=0)

    def go(self, steps: int, informed: Floats, rate: float = 0.5) -> "Drawn":
        """Steps of half a minute, in each of which a taker comes to each option with a chance `rate`."""
        for _ in range(steps):
            self.now_ns += STEP_NS
            fair, later = self._path[0], self._path[2]
            self.markouts.mature(chain(fair), self.now_ns)
            for row in np.flatnonzero(self.rng.random(4) < rate).tolist():
                taker = 1 if self.rng.random() < 0.5 else -1
                if self.rng.random() < informed[row]:
                    taker = 1 if later[row] > fair[row] else -1
                trade = Trade(row, row, -taker, float(fair[row]) + taker * UNIT, 1.0, UNIT)
                self.markouts.observe(trade, chain(fair), self.now_ns)
            step = self._path[2] + self._vol * self.rng.normal(size=4)
            self._path = np.vstack([self._path[1:], step])
        return self

    def posterior(self, model: ToxicityModel = MODEL) -> AdverseSelection:
        return adverse_selection(self.markouts, model, self.now_ns)


INFORMED = np.array([0.05, 0.2, 0.4, 0.6])


@pytest.fixture(scope="module")
def days() -> list[Drawn]:
    """Days of 1,440 half minutes, whose takers know as `INFORMED` says."""
    return [Drawn(seed).go(1_440, INFORMED) for seed in range(12)]


def test_the_informed_share_is_found_again_and_the_errors_cover(days: list[Drawn]) -> None:
    truth = INFORMED[:, None] * days[0].move
    scores = [(found.loss - truth) / found.sd for found in (drawn.posterior() for drawn in days)]
    assert (np.abs(scores) < 1.96).mean() == pytest.approx(0.95, abs=0.06)
    losses = np.mean([drawn.posterior().loss for drawn in days], axis=0)
    np.testing.assert_allclose(losses, np.broadcast_to(truth, (4, 2)), atol=0.05)


def test_the_charge_rises_with_what_takers_know(days: list[Drawn]) -> None:
    charge = np.mean([drawn.posterior().charge for drawn in days], axis=0)
    assert (np.diff(charge, axis=0) > 0).all()
    assert (np.mean([drawn.posterior().status for drawn in days], axis=0) == LossStatus.FITTED).all()


def test_it_widens_where_flow_hurts_and_decays_when_it_stops() -> None:
    fading = MarkoutModel(horizons_s=(60.0,), half_life_hours=4.0)
    none, hurt = np.zeros(4), np.array([0.0, 0.0, 0.0, 0.9])
    drawn = Drawn(1, fading).go(960, none)
    calm = drawn.posterior().charge
    hurting = drawn.go(480, hurt).posterior().charge
    healed = drawn.go(2_880, none).posterior().charge
    assert (hurting[3] > calm[3] + 0.2).all()
    assert (hurting[3] > hurting[0] + 0.1).all()
    assert (healed[3] < calm[3] + 0.35 * (hurting[3] - calm[3])).all()


def test_without_news_a_bucket_yields_to_the_belief() -> None:
    fading = MarkoutModel(horizons_s=(60.0,), half_life_hours=4.0)
    drawn = Drawn(2, fading).go(960, np.full(4, 0.9))
    now = drawn.posterior()
    much_later = adverse_selection(drawn.markouts, MODEL, drawn.now_ns + 30 * 24 * 3600 * NS_PER_SECOND)
    assert (now.loss > 0.4).all()
    np.testing.assert_allclose(much_later.loss, MODEL.belief_loss, atol=1e-3)
    assert (much_later.sd > now.sd).all()
    assert (much_later.age_s > 2e6).all()


def test_nothing_seen_is_the_belief_and_says_so() -> None:
    found = adverse_selection(Markouts(BUCKETS, LASTING), MODEL, START_NS)
    np.testing.assert_allclose(found.loss, MODEL.belief_loss)
    np.testing.assert_allclose(found.charge, found.loss + MODEL.deviations * found.sd)
    np.testing.assert_allclose(found.own_weight, 0.0)
    assert (found.status == LossStatus.UNSEEN).all()
    assert np.isnan(found.age_s).all()


def test_few_blocks_lean_on_the_pool_and_say_so() -> None:
    found = Drawn(3).go(24, INFORMED).posterior()
    assert (found.status[found.count > 0] == LossStatus.TOO_FEW).all()
    assert (found.own_weight < 0.3).all()


def test_our_fills_start_from_the_tape_and_leave_it() -> None:
    tape = Drawn(4).go(1_440, np.full(4, 0.1)).posterior()
    unseen = adverse_selection(Markouts(BUCKETS, LASTING), MODEL, START_NS, tape)
    np.testing.assert_allclose(unseen.loss, tape.loss)
    assert (unseen.sd >= tape.sd).all()
    picked = Drawn(5).go(1_440, np.full(4, 0.7))
    found = adverse_selection(picked.markouts, MODEL, picked.now_ns, tape)
    assert (found.loss > tape.loss + 0.2).all()


@settings(max_examples=25)
@given(st.floats(-2, 2), st.floats(0.05, 1.0), st.floats(0, 3), st.floats(0.1, 2))
def test_a_charge_is_never_below_zero_nor_above_its_cap(loss: float, sd: float, deviations: float, cap: float) -> None:
    model = ToxicityModel(belief_loss=loss, belief_sd=sd, deviations=deviations, cap=cap)
    found = adverse_selection(Markouts(BUCKETS, LASTING), model, START_NS)
    assert ((found.charge >= 0) & (found.charge <= cap)).all()
    np.testing.assert_allclose(found.charge, np.clip(found.loss + deviations * found.sd, 0, cap))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1_000), st.floats(0.0, 0.4), st.floats(0.1, 0.5))
def test_more_knowledge_is_never_charged_less(seed: int, share: float, more: float) -> None:
    """The same takers at the same values, more of whom know."""
    little = Drawn(seed).go(400, np.full(4, share)).posterior()
    much = Drawn(seed).go(400, np.full(4, share + more)).posterior()
    assert much.charge.mean() > little.charge.mean()


def test_a_charge_in_coin_is_by_side_and_unit() -> None:
    shape = (2, 2)
    nothing = np.zeros(shape)
    found = AdverseSelection(
        START_NS, nothing, nothing, np.array([[1.0, 2.0], [3.0, 4.0]]), nothing, nothing, nothing,
        np.zeros(shape, np.int8),
    )  # fmt: skip
    unit = np.array([2e-4, 3e-4, 1e-4])
    np.testing.assert_allclose(found.charge_coin(np.array([0, 1, -1]), unit, 0), [2e-4, 9e-4, 0.0])
    np.testing.assert_allclose(found.charge_coin(np.array([0, 1, -1]), unit, 1), [4e-4, 12e-4, 0.0])


def test_a_horizon_that_nobody_follows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="horizon"):
        adverse_selection(Markouts(BUCKETS, LASTING), ToxicityModel(horizon_s=5.0), START_NS)


@pytest.mark.parametrize("wrong", [{"belief_sd": 0.0}, {"cap": -1.0}, {"deviations": -0.5}])
def test_a_model_that_means_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        ToxicityModel(**wrong)
