"""A maker on our exchange, in process and in steps of its time: its books are the account's, to the unit."""

from collections import Counter
from contextlib import nullcontext, suppress
from typing import Any

import msgspec
import pytest

from flatbook.app.live_booked import booked
from flatbook.domain.errors import BadInputError
from flatbook.domain.events import Fill, FundingPaid, ProtectionTriggered
from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND, parse_utc
from flatbook.engine.setup import HEDGING
from flatbook.service.exchange.api import Api
from flatbook.service.exchange.auth import Auth, Client
from flatbook.sim.calendar import ExpiryPlan
from flatbook.sim.chain import ListingRules
from flatbook.sim.drawn import MarketParameters
from flatbook.sim.takers import TakerParameters
from flatbook.sim.venue.account import VENUE
from flatbook.sim.venue.crowd import Crowd
from flatbook.sim.venue.cycle import Cycle
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.mmp import MmpConfig
from flatbook.venues.deribit import load_reference
from flatbook.venues.deribit.client_actions import Terms
from flatbook.venues.deribit.client_protocol import Protocol
from flatbook.venues.deribit.client_requests import Asked, Outcome
from flatbook.venues.deribit.codec import Answer
from flatbook.venues.deribit.codec_account import Logged, LogPage, Protected
from flatbook.venues.deribit.codec_own import OwnOrder, OwnTrade
from flatbook.venues.deribit.maker import Maker
from flatbook.venues.deribit.maker_account import settlement_before
from flatbook.venues.deribit.maker_orders import NS_PER_MS
from flatbook.venues.deribit.maker_terms import (
    LABEL,
    Known,
    MakerTerms,
    Standing,
    protection_of,
    require_granted,
    require_no_rival,
)
from flatbook.venues.deribit.statement import compare
from tests.conftest import KEEN
from tests.sim.venue.builders import STANDARD_MARGIN
from tests.venues.deribit.stepped import ALICE, InProcess, SteppedVenue, by_hand, trade

_SMALL = MarketParameters(
    listing=ListingRules(ExpiryPlan(dailies=2, weeklies=1, months=1, quarters=0), 1.0, 1.5, inner_strikes=4),
    takers=TakerParameters(arrivals_per_day=200_000.0),
)
_START_NS = parse_utc("2026-01-06T07:56")


def _api(seed: int, steps: int) -> Api:
    reference = load_reference()
    exchange = Exchange(reference, STANDARD_MARGIN, _START_NS)
    cycle = Cycle(exchange)
    crowd = Crowd(exchange, cycle, reference, seed=seed, steps=steps, market=_SMALL)
    exchange.open_account("alice", {"BTC": 100.0})
    api = Api(exchange, cycle, crowd, Auth([Client("alice", "secret", "alice")], b"key"), is_stepped=True)
    api.advance(_START_NS)
    return api


def _deepest_call(api: Api) -> str:
    """Of those that expire at the next settlement."""
    calls = [name for name in api.exchange.listings if name.startswith("BTC-6JAN26-") and name.endswith("-C")]
    return min(calls, key=lambda name: int(name.split("-")[2]))


def test_over_a_settlement_and_a_delivery_the_books_are_the_accounts_to_the_unit() -> None:
    api = _api(seed=1, steps=400)
    wire = InProcess(api)
    start_ms = _START_NS // 1_000_000
    by_hand(wire, start_ms, "private/sell", instrument_name="BTC-PERPETUAL", amount=900_000, type="market")
    by_hand(wire, start_ms, "private/buy", instrument_name=_deepest_call(api), amount=8.0, type="market")
    account = api.exchange.accounts["alice"]
    before = len(account.executions)
    engine, venue = trade(wire, KEEN, _START_NS, seconds=5 * 60, most_coin=1.0)
    state = engine.state
    fills = Counter(done.order.request.quote_set or "hedge" for done in account.executions[before:])
    assert fills["flatbook"] >= 10, "quotes filled"
    assert fills["hedge"] >= 5, "and hedges"
    assert venue.told[ProtectionTriggered] >= 1
    assert venue.told[Fill] == len(account.executions) - before
    flows, theirs = state.ledger.totals("BTC"), account.ledger.totals("BTC")
    assert flows.delivery_units == theirs.delivery_units != 0
    accrued = account.session_funding["BTC-PERPETUAL"]
    assert accrued != 0, "the new session's funding is not paid yet"
    assert flows.funding_units == theirs.funding_units - accrued
    assert {key.strategy for key, _ in state.ledger.positions_in("BTC-PERPETUAL")} == {HEDGING}
    assert dict(state.ledger.open_lots()) == dict(account.ledger.open_lots())
    carried = state.ledger.balance("deribit", "BTC") - state.ledger.open_basis_units("BTC")
    assert carried == account.ledger.balance(VENUE, "BTC") - account.ledger.open_basis_units("BTC") - accrued
    assert venue.maker.statement is not None
    assert compare(state.ledger, "deribit", venue.maker.statement) == []
    assert account.orders == {}
    assert api.exchange.now_ns > _START_NS + 5 * NS_PER_MINUTE
    state.ledger.invariant()


