"""The venue: trades booked on both sides, orders refused for what they are, protection and priority."""

import contextlib
import math
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.units import NS_PER_MINUTE, NS_PER_SECOND, NS_PER_YEAR, parse_utc
from flatbook.ledger import PositionKey
from flatbook.sim.matching import SelfTrade, TimeInForce
from flatbook.sim.venue.account import STRATEGY, VENUE, Account
from flatbook.sim.venue.events import MmpTriggered
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.listing import Mark
from flatbook.sim.venue.margin import margin_of, requirement
from flatbook.sim.venue.mmp import NEVER_NS, MmpConfig, MmpGroup
from flatbook.sim.venue.orders import OrderKind, OrderRequest, OrderState, RefusalError, Refused
from flatbook.venues.deribit import load_reference
from tests.sim.venue.builders import STANDARD_MARGIN

NOW_NS = parse_utc("2026-01-05T10:00")
PERPETUAL, CALL, SPOT = "BTC-PERPETUAL", "BTC-30JAN26-80000-C", "BTC_USDC"


@pytest.fixture
def exchange() -> Exchange:
    venue = Exchange(load_reference(), STANDARD_MARGIN, NOW_NS)
    venue.index_usd["BTC"] = 80_000.0
    for name, mark in (
        (PERPETUAL, Mark(80_000.0, 80_000.0)),
        (CALL, Mark(0.05, 80_000.0, 0.5, delta=0.5, vega=80.0)),
        (SPOT, Mark(80_000.0, 80_000.0)),
    ):
        venue.list_instrument(name).mark = mark
    for name in ("alice", "bob"):
        venue.open_account(name, {"BTC": 10.0, "USDC": 100_000.0})
    return venue


def order(name: str, side: int, lots: int, ticks: int | None = None, **fields: object) -> OrderRequest:
    return OrderRequest(instrument=name, side=side, size_lots=lots, price_ticks=ticks, **fields)  # type: ignore[arg-type]


def refused(exchange: Exchange, account: Account, request: OrderRequest) -> Refused:
    events, numbers = len(exchange.events), set(account.orders)
    with pytest.raises(RefusalError) as caught:
        exchange.place(account, request)
    assert (len(exchange.events), set(account.orders)) == (events, numbers), "what is refused leaves no trace"
    return caught.value.reason


def test_an_option_trade_moves_premium_and_fees_as_published(exchange: Exchange) -> None:
    alice, bob = exchange.accounts.values()
    exchange.place(alice, order(CALL, -1, 10, 500))
    taken, executions = exchange.place(bob, order(CALL, 1, 10, 600))
    assert taken.state is OrderState.FILLED
    assert [each.printed.price_ticks for each in executions] == [500], "at the maker's price"
    # One contract at 0.05: premium 0.05 BTC; the fee 0.0003 BTC is under its cap of 12.5 % of the premium.
    assert bob.balance("BTC") == pytest.approx(10 - 0.05 - 0.0003, abs=1e-12)
    assert alice.balance("BTC") == pytest.approx(10 + 0.05 - 0.0003, abs=1e-12)
    # At the money Black's price over the forward is 2 N(v / 2) - 1.
    years = (parse_utc("2026-01-30T08:00") - NOW_NS) / NS_PER_YEAR
    exact = 2 * NormalDist().inv_cdf(0.525) / math.sqrt(years)
    assert executions[0].printed.iv == pytest.approx(exact, abs=1e-9)
    margin = margin_of(alice, exchange.listings, "BTC")
    assert (margin.initial, margin.maintenance) == pytest.approx((0.15 + 0.05, 0.075 + 0.05))
    assert margin.options_value == pytest.approx(-0.05)


def test_margin_of_shorts_falls_with_their_distance_from_the_money(exchange: Exchange) -> None:
    put = exchange.list_instrument("BTC-30JAN26-60000-P")
    put.mark = Mark(0.004, 80_000.0, 0.6, delta=-0.1)
    # A quarter out of the money: 0.15 - 0.25 is less than the least, 0.10.
    assert requirement(STANDARD_MARGIN, put, -10) == pytest.approx((0.104, 0.079))
    assert requirement(STANDARD_MARGIN, put, 10) == (0.0, 0.0)
    # 800,000 USD at 80,000 are ten coins: 2 % and 1 % of them, and ten times 0.005 % each.
    assert requirement(STANDARD_MARGIN, exchange.listings[PERPETUAL], 80_000) == pytest.approx((0.205, 0.105))


