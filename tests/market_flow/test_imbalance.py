"""Which way flow leans."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_SECOND
from flatbook.market.flow.imbalance import BestQuotes, Imbalance, QuoteImbalance, best_quote_flow

QUOTES = st.builds(
    BestQuotes, st.integers(90, 100), st.integers(1, 50), st.integers(101, 110), st.integers(1, 50)
)  # fmt: skip
S = NS_PER_SECOND


@given(QUOTES, QUOTES)
def test_both_sides_of_the_book_count_alike(before: BestQuotes, after: BestQuotes) -> None:
    """Turned over, bids become asks: demand becomes supply."""

    def turned(quotes: BestQuotes) -> BestQuotes:
        return BestQuotes(-quotes.ask, quotes.ask_size, -quotes.bid, quotes.bid_size)

    assert best_quote_flow(turned(before), turned(after)) == -best_quote_flow(before, after)


@given(QUOTES)
def test_a_book_that_stands_still_says_nothing(quotes: BestQuotes) -> None:
    assert best_quote_flow(quotes, quotes) == 0


def test_a_better_bid_is_demand_and_a_better_ask_is_supply() -> None:
    before = BestQuotes(100, 10, 102, 10)
    assert best_quote_flow(before, before._replace(bid=101, bid_size=3)) == 3
    assert best_quote_flow(before, before._replace(ask=101, ask_size=3)) == -3
    assert best_quote_flow(before, before._replace(bid=99, bid_size=3)) == -10


def test_a_sum_fades_by_half_each_half_life_group_by_group() -> None:
    flow = Imbalance(2, half_life_s=10.0)
    flow.add(0, 8.0, 0)
    flow.add(1, -4.0, 10 * S)
    flow.add(0, -1.0, 20 * S)
    np.testing.assert_allclose(flow.net(30 * S), [0.5, -1.0])
    np.testing.assert_allclose(flow.share(), [1 / 3, -1.0])
    np.testing.assert_allclose(flow.age_s(30 * S), [10.0, 20.0])


def test_by_a_coins_toss_the_score_is_standard() -> None:
    rng = np.random.default_rng(1)
    scores = []
    for _ in range(200):
        flow = Imbalance(1, half_life_s=20.0)
        for second, volume in enumerate(rng.lognormal(0, 1, 100) * rng.choice([-1, 1], 100)):
            flow.add(0, float(volume), second * S)
        scores.append(flow.score()[0])
    assert np.mean(scores) == pytest.approx(0, abs=0.2)
    assert np.std(scores) == pytest.approx(1, abs=0.12)


def test_flow_of_one_side_alone_leans() -> None:
    flow = Imbalance(1, half_life_s=60.0)
    for second in range(30):
        flow.add(0, 1.0, second * S)
    assert flow.share()[0] == 1
    assert flow.score()[0] > 4


def test_nothing_added_is_missing() -> None:
    flow = Imbalance(1, half_life_s=60.0)
    assert np.isnan(flow.share()[0])
    assert np.isnan(flow.score()[0])
    assert np.isnan(flow.age_s(0)[0])


def test_the_move_expected_is_the_imbalance_over_twice_the_depth() -> None:
    book = QuoteImbalance(half_life_s=1e9)
    assert math.isnan(book.expected_ticks(0))
    book.observe(BestQuotes(100, 10, 101, 10), 0)
    assert book.expected_ticks(0) == 0
    book.observe(BestQuotes(100, 30, 101, 10), 0)
    assert book.expected_ticks(0) == pytest.approx(20 / (2 * 20))
    book.observe(BestQuotes(100, 30, 101, 10), 0)
    assert book.expected_ticks(0) == pytest.approx(20 / (2 * 20)), "the same quotes again are no event"


@pytest.mark.parametrize(("groups", "half_life_s"), [(0, 1.0), (1, 0.0)])
def test_an_imbalance_of_nothing_is_refused(groups: int, half_life_s: float) -> None:
    with pytest.raises(BadInputError):
        Imbalance(groups, half_life_s)
