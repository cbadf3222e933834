"""A book through a crisis: what must be nothing, what must agree with a revaluation at once, and known limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE
from flatbook.market.beliefs import Beliefs
from flatbook.market.shock import Shock, Shocks
from flatbook.sim.crises.account import ForcedClosing, Margining
from flatbook.sim.crises.path import CrisisPath, days_since_first
from flatbook.sim.crises.replay import HEDGE_VENUE, ReplayTerms, replay
from flatbook.sim.crises.rules import all_of_it, band, no_hedge, price_of_risk
from flatbook.sim.crises.venue import HedgeMarket
from flatbook.valuation.portfolio import Balance, BookPosition, Portfolio
from flatbook.valuation.stress import WINNING, Scenario, stress
from flatbook.venues.margin import edition_at
from tests.valuation.books import REFERENCE, listed, markets, over_the_counter

Floats = NDArray[np.float64]

MARKETS = markets()
STILL = HedgeMarket(1e10, y=0.0, fee_rate=0.0, half_spread_rate=0.0)
"""A market that costs nothing and does not answer."""

DEEP = HedgeMarket(1e10)
SHORT = (listed("BTC-30JAN26-80000-C", -100.0), listed("BTC-30JAN26-70000-P", -100.0))


def path(
    spot: Sequence[float] | Floats, *, vol: Floats | None = None, minutes: float = 5.0, is_timeless: bool = False
) -> CrisisPath:
    """Relative moves of spot since the first step, and of vols; no time passes for options where it is timeless."""
    moves = np.asarray(spot, np.float64)
    ts_ns = np.arange(len(moves), dtype=np.int64) * round(minutes * NS_PER_MINUTE)
    days = np.zeros(len(moves)) if is_timeless else days_since_first(ts_ns)
    vols = np.zeros(len(moves)) if vol is None else vol
    return CrisisPath(
        "made", ts_ns, {"BTC": Shocks.made(len(moves), spot=moves, vol=vols, days=days)}, np.zeros(len(moves)), 1e10
    )


def fall(steps: int = 40, depth: float = 0.3) -> CrisisPath:
    """Down and half back, vols up with it."""
    half = np.linspace(0.0, -depth, steps)
    spot = np.concatenate([half, np.linspace(-depth, -depth / 2, steps)])
    return path(spot, vol=-2.0 * spot)


def margining(closing: ForcedClosing | None = None) -> Margining:
    hedges = {coin: REFERENCE.instrument(f"{coin}_USDC-PERPETUAL") for coin in ("BTC", "ETH")}
    return Margining(edition_at("deribit_pm", 0)[0].model, hedges, closing or ForcedClosing())


BOOK = Portfolio(
    [
        *SHORT,
        listed("BTC-9JAN26-82000-C", 30.0),
        listed("ETH-27MAR26-3200-C", 50.0),
        listed("BTC-PERPETUAL", 200_000.0),
    ],
    [Balance("BTC", 60.0)],
)
EVERY_RULE = {
    "none": no_hedge,
    "all": all_of_it,
    "band": band(1e-6),
    "price of risk": price_of_risk(1e-6, 24.0),
}
BELIEFS = {name: Beliefs.prior(one.expiry_ns, np.zeros(4)) for name, one in MARKETS.snapshots.items()}


def test_where_nothing_happens_nothing_is_gained() -> None:
    found = replay(
        BOOK, MARKETS, path(np.zeros(5), is_timeless=True), ReplayTerms(STILL, all_of_it, margining=margining())
    )
    assert found.steps.pnl_usd.tolist() == [0.0] * 5
    assert set(found.parts.values()) == {0.0}
    assert found.steps.net_delta_usd == pytest.approx(0.0, abs=1e-6)
    assert (found.drawdown_usd, found.stages(), found.margin_call_at) == (0.0, {}, None)


def test_where_only_time_passes_all_of_it_is_theta() -> None:
    found = replay(Portfolio(SHORT), MARKETS, path(np.zeros(13)), ReplayTerms(STILL))
    (quiet,) = stress(Portfolio(SHORT), MARKETS, [Scenario("an hour", Shock(days=1 / 24))])
    assert found.steps.pnl_usd[-1] == pytest.approx(quiet.pnl_usd, rel=1e-9)
    assert found.parts["theta"] == pytest.approx(found.steps.pnl_usd[-1], rel=1e-3)
    rest = [abs(usd) for name, usd in found.parts.items() if name != "theta"]
    assert max(rest) < 1e-3 * found.parts["theta"]


@pytest.mark.parametrize("rule", EVERY_RULE.values(), ids=EVERY_RULE)
def test_parts_sum_to_what_values_say(rule: object) -> None:
    terms = ReplayTerms(
        replace(DEEP, depth_factor=0.02), rule, margining=margining(), outage_hours=1.0, lost_venue=WINNING,  # type: ignore[arg-type]
        beliefs=BELIEFS,
    )  # fmt: skip
    venued = Portfolio((replace(one, venue="deribit") for one in BOOK.positions), BOOK.balances)
    crisis = fall()
    crisis = replace(crisis, funding=np.where(np.arange(len(crisis)) % 8 == 7, 0.001, 0.0))
    found = replay(venued, MARKETS, crisis, terms)
    assert sum(found.parts.values()) == pytest.approx(found.steps.pnl_usd[-1], abs=1e-4)
    assert found.parts["funding"] != 0.0
    assert abs(found.parts["unexplained"]) < 0.05 * np.abs(list(found.parts.values())).sum()
    assert len(found.path) == len(found.steps.pnl_usd) == 80


def test_unhedged_it_ends_where_the_last_market_values_it() -> None:
    """Two witnesses of each step: the replay, and a scenario of that step alone."""
    crisis = fall()
    found = replay(BOOK, MARKETS, crisis, ReplayTerms(DEEP))
    scenarios = [Scenario(str(at), crisis.shocks["BTC"].at(at)) for at in range(len(crisis))]
    at_once = [one.by_position_usd.sum() for one in stress(BOOK, MARKETS, scenarios)]
    assert found.steps.pnl_usd == pytest.approx(at_once, rel=1e-9, abs=1e-6)
    assert found.steps.balances_usd == pytest.approx(60.0 * 80_000.0 * crisis.shocks["BTC"].spot.ravel())
    assert found.hedges == 0


def test_what_expires_on_the_way_is_paid_and_stays_paid() -> None:
    """Spot falls by a fifth, a call's expiry passes, and spot goes on to fall: what was paid does not move."""
    hours = np.array([0.0, 95.0, 97.0, 120.0])
    ts_ns = (hours * NS_PER_HOUR).astype(np.int64)
    spot = np.array([0.0, 0.2, 0.2, -0.5])
    crisis = CrisisPath("made", ts_ns, {"BTC": Shocks.made(4, spot=spot, days=hours / 24)}, np.zeros(4), 1e10)
    found = replay(Portfolio([listed("BTC-9JAN26-82000-C", 10.0)]), MARKETS, crisis, ReplayTerms(STILL))
    start = float(Portfolio([listed("BTC-9JAN26-82000-C", 10.0)]).worth_usd(MARKETS)[0])
    assert found.steps.pnl_usd[2:] == pytest.approx(10.0 * (96_000.0 - 82_000.0) - start)
    assert found.steps.book_delta_usd[2:].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_small_gap_between_hedges_loses_half_of_gamma_times_its_square(sign: float) -> None:
    errors = []
    for gap in (0.02, 0.01, 0.005):
        found = replay(
            Portfolio(SHORT), MARKETS, path([0.0, sign * gap], is_timeless=True), ReplayTerms(STILL, all_of_it)
        )
        half_gamma = 50.0 * found.steps.gamma_1pct_usd[0] * gap**2
        errors.append(abs(found.steps.pnl_usd[1] / half_gamma - 1.0))
        assert found.worst_gap is not None
        assert found.worst_gap.gamma_usd == pytest.approx(half_gamma, rel=1e-9)
        assert found.worst_gap.pnl_usd == pytest.approx(found.steps.pnl_usd[1])
    assert errors[-1] < 0.02
    # What is left is of third order: it halves with the gap.
    assert errors[1] / errors[0] == pytest.approx(0.5, abs=0.1)
    assert errors[2] / errors[1] == pytest.approx(0.5, abs=0.1)


