"""Derive's auctions against numbers computed from their contract, and against what they are for."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.risk.liquidation.auction import AuctionRules, Auctions, auctioned
from flatbook.risk.liquidation.state import FUND, VenueState

from .venues import PERPETUAL, market

RULES = AuctionRules()


@pytest.mark.parametrize(
    ("after_s", "fraction"), [(0, 0.95), (450, 0.825), (900, 0.70), (22_500, 0.35), (44_100, 0.0), (90_000, 0.0)]
)
def test_the_fraction_asked_for_falls_fast_and_then_slowly(after_s: float, fraction: float) -> None:
    assert RULES.bid_fraction(after_s) == pytest.approx(fraction, abs=1e-12)


def test_the_greatest_share_for_sale() -> None:
    assert RULES.buffer_margin(-200.0, 1_000.0) == pytest.approx(-380.0)
    assert RULES.most_share(-200.0, 1_000.0, 0.95) == pytest.approx(0.285714286, abs=1e-9)
    assert RULES.most_share(-200.0, 1_000.0, 0.70) == pytest.approx(0.351851852, abs=1e-9)
    assert replace(RULES, whole_below=2_000).most_share(-200.0, 1_000.0, 0.70) == 1.0


def test_an_insolvent_account_is_paid_for_more_and_more() -> None:
    assert RULES.insolvent_bid(1_800.0, -300.0, -50.0) == pytest.approx(-175.0)
    assert RULES.insolvent_bid(3_600.0, -300.0, -50.0) == RULES.insolvent_bid(9_999.0, -300.0, -50.0) == -300.0


@given(
    mtm=st.floats(1.0, 1e6), short=st.floats(0.001, 3.0), fraction=st.floats(0.0, 0.95), held_back=st.floats(0.0, 0.9)
)
def test_selling_the_greatest_share_restores_margin_with_its_buffer(
    mtm: float, short: float, fraction: float, held_back: float
) -> None:
    """Cash received counts once in MM and in MtM: the buffer margin of what is left comes to nothing."""
    mm, reserved = -short * mtm, held_back * mtm
    share = RULES.most_share(mm, mtm, fraction, reserved)
    assert 0.0 < share <= 1.0
    got = share * fraction * (mtm - reserved)
    mtm_after = (1.0 - share) * (mtm - reserved) + reserved + got
    mm_after = (1.0 - share) * (mm - reserved) + reserved + got
    assert RULES.buffer_margin(mm_after, mtm_after) == pytest.approx(0.0, abs=1e-7 * mtm)


def one_long(equity_usd: float) -> VenueState:
    """An account long ten coins at 80,000 with so much left at 78,000."""
    lots = np.array([[10_000, 0, 0, 0]])
    at = market(78_000.0, model="derive_sm")
    cash = np.array([round(equity_usd * 1e6)]) - lots @ at.mark
    return VenueState.opened(cash, lots, np.full((1, 4), 80e6), at, fund=10**11, makers=10**13)


def test_a_solvent_account_sells_a_share_and_is_safe_again() -> None:
    """Nobody bids before the discount pays them; then the sale leaves the account with its buffer."""
    at, state = market(78_000.0, model="derive_sm"), one_long(20_000.0)
    before, auctions, now_s = state, Auctions.none(1), 0.0
    while not state.lots[0, PERPETUAL] < 10_000:
        state, auctions = auctioned(state, auctions, now_s, at, at, RULES, edge_share=0.004)
        assert state.totals()[0] == before.totals()[0]
        assert not (state.totals()[1] - before.totals()[1]).any()
        now_s += 30.0
    # 0.4 % of 780,000 is 3,120, of what is worth 20,000 less the fee for the start: a discount of 17 %.
    assert now_s - 30.0 == pytest.approx(900.0 * (0.95 - 0.83) / 0.25, abs=60.0)
    mtm, mm = (int(one(state.cash[:1], state.lots[:1])[0]) for one in (at.balance, at.surplus))
    assert RULES.buffer_margin(mm, mtm) >= -1e-3 * mtm
    assert state.cash[FUND] > before.cash[FUND]
    state, auctions = auctioned(state, auctions, now_s, at, at, RULES, edge_share=0.004)
    assert not auctions.under_way.size or abs(RULES.buffer_margin(mm, mtm)) < 1e-3 * mtm


def test_an_insolvent_account_ends_with_nothing_and_the_module_pays() -> None:
    at, state = market(78_000.0, model="derive_sm"), one_long(-5_000.0)
    before, auctions = state, Auctions.none(1)
    for now_s in np.arange(0.0, 3_700.0, 60.0).tolist():
        state, auctions = auctioned(state, auctions, now_s, at, at, RULES, edge_share=0.004)
    assert state.cash[0] == 0
    assert not state.lots[0].any()
    assert not auctions.under_way.size
    # Its debt of 5,000 and the bidder's edge, to the minute by which the bid rises.
    paid = (before.cash[FUND] - state.cash[FUND]) / 1e6
    assert 5_000.0 + 3_120.0 <= paid <= 5_000.0 + 3_120.0 + (39_000.0 + 5_000.0) / 60.0
    assert state.totals()[0] == before.totals()[0]
