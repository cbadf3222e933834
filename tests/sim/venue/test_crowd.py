"""The simulated others: one seed, one market; makers around their beliefs; eaten books grow back."""

import functools

import pytest

from flatbook.domain.units import NS_PER_SECOND, parse_utc
from flatbook.sim.calendar import ExpiryPlan
from flatbook.sim.chain import ListingRules
from flatbook.sim.drawn import MarketParameters
from flatbook.sim.venue.crowd import Crowd
from flatbook.sim.venue.cycle import Cycle
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.orders import OrderKind, OrderRequest, Print
from flatbook.venues.deribit import load_reference
from tests.sim.venue.builders import STANDARD_MARGIN

START_NS = parse_utc("2026-01-05T07:59")
SMALL = MarketParameters(listing=ListingRules(ExpiryPlan(dailies=1, weeklies=1, months=1, quarters=1)))


def opened(seed: int) -> tuple[Exchange, Crowd]:
    reference = load_reference()
    exchange = Exchange(reference, STANDARD_MARGIN, START_NS)
    return exchange, Crowd(exchange, Cycle(exchange), reference, seed=seed, steps=600, market=SMALL)


@functools.cache
def ran(seed: int, seconds: int) -> tuple[Exchange, Crowd]:
    exchange, crowd = opened(seed)
    crowd.run_until(START_NS + seconds * NS_PER_SECOND)
    return exchange, crowd


def tape(exchange: Exchange) -> list[Print]:
    return sorted((each for listing in exchange.listings.values() for each in listing.tape), key=lambda p: p.trade_id)


def test_one_seed_is_one_market_however_time_is_cut() -> None:
    whole, _ = ran(3, 90)
    pieces, crowd = opened(3)
    for tenth in range(1, 901, 40):
        crowd.run_until(START_NS + tenth * NS_PER_SECOND // 10)
    crowd.run_until(START_NS + 90 * NS_PER_SECOND)
    assert len(tape(whole)) > 20
    assert tape(whole) == tape(pieces)
    assert tape(whole) != tape(ran(4, 90)[0])


def test_books_are_two_sided_around_their_marks_and_what_has_expired_is_empty() -> None:
    exchange, crowd = ran(3, 90)
    open_listings = [each for each in exchange.listings.values() if each.is_open]
    two_sided = [each for each in open_listings if each.book.best(1) and each.book.best(-1)]
    assert len(two_sided) > 0.6 * len(open_listings)
    for listing in two_sided:
        assert listing.best(1)[0] < listing.best(-1)[0]
    closed = [each for each in exchange.listings.values() if not each.is_open]
    assert closed
    assert all(len(each.book) == 0 for each in closed)
    ((_, vol), *_) = crowd.volatility
    assert 30 < vol < 100


def test_an_eaten_option_book_grows_back_and_a_perpetual_leans_away() -> None:
    exchange, crowd = opened(3)
    crowd.run_until(START_NS + 2 * NS_PER_SECOND)
    account = exchange.open_account("alice", {"BTC": 10_000.0})
    option = max(
        (each for each in exchange.listings.values() if each.is_option and each.book.best(1)),
        key=lambda each: each.mark.vega,
    )
    depth = option.book.depth(-1)
    perpetual = exchange.listings["BTC-PERPETUAL"]
    mid = perpetual.mark.price
    for listing, lots in ((option, sum(lots for _, lots in depth)), (perpetual, 200_000)):
        request = OrderRequest(instrument=listing.name, side=1, size_lots=lots, kind=OrderKind.MARKET)
        exchange.place(account, request)
    assert option.book.depth(-1) == []
    crowd.run_until(exchange.now_ns + 40 * NS_PER_SECOND)
    assert len(option.book.depth(-1)) == len(depth)
    bought = account.position("BTC-PERPETUAL").size_lots * 10
    assert bought > 1e5
    index = exchange.index_usd["BTC"]
    # Y sigma sqrt(Q / V), decayed over forty seconds of a memory of three hundred.
    impact = 0.03 * (bought * 2.718 ** (-40 / 300) / 2e10) ** 0.5
    assert perpetual.mark.price / index - mid / index == pytest.approx(impact, abs=8e-4)
