import pytest

from flatbook.domain.errors import UnbalancedEntryError
from flatbook.ledger.holdings import FLAT, Holdings, is_margined
from flatbook.ledger.positions import Position, PositionKey

from .blotter import REFERENCE, Blotter

CALL = REFERENCE.instrument("BTC-28MAR25-80000-C")
PERPETUAL = REFERENCE.instrument("BTC-PERPETUAL")
MAKER = PositionKey("deribit", "maker", CALL.name)
HEDGE = PositionKey("deribit", "hedge", CALL.name)
MAKER_PERPETUAL = PositionKey("deribit", "maker", PERPETUAL.name)


def test_sums_follow_every_replacement() -> None:
    holdings = Holdings()
    assert holdings.get(MAKER) is FLAT
    holdings.put(MAKER, CALL, Position(5, 100))
    holdings.put(HEDGE, CALL, Position(-2, -40))
    holdings.put(MAKER_PERPETUAL, PERPETUAL, Position(3, -70))
    assert dict(holdings.open_lots()) == {CALL.name: 3, PERPETUAL.name: 3}
    assert holdings.open_basis_units("BTC") == -70
    holdings.put(MAKER, CALL, Position(2, 40, 9))
    assert dict(holdings.open_lots()) == {PERPETUAL.name: 3}
    assert holdings.get(MAKER) == Position(2, 40, 9)
    assert holdings.held("deribit", CALL.name) == [(HEDGE, Position(-2, -40)), (MAKER, Position(2, 40, 9))]
    assert holdings.held("testnet", CALL.name) == []
    holdings.put(MAKER, CALL, Position(0, 0, 11))
    assert holdings.held("deribit", CALL.name) == [(HEDGE, Position(-2, -40))]
    assert holdings.realised_cash_units() == {"BTC": 11 + 40}
    holdings.invariant()


def test_what_expires_is_found_by_underlying_and_time_in_either_currency() -> None:
    holdings = Holdings()
    names = ["BTC-28MAR25-80000-C", "BTC-28MAR25", "BTC_USDC-28MAR25-80000-P", "BTC-25APR25-80000-C", "ETH-28MAR25"]
    for name in [*names, "BTC-PERPETUAL"]:
        holdings.put(PositionKey("deribit", "maker", name), REFERENCE.instrument(name), Position(1, 1))
    expiry_ns = CALL.contract.expiry_ns or 0
    expiring = [instrument.name for instrument in holdings.expiring("BTC", expiry_ns)]
    assert expiring == ["BTC-28MAR25", "BTC-28MAR25-80000-C", "BTC_USDC-28MAR25-80000-P"]


@pytest.mark.parametrize(
    ("position", "tampered", "message"),
    [
        (Position(0, 7), None, "cost of a flat position in BTC-PERPETUAL is 7, expected 0"),
        (Position(2, 7), ("_open_lots", PERPETUAL.name), "net lots of BTC-PERPETUAL is 3, expected 2"),
        (Position(2, 7), ("_open_lots", "BTC-28MAR25"), "net lots of BTC-28MAR25 is 1, expected 0"),
        (Position(2, 7), ("_open_basis", "BTC"), "open basis in BTC is 8, expected 7"),
    ],
)
def test_a_sum_that_is_off_is_found(position: Position, tampered: tuple[str, str] | None, message: str) -> None:
    holdings = Holdings()
    holdings.put(MAKER_PERPETUAL, PERPETUAL, position)
    if tampered:
        sums = getattr(holdings, tampered[0])
        sums[tampered[1]] = sums.get(tampered[1], 0) + 1
    with pytest.raises(UnbalancedEntryError, match=message):
        holdings.invariant()


@pytest.mark.parametrize(
    ("position", "message"),
    [
        (Position(11, 5_000_000), r"size of PositionKey\(.*\) is 11, expected 10"),
        (Position(10, 5_000_001), "BTC moved by positions is -5000000, expected -5000001"),
        (Position(10, 5_000_000, 1), "BTC moved by positions is -5000000, expected -4999999"),
    ],
)
def test_the_ledger_finds_a_position_that_its_accounts_do_not_know(position: Position, message: str) -> None:
    ledger = Blotter().run("fill BTC-28MAR25-80000-C buy 1 @ 0.05")
    ledger._holdings.put(MAKER, CALL, position)
    with pytest.raises(UnbalancedEntryError, match=message):
        ledger.invariant()


@pytest.mark.parametrize(
    ("name", "margined"),
    [("BTC-PERPETUAL", True), ("BTC-28MAR25", True), ("BTC_USDC-PERPETUAL", True), (CALL.name, False)],
)
def test_only_futures_are_margined(name: str, margined: bool) -> None:
    assert is_margined(REFERENCE.instrument(name)) is margined
