import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_SECOND, NS_PER_YEAR, parse_utc
from flatbook.market.analytics.settlement import DERIBIT_WINDOW_YEARS
from flatbook.market.settling import AVERAGING_NS, WindowAverage, settling

from .builders import DAY_S, World, at, index, shown_market

EIGHT = parse_utc("2025-03-31T08:00")


def plain_average(ticks: list[tuple[int, float]], until_ns: int) -> float:
    """The average by looking at every second from 07:30 on."""
    seconds = np.arange(EIGHT - AVERAGING_NS, until_ns, NS_PER_SECOND)
    held = np.searchsorted(np.array([when for when, _ in ticks]), seconds, side="right") - 1
    return float(np.array([price for _, price in ticks])[held[held >= 0]].mean())


@given(
    st.lists(
        st.tuples(st.integers(-3_000, -1), st.floats(1_000, 100_000)), min_size=1, max_size=30, unique_by=lambda t: t[0]
    ),
    st.integers(-1_799, 600),
)
def test_the_average_so_far_is_that_of_every_second_and_asking_changes_nothing(
    ticks: list[tuple[int, float]], asked_s: int
) -> None:
    moments = sorted((EIGHT + second * NS_PER_SECOND, price) for second, price in ticks)
    asked_ns = max(EIGHT + asked_s * NS_PER_SECOND, moments[-1][0])
    average, quiet = WindowAverage(), WindowAverage()
    for when_ns, price in moments:
        average.tick(when_ns, price)
        average.average_usd(EIGHT, when_ns)
        quiet.tick(when_ns, price)
    found = average.average_usd(EIGHT, asked_ns)
    assert found == quiet.average_usd(EIGHT, asked_ns)
    if min(asked_ns, EIGHT) > max(moments[0][0], EIGHT - AVERAGING_NS):
        assert found == pytest.approx(plain_average(moments, min(asked_ns, EIGHT)), rel=1e-9)
    else:
        assert found is None


def test_before_the_window_there_is_no_average_and_after_it_it_stays_until_the_next() -> None:
    average = WindowAverage()
    average.tick(EIGHT - 2 * AVERAGING_NS, 80_000.0)
    assert average.average_usd(EIGHT, EIGHT - AVERAGING_NS) is None
    average.tick(EIGHT - AVERAGING_NS // 2, 82_000.0)
    average.tick(EIGHT + NS_PER_MINUTE, 99_000.0)
    average.tick(EIGHT + 2 * NS_PER_MINUTE, 99_000.0)
    assert average.average_usd(EIGHT, EIGHT + 3 * NS_PER_MINUTE) == pytest.approx(81_000.0)
    assert average.average_usd(EIGHT) == pytest.approx(81_000.0)
    average.tick(EIGHT + NS_PER_DAY - NS_PER_MINUTE, 99_000.0)
    assert average.average_usd(EIGHT) is None
    assert average.average_usd(EIGHT + NS_PER_DAY, EIGHT + NS_PER_DAY) == pytest.approx(99_000.0)


def test_an_expiry_inside_its_window_without_an_index_cannot_be_settled() -> None:
    assert settling(0, 0.5 * DERIBIT_WINDOW_YEARS, 1e-3, None) is None
    before = settling(0, 1.5 * DERIBIT_WINDOW_YEARS, 1e-3, None)
    assert before is not None
    assert before.window.passed_share == 0.0
    past = settling(3, -1e-6, 1e-3, 80_000.0)
    assert past is not None
    assert (past.slot, past.window.passed_share, past.window.average_usd) == (3, 1.0, 80_000.0)


def test_a_vol_fitted_an_hour_before_is_half_again_that_of_the_index() -> None:
    """A third of the window and the half hour before it: of the hour two thirds have variance."""
    made = settling(0, 0.1 * DERIBIT_WINDOW_YEARS, 2 * DERIBIT_WINDOW_YEARS, 80_000.0)
    assert made is not None
    assert made.stretch**2 == pytest.approx(60 / 40)
    far = settling(0, 0.1 * DERIBIT_WINDOW_YEARS, 1.0, 80_000.0)
    assert far is not None
    assert far.stretch == pytest.approx(1.0, abs=1e-4)


def test_the_market_settles_what_expires_within_the_hour_and_nothing_else() -> None:
    """4 April 08:00 is four days less four hours after the tests' noon."""
    market, eight = shown_market(World(), "4APR25", "25APR25"), 4 * DAY_S - 4 * 3_600
    found = []
    for before_s in (3_700, 3_500, 1_700, 10, -10, -1_000):
        seconds = eight - before_s
        market.take_index(index(seconds, 80_000.0 + before_s))
        found.append(market.settling(market.years(at(seconds)), at(seconds)))
    assert [[one.slot for one in several] for several in found] == [[], [0], [0], [0], [0], []]
    assert math.isnan(found[1][0].window.average_usd)
    # From 07:30 the index of 07:01:40 held for 100 s, then that of 07:31:40 until ten seconds before eight.
    assert found[2][0].window.average_usd == pytest.approx(83_500.0)
    expected = (100 * 83_500 + 1_690 * 81_700) / 1_790
    assert found[3][0].window.average_usd == pytest.approx(expected)
    delivered = (100 * 83_500 + 1_690 * 81_700 + 10 * 80_010) / 1_800
    assert found[4][0].window.average_usd == pytest.approx(delivered)
    assert found[4][0].window.years_left == 0.0
    assert found[3][0].window.years_left == pytest.approx(10 * NS_PER_SECOND / NS_PER_YEAR)