def test_as_depth_grows_impact_vanishes() -> None:
    terms = ReplayTerms(STILL, all_of_it)
    still = replay(BOOK, MARKETS, fall(), terms).steps.pnl_usd[-1]
    missed = []
    for depth in (1.0, 1e4, 1e8):
        market = HedgeMarket(1e10, depth_factor=depth, fee_rate=0.0, half_spread_rate=0.0)
        missed.append(abs(replay(BOOK, MARKETS, fall(), replace(terms, market=market)).steps.pnl_usd[-1] - still))
    assert missed[0] > 10.0 * missed[1] > 100.0 * missed[2]
    assert missed[2] < 20.0


def test_a_short_gamma_book_that_hedges_in_a_linear_market_amplifies_a_move() -> None:
    """A jump, and time for the loop to settle: the price ends at the jump over one less the gain."""
    jump, steps = 1e-4, 60
    crisis = path(np.concatenate([[0.0], np.full(steps, jump)]), is_timeless=True)
    book = Portfolio([listed("BTC-30JAN26-80000-C", -100.0)])
    delta = float(book.mark(MARKETS).delta_usd[0])
    flat = Portfolio([*book.positions, listed("BTC_USDC-PERPETUAL", -delta / 80_000.0)])
    market = HedgeMarket(1e7, law="linear", lasting_share=1.0, fee_rate=0.0, half_spread_rate=0.0)
    found = replay(flat, MARKETS, crisis, ReplayTerms(market, all_of_it))
    gain = found.steps.loop_gain[0]
    assert 0.1 < gain < 0.9
    ended = math.log1p(jump) + found.steps.pushed_log[-1]
    assert ended / math.log1p(jump) == pytest.approx(1.0 / (1.0 - gain), rel=0.02)


