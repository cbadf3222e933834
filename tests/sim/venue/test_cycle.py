"""The venue's clock: funding by the mark's premium, delivery on the index's average, liquidation until it is enough."""

import pytest

from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND, parse_utc
from flatbook.sim.venue.cycle import Cycle
from flatbook.sim.venue.events import CashMoved
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.listing import Mark
from flatbook.sim.venue.margin import margin_of
from flatbook.sim.venue.orders import OrderRequest
from flatbook.venues.deribit import load_reference
from tests.sim.venue.builders import STANDARD_MARGIN

PERPETUAL, CALL, FUTURE = "BTC-PERPETUAL", "BTC-6JAN26-80000-C", "BTC-6JAN26"
NOW_NS = parse_utc("2026-01-06T07:00")


def opened(**deposits: float) -> tuple[Exchange, Cycle]:
    exchange = Exchange(load_reference(), STANDARD_MARGIN, NOW_NS)
    for name in (PERPETUAL, CALL, FUTURE):
        exchange.list_instrument(name)
    for name, amount in deposits.items():
        exchange.open_account(name, {"BTC": amount})
    return exchange, Cycle(exchange)


def quote(exchange: Exchange, name: str, bid: int, ask: int, lots: int = 100_000) -> None:
    for side, ticks in ((1, bid), (-1, ask)):
        exchange.house_order("makers", name, side, ticks, lots, rests=True)


def take(exchange: Exchange, account: str, name: str, lots: int, ticks: int) -> None:
    side = 1 if lots > 0 else -1
    request = OrderRequest(instrument=name, side=side, size_lots=abs(lots), price_ticks=ticks)
    exchange.place(exchange.accounts[account], request)


def pass_time(exchange: Exchange, cycle: Cycle, until_ns: int, index_usd: float, step_ns: int = NS_PER_MINUTE) -> None:
    while exchange.now_ns < until_ns:
        exchange.now_ns = min(exchange.now_ns + step_ns, until_ns)
        cycle.tick("BTC", index_usd)


def test_longs_pay_what_the_premium_is_beyond_the_damper() -> None:
    exchange, cycle = opened(alice=10.0)
    quote(exchange, PERPETUAL, 160_159, 160_161)  # mid 80,080: a tenth of a percent above the index
    cycle.tick("BTC", 80_000.0)
    take(exchange, "alice", PERPETUAL, 8_008, 160_161)
    assert exchange.listings[PERPETUAL].mark.price == pytest.approx(80_080.0)
    pass_time(exchange, cycle, NOW_NS + 30 * NS_PER_MINUTE, 80_000.0)
    # One coin, a rate of 0.1 % - 0.025 % for eight hours, and half an hour of them.
    paid = exchange.accounts["alice"].position(PERPETUAL).funding_units
    # A minute of it is 156.25 satoshi, of which each payment makes 157.
    assert paid == -157 * 30
    assert exchange.accounts["alice"].session_funding == {PERPETUAL: paid}
    assert not [each for each in exchange.events if isinstance(each, CashMoved)], "it is paid when the session ends"
    pass_time(exchange, cycle, NOW_NS + NS_PER_HOUR, 80_000.0)
    (moved,) = [each for each in exchange.events if isinstance(each, CashMoved)]
    assert moved.funding_units == exchange.accounts["alice"].position(PERPETUAL).funding_units == 2 * paid
    assert moved.units == moved.funding_units + exchange.accounts["alice"].ledger.totals("BTC").settlement_units
    assert exchange.accounts["alice"].session_funding == {}


def test_an_expiry_is_delivered_on_the_average_of_its_last_half_hour() -> None:
    exchange, cycle = opened(alice=10.0, bob=10.0)
    cycle.tick("BTC", 80_000.0)
    exchange.listings[CALL].mark = Mark(0.01, 80_000.0, 0.5, delta=0.5)
    quote(exchange, FUTURE, 32_000, 32_004)
    cycle.tick("BTC", 80_000.0)
    request = OrderRequest(instrument=CALL, side=-1, size_lots=10, price_ticks=100)
    exchange.place(exchange.accounts["alice"], request)
    take(exchange, "bob", CALL, 10, 100)
    take(exchange, "bob", FUTURE, 8_000, 32_004)
    rests = OrderRequest(instrument=CALL, side=1, size_lots=10, price_ticks=50)
    exchange.place(exchange.accounts["bob"], rests)
    before = {name: account.balance("BTC") for name, account in exchange.accounts.items()}
    pass_time(exchange, cycle, NOW_NS + 45 * NS_PER_MINUTE, 80_000.0)
    pass_time(exchange, cycle, NOW_NS + NS_PER_HOUR, 84_000.0)
    # The last minute's tick holds from its end: fourteen minutes of the fifteen are at 84,000.
    average = (16 * 80_000 + 14 * 84_000) / 30
    listing = exchange.listings[CALL]
    assert not listing.is_open
    assert listing.delivery_usd == pytest.approx(average)
    payoff = (average - 80_000) / average
    fee = min(0.00015, 0.125 * payoff)
    assert exchange.accounts["alice"].balance("BTC") - before["alice"] == pytest.approx(-payoff - fee, abs=2e-8)
    entry = 80_010.0
    future = 80_000 / entry - 80_000 / average - 80_000 / average * 0.00025
    assert exchange.accounts["bob"].balance("BTC") - before["bob"] == pytest.approx(payoff - fee + future, abs=4e-8)
    assert not exchange.accounts["bob"].orders
    assert not any(exchange.accounts["bob"].ledger.open_lots())


def test_an_account_short_of_margin_is_sold_off_until_it_has_enough() -> None:
    exchange, cycle = opened(alice=0.3)
    quote(exchange, PERPETUAL, 159_999, 160_001, 1_000_000)
    cycle.tick("BTC", 80_000.0)
    take(exchange, "alice", PERPETUAL, 80_000, 160_001)
    alice = exchange.accounts["alice"]
    request = OrderRequest(instrument=PERPETUAL, side=-1, size_lots=10, price_ticks=162_000)
    exchange.place(alice, request)
    quote(exchange, PERPETUAL, 156_999, 157_001, 1_000_000)
    for _ in range(60):
        exchange.now_ns += NS_PER_SECOND
        exchange.house_order("makers", PERPETUAL, -1, 157_001, 1_500_000, rests=True)
        exchange.house_order("makers", PERPETUAL, 1, 156_999, 100_000, rests=True)
        cycle.tick("BTC", 78_500.0)
    margin = margin_of(alice, exchange.listings, "BTC")
    assert margin.maintenance <= margin.margin_balance
    assert not alice.orders
    assert 0 < alice.position(PERPETUAL).size_lots < 80_000, "no more than needed"
    assert any(each.printed.is_liquidation for each in alice.executions)
    alice.ledger.invariant()
