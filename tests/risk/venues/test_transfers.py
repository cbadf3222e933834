"""The programme against every plan there is, and what must hold of any plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.risk.venues.transfers import Plan, Purse, TransferTerms, changes, plan_transfers

USD = {"USDC": 1.0, "USDT": 1.0, "BTC": 80_000.0}
ANY = frozenset(USD)
STEP = 100
"""Dollars that all amounts of the exhaustive cases are multiples of."""


def purse(venue: str, need: float, **held: float) -> Purse:
    """One that needs so much of what it holds, without haircuts."""
    units = {name: round(amount * 10 ** (8 if name == "BTC" else 6)) for name, amount in held.items()}
    worth = sum(amount * USD[name] for name, amount in held.items())
    return Purse(venue, 0.0, need, worth, worth, 1.0, units, dict.fromkeys(ANY, (0.0, 0.0)))


def terms(fee: str = "0", least: str = "0", per_usd_moved: float = 0.001) -> TransferTerms:
    """The same for both dollars; a bitcoin is moved for nothing."""
    of_dollars = {"USDC": Decimal(fee), "USDT": Decimal(fee), "BTC": Decimal(0)}
    least_of = {"USDC": Decimal(least), "USDT": Decimal(least)}
    return TransferTerms(of_dollars, least_of, {"": ANY}, per_usd_moved)


def holds(purses: Sequence[Purse], plan: Plan) -> dict[str, float]:
    """Each venue's balance after a plan, as its collateral counts."""
    return {
        one.venue: one.balance
        + sum(
            units / (1e8 if name == "BTC" else 1e6) * USD[name] * (1.0 - one.haircuts.get(name, (1.0, 1.0))[1])
            for name, units in changes(plan.transfers, one.venue).items()
        )
        for one in purses
    }


def cost_usd(plan: Plan, per_usd_moved: float) -> float:
    """What the programme minimises, of whole units of dollars."""
    return sum((one.fee_units + per_usd_moved * one.sent_units) / 1e6 for one in plan.transfers)


def cheapest_by_trying(
    needs: Sequence[int], held: Sequence[Sequence[int]], fee: int, least: int, per_usd_moved: float
) -> float:
    """Of all plans in steps in which who is short sends nothing; infinite where none meets the needs.

    `needs` and `held`, by venue and currency, are in steps.
    """
    venues, currencies = len(held), len(held[0])
    lanes = [(i, j, c) for i in range(venues) for j in range(venues) if i != j for c in range(currencies)]
    sent = np.stack(np.meshgrid(*(np.arange(held[i][c] + 1) for i, _, c in lanes), indexing="ij"), -1)
    sent = sent.reshape(-1, len(lanes))
    used = sent > 0
    fits = (~used | (sent >= max(least, fee))).all(axis=1)
    gained = np.where(used, sent - fee, 0)
    for v in range(venues):
        out = [np.array([lane[0] == v and lane[2] == c for lane in lanes]) for c in range(currencies)]
        fits &= np.all([sent @ of <= held[v][c] for c, of in enumerate(out)], axis=0)
        arrives = gained @ np.array([lane[1] == v for lane in lanes])
        leaves = sent @ np.any(out, axis=0)
        fits &= sum(held[v]) - leaves + arrives >= needs[v]
        if sum(held[v]) < needs[v]:
            fits &= leaves == 0
    cost = STEP * (used.sum(axis=1) * fee + per_usd_moved * sent.sum(axis=1))
    return float(cost[fits].min(initial=np.inf))


@settings(max_examples=80)
@given(data=st.data(), fee=st.integers(0, 2), least=st.integers(0, 3))
def test_no_plan_is_cheaper_three_venues(data: st.DataObject, fee: int, least: int) -> None:
    held = data.draw(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=1), min_size=3, max_size=3))
    needs = data.draw(st.lists(st.integers(0, 5), min_size=3, max_size=3))
    _compare(needs, held, ("USDC",), fee, least)


@settings(max_examples=80)
@given(data=st.data(), fee=st.integers(0, 2), least=st.integers(0, 3))
def test_no_plan_is_cheaper_two_currencies(data: st.DataObject, fee: int, least: int) -> None:
    held = data.draw(st.lists(st.lists(st.integers(0, 4), min_size=2, max_size=2), min_size=2, max_size=2))
    needs = data.draw(st.lists(st.integers(0, 8), min_size=2, max_size=2))
    _compare(needs, held, ("USDC", "USDT"), fee, least)


def _compare(
    needs: Sequence[int], held: Sequence[Sequence[int]], currencies: Sequence[str], fee: int, least: int
) -> None:
    # A dollar less is needed than in steps, so that what just fits in steps fits the programme, which rounds.
    per_usd_moved = 0.01
    purses = [
        purse(
            f"v{at}",
            max(STEP * need - 1, 0),
            **{name: STEP * amount for name, amount in zip(currencies, row, strict=True)},
        )
        for at, (need, row) in enumerate(zip(needs, held, strict=True))
    ]
    plan = plan_transfers(purses, terms(str(STEP * fee), str(STEP * least), per_usd_moved), USD)
    best = cheapest_by_trying(needs, held, fee, least, per_usd_moved)
    assert bool(plan.short_usd) == np.isinf(best)
    if not plan.short_usd:
        assert cost_usd(plan, per_usd_moved) == pytest.approx(best, abs=0.1)
        after = holds(purses, plan)
        assert all(after[one.venue] >= one.maintenance - 1e-5 * STEP * max(needs) for one in purses)


