"""Messages become the events they mean: units, signs, clocks, and nothing that a session would set aside."""

import math
from typing import Any

import msgspec
import pytest

from flatbook.domain.events import ChainQuotes, FundingRate, IndexTick, TopOfBook, TradePrint
from flatbook.domain.units import NS_PER_SECOND
from flatbook.venues.deribit import load_reference
from flatbook.venues.deribit.codec import Codec, Notification
from flatbook.venues.deribit.codec_events import MarketFeed
from flatbook.venues.deribit.codec_messages import IndexPrice, Ticker, Trade
from tests.service.exchange.desk import CALL, PERPETUAL, START_NS
from tests.venues.deribit.recordings import recorded_messages

MS = 1_000_000


def _ticker(name: str, at_ns: int = START_NS, **fields: Any) -> Notification:
    known = {
        "timestamp": at_ns // MS, "instrument_name": name, "state": "open", "index_price": 80_000.0,
        "mark_price": 80_010.0, "open_interest": 1.0, "best_bid_price": 80_000.0, "best_bid_amount": 10.0,
        "best_ask_price": 0.0, "best_ask_amount": 0.0, "stats": {},
    }  # fmt: skip
    return Notification("", msgspec.convert(known | fields, Ticker))


def _feed() -> MarketFeed:
    return MarketFeed(load_reference())


def test_an_index_is_told_when_it_moves_and_only_in_usd() -> None:
    feed = _feed()
    told = [feed.take(Notification("", IndexPrice(1, price, name)), 5) for price, name in
            ((80_000.0, "btc_usd"), (80_000.0, "btc_usd"), (3_000.0, "eth_usd"), (80_001.0, "btc_usdc"))]  # fmt: skip
    assert [len(events) for events in told] == [1, 0, 1, 0]
    assert told[0] == [IndexTick(exch_ts_ns=MS, local_ts_ns=5, underlying="BTC", price_usd=80_000.0)]


def test_a_side_that_nobody_quotes_is_nan_and_a_crossed_top_is_counted() -> None:
    feed = _feed()
    (top,) = feed.take(_ticker(PERPETUAL), 7)
    assert isinstance(top, TopOfBook)
    assert (top.bid, top.bid_amount, top.mark_price, top.exch_ts_ns) == (80_000.0, 10.0, 80_010.0, START_NS)
    assert math.isnan(top.ask)
    assert math.isnan(top.ask_amount)
    assert feed.take(_ticker(PERPETUAL, best_ask_price=79_000.0), 8) == []
    assert feed.take(_ticker("BTC-FS-30JAN26_PERP"), 9) == []
    assert feed.set_aside == {"crossed top of book": 1, "ticker of an unknown instrument": 1}


def test_funding_accrues_between_tickers_at_the_rate_before_and_not_over_a_silence() -> None:
    feed, told = _feed(), []
    # 0.0008 for 8 h held for 30 s, then twice that for 60 s, then an hour of nothing.
    for second, rate in ((0, 8e-4), (30, 16e-4), (90, 0.0), (3_690, 8e-4), (3_750, 8e-4)):
        told += feed.take(_ticker(PERPETUAL, START_NS + second * NS_PER_SECOND, current_funding=rate), second + 1)
    first, second_ = [event for event in told if isinstance(event, FundingRate)]
    assert (first.rate, first.hours) == pytest.approx(((8e-4 * 30 + 16e-4 * 60) / (8 * 3_600), 90 / 3_600))
    assert (second_.rate, second_.hours) == pytest.approx((8e-4 * 60 / (8 * 3_600), 60 / 3_600))