def test_protection_that_is_not_what_was_asked_for_is_refused_and_no_quote_is_sent() -> None:
    class Stingy(InProcess):
        """A venue that grants half of what is asked."""

        def exchange(self, sent: list[bytes], until_ms: int) -> list[bytes]:
            return [raw.replace(b'"delta_limit":7.0', b'"delta_limit":3.5') for raw in super().exchange(sent, until_ms)]

    protection = protection_of("btc_usd", 5, 5, 10.0, 2.0, delta_coin=7.0, vega_usd=900.0)
    terms = MakerTerms(underlying="BTC", run="t", protection=protection)
    for wire, says in ((InProcess(_api(1, 60)), ""), (Stingy(_api(1, 60)), "delta_limit 3.5 instead of 7; set the")):
        venue = SteppedVenue(wire, ALICE, terms, load_reference(), _START_NS)
        with pytest.raises(BadInputError, match=says) if says else nullcontext():
            venue.open()
        account = wire.api.exchange.accounts["alice"]
        assert account.mmp["btc_usd", LABEL].config == MmpConfig(
            interval_s=5, frozen_s=5, quantity_coin=10.0, delta_coin=7.0, vega_usd=900.0, max_quote_coin=2.0
        )
        assert not account.history
    require_granted(protection, [Protected("btc_usd", 5, 5, LABEL, 10.0, 7.0, 900.0, 2.0)])
    with pytest.raises(BadInputError, match="does not say that it protects flatbook on btc_usd"):
        require_granted(protection, [Protected("btc_usd", 5, 5, "other", 10.0, 7.0, 900.0, 2.0)])


def test_another_maker_on_the_account_is_told_by_its_orders_and_ends_the_run() -> None:
    def order(sent_ms: int, **fields: Any) -> OwnOrder:
        return OwnOrder(
            "o",
            fields.pop("state", "open"),
            "limit",
            "BTC-PERPETUAL",
            "buy",
            1.0,
            10.0,
            0.0,
            sent_ms,
            sent_ms,
            **fields,
        )

    terms = MakerTerms(underlying="BTC", run="6a", protection=protection_of("btc_usd", 5, 5, 10.0, 2.0))
    begun_ms, later_ms = 1_000_000, 1_005_000
    quote = {"quote_set_id": LABEL, "quote": True}
    for harmless in (
        order(later_ms, label="flatbook-6a:h1"),
        order(later_ms, label="by hand"),
        order(begun_ms, label="flatbook-5f:h9"),
        order(later_ms, quote_id="6a-17", **quote),
        order(begun_ms, quote_id="5f-17", **quote),
        order(later_ms, quote_id="5f-17", state="cancelled", **quote),
    ):
        require_no_rival([harmless], terms, begun_ms)
    for rivals in (order(later_ms, label="flatbook-5f:h9"), order(later_ms, quote_id="5f-17", **quote)):
        with pytest.raises(BadInputError, match="another maker of flatbook trades on this account: order o"):
            require_no_rival([rivals], terms, begun_ms)


