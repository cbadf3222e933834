"""Accounts drawn for a venue of options: as large as margin lets them be, hedged where they are, marked as a market."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.kernels.black import black
from flatbook.market.shock import Shock
from flatbook.market.snapshot import MarketSnapshot
from flatbook.risk.liquidation.auction import AuctionRules
from flatbook.risk.liquidation.incremental import Depth, IncrementalRules
from flatbook.risk.liquidation.listing import Listing, OptionMenu
from flatbook.risk.liquidation.market import Asset, VenueMarket, market_of
from flatbook.risk.liquidation.population import KINDS, People, Population, drawn
from flatbook.risk.liquidation.state import FUND, VenueState
from flatbook.risk.liquidation.waterfall import Venue, WaterfallRules, advanced, closed
from flatbook.venues.margin import editions

INDEX = 80_000.0
LISTING = Listing.of(OptionMenu(), INDEX)
UNITS = 1_000_000.0
MODELS = ["deribit_sm", "deribit_pm", "derive_pm", "derive_sm"]


def people(model: str, seed: int, accounts: int = 200, **terms: float) -> People:
    return drawn(
        Population(accounts=accounts, **terms), LISTING, LISTING.contracts(INDEX, 0.0, 0.0, 0.0),  # type: ignore[arg-type]
        editions(model)[-1].model, 0.05, np.random.default_rng(seed),
    )  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
def test_books_are_as_large_as_margin_lets_them_be(model: str) -> None:
    rules, contracts = editions(model)[-1].model, LISTING.contracts(INDEX, 0.0, 0.0, 0.0)
    found = people(model, 1, option_share=1.0)
    credited = found.equity_usd * np.where(found.has_token, 0.95, 1.0)
    margins = rules.requirement(contracts).margins(found.coins).initial
    worth = found.coins[:, 1:] @ contracts.mark_usd[1:]
    balance = credited - (0.0 if rules.counts_option_value else worth)
    assert (margins <= 0.9 * balance + np.maximum(-0.1 * worth, 0.0) + 1e-6).all()
    assert (worth <= 0.9 * credited + 1e-6).all()
    # Somebody uses no less than half, by margin or by what was paid, unless no book could be that large.
    used = np.maximum(margins / balance, worth / credited)
    assert np.median(used[np.abs(found.coins).sum(axis=1) * INDEX < 150.0 * found.equity_usd]) > 0.45
    kinds = np.bincount(found.kind, minlength=len(KINDS))
    assert kinds[0] == 0
    assert (kinds[1:] > 15).all()


def test_each_kind_holds_what_it_says() -> None:
    found = people("deribit_pm", 2, accounts=400)
    delta = LISTING.contracts(INDEX, 0.0, 0.0, 0.0).delta
    for number, name in enumerate(KINDS):
        coins = found.coins[found.kind == number]
        options = coins[:, 1:]
        if name == "futures":
            assert not options.any()
        elif name == "hedged_makers":
            assert coins @ delta == pytest.approx(0.0, abs=1e-9)
            assert options.mean() < 0.0
        else:
            assert not coins[:, 0].any()
            assert ((options != 0.0).sum(axis=1) == (2 if name == "short_vol" else 1)).all()
            assert (options[options != 0.0] > 0.0).all() == (name == "long_options")
    assert 0.3 < np.mean(found.kind > 0) < 0.5


def test_marks_along_a_crash_are_a_shocked_markets() -> None:
    """Two witnesses: the listing's own, and Black on a flat smile that `MarketSnapshot.shocked` has moved."""
    rise, term, days = 0.6, 0.18, 0.4
    found = LISTING.contracts(0.7 * INDEX, rise, term, days)
    expiries = np.array([round(day * 86_400e9) for day in LISTING.menu.days], dtype=np.int64)
    variance = LISTING.menu.implied_vol**2 * np.array(LISTING.menu.days) / 365.0
    flat = np.column_stack([variance, *([np.zeros(2)] * 3), np.full(2, 0.1)])
    before = MarketSnapshot("BTC", 0, INDEX, expiries, np.full(2, INDEX), flat)
    after = before.shocked(Shock(spot=-0.3, vol=math.expm1(rise), days=days, term=term))
    years = found.years[1:]
    vol = after.vol(LISTING.strike_usd, years)
    assert found.vol[1:] == pytest.approx(vol, rel=1e-9)
    worth = black(np.full(len(years), after.index_usd), LISTING.strike_usd, vol, years, LISTING.sign).price
    assert found.mark_usd[1:] == pytest.approx(worth, rel=1e-9)
    assert found.vol[1] > found.vol[-1] > LISTING.menu.implied_vol
    with pytest.raises(BadInputError, match="distances must be from 0"):
        OptionMenu(distances=(1.0,))