def test_what_may_not_come_in_is_refused_by_its_reason(exchange: Exchange) -> None:
    alice, bob = exchange.accounts.values()
    exchange.place(alice, order(PERPETUAL, -1, 100, 160_010))
    for request, reason in (
        (order(CALL, 1, 0, 500), Refused.AMOUNT),
        (order(CALL, 1, 1, 503), Refused.PRICE_TICK),
        (order(CALL, 1, 1, 2_000), Refused.PRICE_TOO_HIGH),
        (order(PERPETUAL, -1, 1, 100_000), Refused.PRICE_TOO_LOW),
        (order(PERPETUAL, 1, 1, 160_010, post_only=True, reject_post_only=True), Refused.POST_ONLY),
        (order(PERPETUAL, 1, 1, post_only=True, kind=OrderKind.MARKET), Refused.POST_ONLY_KIND),
        (order(PERPETUAL, 1, 1, 159_000, reduce_only=True), Refused.REDUCE_ONLY),
        (order(PERPETUAL, 1, 1, 159_000, mmp=True), Refused.MMP_ABSENT),
        (order(PERPETUAL, 1, 4_000_000, 159_000), Refused.FUNDS),
        (order(CALL, -1, 1_000, 600), Refused.FUNDS),
        (order(SPOT, -1, 100_001, 80_000), Refused.FUNDS),
        (order("BTC-30JAN26-1-C", 1, 1, 1), Refused.UNKNOWN_INSTRUMENT),
    ):
        assert refused(exchange, bob, request) is reason
    assert refused(exchange, alice, order(PERPETUAL, 1, 1, 160_010)) is Refused.OVERLAP


def test_a_post_only_order_is_moved_beside_the_best(exchange: Exchange) -> None:
    alice, bob = exchange.accounts.values()
    exchange.place(alice, order(CALL, -1, 1, 505))
    posted, executions = exchange.place(bob, order(CALL, 1, 1, 510, post_only=True))
    assert (posted.price_ticks, executions) == (500, []), "coarse ticks above 0.005"


def test_an_edit_keeps_the_place_only_where_it_makes_the_order_smaller(exchange: Exchange) -> None:
    alice, bob = exchange.accounts.values()
    first, _ = exchange.place(alice, order(PERPETUAL, 1, 10, 159_000))
    exchange.place(bob, order(PERPETUAL, 1, 10, 159_000))
    book = exchange.listings[PERPETUAL].book
    exchange.edit(alice, first.number, order(PERPETUAL, 1, 5, 159_000))
    assert [each.owner for each in book.queue(1, 159_000)] == ["alice", "bob"]
    exchange.edit(alice, first.number, order(PERPETUAL, 1, 6, 159_000))
    assert [each.owner for each in book.queue(1, 159_000)] == ["bob", "alice"]
    with pytest.raises(RefusalError):
        exchange.edit(alice, first.number, order(PERPETUAL, 1, 4_000_000, 159_000))
    assert (first.left_lots, len(book)) == (6, 2), "an edit that is refused leaves the order as it was"


def test_reduce_only_orders_go_with_the_position_they_would_reduce(exchange: Exchange) -> None:
    alice, bob = exchange.accounts.values()
    exchange.place(alice, order(PERPETUAL, -1, 10, 160_000))
    exchange.place(bob, order(PERPETUAL, 1, 10, 160_000))
    guard, _ = exchange.place(bob, order(PERPETUAL, -1, 10, 161_000, reduce_only=True))
    exchange.place(alice, order(PERPETUAL, 1, 4, 159_990))
    exchange.place(bob, order(PERPETUAL, -1, 4, 159_990))
    assert (guard.state, guard.cancel_reason) == (OrderState.CANCELLED, "reduce_only")


def test_an_account_may_have_its_own_order_cancelled_instead(exchange: Exchange) -> None:
    alice = exchange.accounts["alice"]
    alice.self_trade = SelfTrade.CANCEL_MAKER
    old, _ = exchange.place(alice, order(PERPETUAL, 1, 10, 159_990))
    exchange.place(alice, order(PERPETUAL, -1, 10, 159_990))
    assert (old.state, old.cancel_reason) == (OrderState.CANCELLED, "self_trade")


def test_what_ended_is_known_half_an_hour_or_a_day_where_it_traded_and_what_is_open_for_ever(
    exchange: Exchange,
) -> None:
    alice, bob = exchange.accounts.values()
    open_, _ = exchange.place(alice, order(CALL, -1, 10, 700))
    pulled, _ = exchange.place(alice, order(CALL, -1, 10, 800))
    exchange.cancel(alice, pulled.number)
    exchange.place(alice, order(CALL, -1, 5, 600))
    exchange.place(bob, order(CALL, 1, 5, 600))
    known = []
    for minutes in (30, 31, 1_440, 1_441):
        exchange.now_ns = NOW_NS + minutes * NS_PER_MINUTE
        exchange.forget()
        known.append((len(alice.history), len(alice.executions), len(exchange.orders)))
    assert known == [(3, 1, 4), (2, 1, 3), (2, 1, 3), (1, 0, 1)]
    assert alice.history == [open_]
    assert exchange.cancel(alice, open_.number).state is OrderState.CANCELLED