def test_without_its_hedge_venue_a_book_is_as_it_was() -> None:
    crisis = fall()
    whole = replay(BOOK, MARKETS, crisis, ReplayTerms(DEEP, all_of_it, outage_hours=100.0))
    bare = replay(BOOK, MARKETS, crisis, ReplayTerms(DEEP))
    assert whole.hedges == 0
    assert whole.steps.pnl_usd.tolist() == bare.steps.pnl_usd.tolist()
    part = replay(BOOK, MARKETS, crisis, ReplayTerms(STILL, all_of_it, outage_hours=1.0))
    assert part.outage is not None
    first, last = part.outage
    assert crisis.log_spot[last] - crisis.log_spot[first] == pytest.approx(
        min(crisis.log_spot[at + 12] - crisis.log_spot[at] for at in range(len(crisis) - 12))
    )
    assert not set(part.chances) & set(range(first, last + 1))
    assert part.worst_gap is not None
    assert part.worst_gap.last - part.worst_gap.first == last - first + 2


def test_hedges_are_no_closer_than_asked() -> None:
    found = replay(BOOK, MARKETS, fall(), ReplayTerms(STILL, all_of_it, every_s=1_800.0))
    assert set(np.diff(found.chances)) == {6}


def test_a_lost_venue_keeps_what_it_owed_and_is_owed_what_we_owe() -> None:
    crisis = path([0.0, -0.2, -0.2])
    puts = replace(listed("BTC-30JAN26-80000-P", 100.0), venue="one")
    sold = replace(listed("BTC-30JAN26-70000-P", -100.0), venue="other")
    book = Portfolio([puts, sold])
    kept = replay(book, MARKETS, crisis, ReplayTerms(STILL))
    lost = replay(book, MARKETS, crisis, ReplayTerms(STILL, lost_venue=WINNING, recovery=0.25))
    claim = float(book.worth_usd(MARKETS.shocked(crisis.shocks["BTC"].at(1)))[0])
    assert (lost.lost_venue, lost.lost_at) == ("one", 1)
    assert lost.parts["lost_venue"] == pytest.approx(-0.75 * claim)
    assert lost.steps.pnl_usd[1] == pytest.approx(kept.steps.pnl_usd[1] - 0.75 * claim)
    assert lost.steps.book_delta_usd[1] == pytest.approx(
        replay(Portfolio([sold]), MARKETS, crisis, ReplayTerms(STILL)).steps.book_delta_usd[1]
    )
    owed = replay(book, MARKETS, crisis, ReplayTerms(STILL, lost_venue="other"))
    assert owed.parts["lost_venue"] == 0.0
    assert owed.steps.pnl_usd[1] == pytest.approx(kept.steps.pnl_usd[1])


def test_the_winning_leg_may_be_the_hedge() -> None:
    crisis = path([0.0, -0.2, -0.2])
    book = Portfolio([replace(listed("BTC-30JAN26-70000-P", -100.0), venue="one")])
    found = replay(book, MARKETS, crisis, ReplayTerms(STILL, all_of_it, every_s=1e6, lost_venue=WINNING))
    sold = float(book.mark(MARKETS).delta_usd[0])
    assert found.lost_venue == HEDGE_VENUE
    assert found.parts["hedge"] == pytest.approx(0.2 * sold)
    assert found.parts["lost_venue"] == pytest.approx(-0.2 * sold)
    assert found.steps.net_delta_usd[-1] == found.steps.book_delta_usd[-1]


