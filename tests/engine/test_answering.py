"""Requests answered by an engine: at the chain's fair values, by the book's R, through the gate, and booked once."""

import math

import msgspec
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import DeltaLeg, RfqOutcome
from flatbook.engine import packages
from flatbook.engine.loop import Engine
from flatbook.execution.rfq_lifecycle import RfqState
from flatbook.kernels.chain import FACTORS
from tests.engine.builders import our_fill
from tests.engine.requests import CONDOR, STRADDLE, asked, closed, dealer, desk, request_of, traded
from tests.market.builders import at, index

PERPETUAL = DeltaLeg("BTC-PERPETUAL", -30_000.0, 80_000.0)


def parts_sum(maker: Engine, *, is_bid: bool) -> float:
    """An answer's side from fair value and its two groups of parts."""
    told = request_of(maker).told[-1]
    side = told.priced.bid if is_bid else told.priced.ask
    assert side is not None
    sign = 1 if is_bid else -1
    spread = side.winners_curse + side.fees + side.hedge + side.toxicity + side.free_option + side.markup
    return told.priced.value.fair - sign * (spread + side.inventory)


@pytest.mark.parametrize("legs", [STRADDLE, CONDOR])
def test_an_answer_is_fair_value_spread_and_inventory(legs: tuple[tuple[str, int], ...]) -> None:
    maker, _ = desk()
    (quote,) = maker.step(asked(1.0, legs)).rfqs
    state = maker.state
    fair = sum(ratio * state.values.fair_coin[state.market.universe.row_of[name]] for name, ratio in legs)
    told = request_of(maker).told[-1]
    assert told.priced.value.fair == pytest.approx(fair, abs=1e-15)
    assert quote.ask is not None
    assert quote.ask - 1e-4 < parts_sum(maker, is_bid=False) <= quote.ask + 1e-12
    if quote.bid is not None:
        assert quote.bid - 1e-12 <= parts_sum(maker, is_bid=True) < quote.bid + 1e-4
        assert quote.bid < fair < quote.ask
    assert (quote.size, quote.expires_ns) == (2.0, at(11.0))


@pytest.mark.parametrize(("legs", "delta_leg", "side"), [(CONDOR, None, 1), (STRADDLE, PERPETUAL, -1)])
def test_a_trade_adds_to_the_book_what_it_was_priced_for(
    legs: tuple[tuple[str, int], ...], delta_leg: DeltaLeg | None, side: int
) -> None:
    maker, _ = desk(dealer(hedging={"rule": "none"}))
    maker.step(index(0.9, 80_000.0))
    maker.step(asked(1.0, legs, delta_leg=delta_leg, side=-side))
    before, request = maker.state.book.exposure.copy(), request_of(maker)
    found = packages.find_legs(maker.state, request.asked)
    assert not isinstance(found, str)
    table = packages.leg_table(maker.state, found, packages.surroundings_of(maker.state).slice_error)
    loading = found.package.ratios @ table.columns[found.package.rows, 4:]
    fill = traded(maker, 1.0, side, fee_coin="0")
    maker.step(fill)
    paid_off = (request.told[-1].priced.value.fair - fill.price) * side * 2.0 * maker.state.values.index_usd
    expected = before + side * 2.0 * loading
    # What it gained over fair value is coin, and coin is delta.
    expected[0] += paid_off
    # A tenth of a second passes until it is booked.
    assert maker.state.book.exposure == pytest.approx(expected, rel=1e-5, abs=0.05)
    assert loading.shape == (FACTORS,)
    assert maker.state.pnl.by_name()["spread"] == pytest.approx(paid_off, rel=1e-5)
    assert maker.state.pnl.equity_usd == pytest.approx(paid_off, rel=1e-5)


def test_a_package_is_booked_once_and_whole() -> None:
    maker, _ = desk()
    maker.step(asked(1.0, CONDOR, side=-1))
    fill = traded(maker, 2.0, 1)
    maker.step(fill)
    held = maker.state.ledger.open_lots()
    assert {name: lots for name, lots in held.items() if name != "BTC-PERPETUAL"} == {
        name: 20 * ratio for name, ratio in CONDOR
    }
    spread = maker.state.pnl.by_name()["spread"]
    maker.step(fill)
    assert maker.state.ledger.open_lots() == held
    assert maker.state.pnl.by_name()["spread"] == pytest.approx(spread)
    assert request_of(maker).state is RfqState.WON


def test_a_leg_that_cannot_be_booked_leaves_none_booked() -> None:
    maker, _ = desk()
    maker.step(asked(1.0, CONDOR, side=-1))
    fill = traded(maker, 2.0, 1)
    bad = msgspec.structs.replace(fill, fills=fill.fills[:3] * 2)
    with pytest.raises(BadInputError, match="nothing is booked"):
        maker.step(bad)
    assert not maker.state.ledger.open_lots()


