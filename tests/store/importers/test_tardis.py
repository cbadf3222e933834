"""Tardis CSV types: both clocks kept, other venues left out, the index heard of before its trade."""

import math
from pathlib import Path

import pytest

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import ChainQuotes, IndexTick, TopOfBook, TradePrint
from flatbook.domain.reference import ReferenceData
from flatbook.store.importers import import_session
from flatbook.store.session import open_session
from flatbook.store.tables import CHAIN, read_table

_CHAIN = (
    "exchange,symbol,timestamp,local_timestamp,type,strike_price,expiration,open_interest,last_price,bid_price,"
    "bid_amount,bid_iv,ask_price,ask_amount,ask_iv,mark_price,mark_iv,underlying_index,underlying_price,delta,gamma,"
    "vega,theta,rho"
)
_ROWS = [
    "deribit,BTC-9JUN20-9875-P,1591574399413000,1591574400196008,put,9875,1591689600000000,0.1,0.0295,0.0205,15.1,55.91,"
    "0.0235,15.2,68.94,0.02210436,62.89,SYN.BTC-9JUN20,9756.36,-0.61752,0.00103,2.24964,-53.05655,-0.22796",
    "deribit,BTC-9JUN20-9000-P,1591574399500000,1591574400200000,put,9000,1591689600000000,0.1,,0,0,0,"
    "0.0005,15.2,58.3,0.0002,57.1,SYN.BTC-9JUN20,9756.40,-0.1,0.0001,1.0,-20.0,-0.1",
    "okex,BTC-USD-200609-9000-P,1591574399500000,1591574400200000,put,9000,1591689600000000,0.1,,0,0,0,"
    "0.0005,15.2,58.3,0.0002,57.1,X,9756.40,-0.1,0.0001,1.0,-20.0,-0.1",
    "deribit,BTC-9JUN20-9900-P,1591574399500000,1591574400200001,put,9900,1591689600000000,0.1,,0.04,1,70.0,"
    "0.03,15.2,58.3,0.0002,57.1,SYN.BTC-9JUN20,9756.40,-0.1,0.0001,1.0,-20.0,-0.1",
]
_TICKER = (
    "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,open_interest,"
    "last_price,index_price,mark_price\n"
    "deribit,BTC-PERPETUAL,1591574399000000,1591574399100000,,0.0001,,1,9750.0,9750.5,9750.0\n"
    "deribit,BTC-26JUN20,1591574399050000,1591574399150000,,,,1,9750.0,9750.5,9760.0\n"
    "deribit,BTC-PERPETUAL,1591574401000000,1591574401100000,,0.0001,,1,9750.0,9751.25,9750.0\n"
)
_TRADES = (
    "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
    "deribit,BTC-9JUN20-9875-P,1591574400000000,1591574400300000,77,sell,0.021,2.5\n"
    "deribit,BTC-9JUN20-9875-P,1591574400000001,1591574400300000,78,unknown,0.021,2.5\n"
    "deribit,BTC-PERPETUAL,1591574398000000,1591574398500000,79,buy,9750.5,30\n"
)


@pytest.fixture
def download(tmp_path: Path) -> Path:
    folder = tmp_path / "tardis"
    folder.mkdir()
    (folder / "a.csv").write_text("\n".join([_CHAIN, *_ROWS]) + "\n")
    (folder / "b.csv").write_text(_TICKER)
    (folder / "c.csv").write_text(_TRADES)
    return folder