def market(model: str, moved: float, rise: float, days: float) -> VenueMarket:
    contracts = LISTING.contracts(INDEX * moved, rise, 0.3 * rise, days)
    return market_of(contracts, LISTING.lot_coin, Asset(1.0, 0.05), editions(model)[-1].model, UNITS)


RULES = [
    WaterfallRules(),
    WaterfallRules(IncrementalRules(step_share=0.5, opens=True), takeover_usage=0.3, deleveraging="water_filling"),
    WaterfallRules(deleveraging=None),
    WaterfallRules(auction=AuctionRules(fast_s=60.0, slow_s=300.0, insolvent_s=120.0)),
]


@settings(max_examples=24)
@given(
    seed=st.integers(0, 2**32 - 1),
    rules=st.sampled_from(RULES),
    model=st.sampled_from(MODELS),
    moves=st.lists(st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 1.0)), min_size=1, max_size=4),
    late=st.integers(0, 2),
    misvalued=st.sampled_from([0.0, 0.3]),
)
def test_money_and_contracts_of_option_books_are_conserved_to_the_unit(
    seed: int, rules: WaterfallRules, model: str, moves: list[tuple[float, float]], late: int, misvalued: float
) -> None:
    """After every step, whatever spot and vols do; and in the end nobody owes, and each debt is somebody's."""
    spots = np.cumprod([1.0, *(1.0 + spot for spot, _ in moves)])
    tape = [
        market(model, spot, rise, 0.1 * at)
        for at, (spot, rise) in enumerate(zip(spots.tolist(), [0.0, *(rise for _, rise in moves)], strict=True))
    ]
    found = people(model, seed, accounts=25, option_share=0.8)
    contracts = np.trunc(found.coins / LISTING.lot_coin).astype(np.int64)
    token = np.where(found.has_token, found.equity_usd, 0.0).astype(np.int64)
    cash = np.where(found.has_token, 0.0, found.equity_usd * UNITS).astype(np.int64) - contracts @ tape[0].mark[:-1]
    lots = np.column_stack([contracts, token])
    entry = np.broadcast_to(tape[0].mark.astype(np.float64), lots.shape)
    venue = Venue.opening(VenueState.opened(cash, lots, entry, tape[0], 10**9, makers=10**16))
    depth = Depth(np.full((2, lots.shape[1]), 300, np.int64), np.full(14, 0.001), np.append(np.full(13, 0.02), 0.0))
    before = venue.state.totals()
    for step, actual in enumerate(tape):
        believed = tape[max(0, step - late)].valuing_assets_at(misvalued)
        for second in range(3):
            venue = advanced(venue, 60.0 * step + second, believed, actual, rules, depth)
            now = venue.state.totals()
            assert now[0] == before[0]
            assert (now[1] == before[1]).all()
    venue = closed(venue, tape[-1], rules)
    assert venue.state.totals()[0] == before[0]
    assert (venue.state.totals()[1] == before[1]).all()
    assert (venue.state.equity(tape[-1])[: venue.state.accounts] >= 0).all()
    assert venue.state.equity(tape[-1])[FUND] >= 0
    assert int(venue.owed.sum()) == venue.tally.debts
