"""Markouts as a blotter: trades, later worth, and what is missing."""

import numpy as np
import pytest

from flatbook.domain.errors import ConfigurationError
from flatbook.domain.units import NS_PER_HOUR, NS_PER_SECOND
from flatbook.market.flow.buckets import FlowBuckets
from flatbook.market.flow.clusters import Samples
from flatbook.market.flow.markouts import (
    COIN,
    EDGE_COIN,
    EDGE_UNITS,
    UNITS,
    VOL_PT,
    ChainColumns,
    MarkoutModel,
    Markouts,
    Trade,
)

BUCKETS = FlowBuckets(tenor_edges_days=(7.0,), otm_edges=())
MODEL = MarkoutModel(horizons_s=(1.0, 60.0), size_edges=(1.0, 10.0), half_life_hours=1e30)
START_NS = 1_743_000_000 * NS_PER_SECOND
DAY_NS = 24 * NS_PER_HOUR


def chain(fair: float, vol: float = 0.5, theta: float = 0.0) -> ChainColumns:
    return ChainColumns(*(np.array([value]) for value in (fair, vol, 0.01, theta)))


def trade(side: int = 1, price: float = 0.05, size: float = 1.0, bucket: int = 2) -> Trade:
    return Trade(row=0, bucket=bucket, side=side, price_coin=price, size=size, unit_coin=2e-4)


def read(markouts: Markouts, horizon: int, node: str = "all") -> Samples:
    """All that has matured, its block closed."""
    found = markouts.samples(horizon, START_NS + DAY_NS)
    return Samples(*(column[markouts.nodes[node]] for column in found))


@pytest.mark.parametrize("side", [1, -1])
def test_a_trade_is_worth_its_edge_and_what_came_after(side: int) -> None:
    markouts = Markouts(BUCKETS, MODEL)
    markouts.observe(trade(side, price=0.0494), chain(0.0500, 0.50), START_NS)
    markouts.mature(chain(0.0502, 0.51), START_NS + NS_PER_SECOND)
    found = read(markouts, 0)
    assert found.worth[0] == 1
    assert found.mean[0, EDGE_COIN] == pytest.approx(side * 0.0006)
    assert found.mean[0, EDGE_UNITS] == pytest.approx(side * 3.0)
    assert found.mean[0, COIN] == pytest.approx(side * 0.0002)
    assert found.mean[0, UNITS] == pytest.approx(side * 1.0)
    assert found.mean[0, VOL_PT] == pytest.approx(side * 1.0)
    assert read(markouts, 1).worth[0] == 0, "a minute is not over"


def test_time_that_merely_passes_is_no_loss() -> None:
    """A coin a year of decay: over a minute the option is expected to be worth that much less."""
    markouts = Markouts(BUCKETS, MODEL)
    decayed = 0.05 - 60 / (365 * 86_400)
    markouts.observe(trade(), chain(0.05, theta=-1.0), START_NS)
    markouts.mature(chain(decayed, theta=-1.0), START_NS + 60 * NS_PER_SECOND)
    assert read(markouts, 1).mean[0, COIN] == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("later", [chain(np.nan), chain(0.05, vol=0.0), chain(0.05, vol=np.nan)])
def test_an_option_that_does_not_live_through_a_horizon_is_missing(later: ChainColumns) -> None:
    markouts = Markouts(BUCKETS, MODEL)
    markouts.observe(trade(), chain(0.05), START_NS)
    markouts.mature(later, START_NS + NS_PER_SECOND)
    markouts.mature(chain(0.06), START_NS + 60 * NS_PER_SECOND)
    assert read(markouts, 0).worth[0] == 0
    assert read(markouts, 1).worth[0] == 1


def test_a_trade_without_a_fair_value_is_passed_over() -> None:
    markouts = Markouts(BUCKETS, MODEL)
    for known in (chain(np.nan), chain(0.05, vol=0.0)):
        markouts.observe(trade(), known, START_NS)
    markouts.observe(trade(bucket=-1), chain(0.05), START_NS)
    markouts.mature(chain(0.05), START_NS + DAY_NS)
    assert read(markouts, 0).worth[0] == 0