def test_protection_pulls_all_quotes_of_its_group_when_its_window_is_full(exchange: Exchange) -> None:
    alice, bob = exchange.accounts.values()
    config = MmpConfig(interval_s=5, frozen_s=10, quantity_coin=2.0, max_quote_coin=5.0)
    alice.mmp["btc_usd", "g"] = MmpGroup(config)
    for ticks, side in ((490, 1), (510, -1)):
        exchange.quote(alice, order(CALL, side, 10, ticks, mmp=True, mmp_group="g"))
    keeps, _ = exchange.place(alice, order(PERPETUAL, 1, 1, 159_000))
    exchange.place(bob, order(CALL, 1, 10, 510))
    exchange.quote(alice, order(CALL, -1, 10, 510, mmp=True, mmp_group="g"))
    exchange.place(bob, order(CALL, 1, 9, 510))
    assert len(alice.orders) == 3
    exchange.place(bob, order(CALL, 1, 1, 510))
    assert list(alice.orders.values()) == [keeps]
    triggers = [each for each in exchange.events if isinstance(each, MmpTriggered)]
    assert [each.frozen_until_ns for each in triggers] == [NOW_NS + 10 * NS_PER_SECOND]
    quote = order(CALL, 1, 10, 490, mmp=True, mmp_group="g")
    assert refused(exchange, alice, quote) is Refused.MMP_FROZEN
    exchange.now_ns += 10 * NS_PER_SECOND
    exchange.quote(alice, quote)


def test_the_protection_window_opens_at_a_trade_and_not_before() -> None:
    group = MmpGroup(MmpConfig(interval_s=5, frozen_s=0, delta_coin=1.0))
    second = NS_PER_SECOND
    assert not group.filled(7 * second, 1.0, 0.6, 0.0)
    assert not group.filled(11 * second, 1.0, -0.9, 0.0), "bought and sold delta net"
    assert not group.filled(12 * second, 1.0, 0.9, 0.0), "five seconds after the first trade a new window opened"
    assert group.filled(16 * second, 1.0, 0.1, 0.0)
    assert group.frozen_until_ns == NEVER_NS
    group.reset()
    assert not group.is_frozen(16 * second)


actions = st.lists(
    st.tuples(
        st.sampled_from(("alice", "bob", "house")),
        st.sampled_from((PERPETUAL, CALL)),
        st.sampled_from((1, -1)),
        st.integers(1, 30),
        st.integers(-3, 3),
        st.sampled_from((TimeInForce.GOOD_TIL_CANCELLED, TimeInForce.IMMEDIATE_OR_CANCEL, TimeInForce.FILL_OR_KILL)),
        st.booleans(),
        st.integers(0, 5),
    ),
    max_size=40,
)


@given(actions)
def test_whatever_is_traded_positions_net_cash_is_exact_and_open_orders_are_those_in_the_books(
    script: list[tuple[str, str, int, int, int, TimeInForce, bool, int]],
) -> None:
    venue = Exchange(load_reference(), STANDARD_MARGIN, NOW_NS)
    venue.index_usd["BTC"] = 80_000.0
    base = {PERPETUAL: (160_000, 1), CALL: (500, 5)}
    for name, mark in ((PERPETUAL, Mark(80_000.0, 80_000.0)), (CALL, Mark(0.05, 80_000.0, 0.5, delta=0.5))):
        venue.list_instrument(name).mark = mark
    for name in ("alice", "bob"):
        venue.open_account(name, {"BTC": 1.0}).mmp["btc_usd", ""] = MmpGroup(MmpConfig(interval_s=1, quantity_coin=3.0))
    for who, name, side, lots, offset, time_in_force, mmp, cancels in script:
        mid, step = base[name]
        if who == "house":
            rests = time_in_force.rests
            venue.house_order("house", name, side, mid + step * offset, lots, rests=rests)
            continue
        account = venue.accounts[who]
        with contextlib.suppress(RefusalError):
            venue.place(account, order(name, side, lots, mid + step * offset, time_in_force=time_in_force, mmp=mmp))
        for number in list(account.orders)[:1] if cancels == 0 else ():
            venue.cancel(account, number)
    for name, listing in venue.listings.items():
        held = {each.name: each.position(name).size_lots for each in venue.accounts.values()}
        assert sum(held.values()) + listing.holdings.get("house", 0) == 0, "every lot sold was bought"
        for account in venue.accounts.values():
            mine = [each for each in account.orders.values() if each.request.instrument == name]
            assert all(listing.book.order(each.number).left_lots == each.left_lots for each in mine)
            buys = sum(each.left_lots for each in mine if each.request.side > 0)
            sells = sum(each.left_lots for each in mine if each.request.side < 0)
            assert account.working.get(name, [0, 0]) == [buys, sells]
    for account in venue.accounts.values():
        account.ledger.invariant()
        assert all(key == PositionKey(VENUE, STRATEGY, key.instrument) for key in account.ledger.positions())
