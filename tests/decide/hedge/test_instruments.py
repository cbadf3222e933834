from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flatbook.decide.hedge.instruments import (
    Carry,
    HedgeSet,
    TradingTerms,
    basis_rate,
    delta_one,
    funding_rate,
    joined,
    loading_row,
    margin_rates,
)
from flatbook.domain.errors import BadInputError
from tests.decide.hedge.builders import FACTOR_NAMES, INDEX_USD, book, perpetual, random_set


def test_a_coin_of_spot_costs_what_as_many_dollars_of_the_perpetual_do() -> None:
    terms = TradingTerms(fee_rate=5e-4, half_spread_rate=1e-4, impact_rate_per_musd=2e-5, lot=0.0001)
    carry = Carry(long_rate=1e-4, buy_rate=2e-5, sell_rate=3e-5)
    coin = delta_one("BTC_USDC", book(spot=INDEX_USD), INDEX_USD, terms, carry)
    dollar = delta_one("BTC-PERPETUAL", book(spot=1.0), 1.0, terms, carry)
    for coins in (2.5, -2.5):
        assert coin.cost_usd(np.array([coins])) == pytest.approx(dollar.cost_usd(np.array([coins * INDEX_USD])))


def test_a_trade_costs_fee_spread_carry_and_impact_each_counted_once() -> None:
    terms = TradingTerms(fee_rate=5e-4, half_spread_rate=1e-4, impact_rate_per_musd=2e-5, lot=10.0)
    perp = delta_one("P", book(spot=1.0), 1.0, terms, Carry(long_rate=1e-4, buy_rate=2e-5, sell_rate=-2e-5))
    # a million bought: fee 500, half-spread 100, impact 20 of a move of 2e-5, funding 100, margin 20
    assert perp.cost_usd(np.array([1e6])) == pytest.approx(500 + 100 + 20 + 100 + 20)
    assert perp.cost_usd(np.array([-1e6])) == pytest.approx(500 + 100 + 20 - 100 - 20)
    assert perp.cost_usd(np.zeros(1)) == 0.0


def test_funding_is_paid_by_the_hour_and_unknown_funding_is_left_out() -> None:
    assert funding_rate(3e-4, 4.0) == pytest.approx(1.5e-4)
    assert funding_rate(np.nan, 4.0) == 0.0


def test_a_basis_runs_off_by_expiry_and_not_beyond() -> None:
    assert basis_rate(0.02, 30 / 365, 24.0) == pytest.approx(0.02 / 30)
    assert basis_rate(0.02, 1 / 365, 240.0) == 0.02
    assert basis_rate(-0.02, 30 / 365, 24.0) < 0.0
    assert basis_rate(0.02, 0.0, 24.0) == 0.02


@pytest.mark.parametrize(("held", "buy", "sell"), [(0.0, 1, 1), (5.0, 1, -1), (-5.0, -1, 1)])
def test_margin_is_bound_by_what_adds_and_set_free_by_what_reduces(held: float, buy: int, sell: int) -> None:
    rate = 0.02 * 0.1 * 8 / 8760
    assert margin_rates(0.02, 0.1, 8.0, held) == pytest.approx((buy * rate, sell * rate))


def test_factors_are_known_by_name_alone() -> None:
    assert loading_row(FACTOR_NAMES, {"level": 3.0, "spot": 1.0}).tolist() == [1.0, 0.0, 0.0, 0.0, 3.0, 0.0]
    with pytest.raises(BadInputError, match="no risk factor delta; there are spot"):
        loading_row(FACTOR_NAMES, {"delta": 1.0})


def test_sets_join_row_by_row() -> None:
    both = joined(random_set(1, 3), perpetual())
    assert both.name == ("I0", "I1", "I2", "PERP")
    assert both.loading.shape == (4, len(FACTOR_NAMES))
    size = np.array([1.0, -2.0, 0.0, 50.0])
    assert both.cost_usd(size) == pytest.approx(random_set(1, 3).cost_usd(size[:3]) + perpetual().cost_usd(size[3:]))


def wrong(column: str, value: float) -> HedgeSet:
    """Two perpetuals, a column of the second one set to a value."""
    both = joined(perpetual(), perpetual("OTHER"))
    changes: dict[str, Any] = {column: np.array([getattr(both, column)[0], value])}
    return replace(both, **changes)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("lot", 0.0, "lot of OTHER is 0; use more than 0"),
        ("most", -1.0, "most of OTHER is -1; use more than 0"),
        ("fee_usd", -1e-4, "fee_usd of OTHER is -0.0001; use 0 or more"),
        ("impact_usd", -1.0, "impact_usd of OTHER is -1; use 0 or more"),
        ("carry_buy_usd", -2e-3, "carry_buy_usd of OTHER is -0.002; a round trip may not earn"),
        ("half_spread_usd", np.nan, "half_spread_usd of OTHER is not a number; leave out what has no price"),
    ],
)
def test_an_instrument_that_cannot_be_traded_is_refused_by_name(column: str, value: float, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        wrong(column, value)


def test_a_column_of_another_length_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"lot has shape \(1,\); give a row for each of 2 names"):
        replace(joined(perpetual(), perpetual()), lot=np.ones(1))
