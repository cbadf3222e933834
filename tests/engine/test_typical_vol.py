import math

import numpy as np
import pytest

from flatbook.domain.units import NS_PER_DAY
from flatbook.engine.typical_vol import TypicalVol

NOW_NS = 1_000 * NS_PER_DAY


def follow(vol: TypicalVol, days: float, **levels: float) -> float:
    """Vols of expiries, `d30=0.5` thirty days from the start, as of some days later."""
    expiry_ns = np.array([NOW_NS + int(name[1:]) * NS_PER_DAY for name in levels])
    return vol.follow(np.array(list(levels.values())), expiry_ns, NOW_NS + round(days * NS_PER_DAY))


def test_it_is_the_vol_of_the_expiry_nearest_a_month() -> None:
    assert follow(TypicalVol(), 0, d8=0.9, d28=0.5, d90=0.4) == 0.5
    assert follow(TypicalVol(), 0, d3=0.9, d300=0.4) == 0.4
    assert follow(TypicalVol(), 0, d2=0.9, d5=0.7) == 0.7


def test_without_a_vol_there_is_no_number_and_a_gap_changes_none() -> None:
    vol = TypicalVol()
    assert math.isnan(follow(vol, 0, d30=math.nan))
    assert follow(vol, 0, d30=0.5) == 0.5
    assert follow(vol, 0, d30=math.nan) == 0.5
    assert follow(vol, 0, d30=0.52) == pytest.approx(0.52)


def test_passing_to_another_expiry_moves_nothing() -> None:
    vol = TypicalVol()
    assert follow(vol, 0, d10=0.8, d60=0.5) == 0.8
    assert follow(vol, 1, d10=0.82, d60=0.5) == pytest.approx(0.82)
    assert follow(vol, 4, d10=0.9, d60=0.5) == pytest.approx(0.82)
    assert follow(vol, 5, d10=0.9, d60=0.53) == pytest.approx(0.85)
