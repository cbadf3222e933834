"""A recorded market as a venue: what meets what, when, and what we hear of it."""

import pickle
from collections.abc import Iterable, Iterator

import pytest
from msgspec.structs import replace

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import (
    AnyEvent,
    Clock,
    DailySettlement,
    Delivery,
    Fill,
    FundingRate,
    IndexTick,
    MarketEvent,
    OrderAccepted,
    OrderRejected,
    TopOfBook,
    TradePrint,
)
from flatbook.domain.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_SECOND, parse_utc
from flatbook.engine.effects import Effects
from flatbook.sim import FillModel, RecordedVenue, VenueTerms

from .builders import (
    CALL,
    PERPETUAL,
    REFERENCE,
    at,
    chain,
    index,
    listed,
    once,
    only,
    order,
    quote,
    run,
    terms,
    together,
    top,
    trade,
)

EIGHT = parse_utc("2025-04-01T08:00")
Side = tuple[int, int] | None

TODAY, LATER = "BTC-1APR25-80000-C", "BTC-4APR25-80000-C"


def venue(events: Iterable[MarketEvent], with_terms: VenueTerms | None = None, seed: int = 0) -> RecordedVenue:
    made = RecordedVenue(events, REFERENCE, with_terms or terms(), seed)
    listed(made)
    return made


def quoting(
    events: list[MarketEvent],
    bid: tuple[int, int] | None,
    ask: tuple[int, int] | None,
    with_terms: VenueTerms | None = None,
) -> list[AnyEvent]:
    """What a maker hears who quotes once, on the first event."""
    made = venue(events, with_terms)
    return run(made, once(events[0], lambda now_ns: Effects(now_ns, quote(0, bid, ask))))


