"""Expiries by the calendar, delivery averages, and what settles when."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import DailySettlement, Delivery
from flatbook.domain.instruments import format_expiry
from flatbook.domain.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_SECOND, parse_utc
from flatbook.market.settling import AVERAGING_NS, WindowAverage, next_settlement_ns
from flatbook.sim.calendar import ExpiryPlan, SettlementClock
from flatbook.sim.clocks import Clocks

EIGHT = parse_utc("2025-03-31T08:00")


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("2025-03-31T07:59:59", "2025-03-31T08:00"),
        ("2025-03-31T08:00", "2025-04-01T08:00"),
        ("2025-03-31T08:00:01", "2025-04-01T08:00"),
        ("1970-01-01T00:00", "1970-01-01T08:00"),
    ],
)
def test_settlement_is_at_eight(now: str, then: str) -> None:
    assert next_settlement_ns(parse_utc(now)) == parse_utc(then)


def test_expiries_are_those_the_venue_listed() -> None:
    """The recorded chain of 31 March 2025 18:27 UTC."""
    days, months = ("1APR25", "2APR25", "3APR25", "4APR25"), ("25APR25", "30MAY25", "27JUN25")
    recorded = [*days, "11APR25", "18APR25", *months, "26SEP25", "26DEC25", "27MAR26"]
    plan = ExpiryPlan(dailies=4, weeklies=4, months=3, quarters=4)
    assert [format_expiry(ns) for ns in plan.expiries_ns(parse_utc("2025-03-31T18:27"))] == recorded


@given(st.integers(parse_utc("2024-01-01T00:00"), parse_utc("2030-01-01T00:00")))
def test_every_sort_of_expiry_is_there_at_any_time(now_ns: int) -> None:
    listed = ExpiryPlan(dailies=2, weeklies=3, months=2, quarters=3).expiries_ns(now_ns)
    assert list(listed) == sorted(set(listed))
    assert listed[0] == next_settlement_ns(now_ns)
    assert all(ns % NS_PER_DAY == 8 * 3_600 * NS_PER_SECOND for ns in listed)
    fridays = [ns for ns in listed if ns // NS_PER_DAY % 7 == 1]
    assert len(fridays) >= 5 - 2
    assert listed[-1] - now_ns > 180 * NS_PER_DAY
    last = [ns for ns in fridays if int(format_expiry(ns)[:-5]) + 7 > 28]
    assert last, "no last Friday of a month"


def plain_average(ticks: list[tuple[int, float]], end_ns: int) -> float:
    """The average by looking at every second of the window."""
    seconds = np.arange(end_ns - AVERAGING_NS, end_ns, NS_PER_SECOND)
    times = np.array([when for when, _ in ticks])
    prices = np.array([price for _, price in ticks])
    held = np.searchsorted(times, seconds, side="right") - 1
    return float(prices[held[held >= 0]].mean())


@given(
    st.lists(
        st.tuples(st.integers(-3_000, 0), st.floats(1_000, 100_000)), min_size=1, max_size=30, unique_by=lambda t: t[0]
    )
)
def test_delivery_price_is_the_average_of_every_second(ticks: list[tuple[int, float]]) -> None:
    moments = sorted((EIGHT + second * NS_PER_SECOND, price) for second, price in ticks)
    average = WindowAverage()
    for when_ns, price in moments:
        average.tick(when_ns, price)
    price_usd = average.average_usd(EIGHT)
    if moments[0][0] == EIGHT:
        assert price_usd is None
    else:
        assert price_usd == pytest.approx(plain_average(moments, EIGHT), rel=1e-12)


def test_a_window_forgets_the_one_before() -> None:
    average = WindowAverage()
    average.tick(EIGHT - 10 * NS_PER_MINUTE, 100.0)
    assert average.average_usd(EIGHT) == 100.0
    average.tick(EIGHT + NS_PER_DAY - 20 * NS_PER_MINUTE, 400.0)
    expected = (10 * 100.0 + 20 * 400.0) / 30
    assert average.average_usd(EIGHT + NS_PER_DAY) == pytest.approx(expected)


def test_what_settles_at_eight() -> None:
    clock = SettlementClock()
    clock.start(EIGHT - NS_PER_MINUTE)
    clock.tick("BTC", EIGHT - NS_PER_MINUTE, 80_000.0)
    clock.expect("BTC", EIGHT)
    clock.expect("BTC", EIGHT + NS_PER_DAY)
    clocks = Clocks(EIGHT, EIGHT + 5)
    assert clock.next_ns == EIGHT
    assert list(clock.settlements({"BTC-PERPETUAL": 80_010.0}, clocks)) == [
        DailySettlement(exch_ts_ns=EIGHT, local_ts_ns=EIGHT + 5, instrument="BTC-PERPETUAL", price_usd=80_010.0),
        Delivery(exch_ts_ns=EIGHT, local_ts_ns=EIGHT + 5, underlying="BTC", expiry_ns=EIGHT, price_usd=80_000.0),
    ]
    clock.advance()
    assert clock.next_ns == EIGHT + NS_PER_DAY
    assert [event.exch_ts_ns for event in clock.settlements({}, clocks)] == [EIGHT]


def test_an_expiry_without_an_index_is_an_error_that_says_so() -> None:
    clock = SettlementClock()
    clock.start(EIGHT - 1)
    clock.expect("ETH", EIGHT)
    with pytest.raises(BadInputError, match=r"ETH options expire at 2025-03-31T08:00.*no index"):
        list(clock.settlements({}, Clocks(EIGHT, EIGHT)))
