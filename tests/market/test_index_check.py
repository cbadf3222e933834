import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.domain.units import NS_PER_SECOND, NS_PER_YEAR
from flatbook.market.index_check import IndexCheck, IndexCheckPolicy
from tests.market.builders import at, index

POLICY = IndexCheckPolicy()
LEVEL = 80_000.0


def settled(perpetual: bool = True, seconds: int = 10) -> IndexCheck:
    """A check that has believed a tick a second until 0, with or without a perpetual that is ten dollars dearer."""
    check = IndexCheck(POLICY)
    for second in range(-seconds, 1):
        if perpetual:
            check.see_perpetual(LEVEL + 10.0, at(second))
        assert check.take(index(second, LEVEL + second % 2))
    return check


@pytest.mark.parametrize("factor", [0.7, 0.97, 1.03, 1.3])
def test_a_stray_tick_is_held_and_forgotten_with_the_next(factor: float) -> None:
    check = settled()
    assert not check.take(index(1, factor * LEVEL))
    assert check.price_usd == LEVEL
    assert check.held is not None
    assert check.why_held == f"an index of {factor * LEVEL:,.2f} was 80,000.00 1.0 s ago, and nothing else says so"
    assert check.take(index(2, LEVEL + 5))
    assert (check.price_usd, check.doubted) == (LEVEL + 5, 1)
    plain = settled()
    plain.take(index(2, LEVEL + 5))
    assert vars(check) == vars(plain) | {"doubted": 1, "why_held": check.why_held}, "nothing else was learnt from it"


@pytest.mark.parametrize("price_usd", [0.0, -1.0, math.nan, math.inf])
def test_what_is_no_price_is_no_index(price_usd: float) -> None:
    check = settled()
    assert not check.take(index(1, price_usd))
    assert check.price_usd == LEVEL
    assert check.held is None
    first = IndexCheck(POLICY)
    assert not first.take(index(0, price_usd))
    assert first.ns == 0


def test_a_crash_that_the_perpetual_shows_is_believed_with_its_next_price() -> None:
    check = settled()
    assert not check.take(index(1, 0.85 * LEVEL))
    assert check.see_perpetual(0.86 * LEVEL, at(1.05))
    assert (check.price_usd, check.ns, check.held) == (0.85 * LEVEL, at(1.05), None)
    assert check.why_held.startswith("believed at 68,000.00: the perpetual says 68,7")


def test_a_crash_that_the_perpetual_showed_before_is_never_doubted_and_quotes_are_away_already() -> None:
    check = settled()
    assert not check.see_perpetual(0.85 * LEVEL, at(0.9))
    assert check.is_apart
    assert check.take(index(1, 0.85 * LEVEL))
    assert check.doubted == 0
    assert not check.is_apart


def test_a_perpetual_that_says_otherwise_keeps_ticks_in_doubt_however_long_they_stand() -> None:
    """Ten minutes at thirty per cent below, and at three: the market drifts meanwhile, and the feed comes back."""
    for factor in (0.7, 0.97):
        check = settled()
        for second in range(1, 601):
            check.see_perpetual((1.0 + 5e-5 * second) * LEVEL, at(second))
            assert not check.take(index(second, factor * LEVEL + second % 3)), second
        assert (check.price_usd, check.doubted_s(at(601)), check.is_lost(at(601))) == (LEVEL, 600.0, True)
        assert check.take(index(601, 1.03 * LEVEL))
        assert not check.is_doubted
        assert check.doubted_s(at(601)) == 0.0


def test_a_source_that_fell_silent_holds_nothing_for_ever() -> None:
    """Dead after half a minute of silence; one that had said otherwise is waited for as long again."""
    silent = settled()
    for second in range(1, 35):
        assert not silent.take(index(second, 0.7 * LEVEL)), second
    assert silent.take(index(35, 0.7 * LEVEL))
    assert silent.why_held == "believed at 56,000.00, where it stood for 5.0 s"
    denied = settled()
    for second in range(1, 160):
        if second <= 100:
            denied.see_perpetual(LEVEL, at(second))
        assert not denied.take(index(second, 0.7 * LEVEL)), second
    assert denied.take(index(160, 0.7 * LEVEL))
    assert denied.why_held == "believed at 56,000.00: no second source has spoken for 30 s"
    assert not denied.is_apart
    denied.see_perpetual(LEVEL, at(161))
    assert denied.is_apart, "it lives, and says otherwise"


