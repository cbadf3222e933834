"""The other makers' quotes as they are published."""

import numpy as np

from flatbook.domain.instruments import parse_name
from flatbook.domain.units import NS_PER_YEAR
from flatbook.kernels.black import black
from flatbook.sim.board import show_chain
from flatbook.sim.clocks import Clocks
from flatbook.sim.flow import Stage

from .builders import MIDNIGHT_NS

CLOCKS = Clocks(MIDNIGHT_NS, MIDNIGHT_NS + 7)


def test_rows_are_those_asked_for(stage: Stage) -> None:
    rows = stage.chain.rows_alive(MIDNIGHT_NS)
    event = show_chain(stage, rows, MIDNIGHT_NS).event("BTC", CLOCKS)
    assert (event.exch_ts_ns, event.local_ts_ns, event.underlying) == (*CLOCKS, "BTC")
    assert [row.instrument for row in event.rows] == [stage.chain.instruments[row].name for row in rows.tolist()]


def test_published_vols_give_the_published_prices(stage: Stage) -> None:
    event = show_chain(stage, stage.chain.rows_alive(MIDNIGHT_NS), MIDNIGHT_NS).event("BTC", CLOCKS)
    checked = 0
    for row in event.rows:
        contract = parse_name(row.instrument)
        assert contract.strike is not None
        assert contract.right is not None
        years = ((contract.expiry_ns or 0) - MIDNIGHT_NS) / NS_PER_YEAR
        for price, vol in ((row.bid, row.bid_iv), (row.ask, row.ask_iv)):
            if not np.isnan(vol):
                usd = black(row.forward_usd, float(contract.strike), vol, years, float(contract.right.sign)).price
                assert abs(usd / row.forward_usd - price) < 1e-9
                checked += 1
        assert not row.bid >= row.ask
        assert not row.bid_iv >= row.mark_iv
        assert not row.mark_iv >= row.ask_iv
        assert row.mark_iv > 0
    assert checked > 1.5 * len(event.rows)


def test_a_price_that_is_not_shown_is_missing(stage: Stage) -> None:
    shown = show_chain(stage, stage.chain.rows_alive(MIDNIGHT_NS), MIDNIGHT_NS)
    event = shown.event("BTC", CLOCKS)
    none = shown.market.bid_ticks == 0
    assert none.any()
    assert np.isnan([row.bid for row in event.rows]).tolist() == none.tolist()