def test_options_are_told_together_the_last_word_of_each_with_vols_as_decimals() -> None:
    feed = _feed()
    vols: dict[str, Any] = {"bid_iv": 47.0, "ask_iv": 0.0, "mark_iv": 48.5, "underlying_price": 80_500.0}
    for number, bid in enumerate((0.040, 0.041)):
        assert feed.take(_ticker(CALL, START_NS + number * MS, best_bid_price=bid, **vols), number + 1) == []
    feed.take(_ticker(CALL, START_NS + MS, best_bid_price=0.05, best_ask_price=0.04, **vols), 3)
    (chain,) = feed.chains(NS_PER_SECOND)
    assert isinstance(chain, ChainQuotes)
    assert (chain.underlying, chain.exch_ts_ns, chain.local_ts_ns) == ("BTC", START_NS + MS, NS_PER_SECOND)
    (row,) = chain.rows
    assert (row.bid, row.bid_iv, row.mark_iv, row.forward_usd) == (0.041, 0.47, 0.485, 80_500.0)
    assert math.isnan(row.ask)
    assert math.isnan(row.ask_iv)
    assert feed.set_aside == {"crossed quote": 1}
    assert feed.chains(10 * NS_PER_SECOND) == []


def test_trades_have_the_takers_side_whole_lots_and_say_whether_they_were_on_the_book() -> None:
    def trade(**fields: Any) -> Trade:
        known = {
            "trade_seq": 1, "trade_id": "7", "timestamp": 1, "instrument_name": CALL, "direction": "sell",
            "price": 0.05, "amount": 0.3, "index_price": 80_000.0, "tick_direction": 0, "iv": 48.0,
        }  # fmt: skip
        return msgspec.convert(known | fields, Trade)

    feed = _feed()
    odd: list[dict[str, Any]] = [{"block_trade_id": "B"}, {"amount": 0.25}, {"price": 0.0}, {"instrument_name": "X"}]
    rows = [trade(), *(trade(trade_id=f"{number}", **fields) for number, fields in enumerate(odd))]
    first, block = feed.take(Notification("", rows), 9)
    assert isinstance(first, TradePrint)
    assert (first.taker_side, first.size_lots, first.iv, first.off_book) == (-1, 3, 0.48, False)
    assert math.isnan(first.mark_price)
    assert isinstance(block, TradePrint)
    assert block.off_book
    assert sum(feed.set_aside.values()) == 3


def test_what_comes_twice_or_after_a_later_word_makes_no_event() -> None:
    feed = _feed()
    prices = [(2, 80_001.0), (1, 80_000.0), (2, 80_001.0), (3, 80_002.0)]
    ticks = [feed.take(Notification("", IndexPrice(ms, usd, "btc_usd")), n) for n, (ms, usd) in enumerate(prices)]
    assert [len(each) for each in ticks] == [1, 0, 0, 1]
    tops = [feed.take(_ticker(PERPETUAL, START_NS + ms * MS), 9) for ms in (2, 1, 3)]
    assert [len(each) for each in tops] == [1, 0, 1]
    row = {"trade_seq": 1, "timestamp": 1, "instrument_name": CALL, "direction": "buy", "price": 0.05, "amount": 0.3,
           "index_price": 80_000.0, "tick_direction": 0}  # fmt: skip
    prints = [feed.take(Notification("", [msgspec.convert(row | {"trade_id": name}, Trade)]), 9) for name in "abab"]
    assert [len(each) for each in prints] == [1, 1, 0, 0]
    counted = {"index older than the one before": 1, "ticker older than the one before": 1, "trade told twice": 2}
    assert feed.set_aside == counted


def test_recorded_days_become_events_and_nothing_known_is_left_out() -> None:
    codec, feed, rows = Codec(), _feed(), 0
    for number, raw in enumerate(recorded_messages()[:136]):
        told = codec.decode(raw)
        if isinstance(told, Notification):
            assert feed.take(told, number + 1) == []
            rows += isinstance(told.data, Ticker)
    chains = feed.chains(2 * NS_PER_SECOND)
    assert [event.underlying for event in chains if isinstance(event, ChainQuotes)] == ["BTC", "ETH"]
    assert rows == 89
    assert not feed.set_aside
