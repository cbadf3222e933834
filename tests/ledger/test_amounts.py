from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.ledger.amounts import (
    lot_delivery_fee_units,
    lot_funding_units,
    lot_value_units,
    printed_decimal,
    printed_price,
    shares_of_fee,
    shares_of_net,
)

from .blotter import REFERENCE

sizes = st.lists(st.integers(-1_000, 1_000), max_size=6)
per_lot = st.fractions(-(10**9), 10**9, max_denominator=10**9)


def test_a_float_stands_for_the_number_that_was_printed() -> None:
    assert printed_decimal(82_000.1, "price") == Fraction(820_001, 10)
    assert printed_decimal(np.float64(0.1), "price") == Fraction(1, 10)
    assert printed_decimal(-1e-9, "rate") == Fraction(-1, 10**9)


@pytest.mark.parametrize("price", [0.0, -0.5])
def test_a_price_is_positive(price: float) -> None:
    with pytest.raises(BadInputError, match=r"delivery price is \S+; it needs a positive price"):
        printed_price(price, "delivery price")


@pytest.mark.parametrize(
    ("name", "price", "coins_or_dollars"),
    [
        ("BTC-28MAR25-80000-C", "100000", "0.02"),
        ("BTC-28MAR25-80000-C", "80000", "0"),
        ("BTC-28MAR25-80000-P", "64000", "0.025"),
        ("BTC-28MAR25-80000-P", "100000", "0"),
        ("ETH-28MAR25-2000-C", "2500", "0.2"),
        ("BTC_USDC-28MAR25-80000-C", "82000.5", "20.005"),
        ("BTC_USDC-28MAR25-80000-P", "79000", "10"),
        ("XRP_USDC-28MAR25-2d5-P", "2.25", "0.25"),
        ("BTC-28MAR25", "80000", "-0.000125"),
        ("BTC-PERPETUAL", "80000", "-0.000125"),
        ("BTC_USDC-PERPETUAL", "80000", "80"),
    ],
)
def test_what_a_lot_is_worth(name: str, price: str, coins_or_dollars: str) -> None:
    """Lots: 0.1 BTC, 1 ETH, 0.01 BTC, 1 XRP, 10 USD, 0.001 BTC."""
    instrument = REFERENCE.instrument(name)
    scale = 10**6 if instrument.contract.settle == "USDC" else 10**8
    assert lot_value_units(instrument, Fraction(price)) == Fraction(coins_or_dollars) * scale


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_inverse_parity_at_delivery(strike: int, price: int) -> None:
    """call - put = 1 - K/S coin, the same as a long coin and a short inverse future from K."""
    call = REFERENCE.instrument(f"BTC-28MAR25-{strike}-C")
    put = REFERENCE.instrument(f"BTC-28MAR25-{strike}-P")
    settled = Fraction(price)
    parity = lot_value_units(call, settled) - lot_value_units(put, settled)
    assert parity == 10**7 * (1 - Fraction(strike, price))
    future = lot_value_units(REFERENCE.instrument("BTC-28MAR25"), settled)
    assert parity == 10**7 + Fraction(strike, 100) * future


@pytest.mark.parametrize(
    ("name", "price", "fee_units"),
    [
        ("BTC-28MAR25-80000-C", "100000", "1500"),
        ("BTC-28MAR25-80000-C", "80080", str(Fraction(80, 80080) / 8 * 10**7)),
        ("BTC-28MAR25-80000-C", "79000", "0"),
        ("BTC_USDC-28MAR25-80000-C", "82000", str(Fraction("0.00015") * 820 * 10**6)),
        ("BTC-28MAR25", "80000", str(Fraction("0.00025") * 12_500)),
        ("BTC-PERPETUAL", "80000", "0"),
    ],
)
def test_delivery_fees(name: str, price: str, fee_units: str) -> None:
    """0.015 % of the coin, at most an eighth of the payoff; 0.025 % of a future's notional."""
    assert lot_delivery_fee_units(REFERENCE.instrument(name), Fraction(price)) == Fraction(fee_units)


def test_longs_pay_funding_where_the_rate_is_positive() -> None:
    rate, price = Fraction("0.0001"), Fraction(80_000)
    assert lot_funding_units(REFERENCE.instrument("BTC-PERPETUAL"), price, rate) == -Fraction(12_500, 10_000)
    assert lot_funding_units(REFERENCE.instrument("BTC_USDC-PERPETUAL"), price, rate) == -8_000
    assert lot_funding_units(REFERENCE.instrument("BTC_USDC-PERPETUAL"), price, -rate) == 8_000


@given(per_lot, sizes)
def test_shares_of_the_net_sum_to_what_the_venue_pays(units: Fraction, lots: list[int]) -> None:
    shares = shares_of_net(units, lots)
    assert sum(shares) == floor(units * sum(lots))
    assert all(abs(share - units * size) < 1 for share, size in zip(shares, lots, strict=True))


@given(per_lot, sizes)
def test_shares_of_a_fee_sum_to_what_the_venue_takes(units: Fraction, lots: list[int]) -> None:
    shares = shares_of_fee(units, lots)
    fee = ceil(units * abs(sum(lots)))
    whole = sum(map(abs, lots))
    assert sum(shares) == (fee if whole else 0)
    assert all(
        abs(share - Fraction(fee * abs(size), whole)) < 1 for share, size in zip(shares, lots, strict=True) if whole
    )
    assert all(share >= 0 for share in shares) or units < 0