def test_a_maker_that_hears_of_another_on_its_account_ends() -> None:
    wire = InProcess(_api(seed=1, steps=60))
    terms = MakerTerms(underlying="BTC", run="6a", protection=protection_of("btc_usd", 5, 5, 10.0, 2.0))
    venue = SteppedVenue(wire, ALICE, terms, load_reference(), _START_NS)
    venue.open()
    for _ in range(3):
        venue._step()
    beside = InProcess(wire.api)
    order = {"instrument_name": "BTC-PERPETUAL", "amount": 10, "type": "market"}
    by_hand(beside, venue.now_ns // NS_PER_MS, "private/buy", **order)
    venue._step()
    by_hand(beside, venue.now_ns // NS_PER_MS, "private/buy", **order, label="flatbook-5f:h1")
    with pytest.raises(BadInputError, match="another maker of flatbook trades on this account"):
        venue._step()


def test_a_run_taken_up_asks_for_payments_since_the_last_that_was_booked_though_it_heard_of_trades_since() -> None:
    paid_ns, traded_ns = _START_NS, _START_NS + NS_PER_MINUTE
    paid = FundingPaid(exch_ts_ns=paid_ns, local_ts_ns=traded_ns, instrument="BTC-PERPETUAL", payment_id="7", units=-3)
    fill = Fill(
        exch_ts_ns=traded_ns, local_ts_ns=traded_ns + 1, venue="deribit", trade_id="t", order_id="h",
        instrument="BTC-PERPETUAL", side=1, price_ticks=1, size_lots=1, fee_units=0, is_maker=False,
    )  # fmt: skip
    books = booked([paid, fill])
    known = Known(frozenset(books.trade_ids), books.until_ns, books.paid_ns, settlement_before(_START_NS))
    terms = MakerTerms(underlying="BTC", run="t", protection=protection_of("btc_usd", 5, 5, 10.0, 2.0))
    protocol = Protocol(Terms(), ALICE, lambda: 0.5, lambda: "n")
    maker = Maker(protocol, terms, load_reference(), known)
    assert maker.account.logged_ms * NS_PER_MS == paid_ns, "what was paid before the trade may not have been heard of"
    assert maker.news.seen_from_ns == traded_ns
    rows = [
        Logged(number, "settlement", paid_ns // NS_PER_MS + ms, "BTC", 0.0, "BTC-PERPETUAL", 1e-8)
        for number, ms in enumerate((-1, 1), 1)
    ]
    maker.account._take_log(LogPage(rows))
    told = [each for each in maker.take_events() if isinstance(each, FundingPaid)]
    assert [(each.payment_id, each.units) for each in told] == [("2", 1)], "what is in the books is not told again"


def test_trades_of_more_than_a_day_ago_are_asked_of_the_venues_history_too() -> None:
    terms = MakerTerms(underlying="BTC", run="t", protection=protection_of("btc_usd", 5, 5, 10.0, 2.0))
    account = Maker(Protocol(Terms(), ALICE, lambda: 0.5, lambda: "n"), terms, load_reference()).account

    def asked(age_ns: int) -> list[object]:
        """The first page's questions, each answered by an empty page."""
        account.venue_ns, account.news.seen_from_ns = _START_NS, _START_NS - age_ns
        empty, found = Answer(1, msgspec.Raw(b'{"trades":[],"has_more":false}')), []
        script = account._catch_up()
        questions = next(script)
        with suppress(StopIteration):
            while True:
                found.append(questions[0].params.get("historical"))
                questions = script.send([Asked(1, questions[0].method, {}, Outcome.DONE, answer=empty)])
        return found

    assert asked(NS_PER_HOUR) == [None]
    assert asked(30 * NS_PER_HOUR) == [True, None]


def test_what_could_not_be_read_is_asked_after() -> None:
    terms = MakerTerms(underlying="BTC", run="t", protection=protection_of("btc_usd", 5, 5, 10.0, 2.0))
    venue = SteppedVenue(InProcess(_api(seed=1, steps=60)), ALICE, terms, load_reference(), _START_NS)
    venue.open()
    maker = venue.maker
    assert maker.standing is Standing.READY
    before = maker.statement
    maker.misheard()
    assert (maker.standing, maker.reason) == (Standing.UNSURE, "a message could not be read")
    venue.until_ns = venue.now_ns + 5 * NS_PER_SECOND
    for _ in venue.events():
        pass
    assert maker.standing is Standing.READY
    assert maker.statement is not before, "all is compared again"


def test_trades_are_remembered_for_a_day_beyond_the_last() -> None:
    terms = MakerTerms(underlying="BTC", run="t", protection=protection_of("btc_usd", 5, 5, 10.0, 2.0))
    news = Maker(Protocol(Terms(), ALICE, lambda: 0.5, lambda: "n"), terms, load_reference()).news

    def told(trade_id: str, age_ns: int) -> int:
        ms = (_START_NS - age_ns) // NS_PER_MS
        trade = OwnTrade(
            trade_id, 1, "o", ms, "BTC-PERPETUAL", "buy", 80_000.0, 10.0, 0.0, "BTC", "M", "filled", "limit", 8e4
        )
        return len(news.trades([trade], 0))

    ages_ns = (30 * NS_PER_HOUR, 23 * NS_PER_HOUR, 0)
    assert [told(f"{age_ns}", age_ns) for age_ns in ages_ns] == [1, 1, 1]
    assert set(news.seen) == {f"{age_ns}" for age_ns in ages_ns[1:]}
    assert told(f"{ages_ns[1]}", ages_ns[1]) == 0, "what is told again"
