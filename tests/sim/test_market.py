"""The simulated market as a venue: one world for every policy, takers who react, and who earns from whom."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError, ConfigurationError
from flatbook.domain.events import (
    AnyEvent,
    ChainQuotes,
    DailySettlement,
    Delivery,
    Fill,
    FundingRate,
    IndexTick,
    OrderRejected,
    TopOfBook,
    TradePrint,
)
from flatbook.domain.instruments import Kind, parse_name
from flatbook.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND, parse_utc
from flatbook.engine.effects import Effects, QuoteChanges
from flatbook.sim import FillModel, MarketParameters, SimulatedVenue, VenueTerms
from flatbook.sim.flow_table import load_flow_table
from flatbook.sim.takers import TakerParameters
from flatbook.sim.world import World, WorldParameters, draw_world

from .builders import MIDNIGHT_NS, PERPETUAL, REFERENCE, only, order, run, terms
from .makers_of_ours import Joiner

START = MIDNIGHT_NS
SLOW = MarketParameters(slice_every_s=600, chain_every_s=600)
EIGHT = parse_utc("2025-04-01T08:00")
TABLE = load_flow_table()
FRESH = MarketParameters(slice_every_s=3, chain_every_s=3)
"""Chains so often that a maker who only copies them is seldom picked off."""


def market(
    hours: float, *, seed: int = 1, start_ns: int = START, with_terms: VenueTerms | None = None,
    parameters: MarketParameters | None = None,
) -> SimulatedVenue:  # fmt: skip
    return SimulatedVenue(
        REFERENCE, seed=seed, hours=hours, start_ns=start_ns, terms=with_terms or terms(FillModel.QUEUE),
        parameters=parameters,
    )  # fmt: skip


def world(hours: float, seed: int = 1) -> World:
    """The paths of a market of the usual parameters."""
    return draw_world(WorldParameters(), seed, START, NS_PER_SECOND, round(hours * 3_600))


@dataclass(frozen=True)
class Day:
    """A day of the market without us."""

    venue: SimulatedVenue
    heard: list[AnyEvent]


@pytest.fixture(scope="module")
def day() -> Day:
    venue = market(24, seed=5, parameters=SLOW)
    return Day(venue, run(venue))


def written(heard: Sequence[AnyEvent]) -> bytes:
    """Events as bytes, in which a missing price equals another."""
    return msgspec.msgpack.encode(heard)


def arrivals(prints: Sequence[TradePrint]) -> dict[str, tuple[str, int, int]]:
    """What each taker traded in all, by number: instrument, side, lots."""
    total: Counter[str] = Counter()
    for event in prints:
        total[event.trade_id.rstrip("+")] += event.size_lots
    return {
        event.trade_id.rstrip("+"): (event.instrument, event.taker_side, total[event.trade_id.rstrip("+")])
        for event in prints
    }


def test_a_day_has_what_a_day_should_have(day: Day) -> None:
    assert len(only(day.heard, IndexTick)) == 86_401
    assert 9_000 < len(only(day.heard, TradePrint)) < 15_000
    assert len(only(day.heard, ChainQuotes)) == 145
    assert [event.exch_ts_ns for event in only(day.heard, FundingRate)] == [
        START + hours * NS_PER_HOUR for hours in (8, 16, 24)
    ]
    ids = [event.trade_id for event in only(day.heard, TradePrint)]
    assert len(set(ids)) == len(ids)
    assert all(event.local_ts_ns > event.exch_ts_ns for event in day.heard)


def test_prints_are_consistent_with_their_index_mark_and_vol(day: Day) -> None:
    for event in only(day.heard, TradePrint)[::25]:
        contract = parse_name(event.instrument)
        assert contract.strike is not None
        assert contract.expiry_ns is not None
        assert event.exch_ts_ns < contract.expiry_ns
        assert REFERENCE.instrument(event.instrument).price_ticks(event.price) >= 1
        assert event.size_lots >= 1
        away = event.taker_side * (event.price - event.mark_price)
        assert away > 0, "takers pay the makers' spread"


def test_buckets_trade_in_the_tables_proportions(day: Day) -> None:
    prints = only(day.heard, TradePrint)
    contracts = [parse_name(event.instrument) for event in prints]
    days = np.array([((c.expiry_ns or 0) - e.exch_ts_ns) / NS_PER_DAY for c, e in zip(contracts, prints, strict=True)])
    strikes = np.array([float(c.strike or 0) for c in contracts])
    widths = np.array([event.iv for event in prints]) * np.sqrt(days / 365)
    moneyness = np.log(strikes / np.array([event.index_usd for event in prints])) / widths
    known = np.isfinite(moneyness)
    assert known.mean() > 0.99
    found = np.bincount(TABLE.moneyness_bucket(moneyness[known]), minlength=TABLE.moneyness_buckets) / known.sum()
    assert found == pytest.approx(TABLE.weight.sum(axis=0), abs=0.025)
    # A tenor that no expiry has at the time goes to its neighbours, so tenors agree in halves.
    tenors = np.bincount(TABLE.tenor_bucket(days), minlength=TABLE.tenor_buckets) / days.size
    assert tenors[:4].sum() == pytest.approx(TABLE.weight.sum(axis=1)[:4].sum(), abs=0.08)
    buys = np.mean([event.taker_side > 0 for event in prints])
    assert buys == pytest.approx((TABLE.weight * TABLE.buy_share).sum(), abs=0.03)
    calls = np.mean([c.right is not None and c.right.sign > 0 for c in contracts])
    assert calls == pytest.approx((TABLE.weight * TABLE.call_share).sum(), abs=0.03)
    small = np.mean([event.size_lots == 1 for event in prints])
    assert small == pytest.approx(0.45, abs=0.06)


def markouts(venue: SimulatedVenue, prints: Sequence[TradePrint], after_s: int) -> NDArray[np.float64]:
    """What the maker of each print is worth by the true surface so long after it, ticks per contract."""
    moments = np.array([event.exch_ts_ns for event in prints]) + after_s * NS_PER_SECOND
    fair = venue.fair_coin([event.instrument for event in prints], moments)
    price = np.array([event.price for event in prints])
    return np.asarray(np.array([-event.taker_side for event in prints]) * (fair - price) * 10_000)


def test_informed_flow_costs_its_maker_and_the_rest_pays(day: Day) -> None:
    after_s = 1_800
    prints = [
        event
        for event in only(day.heard, TradePrint)
        if event.exch_ts_ns < START + 23 * NS_PER_HOUR
        and (parse_name(event.instrument).expiry_ns or 0) - event.exch_ts_ns > NS_PER_DAY / 2
    ]
    informed = np.array([event.trade_id in day.venue.informed_trades for event in prints])
    assert 0.02 < informed.mean() < 0.15
    later = markouts(day.venue, prints, after_s)
    at_once = markouts(day.venue, prints, 0)
    errors = [later[who].std() / np.sqrt(who.sum()) for who in (informed, ~informed)]
    assert later[informed].mean() < -3 * errors[0]
    assert later[~informed].mean() > 3 * errors[1]
    drift = (later - at_once)[~informed]
    assert abs(drift.mean()) < 4 * drift.std() / np.sqrt(drift.size), "noise knows nothing"


def test_options_deliver_at_the_average_of_the_ticks_heard() -> None:
    heard = run(market(1, start_ns=EIGHT - NS_PER_HOUR // 2 - 10 * NS_PER_SECOND))
    ticks = only(heard, IndexTick)
    window = [tick.price_usd for tick in ticks if EIGHT - 30 * NS_PER_MINUTE <= tick.exch_ts_ns < EIGHT]
    (delivered,) = only(heard, Delivery)
    (settled,) = only(heard, DailySettlement)
    assert (delivered.underlying, delivered.expiry_ns, delivered.exch_ts_ns) == ("BTC", EIGHT, EIGHT)
    assert delivered.price_usd == pytest.approx(np.mean(window), rel=1e-12)
    assert settled.instrument == PERPETUAL
    last = next(tick.price_usd for tick in ticks if tick.exch_ts_ns == EIGHT)
    assert settled.price_usd == pytest.approx(last, rel=0.002)


def test_at_eight_the_old_expiry_ends_and_a_new_one_is_listed() -> None:
    eight = EIGHT - NS_PER_DAY
    heard = run(market(0.5, start_ns=eight - NS_PER_HOUR // 4))
    moment = [event for event in heard if event.exch_ts_ns == eight]
    kinds = [type(event) for event in moment]
    assert list(dict.fromkeys(kinds)) == [IndexTick, TopOfBook, FundingRate, DailySettlement, Delivery, ChainQuotes]
    chains = [event for event in only(heard, ChainQuotes) if len(event.rows) > 200]
    before = {parse_name(row.instrument).expiry_ns for row in chains[0].rows}
    after = {parse_name(row.instrument).expiry_ns for row in chains[-1].rows}
    assert before - after == {eight}
    assert after - before == {eight + 3 * NS_PER_DAY}
    for event in only(heard, TradePrint):
        assert event.exch_ts_ns < (parse_name(event.instrument).expiry_ns or 0)


def test_funding_is_the_rule_on_the_premium_of_the_hours_before() -> None:
    (funding,) = only(run(market(8, parameters=SLOW)), FundingRate)
    premium = world(8).minutes.premium[: 8 * 60]
    rates = np.clip(np.maximum(0.00025, premium) + np.minimum(-0.00025, premium), -0.005, 0.005)
    assert (funding.instrument, funding.hours) == (PERPETUAL, 8.0)
    assert funding.rate == pytest.approx(rates.mean(), rel=1e-12)


def test_the_perpetuals_top_follows_its_premium_and_comes_no_oftener_than_asked() -> None:
    heard = run(market(0.2, parameters=SLOW))
    tops = [top for top in only(heard, TopOfBook) if top.instrument == PERPETUAL]
    moments = np.array([event.exch_ts_ns for event in tops])
    assert np.diff(moments).min() >= SLOW.top_every_s * NS_PER_SECOND
    assert len(tops) > 100
    ticks = {tick.exch_ts_ns: tick.price_usd for tick in only(heard, IndexTick)}
    premium = world(0.2).minute_at(moments // NS_PER_MINUTE * NS_PER_MINUTE).premium
    for event, expected in zip(tops, premium, strict=True):
        mid = ticks[event.exch_ts_ns] * (1 + expected)
        assert event.bid < mid < event.ask
        assert event.mark_price == pytest.approx(mid, abs=0.01)
        assert event.ask - event.bid < 2.1e-4 * mid
    assert all((a.bid, a.ask) != (b.bid, b.ask) for a, b in pairwise(tops)), "sent only where it changed"


def test_a_future_a_months_last_expiry_is_shown_at_its_forward_every_minute() -> None:
    heard = run(market(0.2, parameters=SLOW))
    ticks = {tick.exch_ts_ns: tick.price_usd for tick in only(heard, IndexTick)}
    tops = [top for top in only(heard, TopOfBook) if parse_name(top.instrument).kind is Kind.FUTURE]
    by_name = Counter(top.instrument for top in tops)
    assert set(by_name) == {"BTC-25APR25", "BTC-30MAY25", "BTC-27JUN25", "BTC-26SEP25", "BTC-26DEC25"}
    assert set(by_name.values()) == {12}, "every minute but the first, when nothing is listed yet"
    for top in tops:
        years = ((parse_name(top.instrument).expiry_ns or 0) - top.exch_ts_ns) / (365 * NS_PER_DAY)
        carry = world(0.2).minute_at(np.array([top.exch_ts_ns])).carry[0]
        forward = ticks[top.exch_ts_ns] * np.exp(carry * years)
        assert top.bid < forward < top.ask < top.bid * (1 + 2e-4)
        assert top.mark_price == pytest.approx(forward, abs=0.01)


def test_spot_is_shown_at_the_index_and_the_dollar_settled_perpetual_at_the_others_premium() -> None:
    heard = run(market(0.2, parameters=SLOW))
    ticks = {tick.exch_ts_ns: tick.price_usd for tick in only(heard, IndexTick)}
    for name, share in (("BTC_USDC", 0.0), ("BTC_USDC-PERPETUAL", 1.0)):
        tops = [top for top in only(heard, TopOfBook) if top.instrument == name]
        assert len(tops) == 13
        for top in tops:
            premium = share * world(0.2).minute_at(np.array([top.exch_ts_ns])).premium[0]
            mid = ticks[top.exch_ts_ns] * (1 + premium)
            assert top.bid < mid < top.ask < top.bid * (1 + 2e-4)
            assert top.mark_price == pytest.approx(mid, abs=0.01)


def test_the_same_seed_and_answers_give_the_same_events() -> None:
    first, again = (run(venue, Joiner(venue, inside=1)) for venue in (market(0.5), market(0.5)))
    assert written(first) == written(again)
    assert only(first, Fill)
    assert written(run(market(0.1, seed=2))) != written(run(market(0.1, seed=3)))


@pytest.fixture(scope="module")
def compared() -> tuple[list[AnyEvent], list[AnyEvent], list[AnyEvent]]:
    """Twelve minutes of one world: without us, with us beside the others, and with us one step inside."""
    jittery = terms(FillModel.QUEUE, jitter_ms=3)
    silent, beside, inside = (market(0.2, seed=8, with_terms=jittery, parameters=FRESH) for _ in range(3))
    return run(silent), run(beside, Joiner(beside)), run(inside, Joiner(inside, inside=1))


def test_what_we_do_changes_nothing_but_trades(compared: tuple[list[AnyEvent], ...]) -> None:
    silent, *others = compared
    for kind in (IndexTick, ChainQuotes, FundingRate, DailySettlement):
        for heard in others:
            assert written(only(heard, kind)) == written(only(silent, kind))


def test_better_prices_bring_more_takers_and_lose_none(compared: tuple[list[AnyEvent], ...]) -> None:
    silent, beside, inside = (arrivals(only(heard, TradePrint)) for heard in compared)
    assert silent.items() <= beside.items()
    assert silent.items() <= inside.items()
    assert len(inside) > 1.02 * len(silent)


def test_better_prices_win_the_trade_and_equal_ones_a_share(compared: tuple[list[AnyEvent], ...]) -> None:
    _, beside, inside = compared
    shares = [len(only(heard, Fill)) / len(arrivals(only(heard, TradePrint))) for heard in (beside, inside)]
    assert 0.4 < shares[0] < 0.75, "every second one-lot taker, and half of what larger ones take"
    assert shares[1] > 1.2 * shares[0]


def test_every_fill_of_ours_is_on_the_tape(compared: tuple[list[AnyEvent], ...]) -> None:
    for heard in compared[1:]:
        tape = Counter((event.exch_ts_ns, event.instrument, -event.taker_side) for event in only(heard, TradePrint))
        fills = only(heard, Fill)
        assert all(tape[fill.exch_ts_ns, fill.instrument, fill.side] for fill in fills)
        assert len({fill.trade_id for fill in fills}) == len(fills)


def test_models_rank_in_the_simulated_market_too() -> None:
    venue = market(0.25, seed=8, parameters=FRESH)
    run(venue, Joiner(venue, inside=1, size_lots=5))
    tally = venue.fill_tally()
    lots = [tally[model].lots for model in (FillModel.PESSIMISTIC, FillModel.QUEUE, FillModel.OPTIMISTIC)]
    assert 0 < lots[0] < lots[1] <= lots[2]
    assert tally[FillModel.QUEUE].edge_usd > 0


def test_a_quote_that_crosses_the_others_is_lifted_by_them() -> None:
    venue = market(1 / 30)
    joiner = Joiner(venue)

    def cross(event: AnyEvent) -> Effects | None:
        effects = joiner(event)
        if effects is None or effects.quotes is None or len(joiner.instruments) == 0:
            return None
        q = effects.quotes
        nothing = np.zeros_like(q.bid_ticks)
        return Effects(effects.ts_ns, QuoteChanges(q.row, q.ask_ticks, q.ask_lots, nothing, nothing))

    heard = run(venue, cross)
    lifted = [event for event in only(heard, TradePrint) if ":" in event.trade_id]
    assert lifted
    assert all(event.taker_side == -1 for event in lifted)
    assert all(event.price >= event.mark_price for event in lifted), "we paid the others' ask"
    assert not only(heard, OrderRejected)


def test_a_hedge_fills_at_the_perpetual_of_the_moment() -> None:
    venue = market(0.1)
    sent = False

    def hedge(event: AnyEvent) -> Effects | None:
        nonlocal sent
        if isinstance(event, IndexTick) and not sent and event.exch_ts_ns > START + 60 * NS_PER_SECOND:
            sent = True
            return Effects(event.local_ts_ns, orders=(order("h0", 1, event.price_usd * 1.01 // 0.5 * 0.5, 1_000),))
        return None

    heard = run(venue, hedge)
    (fill,) = only(heard, Fill)
    index_usd = [tick.price_usd for tick in only(heard, IndexTick) if tick.exch_ts_ns < fill.exch_ts_ns][-1]
    premium = world(0.1).minutes.premium[1]
    assert fill.price_ticks * 0.5 == pytest.approx(index_usd * (1 + premium), rel=2e-4)
    assert fill.price_ticks * 0.5 > index_usd * (1 + premium)


def test_demand_that_does_not_decay_trades_more() -> None:
    eager = MarketParameters(takers=TakerParameters(demand_decay=0.0))
    usual, more = (only(run(market(1, parameters=parameters)), TradePrint) for parameters in (None, eager))
    assert len(more) > 1.5 * len(usual)


def test_it_runs_at_other_paces_and_for_odd_times() -> None:
    slow = MarketParameters(index_every_s=5, slice_every_s=30, chain_every_s=120)
    heard = run(market(0.1, parameters=slow, start_ns=START + 35 * NS_PER_SECOND))
    assert len(only(heard, IndexTick)) == 73
    assert len([event for event in only(heard, ChainQuotes) if len(event.rows) > 200]) == 4


def test_wrong_wishes_are_refused() -> None:
    with pytest.raises(BadInputError, match="hours"):
        market(0)
    with pytest.raises(BadInputError, match="not a multiple"):
        market(1, start_ns=START + 1)
    with pytest.raises(ConfigurationError, match="multiple"):
        replace(MarketParameters(), slice_every_s=7, chain_every_s=60)