THIN = Portfolio([listed("BTC-30JAN26-70000-P", -100.0)], [Balance("BTC", 40.0)])


def test_forced_closing_moves_the_price_that_margin_hangs_on() -> None:
    """The shallower the market, the more each round costs, until a round leaves the account worse than before it."""
    crisis = fall()
    found = [
        replay(THIN, MARKETS, crisis, ReplayTerms(HedgeMarket(1e10, depth, "linear"), margining=margining()))
        for depth in (1e6, 1e-2, 1e-4)
    ]
    assert all(one.closed_at is not None and one.margin_call_at is not None for one in found)
    assert all(one.margin_call_at <= one.closed_at for one in found)  # type: ignore[operator]
    assert all((np.diff(one.steps.left) <= 0.0).all() for one in found)
    assert found[0].spiral_gain < 0.01 < found[1].spiral_gain < 1.0 < found[2].spiral_gain
    assert found[0].steps.left[-1] > found[2].steps.left[-1] == 0.0
    assert found[2].steps.pushed_log.min() < found[1].steps.pushed_log.min() < found[0].steps.pushed_log.min() < 0.0
    # Once closed nothing is asked for, and nothing moves any more.
    closed = int(np.argmin(found[2].steps.left))
    assert found[2].steps.maintenance_usd[closed] == 0.0
    assert np.ptp(found[2].steps.pnl_usd[closed:]) == 0.0


def test_an_account_that_is_short_from_the_start_is_followed_and_not_closed() -> None:
    found = replay(Portfolio(SHORT, [Balance("BTC", 0.1)]), MARKETS, fall(), ReplayTerms(DEEP, margining=margining()))
    assert (found.margin_call_at, found.closed_at) == (0, None)
    assert found.steps.usage.min() > 1.0


def test_contracts_over_the_counter_are_valued_and_no_venue_closes_them() -> None:
    deal = over_the_counter({"style": "european", "right": "put", "strike": 70_000}, -5.0)
    book = Portfolio([*THIN.positions, deal], THIN.balances)
    found = replay(book, MARKETS, fall(8, 0.6), ReplayTerms(DEEP, margining=margining(ForcedClosing(share=1.0))))
    assert found.steps.left[-1] == 0.0
    assert found.steps.book_delta_usd[-1] != 0.0


@given(st.lists(st.floats(-0.3, 0.3), min_size=2, max_size=6))
def test_any_path_is_explained(moves: list[float]) -> None:
    found = replay(Portfolio(SHORT), MARKETS, path([0.0, *moves]), ReplayTerms(DEEP, band(1e-6)))
    assert sum(found.parts.values()) == pytest.approx(found.steps.pnl_usd[-1], abs=1e-4)
    assert found.drawdown_usd >= -found.steps.pnl_usd.min() - 1e-6


def test_a_path_that_is_none_is_refused() -> None:
    with pytest.raises(BadInputError, match="BTC has no price or vol at 1970-01-01T00:05"):
        path([0.0, math.nan])
    with pytest.raises(BadInputError, match="2 or more"):
        path([0.0])


def test_a_position_that_no_smile_prices_names_itself() -> None:
    with pytest.raises(BadInputError, match="SOL"):
        replay(
            Portfolio([BookPosition(REFERENCE.instrument("SOL_USDC-PERPETUAL"), 1.0)]),
            MARKETS,
            fall(),
            ReplayTerms(DEEP),
        )


def test_a_fall_is_measured_from_its_height_until_that_is_seen_again() -> None:
    """Ten coins of a linear perpetual from 80,000: up 10 %, down 20 %, back, and a little farther."""
    spot = [0.0, 0.1, -0.1, 0.05, 0.1, 0.12]
    found = replay(Portfolio([listed("BTC_USDC-PERPETUAL", 10.0)]), MARKETS, path(spot), ReplayTerms(STILL))
    assert found.steps.pnl_usd == pytest.approx(800_000.0 * np.array(spot))
    assert found.drawdown_usd == pytest.approx(160_000.0)
    assert (found.worst, found.recovered_at) == (2, 4)
    assert found.hours(found.recovered_at) == pytest.approx(1 / 3)
    # A height that was not stood on for a while is none to the loss stop: the loss is of 80,000 USD.
    assert found.stages() == {"widen": 2}
    assert found.path.worst_window(5 / 60) == (1, 2)
    assert found.path.worst_window(1e6) == (0, 5)
    assert found.worst_gap is not None
    assert (found.worst_gap.first, found.worst_gap.last, found.worst_gap.gamma_usd) == (1, 2, 0.0)
