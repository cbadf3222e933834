"""A venue through a crash: the same path behind every engine."""

import math
from dataclasses import replace

import numpy as np
import pytest

from flatbook.risk.liquidation.insolvency import Crash, Outcome, Study, curve_of, endured
from flatbook.risk.liquidation.population import KINDS, Population
from flatbook.venues.margin import editions

STUDY = Study(
    editions("deribit_sm")[-1].model,
    late_s=(0.0, 600.0),
    misvalued=(0.0, 0.3),
    population=Population(accounts=80, option_share=0.0),
    crash=Crash(hours=0.5, step_s=30.0),
)

WITH_OPTIONS = replace(
    STUDY,
    model=editions("deribit_pm")[-1].model,
    population=Population(accounts=120, option_share=0.6),
    crash=Crash(hours=0.5, step_s=30.0, jumps_per_hour=32.0),
)
OWED = [Outcome._fields.index(f"owed_{kind}") for kind in KINDS]


def test_late_and_wrong_engines_leave_more_debts() -> None:
    paths = [endured(STUDY, np.random.default_rng(seed)) for seed in range(6)]
    curve = curve_of(STUDY, paths)
    debts = curve.mean["debts_share"]
    assert debts[1, 0] > debts[0, 0] + 2.0 * curve.error["debts_share"][1, 0] * 0.5
    assert (debts[:, 1] > debts[:, 0]).all()
    assert (curve.mean["uncovered"] <= 1.0).all()
    at = Outcome._fields.index("debts")
    assert curve.mean["debts"] == pytest.approx(np.mean([path[..., at] for path in paths], axis=0))
    assert np.isnan(curve_of(STUDY, paths[:1]).error["debts"]).all()


@pytest.mark.parametrize("study", [STUDY, WITH_OPTIONS], ids=["futures", "options"])
def test_what_is_owed_is_paid_by_somebody(study: Study) -> None:
    """Without fees, spread or impact: the fund's loss, what was deleveraged and what was socialised are the debts."""
    free = replace(
        study.design, half_spread=0.0, impact=0.0, option_half_spread=0.0, option_impact=0.0, depth_per_minute=1e6
    )
    rules = replace(free.rules, incremental=replace(free.rules.incremental, clearance_share=0.0))
    found = endured(replace(study, design=replace(free, rules=rules)), np.random.default_rng(1))
    assert found[..., OWED].sum(axis=-1) == pytest.approx(found[..., 0])
    assert found[1, 1, 0] > 0.0
    for outcome in (Outcome(*row) for row in found.reshape(-1, len(Outcome._fields)).tolist()):
        paid = outcome.fund_loss + outcome.deleveraged + outcome.socialised
        assert paid == pytest.approx(outcome.debts, rel=1e-6, abs=1.0)


def test_books_of_options_come_to_owe_behind_late_and_wrong_engines() -> None:
    """A fall by a quarter in half an hour: who sold options owes more; who bought them owes a token's loss at most."""
    debts = np.mean([endured(WITH_OPTIONS, np.random.default_rng(seed)) for seed in range(3)], axis=0)[..., OWED]
    by_kind = dict(zip(KINDS, np.moveaxis(debts, -1, 0), strict=True))
    sold = by_kind["short_vol"] + by_kind["hedged_makers"] + by_kind["short_options"]
    assert not by_kind["long_options"][:, 0].any()
    assert sold[1, 0] > 1.5 * sold[0, 0]
    assert (sold[:, 1] > sold[:, 0]).all()
    assert by_kind["short_vol"][1, 1] > 0.0


def test_a_calm_market_owes_nothing() -> None:
    calm = replace(STUDY, crash=Crash(vol_per_root_year=0.3, jumps_per_hour=0.0, hours=0.5, step_s=30.0))
    found = endured(calm, np.random.default_rng(2))
    assert not found[0, 0, Outcome._fields.index("debts")]


def test_the_path_has_the_moments_asked_for() -> None:
    crash = Crash(vol_per_root_year=1.0, jumps_per_hour=6.0, jump_mean=-0.02, jump_deviation=0.01, step_s=60.0)
    rng = np.random.default_rng(5)
    moves = np.array([math.log(crash.path(rng)[-1] / crash.index_usd) for _ in range(4_000)])
    variance = 1.0 / 8_760.0 + 6.0 * (0.02**2 + 0.01**2)
    assert moves.mean() == pytest.approx(-0.12 - 0.5 / 8_760.0, abs=4.0 * math.sqrt(variance / 4_000.0))
    assert moves.var() == pytest.approx(variance, rel=0.15)


def test_vols_rise_as_the_index_falls_and_have_moves_of_their_own() -> None:
    crash = Crash(implied_per_log_fall=1.35, implied_own_vol=0.8, step_s=60.0)
    index = np.linspace(80_000.0, 60_000.0, 61)
    rng = np.random.default_rng(6)
    rises = np.array([crash.implied(index, rng)[[0, -1]] for _ in range(2_000)])
    deviation = 0.8 / math.sqrt(8_760.0)
    assert not rises[:, 0].any()
    assert rises[:, 1].mean() == pytest.approx(1.35 * math.log(4.0 / 3.0), abs=4.0 * deviation / math.sqrt(2_000.0))
    assert rises[:, 1].std() == pytest.approx(deviation, rel=0.1)
    still = replace(crash, implied_own_vol=0.0)
    assert not still.implied(index[::-1] + 20_000.0, rng).any()
