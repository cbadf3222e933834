import math

import numpy as np
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.risk.var.backtests import (
    acerbi_szekely,
    conditional_coverage,
    independence,
    kupiec,
    shortfall_z2,
    traffic_light,
    transitions,
)
from flatbook.risk.var.parametric import normal

from .published import golden


@pytest.mark.parametrize("row", golden("kupiec"), ids=lambda row: row["id"])
def test_kupiecs_counts_are_those_published(row: dict[str, str]) -> None:
    count, tail = int(row["forecasts"]), float(row["tail"])
    kept = [seen for seen in range(count + 1) if kupiec(seen, count, tail).p_value > 0.05]
    assert (kept[0], kept[-1]) == (int(row["least"]), int(row["most"]))
    assert kept == list(range(kept[0], kept[-1] + 1))


@pytest.mark.parametrize(("seen", "count", "ratio"), [(4, 250, 0.7691383644), (20, 1000, 7.8272391529)])
def test_kupiecs_statistic_to_its_digits(seen: int, count: int, ratio: float) -> None:
    verdict = kupiec(seen, count, 0.01)
    assert verdict.statistic == pytest.approx(ratio, abs=5e-11)
    # Chi-squared of one degree is a squared normal.
    assert verdict.p_value == pytest.approx(math.erfc(math.sqrt(ratio / 2)), rel=1e-9)


def test_no_exceedance_at_all_is_rejected_too() -> None:
    assert kupiec(0, 255, 0.01).statistic == pytest.approx(5.126, abs=5e-4)


def test_christoffersens_statistics_to_their_digits() -> None:
    markov = independence(235, 8, 8, 3)
    # In forty digits 7.34168742879; the published figure is 4e-10 below it, and the sum below has it right.
    assert markov.statistic == pytest.approx(7.3416874284, abs=5e-10)
    assert markov.statistic == pytest.approx(7.34168742879329949, abs=1e-11)
    both = conditional_coverage(kupiec(11, 255, 0.01), markov)
    assert both.statistic == pytest.approx(22.8873773309, abs=5e-11)
    # Chi-squared of two degrees is exponential.
    assert both.p_value == pytest.approx(math.exp(-both.statistic / 2), rel=1e-12)


def test_transitions_are_counted_in_order() -> None:
    assert transitions(np.array([False, True, True, False, False, True])) == (1, 2, 1, 1)
    assert independence(*transitions(np.zeros(50, bool))).statistic == 0.0


@pytest.mark.parametrize("row", golden("traffic_light"), ids=lambda row: row["id"])
def test_basels_zones_are_those_published(row: dict[str, str]) -> None:
    light = traffic_light(int(row["exceedances"]), 250, 0.01)
    assert light.probability == pytest.approx(float(row["probability"]), abs=5e-5)
    assert (light.zone, light.multiplier) == (row["zone"], float(row["multiplier"]))


def test_other_counts_have_a_zone_and_no_multiplier() -> None:
    assert traffic_light(30, 500, 0.05).multiplier is None
    assert traffic_light(30, 500, 0.05).zone == "green"
    assert traffic_light(60, 500, 0.05).zone == "red"


def test_z2_knows_right_tails_from_fat_ones() -> None:
    rng = np.random.default_rng(3)
    law = normal(0.975)
    days, samples = 500, [rng.standard_normal(2_000) for _ in range(500)]
    var, shortfall = np.full(days, law.var), np.full(days, law.shortfall)
    right = acerbi_szekely(rng.standard_normal(days), var, shortfall, samples, 0.025, rng)
    fat = acerbi_szekely(1.4 * rng.standard_normal(days), var, shortfall, samples, 0.025, rng)
    assert right.p_value > 0.05
    assert fat.p_value < 0.01
    assert fat.statistic > 0.7


def test_z2_is_zero_on_average_where_forecasts_are_right() -> None:
    rng = np.random.default_rng(5)
    law = normal(0.95)
    days, runs = 250, 400
    ones = np.ones(days)
    drawn = [shortfall_z2(rng.standard_normal(days), law.var * ones, law.shortfall * ones, 0.05) for _ in range(runs)]
    assert abs(np.mean(drawn)) < 4 * np.std(drawn) / math.sqrt(runs)


def test_what_cannot_be_tested_is_said() -> None:
    with pytest.raises(BadInputError, match="no such count"):
        kupiec(11, 10, 0.01)
    with pytest.raises(BadInputError, match="no tail to test"):
        acerbi_szekely(np.ones(1), np.ones(1), np.zeros(1), [np.ones(3)], 0.05, np.random.default_rng(0))
