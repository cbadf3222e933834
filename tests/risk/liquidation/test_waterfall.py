"""The whole waterfall, over venues and paths that chance draws: no money appears or disappears."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.risk.liquidation.auction import AuctionRules
from flatbook.risk.liquidation.deleverage import Ranking
from flatbook.risk.liquidation.fund import shares, socialised, taken_over
from flatbook.risk.liquidation.incremental import IncrementalRules, reduce_once, short_of_margin, steps
from flatbook.risk.liquidation.state import FUND, MAKERS, VenueState
from flatbook.risk.liquidation.waterfall import Tally, Venue, WaterfallRules, advanced, closed

from .venues import CALL, PERPETUAL, TOKEN, depth, market, opened

RULES = [
    WaterfallRules(),
    WaterfallRules(IncrementalRules(step_share=0.5, opens=True), takeover_usage=0.3, deleveraging="water_filling"),
    WaterfallRules(deleveraging=None),
    WaterfallRules(auction=AuctionRules(fast_s=60.0, slow_s=300.0, insolvent_s=120.0)),
]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    rules=st.sampled_from(RULES),
    model=st.sampled_from(["deribit_pm", "deribit_sm", "derive_sm"]),
    moves=st.lists(st.floats(-0.25, 0.25), min_size=1, max_size=5),
    fund=st.sampled_from([0, 10**9, 10**12]),
    late=st.integers(0, 2),
    misvalued=st.sampled_from([0.0, 0.3]),
)
def test_money_and_contracts_are_conserved_to_the_unit(
    seed: int, rules: WaterfallRules, model: str, moves: list[float], fund: int, late: int, misvalued: float
) -> None:
    """Cash in all, tokens in all, contracts summing to nothing: after every step; and in the end nobody owes."""
    markets = [market(80_000.0 * price, 0.6, model) for price in np.cumprod([1.0, *(1.0 + one for one in moves)])]
    venue = Venue.opening(opened(np.random.default_rng(seed), markets[0], 12, fund))
    cash, lots = venue.state.totals()
    assert not lots[:TOKEN].any()
    for step, actual in enumerate(markets):
        believed = markets[max(0, step - late)].valuing_assets_at(misvalued)
        for second in range(3):
            venue = advanced(venue, 60.0 * step + second, believed, actual, rules, depth())
            assert venue.state.totals()[0] == cash
            assert (venue.state.totals()[1] == lots).all()
    venue = closed(venue, markets[-1], rules)
    assert venue.state.totals()[0] == cash
    assert (venue.state.totals()[1] == lots).all()
    assert (venue.state.equity(markets[-1])[: venue.state.accounts] >= 0).all()
    assert venue.state.equity(markets[-1])[FUND] >= 0


@pytest.mark.parametrize("deleveraging", ["ranked", "water_filling", None])
def test_beyond_the_fund_the_other_side_pays_or_everybody(deleveraging: Ranking | None) -> None:
    """A fund of a thousand dollars and a fall of a third at once: most is borne by winners, or socialised."""
    before, after = market(80_000.0), market(54_000.0)
    rules = WaterfallRules(deleveraging=deleveraging)
    venue = Venue.opening(opened(np.random.default_rng(8), before, 60, fund=10**9))
    venue = closed(advanced(venue, 0.0, before, after, rules, depth(0)), after, rules)
    tally = venue.tally
    assert tally.taken_over > 3
    assert tally.debts > 50 * 10**9
    assert (tally.deleveraged > 0) == (tally.deleveraged_lots > 0) == (deleveraging is not None)
    # What winners did not bear, the fund's thousand and everybody did; deleveraged winners may come to owe, too.
    assert tally.socialised == pytest.approx(tally.debts - tally.deleveraged - 10**9, rel=0.01)
    assert (venue.state.equity(after)[: venue.state.accounts] >= 0).all()


def test_nothing_happens_to_who_is_covered() -> None:
    at = market(80_000.0)
    state = opened(np.random.default_rng(3), at, 40, fund=10**9)
    venue = advanced(Venue.opening(state), 0.0, at, at, WaterfallRules(), depth())
    assert venue.tally == Tally()
    assert (venue.state.lots == state.lots).all()
    assert venue.state.resting.any()


def account(lots: list[int], surplus_usd: float, index_usd: float = 80_000.0, fund: int = 0) -> VenueState:
    """One account, so far above or below its maintenance."""
    at, held = market(index_usd), np.array([lots])
    cash = np.array(at.maintenance(held) - held @ at.mark + round(surplus_usd * 1e6), dtype=np.int64)
    state = VenueState.opened(cash, held, np.zeros(held.shape), at, fund, makers=10**14)
    return VenueState(state.cash, state.lots, state.entry, np.ones_like(state.lots))


def test_orders_go_first_then_futures_then_options() -> None:
    """A short call hedged too little: the perpetual that frees most is bought, though it is held short."""
    at, rules = market(80_000.0), IncrementalRules(opens=True)
    state = account([-200, -10, 0, 0], -100.0)
    after, _ = reduce_once(state, at, at, rules, depth(10_000))
    assert not after.resting[0].any()
    assert after.resting[MAKERS].any()
    assert after.lots[0, PERPETUAL] > -200
    assert after.lots[0, CALL] == -10
    assert at.maintenance(after.lots[:1]) < at.maintenance(state.lots[:1])
    hedges = np.array([[size, -10, 0, 0] for size in range(0, 1_000, 10)])
    best = int(hedges[np.argmin(at.maintenance(hedges)), PERPETUAL])
    assert 0 < best < 1_000
    found = steps(account([best, -10, 0, 0], -100.0), np.array([0]), at, IncrementalRules())
    assert found.contract.tolist() == [CALL]
    assert (found.lots > 0).all()


@pytest.mark.parametrize("opens", [False, True])
@pytest.mark.parametrize("lots", [[450, -10, 0, 0], [-450, 0, -10, 0], [0, -20, -20, 0], [300, -10, 7, 50_000]])
def test_a_market_with_depth_always_ends_it(lots: list[int], opens: bool) -> None:
    """Hedged books too, in which no step frees margin by itself."""
    at = market(80_000.0)
    state = account(lots, -500.0)
    for _ in range(60):
        state, _ = reduce_once(state, at, at, IncrementalRules(step_share=0.2, opens=opens), depth(10_000))
    assert not short_of_margin(state, at).size


def test_steps_end_once_margin_is_covered_and_the_fund_has_the_fees() -> None:
    at, rules = market(80_000.0), IncrementalRules(step_share=0.1, clearance_share=0.005)
    state = account([5_000, 0, 0, 0], -3_000.0)
    sold = []
    while short_of_margin(state, at).size:
        after, _ = reduce_once(state, at, at, rules, depth(10_000))
        sold.append(int(state.lots[0, PERPETUAL] - after.lots[0, PERPETUAL]))
        fee = -(-int(0.005 * sold[-1] * int(at.notional[PERPETUAL])) // 1)
        assert after.cash[FUND] - state.cash[FUND] == pytest.approx(fee, abs=1)
        state = after
    assert sold[0] == 500
    assert 0 < state.lots[0, PERPETUAL] < 5_000


def test_a_market_takes_no_more_than_its_depth_and_the_shortest_go_first() -> None:
    at = market(80_000.0)
    lots = np.array([[5_000, 0, 0, 0], [5_000, 0, 0, 0]])
    surplus = np.array([-100_000_000, -900_000_000])
    cash = np.asarray(at.maintenance(lots) + surplus - lots @ at.mark)
    state = VenueState.opened(cash, lots, np.zeros(lots.shape), at, makers=10**14)
    after, left = reduce_once(state, at, at, IncrementalRules(), depth(600))
    assert (after.lots - state.lots)[:2, PERPETUAL].tolist() == [-100, -500]
    assert left.lots[1, PERPETUAL] == 0
    # Two thirds of 2 % at the margin and the half spread, off each lot.
    concession = int(at.notional[PERPETUAL] * (0.0005 + 0.02 * 2.0 / 3.0)) + 1
    made = after.equity(at)[MAKERS] - state.equity(at)[MAKERS]
    assert made == pytest.approx(600 * concession, abs=600)


def test_the_fund_takes_over_to_the_unit() -> None:
    """At the bankruptcy price the account is left with nothing, and the fund's equity falls by exactly its debt."""
    at = market(70_000.0)
    state = account([3_000, -40, 7, 11], -80_000.0, fund=10**12)
    equity = state.equity(at)
    after = taken_over(state, np.array([0]), at)
    assert after.cash[0] == 0
    assert not after.lots[0].any()
    assert after.equity(at)[FUND] - equity[FUND] == equity[0]


def test_what_the_fund_lacks_is_paid_in_proportion() -> None:
    at = market(80_000.0)
    cash = np.array([1_000, 3_001, 0, 2_000])
    state = VenueState.opened(cash, np.zeros((4, 4), dtype=np.int64), np.zeros((4, 4)), at, fund=-600, makers=0)
    after, owed = socialised(state, at)
    assert owed == 600
    assert after.cash.tolist() == [900, 2_701, 0, 1_800, 0, 0, 0]
    assert after.cash[FUND] == 0


@given(weights=st.lists(st.integers(1, 10**15), min_size=1, max_size=20), share=st.floats(0.0, 1.0))
def test_shares_sum_and_none_is_more_than_its_weight(weights: list[int], share: float) -> None:
    amount = min(int(share * sum(weights)), sum(weights))
    split = shares(amount, np.array(weights))
    assert int(split.sum()) == amount
    assert (split <= np.array(weights)).all()
    exact = [amount * weight / sum(weights) for weight in weights]
    assert split == pytest.approx(exact, rel=1e-12, abs=1.0)
