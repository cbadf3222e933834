import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.market.shock import Shock
from flatbook.market.snapshot import Markets
from flatbook.valuation.contracts import Cell
from flatbook.valuation.point import point_of
from flatbook.valuation.portfolio import Balance, Portfolio
from flatbook.valuation.stress import WINNING, Scenario, Stressed, Unhedged, stress
from tests.market.snapshots import FLAT, snapshot

from .books import EVERY_STYLE, listed, markets, over_the_counter, valued
from .test_portfolio import BOOK

MARKETS = markets()


def one(book: Portfolio, scenario: Scenario, at: Markets = MARKETS) -> Stressed:
    (found,) = stress(book, at, [scenario])
    return found


def at_venues(*held: tuple[str, float, str]) -> Portfolio:
    return Portfolio([replace(listed(name, size), venue=venue) for name, size, venue in held])


def worth2(cells: dict[str, Cell]) -> float:
    found = valued(cells, MARKETS.of("BTC"), MARKETS.of("ETH"))
    return found.repricer.at(point_of(found.contract))


def test_where_nothing_happens_every_position_gains_exactly_nothing() -> None:
    for book in (BOOK, at_venues(("BTC-30JAN26-80000-C", 10.0, "deribit"), ("BTC-PERPETUAL", -5e4, "other"))):
        quiet = one(book, Scenario("quiet", lost_venue=WINNING, correlation=None))
        assert not quiet.by_position_usd.any()
        assert quiet.pnl_usd == 0.0
        assert quiet.lost_venue == ""


@settings(deadline=None, max_examples=20)
@given(st.floats(-0.6, 1.0), st.floats(-0.5, 1.0), st.floats(0.0, 20.0), st.floats(-0.3, 0.3), st.floats(-0.1, 0.1))
def test_a_linear_book_and_parity_hold_whatever_happens_to_smiles(
    spot: float, vol: float, days: float, term: float, twist: float
) -> None:
    """A call less a put is the forward less the strike: no shock of vols, time or twist is in it."""
    shock = Shock(spot, vol, days, term, skew=twist, convexity=twist)
    pair = Portfolio([listed("BTC-30JAN26-80000-C", 1.0), listed("BTC-30JAN26-80000-P", -1.0)])
    market = MARKETS.of("BTC")
    forward = float(market.forward_usd[1])
    before = market.index_usd * (1.0 - 80_000.0 / forward)
    after = market.index_usd * (1 + spot) * (1.0 - 80_000.0 / (forward * (1 + spot)))
    assert one(pair, Scenario("any", shock)).pnl_usd == pytest.approx(after - before, abs=1e-6)


def test_each_underlying_has_its_own_shock_and_the_others_the_common_one() -> None:
    book = Portfolio([listed("BTC-PERPETUAL", 50_000.0), listed("ETH-PERPETUAL", 3_000.0)])
    found = one(book, Scenario("own", Shock(spot=-0.5), {"ETH": Shock(spot=0.25)}))
    # A long inverse of n dollars is n (1 - index before / index after) more in dollars of the index after.
    assert found.revalued_usd.tolist() == pytest.approx([-25_000.0, 750.0])


def test_unhedged_hours_move_every_underlying_by_its_own_deviations_and_pass() -> None:
    flat = markets(snapshot(smile=FLAT, vol=0.6), snapshot("ETH", 3_000.0, vol=0.9, smile=FLAT))
    run = Unhedged(hours=87.6, deviations=-2.0)
    assert run.move(flat.of("BTC")) == pytest.approx(math.exp(-2.0 * 0.6 * 0.1) - 1.0)
    assert run.move(flat.of("ETH")) == pytest.approx(math.exp(-2.0 * 0.9 * 0.1) - 1.0)
    shock = Scenario("down", Shock(spot=0.1, vol=0.2), unhedged=run).shock_of(flat.of("BTC"))
    assert shock == Shock(spot=1.1 * math.exp(-0.12) - 1.0, vol=0.2, days=87.6 / 24)


