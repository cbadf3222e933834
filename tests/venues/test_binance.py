"""Binance's inverse perpetual: whole contracts of 100 USD, worth coin over price, with its own fees."""

from decimal import Decimal
from fractions import Fraction

import pytest

from flatbook.domain.errors import BadInputError
from flatbook.venues.binance import coin_margined_perpetual

PERPETUAL = coin_margined_perpetual("BTC-PERPETUAL", "binance:BTC-PERPETUAL", "0.1", Decimal(100))


def test_its_money_is_contracts_of_a_hundred_dollars_over_the_price() -> None:
    """The venue's rule: quantity x 100 USD / price in coin, and a fee of that notional; rounded once, against us."""
    assert PERPETUAL.is_reciprocal
    for ticks, lots in ((600_000, 7), (618_271, 1), (618_271, -613)):
        coin = Fraction(lots * 100 * 10, ticks)
        paid = Fraction(PERPETUAL.value_units(ticks, lots), 10**8)
        assert 0 <= paid + coin < Fraction(1, 10**8)
        for rate, published in ((PERPETUAL.spec.fees.maker, "0.0002"), (PERPETUAL.spec.fees.taker, "0.0005")):
            assert rate == Decimal(published)
            fee = Fraction(PERPETUAL.fee_units(ticks, lots, Decimal(60_000), rate), 10**8)
            assert 0 <= fee - abs(coin) * Fraction(published) < Fraction(1, 10**8)


def test_it_trades_in_whole_contracts_and_tenths_of_a_dollar() -> None:
    assert PERPETUAL.size_lots(-51_300.0) == -513
    assert PERPETUAL.price_ticks(61_843.5) == 618_435
    with pytest.raises(BadInputError, match=r"size 150\.0 is not a multiple of the lot 100"):
        PERPETUAL.size_lots(150.0)
