"""Buckets hold each option once, and the unit of depth is what its parts say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import ConfigurationError
from flatbook.market.flow.buckets import NOWHERE, DepthUnit, FlowBuckets

SMALL = FlowBuckets(tenor_edges_days=(2.0, 20.0), otm_edges=(0.0, 1.0))


def bucket(days: float, moneyness: float, sign: float, vol: float = 0.5) -> int:
    columns = (np.array([value]) for value in (days / 365, moneyness, sign, vol))
    return int(SMALL.of(*columns)[0])


@pytest.mark.parametrize(
    ("days", "moneyness", "sign", "name"),
    [
        (1.0, 0.5, 1, "<2 d call 0–1"),
        (2.0, 0.5, 1, "2–20 d call 0–1"),
        (1.9, -0.5, 1, "<2 d call <0"),
        (1.9, -0.5, -1, "<2 d put 0–1"),
        (30.0, -1.0, -1, ">20 d put >1"),
        (30.0, 1.0, 1, ">20 d call >1"),
    ],
)
def test_an_option_is_where_its_tenor_right_and_strike_say(days: float, moneyness: float, sign: int, name: str) -> None:
    assert SMALL.name(bucket(days, moneyness, sign)) == name


@pytest.mark.parametrize(("days", "vol"), [(0.0, 0.5), (-1.0, 0.5), (1.0, 0.0), (1.0, np.nan)])
def test_the_expired_and_the_unknown_are_nowhere(days: float, vol: float) -> None:
    assert bucket(days, 0.0, 1, vol) == NOWHERE


def test_every_bucket_has_a_name_of_its_own() -> None:
    buckets = FlowBuckets()
    assert len({buckets.name(number) for number in range(buckets.count)}) == buckets.count == 9 * 14


def test_one_bucket_may_hold_all() -> None:
    all_ = FlowBuckets(tenor_edges_days=(), otm_edges=())
    assert [all_.name(number) for number in range(all_.count)] == ["any d put any", "any d call any"]


@pytest.mark.parametrize("edges", [{"tenor_edges_days": (2.0, 1.0)}, {"otm_edges": (0.0, 0.0)}])
def test_edges_must_rise(edges: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(ConfigurationError, match="do not rise"):
        FlowBuckets(**edges)


@given(st.floats(0, 1), st.floats(1e-6, 1e-2), st.floats(0, 0.1))
def test_a_unit_is_no_smaller_than_either_part(vega_coin: float, coin: float, vol: float) -> None:
    unit = float(DepthUnit(coin, vol).in_coin(np.array(vega_coin)))
    assert max(coin, vol * vega_coin) <= unit * (1 + 1e-12) <= (coin + vol * vega_coin) * (1 + 2e-12)


def test_a_unit_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="coin above 0"):
        DepthUnit(coin=0.0)
