"""A book by venue: exposures sum, deviations net, margins are made anew where money would be."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.market.covariance import CovarianceModel
from flatbook.market.snapshot import Markets
from flatbook.risk.margin.account import MarginAccount
from flatbook.risk.margin.model import MarginModel
from flatbook.risk.venues.proposal import UseBounds, VenueAccount, propose, use_of
from flatbook.risk.venues.split import EXPOSURES, by_venue, day_risk_usd, nettings
from flatbook.risk.venues.transfers import TransferTerms, changes
from flatbook.valuation.portfolio import Balance, BookPosition, Portfolio
from flatbook.valuation.reverse_stress import DayMoves
from flatbook.venues.margin import editions
from tests.market.snapshots import snapshot
from tests.valuation.books import listed, markets

MARKETS = markets(snapshot(linear_usd={"BTC-PERPETUAL": 80_040.0}), snapshot("ETH", 3_000.0, vol=0.8, carry=0.03))
INDEX = MARKETS.of("BTC").index_usd
TERMS = TransferTerms(
    fee={"BTC": Decimal("0.0002"), "USDC": Decimal(5)},
    least={"BTC": Decimal("0.001"), "USDC": Decimal(20)},
    accepts={"": frozenset({"BTC", "USDC"})},
)


def at(venue: str, name: str, size: float) -> BookPosition:
    """A position at a venue."""
    return replace(listed(name, size), venue=venue)


BOOK = Portfolio(
    [
        at("deribit", "BTC-30JAN26-90000-C", -20.0),
        at("deribit", "BTC-30JAN26-70000-P", -20.0),
        at("okx", "BTC-PERPETUAL", -400_000.0),
        at("okx", "BTC-30JAN26-90000-C", 5.0),
        at("derive", "ETH-27MAR26-3200-C", 50.0),
    ],
    [
        Balance("BTC", 6.0, venue="deribit"),
        Balance("BTC", 2.0, venue="okx"),
        Balance("USDC", 300_000.0, venue="derive"),
    ],
)


def moves(of: Markets) -> dict[str, DayMoves]:
    """A day's, by the model's prior."""
    model = CovarianceModel()
    return {name: DayMoves.of(market, model.prior(), model.tenor_days) for name, market in of.snapshots.items()}


def model(name: str) -> MarginModel:
    """Its newest edition."""
    return editions(name)[-1].model


def test_exposures_of_venues_sum_to_the_books_and_net_less_than_gross() -> None:
    books = by_venue(BOOK)
    assert list(books) == ["deribit", "derive", "okx"]
    marks = BOOK.mark(MARKETS)
    found = {(one.underlying, one.name): one for one in nettings(books, MARKETS)}
    for underlying in ("BTC", "ETH"):
        rows = [row for row, position in enumerate(BOOK.positions) if position.underlying == underlying]
        for name in EXPOSURES:
            total = getattr(marks, name)[rows].sum()
            total += 8.0 * INDEX if (underlying, name) == ("BTC", "delta_usd") else 0.0
            one = found[underlying, name]
            assert one.net == pytest.approx(total)
            assert one.netted == pytest.approx(sum(map(abs, one.by_venue)) - abs(total))
            assert one.netted >= 0.0
    # Calls bought at one venue of those sold at another: a quarter of their vega nets, both ways counted.
    vega = found["BTC", "vega_usd"].by_venue
    assert found["BTC", "vega_usd"].netted == pytest.approx(2.0 * vega[2])


def test_a_days_loads_of_venues_sum_to_the_books_and_a_linear_one_is_known() -> None:
    day = moves(MARKETS)
    parts = [day_risk_usd(book, MARKETS, day) for book in by_venue(BOOK).values()]
    whole = day_risk_usd(BOOK, MARKETS, day)
    np.testing.assert_allclose(sum(parts), whole, rtol=1e-9, atol=1e-6)
    assert np.linalg.norm(whole) < sum(map(float, map(np.linalg.norm, parts)))
    # A coin moves with spot and nothing else; log spot's slope by bumps of a tenth of a deviation, in squares.
    coin = Portfolio([], [Balance("BTC", 2.0, venue="a")])
    deviation = float(day["BTC"].deviations[0])
    loads = day_risk_usd(coin, MARKETS, day)
    assert np.linalg.norm(loads) == pytest.approx(2.0 * INDEX * deviation, rel=1e-5)
    # Held here and owed there it is no risk at all.
    debt = Portfolio([], [Balance("BTC", -2.0, venue="b")])
    np.testing.assert_allclose(loads + day_risk_usd(debt, MARKETS, day), 0.0, atol=1e-9)


def test_a_row_without_a_venue_is_refused_with_its_place() -> None:
    book = Portfolio([at("okx", "BTC-PERPETUAL", 1e4)], [Balance("BTC", 1.0, "book.csv:7")])
    with pytest.raises(BadInputError, match=r"book\.csv:7: names no venue"):
        by_venue(book)


@pytest.mark.parametrize("name", ["deribit_pm", "deribit_sm", "derive_pm", "span", "okx"])
def test_a_proposal_is_met_by_margins_made_anew_and_conserves_money(name: str) -> None:
    """Derive's portfolio margin and others move with the coin that is there: what was needed before is not after."""
    short = Portfolio(BOOK.positions[:2], [Balance("BTC", 3.0)])
    needed = MarginAccount(short, model(name)).margin(MARKETS).maintenance
    coins = 1.05 * needed / INDEX
    tight = VenueAccount("deribit", Portfolio(short.positions, [Balance("BTC", coins)]), model(name))
    rich = VenueAccount("okx", Portfolio([], [Balance("BTC", 4.0 * coins), Balance("USDC", 2e6)]), model("okx"))
    proposal = propose([tight, rich], TERMS, MARKETS, UseBounds())
    assert proposal.called == ("deribit",)
    assert proposal.short_usd == {}
    assert proposal.transfers
    assert use_of(proposal.after[0]) == pytest.approx(0.6, abs=0.02) or proposal.after[0].initial == pytest.approx(
        proposal.after[0].initial_balance, rel=1e-3
    )
    # By a second way: the account as it would be read from a file.
    moved = changes(proposal.transfers, "deribit")
    balances = [Balance("BTC", coins + moved.get("BTC", 0) / 1e8), Balance("USDC", moved.get("USDC", 0) / 1e6)]
    again = MarginAccount(Portfolio(short.positions, balances), model(name)).margin(MARKETS)
    assert again.maintenance <= 0.6 * again.balance * (1.0 + 2e-5)
    assert again.initial <= again.initial_balance * (1.0 + 2e-5)
    worth = sum(margin.equity for margin in proposal.now) - sum(margin.equity for margin in proposal.after)
    fees = {"BTC": 1e-8 * INDEX, "USDC": 1e-6}
    assert worth == pytest.approx(sum(one.fee_units * fees[one.currency] for one in proposal.transfers), abs=1e-3)


