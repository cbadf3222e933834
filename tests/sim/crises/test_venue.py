"""The market that hedges trade in: two laws, depth, and what of a push stays."""

import math

import pytest

from flatbook.domain.errors import BadInputError
from flatbook.sim.crises.venue import HedgeMarket, Pushed

SQUARE_ROOT = HedgeMarket(2e9, depth_factor=0.5)
LINEAR = HedgeMarket(2e9, depth_factor=0.5, law="linear")


def test_both_laws_agree_at_a_hundredth_of_a_days_volume_and_say_a_tenth_of_its_deviation() -> None:
    assert SQUARE_ROOT.log_move(1e7, 0.03) == pytest.approx(0.1 * 0.03)
    assert LINEAR.log_move(-1e7, 0.03) == pytest.approx(-0.1 * 0.03)
    assert SQUARE_ROOT.log_move(-4e7, 0.03) == pytest.approx(-2 * 0.1 * 0.03)
    assert LINEAR.log_move(4e7, 0.03) == pytest.approx(4 * 0.1 * 0.03)
    assert LINEAR.per_usd(1e7, 0.03) == LINEAR.per_usd(5.0, 0.03)
    assert (SQUARE_ROOT.log_move(0.0, 0.03), SQUARE_ROOT.per_usd(0.0, 0.03)) == (0.0, 0.0)


def test_a_push_lasts_in_part_and_fades_in_part() -> None:
    pushed = Pushed()
    pushed.push(SQUARE_ROOT, 0.01)
    assert pushed.log == pytest.approx(0.01)
    pushed.fade(SQUARE_ROOT, 60.0)
    assert pushed.log == pytest.approx(0.01 * (0.4 + 0.6 / math.e))
    pushed.fade(SQUARE_ROOT, 1e6)
    assert pushed.log == pytest.approx(0.004)


def test_what_is_no_market_is_refused() -> None:
    with pytest.raises(BadInputError, match="no market is left"):
        HedgeMarket(1e9, depth_factor=0.0)
    with pytest.raises(BadInputError, match="the share from 0 to 1"):
        HedgeMarket(1e9, lasting_share=1.5)