def test_the_last_trades_are_missing_and_not_marked_early() -> None:
    """Trades every ten seconds for ten minutes while value falls: the last minute's have no minute's markout."""
    markouts, now_ns = Markouts(BUCKETS, MODEL), START_NS
    for tick in range(60):
        now_ns = START_NS + tick * 10 * NS_PER_SECOND
        known = chain(0.05 - 1e-5 * tick)
        markouts.mature(known, now_ns)
        markouts.observe(trade(), known, now_ns)
    found = read(markouts, 1)
    assert found.worth[0] == pytest.approx(54)
    assert found.mean[0, COIN] == pytest.approx(-6e-5)


def test_it_may_wait_for_as_long_as_the_chain_is_the_same() -> None:
    at_once, later = Markouts(BUCKETS, MODEL), Markouts(BUCKETS, MODEL)
    for markouts in (at_once, later):
        markouts.observe(trade(), chain(0.05), START_NS)
        markouts.observe(trade(-1, 0.06), chain(0.05), START_NS + NS_PER_SECOND)
    now = chain(0.07)
    for second in range(1, 121):
        at_once.mature(now, START_NS + second * NS_PER_SECOND)
    later.mature(now, START_NS + 120 * NS_PER_SECOND)
    for horizon in range(2):
        np.testing.assert_array_equal(read(at_once, horizon).mean, read(later, horizon).mean)


@pytest.mark.parametrize(
    ("side", "size", "node"), [(1, 0.9, 0), (-1, 0.9, 1), (1, 1.0, 2), (-1, 9.0, 3), (1, 10.0, 4), (-1, 500.0, 5)]
)
def test_a_trade_counts_for_its_size_and_side(side: int, size: float, node: int) -> None:
    markouts = Markouts(BUCKETS, MODEL)
    markouts.observe(trade(side, size=size), chain(0.05), START_NS)
    markouts.mature(chain(0.05), START_NS + NS_PER_SECOND)
    assert np.flatnonzero(read(markouts, 0, "size").worth).tolist() == [node]


def test_a_trade_counts_for_its_bucket_and_side_and_its_tenor() -> None:
    markouts = Markouts(BUCKETS, MODEL)
    markouts.observe(trade(-1, bucket=3), chain(0.05), START_NS)
    markouts.mature(chain(0.05), START_NS + NS_PER_SECOND)
    assert np.flatnonzero(read(markouts, 0, "bucket").worth).tolist() == [7]
    assert np.flatnonzero(read(markouts, 0, "tenor").worth).tolist() == [1]


def test_each_horizon_says_how_old_its_news_is() -> None:
    markouts = Markouts(BUCKETS, MODEL)
    markouts.observe(trade(bucket=0), chain(0.05), START_NS)
    markouts.mature(chain(0.05), START_NS + 2 * NS_PER_SECOND)
    age = markouts.age_s(0, START_NS + 12 * NS_PER_SECOND)
    assert age[0] == 10
    assert np.isnan(age[1])


def test_trades_that_share_a_move_are_one_block() -> None:
    """A hundred trades within a second, ten minutes apart twenty times: the error is that of twenty moves."""
    rng = np.random.default_rng(3)
    markouts = Markouts(BUCKETS, MODEL)
    moves = rng.normal(0, 1e-3, 20)
    for number, move in enumerate(moves):
        at_ns = START_NS + number * 600 * NS_PER_SECOND
        for _ in range(100):
            markouts.observe(trade(), chain(0.05), at_ns)
        markouts.mature(chain(0.05 + move), at_ns + NS_PER_SECOND)
        markouts.mature(chain(0.05 + move), at_ns + 599 * NS_PER_SECOND)
    assert read(markouts, 0).error[0, COIN] == pytest.approx(moves.std(ddof=1) / 20**0.5, rel=1e-6)


@pytest.mark.parametrize("wrong", [{"horizons_s": (60.0, 1.0)}, {"horizons_s": (0.0, 1.0)}, {"size_edges": (5.0, 5.0)}])
def test_horizons_and_sizes_must_rise_from_above_zero(wrong: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(ConfigurationError, match="do not rise"):
        MarkoutModel(**wrong)  # type: ignore[arg-type]