def test_nothing_is_proposed_where_nobody_calls_and_what_cannot_be_met_is_said() -> None:
    books = by_venue(BOOK)
    deep = Portfolio(books["deribit"].positions, [Balance("BTC", 12.0)])
    accounts = [VenueAccount(venue, book, model("deribit_pm")) for venue, book in (books | {"deribit": deep}).items()]
    calm = propose(accounts, TERMS, MARKETS, UseBounds(1.0, 1.0))
    assert (calm.called, calm.transfers, calm.short_usd) == ((), (), {})
    assert calm.after is calm.now
    only = [VenueAccount("deribit", books["deribit"], model("deribit_pm"))]
    needy = propose(only, TERMS, MARKETS, UseBounds(0.5, 0.4))
    (margin,) = needy.now
    assert needy.transfers == ()
    missing = max(margin.maintenance / 0.4 - margin.balance, margin.initial - margin.initial_balance)
    assert needy.short_usd == pytest.approx({"deribit": missing})


def test_a_venue_beyond_the_target_that_nobody_calls_is_left_alone() -> None:
    rules, positions = model("span"), BOOK.positions[:2]
    needed = MarginAccount(Portfolio(positions), rules).margin(MARKETS)
    # Options owed are part of the balance, and the grid's initial margin is a quarter more than maintenance.
    owed = needed.balance

    def using(venue: str, use: float) -> VenueAccount:
        held = Balance("USDC", needed.maintenance / use - owed)
        return VenueAccount(venue, Portfolio(positions, [held]), rules)

    free = VenueAccount("free", Portfolio([], [Balance("USDC", 2e6)]), rules)
    proposal = propose([using("tight", 0.9), using("between", 0.7), free], TERMS, MARKETS, UseBounds())
    assert proposal.called == ("tight",)
    assert changes(proposal.transfers, "between") == {}
    assert [use_of(margin) for margin in proposal.after[:2]] == pytest.approx([0.6, 0.7], rel=1e-4)


@pytest.mark.parametrize(("call", "target"), [(0.5, 0.6), (1.2, 0.6), (0.8, 0.0)])
def test_bounds_that_are_none_are_refused(call: float, target: float) -> None:
    with pytest.raises(BadInputError, match="give 0 < target <= call <= 1"):
        UseBounds(call, target)