def test_where_there_is_no_perpetual_others_say_otherwise_too() -> None:
    check = settled(perpetual=False)
    for second in range(1, 601):
        assert not check.take(index(second, 0.7 * LEVEL)), second
        if second % 20 == 3:
            assert not check.hear("put-call parity", LEVEL, at(second))
    assert check.hear("put-call parity", 0.71 * LEVEL, at(601))
    assert check.price_usd == 0.7 * LEVEL


def test_a_person_may_take_the_feeds_word() -> None:
    held, apart = settled(), settled()
    held.see_perpetual(LEVEL, at(1))
    held.take(index(2, 0.7 * LEVEL))
    assert held.rearm(at(3))
    assert (held.price_usd, held.ns, held.is_doubted) == (0.7 * LEVEL, at(3), False)
    apart.see_perpetual(0.95 * LEVEL, at(1))
    assert apart.is_apart
    assert not apart.rearm(at(2))
    assert not apart.see_perpetual(0.95 * LEVEL, at(3))
    assert not apart.is_doubted, "it mostly stands there now"
    assert not apart.rearm(at(4))


def test_without_another_source_ticks_that_stand_are_believed_soon() -> None:
    check = settled(perpetual=False)
    for second in range(1, 6):
        assert not check.take(index(second, (0.85 + 1e-3 * second) * LEVEL))
    assert check.take(index(6, 0.85 * LEVEL))
    assert check.why_held == "believed at 68,000.00, where it stood for 5.0 s"


def test_ticks_all_over_the_place_are_believed_only_when_the_hold_is_over() -> None:
    check = settled(perpetual=False)
    for second in range(1, 31):
        assert not check.take(index(second, (0.5 + 0.1 * (second % 4)) * LEVEL)), second
    assert check.take(index(31, 0.5 * LEVEL))


@pytest.mark.parametrize(("said", "is_believed"), [(0.86, True), (0.93, False), (1.0, False), (math.nan, False)])
def test_any_other_source_confirms_what_it_is_near(said: float, is_believed: bool) -> None:
    check = settled(perpetual=False)
    check.take(index(1, 0.85 * LEVEL))
    assert check.hear("another", said * LEVEL, at(2)) is is_believed
    assert check.price_usd == (0.85 if is_believed else 1.0) * LEVEL
    assert not check.hear("another", said * LEVEL, at(3)), "nothing is held any more, or it says the same again"


def test_an_old_perpetual_says_nothing() -> None:
    check = settled()
    check.see_perpetual(0.85 * LEVEL, at(1))
    assert check.is_apart
    assert not check.take(index(32, 0.85 * LEVEL))
    fresh = settled()
    fresh.see_perpetual(0.85 * LEVEL, at(1))
    assert fresh.take(index(31, 0.85 * LEVEL))


def test_the_bound_is_the_realised_vol_over_the_time_since_and_no_jump_widens_it_much() -> None:
    check = settled(perpetual=False)
    assert check.bound(at(1)) == POLICY.least_rate
    day = check.bound(at(86_400))
    assert day == pytest.approx(8.0 * 0.6 / math.sqrt(365), rel=0.01)
    assert check.take(index(86_400, LEVEL * math.exp(0.99 * day)))
    assert not check.take(index(86_401, LEVEL * math.exp(0.99 * day - 0.03)))
    jumped = settled()
    jumped.see_perpetual(0.85 * LEVEL, at(1))
    jumped.take(index(1, 0.85 * LEVEL))
    assert jumped.bound(at(30)) == POLICY.least_rate, "after a crash the next bad tick is still one"