@given(
    needs=st.lists(st.floats(0.0, 3e5), min_size=2, max_size=4),
    coins=st.lists(st.floats(0.0, 5.0), min_size=4, max_size=4),
    dollars=st.lists(st.floats(0.0, 2e5), min_size=4, max_size=4),
    haircut=st.floats(0.0, 0.3),
)
@settings(max_examples=40)
def test_money_is_conserved_and_nobody_sends_what_he_has_not(
    needs: list[float], coins: list[float], dollars: list[float], haircut: float
) -> None:
    purses = []
    for at, need in enumerate(needs):
        held = purse(f"v{at}", need, BTC=coins[at], USDC=dollars[at])
        counted = (1.0 - haircut) * coins[at] * USD["BTC"] + dollars[at]
        cuts = {"BTC": (haircut, haircut), "USDC": (0.0, 0.0)}
        purses.append(replace(held, haircuts=cuts, balance=counted, initial_balance=counted))
    plan = plan_transfers(purses, terms("5", "20"), USD)
    for currency in USD:
        lost = sum(changes(plan.transfers, one.venue).get(currency, 0) for one in purses)
        assert lost == -sum(one.fee_units for one in plan.transfers if one.currency == currency)
    for one in purses:
        for currency, units in changes(plan.transfers, one.venue).items():
            assert one.units[currency] + units >= 0
    after = holds(purses, plan)
    for one in purses:
        if one.short == 0.0 or not plan.short_usd:
            assert after[one.venue] >= one.needs[1] - 1e-5 * max(needs)
    if not any(one.short for one in purses):
        assert plan == Plan((), {})


def test_what_cannot_be_met_is_said_with_how_much() -> None:
    purses = [purse("a", 100_000.0, USDC=40_000.0), purse("b", 10_000.0, USDC=30_000.0)]
    plan = plan_transfers(purses, terms("5", "20"), USD)
    (sent,) = plan.transfers
    assert (sent.sender, sent.receiver) == ("b", "a")
    assert sent.sent_units / 1e6 == pytest.approx(20_000.0, abs=1.0)
    assert plan.short_usd == pytest.approx({"a": 40_005.0}, abs=1.0)


def test_a_donor_is_not_brought_short_though_its_money_counts_for_more_elsewhere() -> None:
    short, donor = purse("short", 1e6), purse("donor", 50_000.0, BTC=1.0)
    donor = replace(donor, haircuts={"BTC": (0.2, 0.2)}, balance=64_000.0, initial_balance=64_000.0)
    plan = plan_transfers([short, donor], terms(), USD)
    (sent,) = plan.transfers
    assert 0.8 * sent.sent_units / 1e8 * USD["BTC"] == pytest.approx(14_000.0, abs=5.0)
    assert plan.short_usd == pytest.approx({"short": 1e6 - 17_500.0}, abs=10.0)


def test_a_currency_goes_where_it_counts_and_where_it_is_taken() -> None:
    """A venue takes no coin, one counts USDT at nothing: what is left is USDC, though it costs more."""
    short = purse("short", 50_000.0)
    rich = purse("rich", 0.0, BTC=10.0, USDT=1e6, USDC=1e5)
    cuts = {"USDC": (0.0, 0.0), "BTC": (0.0, 0.0)}
    lanes = TransferTerms(
        fee={"USDC": Decimal(25), "USDT": Decimal(1), "BTC": Decimal(0)},
        least={},
        accepts={"": ANY, "short": frozenset({"USDC", "USDT"})},
    )
    plan = plan_transfers([replace(short, haircuts=cuts), rich], lanes, USD)
    (sent,) = plan.transfers
    assert (sent.currency, sent.fee_units) == ("USDC", 25_000_000)
    assert sent.received_units / 1e6 == pytest.approx(50_000.0, abs=1.0)
    cheaper = replace(lanes, accepts={"": ANY})
    assert plan_transfers([replace(short, haircuts=cuts), rich], cheaper, USD).transfers[0].currency == "BTC"


def test_of_equal_ways_the_least_used_gives() -> None:
    short = purse("short", 100.0)
    tight, free = purse("tight", 900.0, USDC=2_000.0), purse("free", 100.0, USDC=2_000.0)
    for order in ([short, tight, free], [free, short, tight]):
        (sent,) = plan_transfers(order, terms("5", "20"), USD).transfers
        assert sent.sender == "free"


def test_initial_margin_is_covered_too_and_a_donor_keeps_its_own() -> None:
    short = replace(purse("short", 0.0, USDC=1_000.0), initial=5_000.0)
    donor = replace(purse("donor", 0.0, USDC=6_000.0), initial=3_000.0)
    plan = plan_transfers([short, donor], terms(), USD)
    assert sum(one.sent_units for one in plan.transfers) / 1e6 == pytest.approx(3_000.0, abs=1.0)
    assert plan.short_usd == pytest.approx({"short": 1_000.0}, abs=1.0)


@pytest.mark.parametrize(
    ("fee", "per_usd_moved", "answer"),
    [
        ({"BNB": Decimal(1)}, 0.1, "currency 'BNB' is not known"),
        ({"BTC": Decimal(-1)}, 0.1, "below 0"),
        ({}, 0.0, "below"),
    ],
)
def test_terms_that_are_none_are_refused(fee: dict[str, Decimal], per_usd_moved: float, answer: str) -> None:
    with pytest.raises(BadInputError, match=answer):
        TransferTerms(fee, {}, {}, per_usd_moved)