def test_three_types_become_one_session(download: Path, tmp_path: Path, reference: ReferenceData) -> None:
    meta = import_session(download, tmp_path / "out", reference)
    assert meta.set_aside == {
        "crossed quote": 1,
        "row of another venue": 1,
        "trade without a side, or a price and size above zero": 1,
    }
    events = list(open_session(tmp_path / "out").market_events(0, 2**62, reference))
    assert [type(event) for event in events] == [
        TradePrint, IndexTick, TopOfBook, TopOfBook, ChainQuotes, ChainQuotes, TradePrint, IndexTick, TopOfBook
    ]  # fmt: skip
    perpetual, index, mark, future, first, second, trade, *_ = events
    assert isinstance(mark, TopOfBook)
    assert isinstance(future, TopOfBook)
    assert [(top.instrument, top.mark_price) for top in (mark, future)] == [
        ("BTC-PERPETUAL", 9_750.0),
        ("BTC-26JUN20", 9_760.0),
    ]
    assert math.isnan(mark.bid)
    assert mark.mid == 9_750.0
    assert isinstance(trade, TradePrint)
    assert (trade.exch_ts_ns, trade.local_ts_ns) == (1_591_574_400_000_000_000, 1_591_574_400_300_000_000)
    assert (trade.trade_id, trade.taker_side, trade.price, trade.size_lots) == ("77", -1, 0.021, 25)
    assert trade.index_usd == 9_750.5
    assert isinstance(index, IndexTick)
    assert (index.local_ts_ns, index.price_usd) == (1_591_574_399_100_000_000, 9_750.5)
    assert isinstance(first, ChainQuotes)
    (row,) = first.rows
    assert (row.bid, row.ask) == (0.0205, 0.0235)
    assert (row.bid_iv, row.ask_iv, row.mark_iv) == pytest.approx((0.5591, 0.6894, 0.6289), rel=1e-15)
    assert row.forward_usd == 9_756.36
    assert isinstance(second, ChainQuotes)
    assert isinstance(perpetual, TradePrint)
    assert perpetual.index_usd != perpetual.index_usd  # none was heard of before it: NaN


def test_no_bid_is_nan_in_price_and_vol(download: Path, tmp_path: Path, reference: ReferenceData) -> None:
    import_session(download, tmp_path / "out", reference)
    one_sided = read_table(tmp_path / "out", CHAIN).row(1, named=True)
    assert one_sided["instrument"] == "BTC-9JUN20-9000-P"
    assert one_sided["bid"] != one_sided["bid"]
    assert one_sided["bid_iv"] != one_sided["bid_iv"]
    assert (one_sided["ask"], one_sided["ask_iv"]) == (0.0005, 0.583)


def test_quotes_are_tops_of_books_and_an_options_are_not(tmp_path: Path, reference: ReferenceData) -> None:
    path = tmp_path / "q.csv"
    path.write_text(
        "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount\n"
        "deribit,BTC-PERPETUAL,1591574400000000,1591574400200000,18640,9751.5,9751,10000\n"
        "deribit,BTC-PERPETUAL,1591574401000000,1591574401200000,18640,9751.5,,\n"
        "deribit,BTC-9JUN20-9875-P,1591574401000000,1591574401200000,15.2,0.0235,0.0205,15.1\n"
        "deribit,BTC-26JUN20,1591574402000000,1591574402200000,10,9751.5,9752,10\n"
    )
    meta = import_session(path, tmp_path / "out", reference)
    assert meta.set_aside == {"crossed top of book": 1, "top of book of an option": 1}
    both, one = open_session(tmp_path / "out").market_events(0, 2**62, reference)
    assert isinstance(both, TopOfBook)
    assert (both.exch_ts_ns, both.local_ts_ns) == (1_591_574_400_000_000_000, 1_591_574_400_200_000_000)
    assert (both.bid, both.ask, both.bid_amount, both.ask_amount) == (9_751.0, 9_751.5, 10_000.0, 18_640.0)
    assert both.mid == 9_751.25
    assert isinstance(one, TopOfBook)
    assert (one.ask, one.ask_amount) == (9_751.5, 18_640.0)
    assert math.isnan(one.bid)
    assert math.isnan(one.mid)


def test_stamps_in_another_unit_are_refused(tmp_path: Path, reference: ReferenceData) -> None:
    path = tmp_path / "t.csv"
    path.write_text(_TRADES.replace("1591574400300000", "1591574400300000000"))
    with pytest.raises(BadInputError, match=r"t\.csv: local_timestamp is not in microseconds; take the file as Tardis"):
        import_session(path, tmp_path / "out", reference)