def test_the_realised_vol_is_that_of_the_path() -> None:
    check, price, seconds = IndexCheck(POLICY), LEVEL, 7_200
    check.take(index(0, price))
    move = 1.5 / math.sqrt(NS_PER_YEAR / NS_PER_SECOND)
    for second in range(1, seconds):
        price *= math.exp(move if second % 2 else -move)
        check.take(index(second, price))
    years = 3_600 / (NS_PER_YEAR / NS_PER_SECOND)
    expected = math.sqrt(1.5**2 + (0.6**2 - 1.5**2) * math.exp(-2.0))
    assert check.bound(check.ns + 3_600 * NS_PER_SECOND) == pytest.approx(8 * expected * math.sqrt(years), rel=1e-3)


def test_an_index_that_stands_while_the_perpetual_moves_is_frozen_until_it_moves_too() -> None:
    check = settled()
    for second in range(1, 400):
        check.see_perpetual(0.98 * LEVEL, at(second))
        assert check.take(index(second, LEVEL)), "it ticks, and stands"
        assert check.is_apart
    assert check.why_apart == "the perpetual speaks of an index of 78,399.85, which is 80,000.00 since 1.0 s ago"
    assert check.take(index(400, 0.98 * LEVEL))
    assert not check.is_apart
    assert check.doubted == 0


def test_a_premium_beside_an_index_that_moves_as_it_does_is_learnt() -> None:
    check, second = settled(), 0
    while not second or check.is_apart:
        second += 1
        now = LEVEL * (1.0 + 1e-4 * (second % 2))
        check.see_perpetual(1.02 * now, at(second))
        assert check.take(index(second, now))
        assert check.is_apart or second > POLICY.premium_s / 3
    assert second == pytest.approx(POLICY.premium_s * math.log(0.02 / 0.0075), rel=0.05)
    assert check.why_apart == "the perpetual is with the index again"


def test_an_index_that_moves_by_itself_is_not_believed_by_waiting() -> None:
    check = settled()
    for second in range(1, 3_601):
        check.see_perpetual(1.02 * LEVEL * (1.0 + 1e-6 * (second % 3)), at(second))
        assert check.take(index(second, LEVEL + second % 2))
        assert check.is_apart
    assert check.doubted_s(at(3_600)) == 3_599.0
    for second in range(3_601, 3_660):
        check.take(index(second, LEVEL + second % 2))
    assert check.is_apart
    check.take(index(3_660, LEVEL))
    assert (check.is_apart, check.why_apart) == (False, "the perpetual is not seen any more")


ticks = st.lists(
    st.tuples(st.floats(0.0, 40.0), st.sampled_from([1.0, 0.999, 0.7, 0.71, 0.9, 1.3, 1.02]), st.booleans()),
    max_size=60,
)


@settings(max_examples=200)
@given(ticks, st.sampled_from([None, 1.0, 0.7, 0.9]))
def test_whatever_the_ticks_what_is_believed_was_shown_and_nobody_said_otherwise(
    shown: list[tuple[float, float, bool]], perpetual: float | None
) -> None:
    """In the order of time; no jump while a perpetual of the last half minute is elsewhere, and no hold without end."""
    check, seconds, believed, said_s = settled(perpetual=perpetual is not None), 1.0, [(0, LEVEL)], -math.inf
    spoke_s = -math.inf if perpetual is None else 0.0
    for wait_s, factor, with_perpetual in shown:
        seconds += wait_s
        before, was_held = check.price_usd, check.held is not None
        if perpetual is not None and with_perpetual:
            check.see_perpetual(perpetual * LEVEL, at(seconds))
            said_s = spoke_s = seconds
        bound = check.bound(at(seconds))
        if check.take(index(seconds, factor * LEVEL)):
            assert check.held is None
            believed.append((at(seconds), factor * LEVEL))
            near = 1.01 * max(bound, check.bound(at(seconds)))
            if was_held and seconds - said_s <= POLICY.source_age_s:
                places = (before, (perpetual or math.nan) * LEVEL)
                assert min(abs(math.log(factor * LEVEL / place)) for place in places) <= near + 0.005
        alone_s = POLICY.source_age_s + POLICY.hold_s
        if check.held is not None:
            assert seconds - max(check.held.since_ns / 1e9 - at(0) / 1e9, spoke_s) < alone_s + 1e-6
    assert all(earlier[0] <= later[0] for earlier, later in pairwise(believed))
    assert (check.price_usd in {price for _, price in believed}) or perpetual is not None
