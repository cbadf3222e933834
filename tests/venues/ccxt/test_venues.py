"""Documented answers of Binance, OKX and Bybit through ccxt's own parsers: what our codec makes of what it makes."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from math import isnan
from typing import Any, NamedTuple

import pytest

from flatbook.domain.events import Fill, FundingPaid, FundingRate, OrderAccepted, OrderCancelled, TopOfBook
from flatbook.domain.instruments import parse_expiry
from flatbook.domain.reference import ReferenceData
from flatbook.ledger import Ledger, VenueFee
from flatbook.venues.ccxt.client import Told
from flatbook.venues.ccxt.codec_own import Statement, differences
from flatbook.venues.ccxt.orders import Known
from tests.venues.ccxt.answers import ANSWERS
from tests.venues.ccxt.transport import Answers, Bench


class Case(NamedTuple):
    """A hedge at a venue, and what was asked of it and answered in the venue's own words."""

    answers: Answers
    contract: str
    order: tuple[int, str, str]
    path: str
    sent: dict[str, str]


CASES = {
    "binance_spot": Case(
        ANSWERS["binance_spot"],
        "BTC_USDT",
        (1, "80010", "0.00025"),
        "POST /api/v3/order",
        {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.00025", "price": "80010", "newClientOrderId": "r1h0"},
    ),
    "binance_usdm": Case(
        ANSWERS["binance_usdm"],
        "BTC_USDT-PERPETUAL",
        (1, "80010.1", "0.005"),
        "POST /fapi/v1/order",
        {"symbol": "BTCUSDT", "quantity": "0.005", "price": "80010.1", "timeInForce": "IOC"},
    ),
    "binance_coinm": Case(
        ANSWERS["binance_coinm"],
        "BTC-PERPETUAL",
        (-1, "79900", "700"),
        "POST /dapi/v1/order",
        {"symbol": "BTCUSD_PERP", "side": "SELL", "quantity": "7", "newClientOrderId": "r1h0"},
    ),
    "okx": Case(
        ANSWERS["okx"],
        "BTC_USDT-PERPETUAL",
        (1, "80010", "0.025"),
        "POST /api/v5/trade/batch-orders",
        {"instId": "BTC-USDT-SWAP", "sz": "2.5", "ordType": "ioc", "clOrdId": "r1h0"},
    ),
    "bybit": Case(
        ANSWERS["bybit"],
        "BTC_USDT-PERPETUAL",
        (1, "80010", "0.01"),
        "POST /v5/order/create",
        {"category": "linear", "symbol": "BTCUSDT", "qty": "0.01", "timeInForce": "IOC", "orderLinkId": "r1h0"},
    ),
}


class Met(NamedTuple):
    """What a venue came to."""

    bench: Bench
    top: TopOfBook | None
    funding: list[FundingRate]
    paid: list[FundingPaid]
    known: Known
    stated: Statement

    def told(self, kind: type[Any]) -> list[Any]:
        """Events of a kind."""
        return [event for event in self.bench.told if isinstance(event, kind)]


def meet(venue: str, number: Any = float) -> Met:
    """Everything that is asked of a venue, once."""
    case = CASES[venue]

    async def go() -> Met:
        bench = Bench(venue, case.answers, number)
        name = f"{venue}:{case.contract}"
        try:
            await bench.client.open()
            top = await bench.client.top(name)
            funding = await bench.client.funding(name, 0) if "PERPETUAL" in name else []
            paid = await bench.client.funding_paid(name, 0) if "PERPETUAL" in name else []
            known = await bench.client.place("h0", bench.intent(name, *case.order))
            return Met(bench, top, funding, paid, known, await bench.client.statement())
        finally:
            await bench.client.close()

    return asyncio.run(go())


@pytest.fixture(scope="module")
def met() -> dict[str, Met]:
    """Every venue."""
    return {venue: meet(venue) for venue in CASES}


@pytest.mark.parametrize(
    ("name", "lot", "tick", "per_amount"),
    [
        ("binance_spot:BTC_USDT", "0.00001", "0.01", "1"),
        ("binance_usdm:BTC_USDT-PERPETUAL", "0.001", "0.1", "1"),
        ("binance_coinm:BTC-PERPETUAL", "100", "0.1", "100"),
        ("binance_coinm:BTC-27MAR26", "100", "0.1", "100"),
        ("okx:BTC_USDT", "0.00000001", "0.1", "1"),
        ("okx:BTC_USDT-PERPETUAL", "0.0001", "0.1", "0.01"),
        ("okx:BTC-PERPETUAL", "1", "0.1", "100"),
        ("bybit:BTC-PERPETUAL", "1", "0.5", "1"),
        ("bybit:BTC_USDC", "0.000001", "0.01", "1"),
    ],
)
def test_lots_are_coins_or_dollars_whatever_a_venues_contract_is(
    met: dict[str, Met], name: str, lot: str, tick: str, per_amount: str
) -> None:
    listed = met[name.partition(":")[0]].bench.client.listing.named(name)
    spec = listed.instrument.spec
    assert (spec.lot, spec.ticks.finest, listed.per_amount) == (Decimal(lot), Decimal(tick), Decimal(per_amount))
    assert spec.fees.taker > spec.fees.maker >= 0 or name.endswith(("BTC_USDC", "BTC_USDT"))


def test_a_dated_future_expires_when_its_venue_says_and_a_coin_that_is_not_known_is_set_aside(
    met: dict[str, Met],
) -> None:
    future = met["okx"].bench.client.listing.named("okx:BTC-27MAR26").instrument
    assert future.contract.expiry_ns == parse_expiry("27MAR26")
    assert future.is_reciprocal
    assert met["binance_spot"].bench.client.listing.set_aside == {"a currency that the ledger does not know": 1}


@pytest.mark.parametrize(
    ("venue", "bid", "ask", "amounts"),
    [
        ("binance_spot", 80_000.0, 80_000.01, (1.5001, 0.75)),
        ("binance_usdm", 80_000.1, 80_000.2, (12.345, 3.001)),
        ("binance_coinm", 79_999.9, 80_000.0, (150_000.0, 3_700.0)),
        ("okx", 80_000.1, 80_000.2, (2.5001, 0.115)),
        ("bybit", 80_000.0, 80_000.1, (4.5, 1.122)),
    ],
)
def test_best_prices(met: dict[str, Met], venue: str, bid: float, ask: float, amounts: tuple[float, float]) -> None:
    top = met[venue].top
    assert top is not None
    assert (top.bid, top.ask, top.bid_amount, top.ask_amount) == (bid, ask, *amounts)
    assert (top.mark_price == 80_001.05) if venue == "bybit" else isnan(top.mark_price)


def test_funding_is_over_the_time_since_the_last_payment(met: dict[str, Met]) -> None:
    periods = {venue: [(event.rate, event.hours) for event in met[venue].funding] for venue in CASES}
    assert periods == {
        "binance_spot": [],
        "binance_usdm": [(-0.0000375, 8.0)],
        "binance_coinm": [(0.00005, 8.0)],
        "okx": [(0.00005, 8.0)],
        "bybit": [(0.00007, 4.0), (0.0001, 4.0)],
    }


def test_funding_as_the_venue_paid_it_is_booked_once_and_to_the_unit(met: dict[str, Met]) -> None:
    units = {venue: [event.units for event in met[venue].paid] for venue in CASES}
    assert units == {
        "binance_spot": [],
        "binance_usdm": [-375_000],
        "binance_coinm": [44],
        "okx": [-60_004],
        "bybit": [-48_003],
    }
    one = met["okx"]
    reference = ReferenceData({})
    reference.register(one.bench.client.listing.named("okx:BTC_USDT-PERPETUAL").instrument)
    ledger = booked(one.bench.told, reference, "okx", {})
    before = ledger.balance("okx", "USDT")
    for event in one.paid * 2:
        ledger.book_funding_paid(event, "okx", "hedging")
    assert ledger.balance("okx", "USDT") == before - 60_004
    ledger.invariant()


@pytest.mark.parametrize("venue", CASES)
def test_an_order_goes_out_in_the_venues_own_amounts(met: dict[str, Met], venue: str) -> None:
    sent = met[venue].bench.wire.sent(CASES[venue].path)
    assert {name: str(sent[name]) for name in CASES[venue].sent} == CASES[venue].sent


@pytest.mark.parametrize(
    ("venue", "fills", "fees"),
    [
        ("binance_spot", [(8_000_500, 10, 0), (8_001_001, 10, 8_001)], [("BTC", 10)]),
        ("binance_usdm", [(800_050, 5, 200_013)], []),
        ("binance_coinm", [(800_000, 7, 438)], []),
        ("okx", [(800_050, 150, 600_038)], []),
        ("bybit", [(800_050, 6, 264_017)], []),
    ],
)
def test_fills_in_ticks_lots_and_units(
    met: dict[str, Met], venue: str, fills: list[tuple[int, int, int]], fees: list[tuple[str, int]]
) -> None:
    told = met[venue].told(Fill)
    assert [(fill.price_ticks, fill.size_lots, fill.fee_units) for fill in told] == fills
    assert {(fill.order_id, fill.side, fill.is_maker) for fill in told} == {("h0", CASES[venue].order[0], False)}
    assert [(fee.currency, fee.units) for fee in met[venue].told(VenueFee)] == fees
    assert met[venue].known is Known.ENDED


def test_an_orders_end_is_told_once_and_after_its_last_fill(met: dict[str, Met]) -> None:
    for venue in ("binance_spot", "okx", "bybit"):
        kinds = [type(event) for event in met[venue].bench.told]
        assert (kinds[0], kinds[-1]) == (OrderAccepted, OrderCancelled)
        assert kinds.count(OrderCancelled) == kinds.count(OrderAccepted) == 1
    (end,) = met["okx"].told(OrderCancelled)
    assert end.reason == "cancelled: 14"


def test_positions_and_cash_without_what_is_not_realised(met: dict[str, Met]) -> None:
    stated = {venue: met[venue].stated for venue in CASES}
    assert stated["binance_usdm"].lots == {"binance_usdm:BTC_USDT-PERPETUAL": -5}
    assert stated["binance_coinm"].lots == {"binance_coinm:BTC-PERPETUAL": -7}
    assert stated["okx"].lots == {"okx:BTC_USDT-PERPETUAL": 150, "okx:BTC-PERPETUAL": -300}
    assert stated["bybit"].lots == {"bybit:BTC_USDT-PERPETUAL": 6}
    assert stated["binance_spot"].units == {"BTC": 472_384_689_208_130, "USDT": 1_000_123_456}
    assert stated["okx"].units == {"USDT": 999_399_962, "BTC": 100_000_000}
    assert stated["okx"].others == {"OKB": Decimal(3)}
    assert stated["bybit"].units == {"USDT": 999_735_983}


@pytest.mark.parametrize("venue", CASES)
def test_numbers_as_text_or_as_floats_come_to_the_same(met: dict[str, Met], venue: str) -> None:
    """The library can hand on a venue's own text: then no amount has ever been a float."""
    as_text = meet(venue, str)
    assert as_text.bench.told == met[venue].bench.told
    assert repr(as_text.top) == repr(met[venue].top)
    assert (as_text.funding, as_text.paid) == (met[venue].funding, met[venue].paid)
    assert as_text.stated == met[venue].stated


def booked(told: list[Told], reference: ReferenceData, venue: str, deposits: dict[str, int]) -> Ledger:
    """A ledger of what was told."""
    ledger = Ledger(reference, ["hedging"])
    for currency, units in deposits.items():
        ledger.deposit(venue, currency, units, 0)
    for event in told:
        if isinstance(event, Fill):
            ledger.book_fill(event, "hedging")
        elif isinstance(event, VenueFee):
            ledger.book_fee(event, "hedging")
    ledger.invariant()
    return ledger


def test_the_books_are_the_venues_statement_to_the_unit_or_say_where_not(met: dict[str, Met]) -> None:
    """Bybit's wallet was 1000 USDT before the fill; its fee is finer than a unit, and ours is rounded against us."""
    one = met["bybit"]
    reference = ReferenceData({})
    reference.register(one.bench.client.listing.named("bybit:BTC_USDT-PERPETUAL").instrument)
    ledger = booked(one.bench.told, reference, "bybit", {"USDT": 1_000_000_000})
    assert differences(ledger, one.bench.account, one.stated, tolerance_units=1) == []
    ledger.deposit("bybit", "USDT", 5, 0)
    (money,) = differences(ledger, one.bench.account, one.stated, tolerance_units=1)
    assert (money.what, money.booked - money.stated) == ("USDT", 5)
