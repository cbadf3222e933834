"""A recorded market in real books: quotes stand as recorded, takers meet whoever is better first."""

import math

import pytest

from flatbook.domain.events import ChainQuotes, IndexTick, MarketEvent, QuoteRow, TopOfBook, TradePrint
from flatbook.domain.units import NS_PER_SECOND, parse_utc
from flatbook.sim.venue.cycle import Cycle
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.orders import OrderRequest
from flatbook.sim.venue.tape import Tape
from flatbook.venues.deribit import load_reference
from tests.sim.venue.builders import STANDARD_MARGIN

START_NS = parse_utc("2026-01-05T10:00")
PERPETUAL, CALL = "BTC-PERPETUAL", "BTC-30JAN26-80000-C"


def at(second: int) -> dict[str, int]:
    return {"exch_ts_ns": START_NS + second * NS_PER_SECOND, "local_ts_ns": START_NS + second * NS_PER_SECOND}


def trade(second: int, trade_id: str, side: int, price: float, lots: int, *, off_book: bool = False) -> TradePrint:
    return TradePrint(
        instrument=CALL, trade_id=trade_id, taker_side=side, price=price, size_lots=lots,
        mark_price=0.05, iv=0.48, index_usd=80_000.0, off_book=off_book, **at(second),
    )  # fmt: skip


EVENTS: list[MarketEvent] = [
    IndexTick(underlying="BTC", price_usd=80_000.0, **at(0)),
    TopOfBook(
        instrument=PERPETUAL,
        bid=79_999.5,
        ask=80_000.5,
        bid_amount=1_000.0,
        ask_amount=math.nan,
        mark_price=80_000.0,
        **at(0),
    ),
    ChainQuotes(
        underlying="BTC",
        rows=(
            QuoteRow(CALL, 0.049, 0.051, 0.47, 0.49, 0.48, 80_000.0),
            QuoteRow("BTC-30JAN26-1-X", 0.1, 0.2, 0.5, 0.5, 0.5, 80_000.0),
        ),
        **at(1),
    ),
    trade(3, "1", 1, 0.051, 20),
    trade(4, "2", -1, 0.046, 60),
    trade(5, "3", 1, 0.06, 5, off_book=True),
]


def test_recorded_quotes_stand_and_recorded_takers_meet_the_better_first() -> None:
    exchange = Exchange(load_reference(), STANDARD_MARGIN, START_NS)
    tape = Tape(exchange, Cycle(exchange), EVENTS)
    tape.run_until(START_NS + 2 * NS_PER_SECOND)
    perpetual, call = exchange.listings[PERPETUAL], exchange.listings[CALL]
    assert (perpetual.best(1), perpetual.best(-1)) == ((79_999.5, 1_000.0), (80_000.5, 100_000.0))
    assert (call.best(1), call.best(-1)) == ((0.049, 5.0), (0.051, 5.0))
    assert call.mark.price == pytest.approx(0.05, abs=1e-4), "0.4 v at the money, v = 0.48 x 0.261"
    account = exchange.open_account("alice", {"BTC": 10.0})
    better, _ = exchange.place(account, OrderRequest(instrument=CALL, side=-1, size_lots=15, price_ticks=505))
    tape.run_until(START_NS + 3 * NS_PER_SECOND)
    assert [(each.price_ticks, each.size_lots) for each in call.tape] == [(505, 15), (510, 5)]
    assert call.mark.price == 0.05, "the print's own"
    assert better.left_lots == 0
    tape.run_until(START_NS + 9 * NS_PER_SECOND)
    assert [(each.price_ticks, each.size_lots) for each in call.tape][2:] == [(490, 50), (460, 10)]
    assert tape.has_ended
    assert "BTC-30JAN26-1-X" not in exchange.listings