def test_a_depeg_is_felt_by_balances_and_by_what_settles_in_it() -> None:
    book = Portfolio([listed("BTC_USDC-PERPETUAL", 1.0), listed("BTC-PERPETUAL", 1e4)], [Balance("USDC", 1_000.0)])
    found = one(book, Scenario("depeg", dollars={"USDC": 0.9}))
    assert found.balances_usd == pytest.approx(-100.0)
    # The coin is dearer in the weak dollar, and the gain is paid in it.
    assert found.revalued_usd.tolist() == pytest.approx([80_000.0 * (1 - 0.9), 0.0])


def test_funding_is_paid_by_longs_on_what_the_notional_is_worth_then() -> None:
    book = Portfolio(
        [listed("BTC-PERPETUAL", 80_000.0), listed("BTC_USDC-PERPETUAL", -2.0), listed("BTC-27MAR26", 1e4)]
    )
    found = one(book, Scenario("capped", Shock(spot=0.5), funding_8h=0.005, funding_hours=72.0))
    assert found.funding_usd.tolist() == pytest.approx([-80_000 * 0.045, 2 * 120_000 * 0.045, 0.0])


def test_the_winning_legs_venue_is_the_one_that_is_lost() -> None:
    """Long at one venue and short at another: what the winner owes us is gone, what we owe the loser is not."""
    book = at_venues(("BTC-PERPETUAL", 80_000.0, "here"), ("BTC_USDC-PERPETUAL", -1.0, "there"))
    for spot, loser in ((-0.2, 0), (0.25, 1)):
        found = one(book, Scenario("lost", Shock(spot=spot), lost_venue=WINNING))
        assert found.lost_venue == ("there", "here")[loser]
        assert found.revalued_usd.sum() == pytest.approx(0.0, abs=1e-6)
        assert found.pnl_usd == pytest.approx(80_000.0 * -abs(spot))
        half = one(book, Scenario("half", Shock(spot=spot), lost_venue=WINNING, recovery=0.5))
        assert half.pnl_usd == pytest.approx(0.5 * found.pnl_usd)
    assert not one(book, Scenario("owed", Shock(spot=-0.2), lost_venue="here")).lost_usd.any()
    bought = at_venues(("BTC-30JAN26-80000-C", 2.0, "here"))
    gone = one(bought, Scenario("gone", lost_venue="here"))
    assert gone.pnl_usd == pytest.approx(-float(bought.worth_usd(MARKETS).sum()))


def test_at_one_correlation_contracts_on_two_assets_are_valued_at_it_whatever_was_agreed() -> None:
    spread = over_the_counter(EVERY_STYLE["spread"])  # agreed at 0.7
    found = one(Portfolio([spread]), Scenario("as one", correlation=0.99))
    as_agreed, at_one = (worth2(EVERY_STYLE["spread"] | {"correlation": correlation}) for correlation in (0.7, 0.99))
    assert found.pnl_usd == pytest.approx(at_one - as_agreed)
    assert found.pnl_usd < 0.0


@pytest.mark.parametrize(
    "bad",
    [{"correlation": 1.0}, {"dollars": {"USDC": 0.0}}, {"funding_hours": -1.0}, {"recovery": 1.5}],
)
def test_a_scenario_that_cannot_be_is_refused_by_name(bad: dict[str, float]) -> None:
    with pytest.raises(BadInputError, match="scenario worst:"):
        Scenario("worst", **bad)  # type: ignore[arg-type]


def test_without_options_nobody_knows_what_a_deviation_is() -> None:
    bare = Markets({"BTC": replace(snapshot(), slices=np.full((4, 5), np.nan))})
    with pytest.raises(BadInputError, match="BTC: no smile says what a deviation is"):
        one(Portfolio([listed("BTC-PERPETUAL", 10.0)]), Scenario("run", unhedged=Unhedged(8.0, -3.0)), bare)
