"""The client through days that go wrong, in scripted time and against the exchange's own rules."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.domain.units import NS_PER_SECOND
from flatbook.venues.deribit.client_actions import Close, Open, Phase, Send, Terms
from flatbook.venues.deribit.client_protocol import Protocol
from flatbook.venues.deribit.client_requests import Outcome
from flatbook.venues.deribit.codec import result_of
from flatbook.venues.deribit.codec_requests import Credentials, PlaceOrder, place_order
from flatbook.venues.deribit.credits import Credits, PoolTerms, load_limits
from tests.service.exchange.desk import PERPETUAL, START_NS, Desk
from tests.venues.deribit.scripted import Line

BOOK, TICKER, OWN = f"book.{PERPETUAL}.raw", f"ticker.{PERPETUAL}.100ms", "user.orders.any.any.raw"


def _line(**options: Any) -> Line:
    desk = Desk()
    desk.quote(PERPETUAL, 159_990, 160_010, 100)
    line = Line(desk, **options)
    line.do(line.client.subscribe(line.now_ns, [BOOK, TICKER, OWN]))
    return line.start()


def _buy(label: str = "a") -> tuple[str, dict[str, Any]]:
    return place_order(1, PlaceOrder(instrument_name=PERPETUAL, amount=100.0, price=79_000.0, label=label))


def _is_order(raw: bytes) -> bool:
    return b'"private/buy"' in raw


def _orders(line: Line, label: str = "a") -> int:
    return sum(order.request.label == label for order in line.desk.exchange.accounts["alice"].orders.values())


def test_an_hour_goes_by_on_one_connection_with_heartbeats_answered_and_tokens_refreshed() -> None:
    line = _line()
    line.run(3_601, step_s=5)
    assert (line.client.phase, line.client.connects, line.closes) == (Phase.LIVE, 1, [])
    assert line.session is not None
    assert line.session.heartbeat_ns == 15 * NS_PER_SECOND
    # Tokens live 900 s: the first, then one at each 720 s.
    granted = line.desk.api.auth._count // 2  # two tokens a grant
    assert granted == 1 + 3_600 // 720
    assert not line.client.channels.refused


def test_after_a_break_everything_is_as_before_and_the_book_is_whole() -> None:
    line = _line()
    assert line.client.channels.books[BOOK].best() == (79_995.0, 80_005.0)
    line.cut()
    assert not line.client.channels.books[BOOK].is_whole
    line.desk.quote(PERPETUAL, 159_994, 160_006, 100)
    line.run(5)
    assert line.client.phase is Phase.LIVE
    assert line.client.channels.books[BOOK].best() == (79_997.0, 80_003.0)
    assert set(line.client.channels.heard_ns) == {BOOK, TICKER, OWN}
    assert line.client.channels.books[BOOK].gaps == 1


def test_a_missed_change_is_noticed_and_mended_by_a_snapshot() -> None:
    line = _line()
    assert line.session is not None
    line.desk.quote(PERPETUAL, 159_992, 160_008, 100)
    line.session.outbox.clear()
    line.desk.quote(PERPETUAL, 159_994, 160_006, 100)
    line.run(1)
    book = line.client.channels.books[BOOK]
    assert (line.client.channels.renewals, book.gaps, book.is_whole) == (1, 1, True)
    assert book.best() == (79_997.0, 80_003.0)
    assert line.client.connects == 1


def test_a_channel_that_should_speak_and_does_not_is_subscribed_anew() -> None:
    line = _line(terms=Terms(most_silence_s=60))
    line.run(59)
    assert line.client.channels.renewals == 0
    line.run(3)
    assert line.client.channels.renewals == 1
    assert line.client.connects == 1


def test_a_connection_whose_token_is_no_longer_good_begins_anew_and_hears_of_its_orders_again() -> None:
    line = _line()
    assert line.session is not None
    line.session.until_ns = line.now_ns
    line.run(1)
    asked, actions = line.client.ask(line.now_ns, *_buy())
    line.do(actions)
    assert asked.outcome is Outcome.REFUSED
    assert line.closes == ["the venue no longer knows us"]
    line.run(5)
    line.do(line.client.ask(line.now_ns, *_buy("b"))[1])
    line.run(1)
    assert _orders(line, "a") == 0
    assert _orders(line, "b") == 1
    assert [told.message.channel for told in line.told].count(OWN) == 1


def test_a_line_that_says_nothing_at_all_is_given_up() -> None:
    line = _line()
    line.is_deaf = True
    line.run(31)
    line.is_deaf = False
    line.run(5)
    assert line.closes == ["no sign of life"]
    assert line.client.phase is Phase.LIVE


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 9))
@settings(max_examples=15)
def test_waits_before_coming_back_double_up_to_a_minute_and_differ_by_chance(draw: float, failures: int) -> None:
    line = _line(chance=lambda: draw)
    line.is_unreachable = True
    line.cut()
    waits, broken_ns = [], line.now_ns
    for _ in range(failures):
        opens = len(line.opens_ns)
        while len(line.opens_ns) == opens:
            line.run(0.5, step_s=0.5)
        waits.append((line.opens_ns[-1] - broken_ns) / NS_PER_SECOND)
        line.cut()
        broken_ns = line.now_ns
    assert waits == pytest.approx([min(2**n, 60) * (0.5 + 0.5 * draw) for n in range(failures)], abs=1e-6)


@given(
    st.sampled_from(["before", "after", "slow"]),
    st.integers(1, 3),
    st.floats(0.0, 30.0),
)
@settings(max_examples=25)
def test_an_order_whose_answer_is_lost_is_unknown_then_known_and_never_placed_twice(
    fate: str, orders: int, later_s: float
) -> None:
    line = _line()
    line.lose = lambda raw: fate == "before" and _is_order(raw)
    line.is_deaf = True
    asked = [line.client.ask(line.now_ns, *_buy(f"{number}")) for number in range(orders)]
    for _, actions in asked:
        line.do(actions)
    if fate == "slow":
        line.run(10.5)
    else:
        line.cut()
    line.is_deaf = False
    assert all(each.outcome is Outcome.UNKNOWN for each, _ in asked)
    assert len(line.client.unknown()) == orders
    line.lose = lambda raw: False
    line.run(30 + later_s)
    assert not line.client.unknown()
    for number, (each, _) in enumerate(asked):
        assert _orders(line, f"{number}") == (0 if fate == "before" else 1)
        assert each.answer is not None
        if fate == "slow":
            assert each.outcome is Outcome.DONE
        else:
            assert each.outcome is Outcome.RECONCILED
            assert len(result_of(each.answer, list[Any])) == _orders(line, f"{number}")
    told = [settled.asked for settled in line.settled]
    assert [told.count(each) for each, _ in asked] == [2] * orders


def test_what_was_not_sent_was_not_done_and_reads_may_be_asked_again() -> None:
    line = _line()
    line.is_deaf = True
    read, actions = line.client.ask(line.now_ns, "public/get_time", {})
    line.do(actions)
    line.cut()
    order, actions = line.client.ask(line.now_ns, *_buy())
    line.do(actions)
    assert (read.outcome, order.outcome, _orders(line)) == (Outcome.LOST, Outcome.UNSENT, 0)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from([True, True, False])), min_size=60, max_size=120),
    st.lists(st.floats(0, 0.5), min_size=120, max_size=120),
)
@settings(max_examples=12)
def test_the_venue_is_never_asked_more_than_it_allows_though_messages_bunch(
    asks: list[tuple[float, bool]], delays_s: list[float]
) -> None:
    limits = load_limits()
    client = Protocol(Terms(), None, lambda: 0.0, str, limits)
    client.start(START_NS)
    sent = [(START_NS, action.raw) for action in client.opened(START_NS) if isinstance(action, Send)]
    moments = sorted((START_NS + round(after * NS_PER_SECOND), is_order) for after, is_order in asks)
    last_ns = START_NS
    for now_ns, is_order in moments:
        last_ns = now_ns
        _, actions = client.ask(now_ns, *(_buy() if is_order else ("public/get_time", {})))
        sent += [(now_ns, action.raw) for action in actions if isinstance(action, Send)]
    while len(sent) < len(asks) + 1:
        last_ns = max(client.wake_ns(last_ns), last_ns + 1)
        sent += [(last_ns, action.raw) for action in client.advance(last_ns) if isinstance(action, Send)]
    venue, arrival_ns = Credits(limits), 0
    for (sent_ns, raw), delay_s in zip(sent, delays_s, strict=False):
        arrival_ns = max(arrival_ns, sent_ns + round(delay_s * NS_PER_SECOND))
        assert venue.spend(arrival_ns, json.loads(raw)["method"])


def test_told_that_it_was_too_much_it_waits_and_comes_back() -> None:
    line = _line()
    assert line.session is not None
    line.session.credits = Credits(replace(load_limits(), requests=PoolTerms(500.0, 100.0, 500.0)))
    for _ in range(2):
        line.do(line.client.ask(line.now_ns, "public/get_time", {})[1])
    assert line.closes == ["too many requests"]
    line.run(20)
    assert line.client.phase is Phase.LIVE


def test_a_key_that_is_refused_is_not_tried_again_and_the_secret_is_not_told() -> None:
    line = _line(credentials=Credentials("alice", "wr0ng"))
    line.run(100)
    assert (line.client.phase, len(line.opens_ns)) == (Phase.STOPPED, 1)
    assert "13004" in line.stopped
    assert "wr0ng" not in f"{line.stopped} {line.settled} {line.client.__dict__}"


@given(st.integers(-5_000, 5_000))
@settings(max_examples=10)
def test_the_clocks_distance_is_measured(skew_ms: int) -> None:
    line = _line(skew_ns=skew_ms * 1_000_000)
    assert line.client.clock.offset_ns == -skew_ms * 1_000_000
    assert line.client.clock.error_ns == 0


def test_without_credentials_public_channels_are_heard_and_own_ones_are_not_asked_for() -> None:
    line = _line(credentials=None)
    assert set(line.client.channels.heard_ns) == set()
    line.do(line.client.subscribe(line.now_ns, [f"quote.{PERPETUAL}"]))
    line.desk.quote(PERPETUAL, 159_992, 160_008, 100)
    line.run(1)
    assert f"quote.{PERPETUAL}" in line.client.channels.heard_ns
    # One batch names a raw channel, which is refused whole to those who are not signed in.
    assert line.client.channels.refused == {BOOK, TICKER}


def test_a_socket_that_does_not_open_is_given_up_in_time() -> None:
    client = Protocol(Terms(connect_timeout_s=3), None, lambda: 0.0, str)
    assert client.start(START_NS) == [Open()]
    assert client.advance(client.wake_ns(START_NS)) == []
    assert client.advance(START_NS + 3 * NS_PER_SECOND) == [Close("not open in time")]