@pytest.mark.parametrize(
    ("side", "ticks", "model", "filled"),
    [
        (1, 44, FillModel.OPTIMISTIC, 0),
        (1, 45, FillModel.OPTIMISTIC, 8),
        (1, 46, FillModel.OPTIMISTIC, 8),
        (1, 44, FillModel.QUEUE, 0),
        (1, 45, FillModel.QUEUE, 5),
        (1, 46, FillModel.QUEUE, 8),
        (1, 44, FillModel.PESSIMISTIC, 0),
        (1, 45, FillModel.PESSIMISTIC, 0),
        (1, 46, FillModel.PESSIMISTIC, 5),
        (-1, 41, FillModel.OPTIMISTIC, 0),
        (-1, 40, FillModel.QUEUE, 5),
        (-1, 39, FillModel.QUEUE, 8),
        (-1, 39, FillModel.PESSIMISTIC, 5),
    ],
)
def test_a_print_of_ten_lots_meets_quotes_of_eight(side: int, ticks: int, model: FillModel, filled: int) -> None:
    heard = quoting([index(0), trade(1, side, ticks, 10)], (40, 8), (45, 8), terms(model))
    fills = only(heard, Fill)
    assert sum(fill.size_lots for fill in fills) == filled
    for fill in fills:
        assert (fill.side, fill.price_ticks) == ((-1, 45) if side > 0 else (1, 40)), "our side, at our price"
        assert (fill.order_id, fill.is_maker, fill.venue) == (f"quote:{CALL}", True, "test")
        # 0.0003 coin a contract, or an eighth of the premium where that is less, in satoshi.
        assert fill.fee_units == min(30_000, fill.price_ticks * 10_000 // 8) * filled // 10


def test_all_models_are_counted_against_the_same_quotes() -> None:
    events: list[MarketEvent] = [
        index(0),
        trade(1, 1, 45, 4, mark_ticks=43),
        trade(2, 1, 47, 4, mark_ticks=44),
        trade(3, 1, 45, 4),
    ]
    made = venue(events, terms(FillModel.PESSIMISTIC))
    heard = run(made, once(events[0], lambda now_ns: Effects(now_ns, quote(0, (40, 20), (45, 20)))))
    tally = made.fill_tally()
    assert {model: (seen.fills, seen.lots, seen.marked_fills) for model, seen in tally.items()} == {
        FillModel.OPTIMISTIC: (3, 12, 2),
        FillModel.QUEUE: (3, 8, 2),
        FillModel.PESSIMISTIC: (1, 2, 1),
    }
    # Edge to the mark in USD: ticks of 0.0001 coin on lots of 0.1 coin at an index of 80,000.
    assert tally[FillModel.OPTIMISTIC].edge_usd == pytest.approx((2 * 4 + 1 * 4) * 0.8)
    assert tally[FillModel.QUEUE].edge_usd == pytest.approx((2 * 2 + 1 * 4) * 0.8)
    assert [fill.size_lots for fill in only(heard, Fill)] == [2]


def test_a_quote_is_used_up() -> None:
    events: list[MarketEvent] = [index(0), *(trade(second, 1, 45, 3) for second in (1, 2, 3))]
    assert [fill.size_lots for fill in only(quoting(events, None, (45, 5)), Fill)] == [3, 2]


def test_blocks_and_combos_fill_nothing_and_pass() -> None:
    heard = quoting([index(0), trade(1, 1, 60, 10, off_book=True)], (40, 8), (45, 8))
    assert not only(heard, Fill)
    assert len(only(heard, TradePrint)) == 1


def test_a_price_between_ticks_counts_as_the_tick_it_reached() -> None:
    between = replace(trade(1, 1, 45, 4), price=0.00449)
    beyond = replace(trade(2, 1, 45, 4), price=0.00451)
    heard = quoting([index(0), between, beyond], None, (45, 20))
    assert [fill.exch_ts_ns for fill in only(heard, Fill)] == [at(2)]


@pytest.mark.parametrize(("print_ms", "filled"), [(9, False), (10, False), (10.001, True)])
def test_a_quote_stands_once_the_venues_clock_has_passed_its_latency(print_ms: float, filled: bool) -> None:
    heard = quoting([index(0), trade(print_ms / 1000, 1, 45, 5)], None, (45, 5), terms(quote_ms=10))
    assert bool(only(heard, Fill)) is filled


def test_latency_counts_from_when_we_heard_not_from_when_it_happened() -> None:
    """The tick happens at 0 and is heard at 1 s, so the quote stands from 1.010 s on."""
    late = IndexTick(exch_ts_ns=at(0), local_ts_ns=at(1), underlying="BTC", price_usd=80_000.0)
    prints = [trade(second, 1, 45, 5, late_s=1) for second in (0.5, 1.005, 1.02)]
    heard = quoting([late, *prints], None, (45, 5), terms(quote_ms=10))
    assert [fill.exch_ts_ns for fill in only(heard, Fill)] == [at(1.02)]


def test_a_quote_changed_after_the_print_does_not_affect_it() -> None:
    events: list[MarketEvent] = [index(0), trade(1, 1, 45, 5), index(2), trade(3, 1, 45, 5)]
    made = venue(events)
    effects = {events[0]: quote(0, None, (45, 5)), events[1]: quote(0, None, (50, 5))}

    def react(event: AnyEvent) -> Effects | None:
        return next((Effects(event.local_ts_ns, effects[told]) for told in effects if told == event), None)

    fills = only(run(made, react), Fill)
    assert [(fill.exch_ts_ns, fill.price_ticks) for fill in fills] == [(at(1), 45)]


def test_a_fill_is_heard_a_feed_latency_later_and_before_the_print_of_its_time() -> None:
    events: list[MarketEvent] = [index(0), trade(1, 1, 45, 5), trade(1.005, -1, 30, 1)]
    heard = quoting(events, None, (45, 5), terms(feed_ms=5))
    (fill,) = only(heard, Fill)
    assert (fill.exch_ts_ns, fill.local_ts_ns) == (at(1), at(1.005))
    assert [type(event) for event in heard] == [IndexTick, TradePrint, Fill, TradePrint]


def test_order_answers_come_after_order_and_feed_latency() -> None:
    events: list[MarketEvent] = [index(0), index(0.008, 90_000.0), index(1)]
    made = venue(events, terms(order_ms=10, feed_ms=5))
    heard = run(made, once(events[0], lambda now_ns: Effects(now_ns, orders=(order("h0", 1, 95_000.0, 10),))))
    accepted, fill = only(heard, OrderAccepted)[0], only(heard, Fill)[0]
    assert accepted.exch_ts_ns == fill.exch_ts_ns == at(0.010)
    assert accepted.local_ts_ns == fill.local_ts_ns == at(0.015)
    assert fill.price_ticks * 0.5 > 90_000.0, "taken at the index when it arrived, not when it was sent"
    assert heard.index(accepted) < heard.index(fill)


def test_an_order_may_be_answered_by_another_before_the_next_market_event() -> None:
    """Sent at 0, heard at 15 ms, sent again at 15 ms: both before the next tick at 1 s."""
    events: list[MarketEvent] = [index(0), index(1)]
    made = venue(events)

    def react(event: AnyEvent) -> Effects | None:
        if event == events[0]:
            return Effects(event.local_ts_ns, orders=(order("h0", 1, 90_000.0, 10),))
        if isinstance(event, Fill) and event.order_id == "h0":
            return Effects(event.local_ts_ns, orders=(order("h1", -1, 70_000.0, 10),))
        return None

    fills = only(run(made, react), Fill)
    assert [(fill.order_id, fill.local_ts_ns) for fill in fills] == [("h0", at(0.015)), ("h1", at(0.030))]


def test_orders_keep_their_order_under_jitter() -> None:
    events: list[MarketEvent] = [index(0), index(1)]
    made = venue(events, terms(jitter_ms=50), seed=4)
    orders = tuple(order(f"h{number}", 1, 90_000.0, 10) for number in range(20))
    heard = run(made, once(events[0], lambda now_ns: Effects(now_ns, orders=orders)))
    assert [fill.order_id for fill in only(heard, Fill)] == [sent.order_id for sent in orders]


def test_a_refused_quote_is_answered() -> None:
    heard = quoting([index(0), trade(1, 1, 60, 5), index(2)], (45, 5), (45, 5))
    assert [answer.order_id for answer in only(heard, OrderRejected)] == [f"quote:{CALL}"]
    assert not only(heard, Fill)


def expiring(seconds_before: float, price_usd: float) -> IndexTick:
    moment = EIGHT - round(seconds_before * 1e9)
    return IndexTick(exch_ts_ns=moment, local_ts_ns=moment, underlying="BTC", price_usd=price_usd)


def at_eight(side: int, ticks: int, name: str, after_ns: int = 0) -> TradePrint:
    moment = EIGHT + after_ns
    return replace(trade(0, side, ticks, 5, name), exch_ts_ns=moment, local_ts_ns=moment)


def test_expiry_delivers_at_the_average_before_the_trades_of_its_moment() -> None:
    events: list[MarketEvent] = [
        expiring(3_600, 70_000.0),
        expiring(1_800, 80_000.0),
        expiring(900, 84_000.0),
        expiring(0, 99_000.0),
        at_eight(1, 60, TODAY),
        at_eight(1, 60, LATER),
    ]
    made = RecordedVenue(events, REFERENCE, terms())
    listed(made, (TODAY, LATER, PERPETUAL))
    quotes = together(quote(0, None, (45, 5)), quote(1, None, (45, 5)))
    heard = run(made, once(events[0], lambda now_ns: Effects(now_ns, quotes)))
    assert [type(event) for event in heard[3:]] == [
        IndexTick, DailySettlement, Delivery, TradePrint, TradePrint, Fill,
    ]  # fmt: skip
    settled, delivered = only(heard, DailySettlement), only(heard, Delivery)
    assert [(event.instrument, event.price_usd) for event in settled] == [(PERPETUAL, 84_000.0)]
    assert [(event.underlying, event.expiry_ns, event.price_usd) for event in delivered] == [("BTC", EIGHT, 82_000.0)]
    assert [fill.instrument for fill in only(heard, Fill)] == [LATER], "the expired quote is dead, the other stands"


def test_each_expiry_is_delivered_once_even_over_days_without_events() -> None:
    far = EIGHT + 5 * NS_PER_DAY
    later = IndexTick(exch_ts_ns=far, local_ts_ns=far, underlying="BTC", price_usd=90_000.0)
    heard = run(RecordedVenue([expiring(60, 80_000.0), chain_before(TODAY, LATER), later], REFERENCE, terms()))
    assert [(event.expiry_ns, event.price_usd) for event in only(heard, Delivery)] == [
        (EIGHT, 80_000.0),
        (EIGHT + 3 * NS_PER_DAY, 80_000.0),
    ]


def chain_before(*names: str) -> MarketEvent:
    told = chain(0, *names)
    moment = EIGHT - NS_PER_MINUTE
    return replace(told, exch_ts_ns=moment, local_ts_ns=moment)


def test_funding_passes_and_brings_its_perpetual_to_settlement() -> None:
    moment = EIGHT - NS_PER_MINUTE
    funding = FundingRate(exch_ts_ns=moment, local_ts_ns=moment, instrument=PERPETUAL, rate=1e-4, hours=8.0)
    heard = run(RecordedVenue([expiring(60, 80_000.0), funding, expiring(-1, 80_000.0)], REFERENCE, terms()))
    assert funding in heard
    assert [event.instrument for event in only(heard, DailySettlement)] == [PERPETUAL]


def test_recorded_settlements_give_way_to_the_venues_own() -> None:
    recorded = Delivery(exch_ts_ns=EIGHT, local_ts_ns=EIGHT, underlying="BTC", expiry_ns=EIGHT, price_usd=1.0)
    heard = run(RecordedVenue([expiring(60, 80_000.0), chain_before(TODAY), recorded], REFERENCE, terms()))
    assert [event.price_usd for event in only(heard, Delivery)] == [80_000.0]


def test_an_expiry_without_an_index_stops_the_run() -> None:
    events = [chain_before(TODAY), at_eight(1, 60, LATER)]
    with pytest.raises(BadInputError, match="no index was seen before"):
        run(RecordedVenue(events, REFERENCE, terms()))


def test_a_clock_that_runs_backwards_stops_the_run() -> None:
    with pytest.raises(BadInputError, match=r"runs backwards: IndexTick at 2025-03-31T12:00:01.*sort the session"):
        run(venue([index(2), index(1)]))


def test_a_venue_clock_ahead_of_ours_does_not_reorder_what_we_hear() -> None:
    ahead = IndexTick(exch_ts_ns=at(5), local_ts_ns=at(1), underlying="BTC", price_usd=80_000.0)
    events: list[MarketEvent] = [ahead, trade(2, 1, 45, 5), trade(3, 1, 45, 5)]
    assert run(venue(events)) == events


def test_names_that_no_convention_explains_pass_by() -> None:
    odd = trade(1, 1, 45, 5, "BTC-CS-4APR25-80000_85000")
    assert run(venue([index(0), odd])) == [index(0), odd]


def test_the_market_passes_untouched_whatever_we_do() -> None:
    events: list[MarketEvent] = [
        event for second in range(50) for event in (index(second), trade(second + 0.5, 1, 45 + second % 3, 3))
    ]

    def busy(event: AnyEvent) -> Effects | None:
        if isinstance(event, IndexTick):
            return Effects(
                event.local_ts_ns, quote(0, (40, 9), (45, 9)), (order(f"h{event.exch_ts_ns}", 1, 90_000.0, 10),)
            )
        return None

    silent = run(venue(events, terms(jitter_ms=3)))
    heard = run(venue(events, terms(jitter_ms=3)), busy)
    assert silent == events
    assert [event for event in heard if isinstance(event, (IndexTick, TradePrint))] == events
    assert only(heard, Fill)


def test_the_same_seed_gives_the_same_answers() -> None:
    events: list[MarketEvent] = [index(second / 10) for second in range(200)]

    def hedge(event: AnyEvent) -> Effects | None:
        if isinstance(event, IndexTick):
            return Effects(event.local_ts_ns, orders=(order(f"h{event.exch_ts_ns}", 1, 90_000.0, 10),))
        return None

    first, again, other = (run(venue(events, terms(jitter_ms=5), seed), hedge) for seed in (1, 1, 2))
    assert first == again != other
    ids = [fill.trade_id for fill in only(first, Fill)]
    assert len(set(ids)) == len(ids) > 150


@pytest.mark.parametrize("is_heard_live", [False, True])
def test_put_down_after_any_event_and_taken_up_it_goes_on_the_same(is_heard_live: bool) -> None:
    eight_s = (EIGHT - at(0)) / NS_PER_SECOND
    tape: list[MarketEvent] = [chain(0, TODAY, LATER)]
    for second in (*range(4), *(eight_s - 2 + step for step in range(4))):
        tape += [index(second), trade(second + 0.01, 1, 45, 3), index(second + 0.01)]

    def busy(event: AnyEvent) -> Effects | None:
        if isinstance(event, IndexTick):
            hedge = order(f"h{event.exch_ts_ns}", 1, 90_000.0, 10)
            return Effects(event.local_ts_ns, quote(0, (40, 9), (45, 9)), (hedge,))
        return None

    def going(is_put_down: bool) -> list[AnyEvent]:
        made = RecordedVenue(tape, REFERENCE, terms(jitter_ms=30), 1, is_heard_live=is_heard_live)
        listed(made)
        heard: list[AnyEvent] = []
        events = made.events()
        while (event := next(events, None)) is not None:
            heard.append(event)
            effects = busy(event)
            if effects is not None:
                made.submit(effects)
            if is_put_down:
                made = pickle.loads(pickle.dumps(made))
                made.take_up(RecordedVenue(tape, REFERENCE))
                events = made.events()
        return heard

    unbroken = going(is_put_down=False)
    # By their texts: a mark that is not known equals itself in no other event.
    assert list(map(repr, going(is_put_down=True))) == list(map(repr, unbroken))
    assert len(only(unbroken, Fill)) > 10
    assert only(unbroken, Delivery)


def test_a_hedge_meets_the_perpetual_at_its_recorded_premium() -> None:
    events: list[MarketEvent] = [index(0), top(1, 80_399.5, 80_400.5), index(2, 40_000.0), index(3, 40_000.0)]
    hedge = once(events[2], lambda now_ns: Effects(now_ns, orders=(order("h0", 1, 41_000.0, 10),)))
    heard = run(venue(events), hedge)
    assert only(heard, TopOfBook) == [events[1]]
    (fill,) = only(heard, Fill)
    assert fill.price_ticks * 0.5 == pytest.approx(40_000.0 * 1.005, rel=2e-4)
    assert fill.price_ticks * 0.5 > 40_000.0 * 1.005


def test_a_top_without_prices_and_one_of_a_dated_future_move_no_perpetual() -> None:
    nan = float("nan")
    events: list[MarketEvent] = [
        index(0), top(1, nan, nan), top(1, 81_000.0, 81_001.0, "BTC-27JUN25"), index(2), index(3)
    ]  # fmt: skip
    hedge = once(events[3], lambda now_ns: Effects(now_ns, orders=(order("h0", 1, 81_000.0, 10),)))
    (fill,) = only(run(venue(events), hedge), Fill)
    assert fill.price_ticks * 0.5 == pytest.approx(80_000.0, rel=2e-4)


def test_a_dated_future_that_was_only_quoted_is_delivered() -> None:
    events: list[MarketEvent] = [index(0), top(1, 80_000.0, 80_001.0, "BTC-1APR25"), moved(index(0), EIGHT + 1)]
    (delivery,) = only(run(venue(events)), Delivery)
    assert delivery.expiry_ns == EIGHT


def moved(event: IndexTick, ts_ns: int) -> IndexTick:
    return replace(event, exch_ts_ns=ts_ns, local_ts_ns=ts_ns)


def test_heard_live_an_event_does_not_wait_for_the_next_and_answers_keep_their_order() -> None:
    heard_at: list[tuple[int, int]] = []
    asked: list[int] = []

    def feed() -> Iterator[MarketEvent | Clock]:
        for event in (index(0), index(1), trade(1.3, 1, 600, 1), index(2), Clock(exch_ts_ns=at(3), local_ts_ns=at(3))):
            asked.append(event.local_ts_ns)
            yield event

    made = RecordedVenue(feed(), REFERENCE, terms(), is_heard_live=True)
    listed(made)
    heard: list[AnyEvent] = []
    for event in made.events():
        heard.append(event)
        heard_at.append((event.local_ts_ns, asked[-1]))
        if event.local_ts_ns == at(0):
            made.submit(Effects(at(0), orders=(order("H1", 1, 90_000.0, 10),)))
    assert [type(event).__name__ for event in heard] == [
        *("IndexTick", "OrderAccepted", "Fill", "IndexTick", "TradePrint", "IndexTick", "Clock")
    ]
    # Nothing of the market is behind the feed: what was asked for last is told before more is asked for.
    assert all(told == asked_last for told, asked_last in heard_at if told in asked)
    assert [event.local_ts_ns for event in heard] == sorted(event.local_ts_ns for event in heard)


def test_heard_live_a_settlement_that_is_learnt_late_does_not_turn_the_clock_back() -> None:
    """The feed's last word before 08:00 reaches us after it."""
    eight_s = (EIGHT - at(0)) / NS_PER_SECOND
    early, late = index(eight_s - 0.05), index(eight_s + 0.001)
    late_heard = replace(early, local_ts_ns=EIGHT + 80_000_000)
    events: list[MarketEvent] = [
        *(index(0), chain(0, TODAY), late_heard),
        replace(late, local_ts_ns=EIGHT + 90_000_000),
    ]
    made = RecordedVenue(events, REFERENCE, terms(), is_heard_live=True)
    listed(made)
    heard = list(made.events())
    assert len(only(heard, Delivery)) == 1
    times = [event.local_ts_ns for event in heard]
    assert times == sorted(times)
