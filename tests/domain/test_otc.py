from decimal import Decimal

import pytest

from flatbook.domain.errors import BadInputError, UnknownInstrumentError
from flatbook.domain.instruments import Kind
from flatbook.domain.otc import otc_instrument
from flatbook.venues.deribit import load_reference

EXPIRY_NS = 1_743_148_800_000_000_000


@pytest.mark.parametrize("settle", ["BTC", "ETH", "USDC", "USD"])
@pytest.mark.parametrize("lot", ["0.0001", "0.01", "1", "10"])
def test_a_tick_lot_is_one_unit_of_the_settlement_currency(settle: str, lot: str) -> None:
    instrument = otc_instrument("basket-1", "BTC", settle, EXPIRY_NS, Decimal(lot))
    assert instrument.units_per_tick_lot == 1
    assert instrument.contract.is_inverse == (settle == "BTC")
    assert not instrument.is_reciprocal
    assert (instrument.contract.kind, instrument.contract.expiry_ns) == (Kind.OTC, EXPIRY_NS)


@pytest.mark.parametrize(
    ("name", "settle", "lot", "answer"),
    [
        ("", "BTC", "1", "name '' is none; use letters"),
        ("my barrier", "BTC", "1", "name 'my barrier' is none"),
        ("BTC-28MAR25-80000-C", "BTC", "1", "is that of a listed contract"),
        ("BTC_USDC", "BTC", "1", "is that of a listed contract"),
        ("touch", "DOGE", "1", "touch: settles in 'DOGE'; known are BTC"),
        ("touch", "BTC", "3", "touch: a lot of 3 contracts; give a power of ten"),
        ("touch", "BTC", "0", "a lot of 0 contracts"),
        ("touch", "BTC", "nan", "a lot of NaN contracts"),
    ],
)
def test_what_cannot_be_booked_is_refused(name: str, settle: str, lot: str, answer: str) -> None:
    with pytest.raises(BadInputError, match=answer):
        otc_instrument(name, "BTC", settle, EXPIRY_NS, Decimal(lot))


def test_a_registered_name_is_known_and_nobody_elses() -> None:
    reference = load_reference()
    with pytest.raises(UnknownInstrumentError):
        reference.instrument("touch-3")
    touch = otc_instrument("touch-3", "BTC", "BTC", EXPIRY_NS)
    reference.register(touch)
    reference.register(otc_instrument("touch-3", "BTC", "BTC", EXPIRY_NS))
    assert reference.instrument("touch-3") is touch
    with pytest.raises(BadInputError, match="'touch-3' is already known as another contract; rename one"):
        reference.register(otc_instrument("touch-3", "BTC", "USDC", EXPIRY_NS))
    with pytest.raises(UnknownInstrumentError):
        load_reference().instrument("touch-3")
