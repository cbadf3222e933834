"""Shapes against the venue's own: what a recorded message has, ours has, of the same type."""

import gzip
import json
from typing import Any

import pytest

from flatbook.service.exchange import shapes, tellings
from tests.domain.recorded import DATA
from tests.service.exchange.desk import CALL, PERPETUAL, Caller, Desk
from tests.sim.venue.builders import STANDARD_MARGIN

RAW = DATA / "deribit-ws-raw"
pytestmark = pytest.mark.skipif(not RAW.exists(), reason="no recorded messages beside the repository")


@pytest.fixture
def desk() -> Desk:
    traded = Desk()
    for name, bid, ask in ((PERPETUAL, 159_990, 160_010), (CALL, 490, 510)):
        traded.quote(name, bid, ask, 100)
        Caller(traded, "alice")("private/buy", instrument_name=name, amount=10, price=traded_price(traded, name, ask))
    return traded


def traded_price(desk: Desk, name: str, ticks: int) -> float:
    return desk.exchange.listings[name].price(ticks)


def missing(recorded: dict[str, Any], ours: dict[str, Any]) -> set[str]:
    """Fields of the recorded message that ours lacks, or that are of another type."""
    gone = set()
    for name, value in recorded.items():
        mine = ours.get(name)
        if isinstance(value, dict) and isinstance(mine, dict):
            gone |= {f"{name}.{each}" for each in missing(value, mine)}
        elif name not in ours:
            gone.add(name)
        elif value is not None and mine is not None:
            kinds = (int, float) if isinstance(value, int | float) and not isinstance(value, bool) else type(value)
            if not isinstance(mine, kinds):
                gone.add(name)
    return gone


def recorded(name: str) -> Any:
    return json.loads((RAW / "nautilus_deribit" / name).read_text())


def test_an_options_instrument_and_ticker_have_all_that_the_venues_have(desk: Desk) -> None:
    with gzip.open(RAW / "rest_instruments_tickers_btc_20260627.json.gz") as file:
        taken = json.load(file)
    tickers = taken["tickers"]
    ticker = next(iter(tickers.values() if isinstance(tickers, dict) else tickers))
    listing = desk.exchange.listings[CALL]
    assert missing(taken["instruments"][0], shapes.instrument(listing, STANDARD_MARGIN)) == set()
    assert missing(ticker, shapes.ticker(desk.exchange, listing)) == set()
    ours = shapes.instrument(listing, STANDARD_MARGIN)
    same = [
        "tick_size", "tick_size_steps", "min_trade_amount", "contract_size", "maker_commission", "instrument_type",
        "base_currency", "quote_currency", "counter_currency", "settlement_currency", "kind", "price_index",
    ]  # fmt: skip
    theirs = taken["instruments"][0]
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}


def test_a_perpetuals_messages_have_all_that_the_venues_have(desk: Desk) -> None:
    listing, exchange = desk.exchange.listings[PERPETUAL], desk.exchange
    instrument = recorded("http_get_instrument.json")["result"]
    assert missing(instrument, shapes.instrument(listing, STANDARD_MARGIN)) == {"max_non_default_leverage"}
    trade = recorded("http_get_last_trades.json")["result"]["trades"][0]
    assert missing(trade, shapes.trade(listing, listing.tape[-1])) == set()
    for file, ours in (
        ("ws_ticker.json", shapes.ticker(exchange, listing)),
        ("ws_quote.json", shapes.quote(exchange, listing)),
    ):
        assert missing(recorded(file)["params"]["data"], ours) == set(), file


def test_book_messages_have_just_what_the_venues_have(desk: Desk) -> None:
    with gzip.open(RAW / "cryptofeed_deribit_ws_20210722.log.gz", "rt") as file:
        taken = [json.loads(line.split(": ", 1)[1])["params"] for line in file if '"channel":"book.' in line]
    listing, exchange = desk.exchange.listings[PERPETUAL], desk.exchange
    ours = {"snapshot": tellings.snapshot(exchange, listing), "change": tellings.change(exchange, listing, 1, [])}
    books = {message["data"]["type"]: message["data"] for message in taken}
    assert {sort: set(book) for sort, book in books.items()} == {sort: set(book) for sort, book in ours.items()}
    for sort, book in books.items():
        assert missing(book, ours[sort]) == set()


def test_levels_are_put_together_away_from_the_other_side(desk: Desk) -> None:
    listing = desk.exchange.listings[PERPETUAL]
    desk.quote(PERPETUAL, 159_983, 160_017, 5)
    assert shapes.grouped(listing, 1, "5", 10) == [[79_995.0, 1_000.0], [79_990.0, 50.0]]
    assert shapes.grouped(listing, -1, "5", 1) == [[80_005.0, 990.0]]
    assert shapes.grouped(listing, -1, "none", 2) == [[80_005.0, 990.0], [80_008.5, 50.0]]