def test_it_amends_as_the_market_moves_renews_what_has_lived_and_ends_with_the_request() -> None:
    maker, _ = desk()
    maker.step(asked(1.0, ttl_s=25.0))
    first = request_of(maker).told[-1].quote
    assert not maker.step(index(2.0, 80_001.0)).rfqs
    (moved,) = maker.step(index(3.0, 81_500.0)).rfqs
    assert (moved.ask, moved.expires_ns) != (first.ask, first.expires_ns)
    assert request_of(maker).state is RfqState.AMENDED
    (renewed,) = maker.step(index(13.5, 81_500.0)).rfqs
    assert renewed.expires_ns == at(23.5)
    (last,) = maker.step(index(24.0, 81_500.0)).rfqs
    assert last.expires_ns == at(26.0)
    assert not maker.step(index(26.5, 81_500.0)).rfqs
    assert request_of(maker).state is RfqState.EXPIRED
    maker.step(closed(27.0, RfqOutcome.LOST, taker_side=1))
    assert request_of(maker).state is RfqState.LOST
    (row,) = maker.state.recorder.tables.rfqs.frame().to_dicts()
    assert (row["state"], row["versions"], row["traded_side"]) == ("lost", 4, 1)


def test_what_the_gate_would_not_hold_is_not_quoted_and_is_taken_back() -> None:
    maker, _ = desk(dealer(limits={"position_coin": 10.0}))
    maker.step(asked(1.0, size=12.0))
    declined = request_of(maker)
    assert declined.state is RfqState.DECLINED
    assert "position" in declined.why_not[0]
    (quote,) = maker.step(asked(2.0, size=6.0, side=1, rfq_id="R2")).rfqs
    assert (quote.bid, quote.ask is not None) == (None, True)
    name = STRADDLE[0][0]
    sold = our_fill(maker.state, 3.0, name, -1, lots=60, price=float(round(maker.state.values.fair_coin[
        maker.state.market.universe.row_of[name]], 4)))  # fmt: skip
    (taken_back,) = maker.step(sold).rfqs
    assert (taken_back.rfq_id, taken_back.bid, taken_back.ask) == ("R2", None, None)
    assert request_of(maker, "R2").state is RfqState.CANCELLED


def test_answers_that_stand_take_room_from_one_another_and_from_quotes() -> None:
    maker, _ = desk(dealer(limits={"vega_usd": 4_000.0}))
    refused = 0
    for number in range(12):
        maker.step(asked(1.0 + number / 100, STRADDLE, size=6.0, side=1, rfq_id=f"R{number}"))
        refused += request_of(maker, f"R{number}").state is RfqState.DECLINED
    assert 0 < refused < 12
    maker.step(index(2.0, 80_050.0))
    state, desk_ = maker.state, maker.state.rfqs
    assert desk_ is not None
    standing = packages.standing_axes(state)
    vega = state.gate.reservation.names.index("vega")
    assert standing[1, vega] > 0.0
    assert (desk_.reserved >= standing).all()
    # Everything together, quotes included, stays inside.
    worst, room = state.gate.reservation.worst[:, vega], state.gate.reservation.room[:, vega]
    assert (worst <= room + 1e-9).all()


def test_who_wins_and_what_it_is_worth_later_is_learnt_and_written_down() -> None:
    maker, _ = desk()
    for number, who in enumerate("AAB"):
        maker.step(asked(1.0 + number, rfq_id=f"R{number}", who=who, side=1))
    maker.step(traded(maker, 5.0, -1, rfq_id="R0"))
    maker.step(closed(5.0, RfqOutcome.WON, rfq_id="R0", taker_side=1))
    maker.step(closed(5.1, RfqOutcome.LOST, rfq_id="R1", taker_side=1))
    maker.step(closed(5.2, RfqOutcome.EXPIRED, rfq_id="R2"))
    maker.step(index(70.0, 81_500.0))
    desk_ = maker.state.rfqs
    assert desk_ is not None
    rows = {row.name: row for row in desk_.counterparties.table()}
    assert (rows["A"].quotes, rows["A"].wins, rows["B"].quotes, rows["B"].wins) == (2, 1, 1, 0)
    (won, *_) = maker.state.recorder.tables.rfqs.frame().to_dicts()
    assert won["price"] == pytest.approx(won["fair"] + won["spread_part"] + won["inventory_part"], abs=1e-15)
    request = request_of(maker, "R0")
    assert request.legs is not None
    gained = -(request.legs.fair_coin(maker.state) - won["price"]) * 2.0 * 81_500.0
    assert won["markout_1m_usd"] == pytest.approx(gained, rel=1e-9)
    assert rows["A"].trades[0] == 1
    assert math.copysign(1.0, rows["A"].markouts[0]) == -math.copysign(1.0, gained)


def test_what_cannot_be_priced_is_declined_with_its_reason() -> None:
    maker, _ = desk()
    cases = {
        "not in the chain": asked(1.0, [("BTC-27JUN25-80000-C", 1)], rfq_id="a"),
        "only BTC-PERPETUAL": asked(1.1, delta_leg=DeltaLeg("BTC-27JUN25", 1.0, 8e4), rfq_id="b"),
        "each of its legs once": asked(1.2, [STRADDLE[0], STRADDLE[0]], rfq_id="c"),
        "its time was over": asked(1.3, ttl_s=0.0, rfq_id="d"),
        "delta in coins": asked(1.4, [STRADDLE[0]], size=5_000.0, rfq_id="e"),
    }
    for complaint, event in cases.items():
        assert not maker.step(event).rfqs
        assert complaint in "; ".join(request_of(maker, event.rfq_id).why_not)
        assert request_of(maker, event.rfq_id).state is RfqState.DECLINED


def test_who_answers_no_requests_hears_them_and_says_nothing() -> None:
    maker, _ = desk(dealer(rfq={"answers": False}))
    assert maker.state.rfqs is None
    assert maker.step(asked(1.0)).is_empty
