"""Requests in the simulated market: the best price wins, legs come to the package, and chance is the seed's alone."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import encode

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import AnyEvent, PackageFill, RequestForQuote, RfqClosed, RfqOutcome
from flatbook.domain.units import NS_PER_DAY
from flatbook.engine.effects import Effects, RfqQuote
from flatbook.sim.dealers import DealerParameters, best_ticks, draw_dealers
from flatbook.sim.drawn import MarketParameters
from flatbook.sim.gateway import VenueTerms
from flatbook.sim.market import SimulatedVenue
from flatbook.sim.package_trades import leg_ticks
from flatbook.sim.requesters import RequesterParameters, draw_requests
from flatbook.sim.streams import stream
from tests.engine.builders import SIMULATED_FROM_NS
from tests.sim.builders import REFERENCE

HOURS = 0.25


def venue(seed: int = 4, *, sends: bool = True) -> SimulatedVenue:
    busy = MarketParameters(requesters=RequesterParameters(requests_per_day=6_000.0), index_every_s=10)
    terms = VenueTerms(name="simulated", sends_requests=sends)
    return SimulatedVenue(
        REFERENCE, seed=seed, hours=HOURS, start_ns=SIMULATED_FROM_NS, terms=terms, parameters=busy
    )  # fmt: skip


def answered(at: SimulatedVenue, off: float | None) -> Iterator[AnyEvent]:
    """Everything it says to one who quotes so far from what is true, in coin; to one who is silent where None."""
    for event in at.events():
        if isinstance(event, RequestForQuote) and off is not None:
            names, when = [leg.instrument for leg in event.legs], np.array(event.exch_ts_ns)
            fair = float(np.array([leg.ratio for leg in event.legs]) @ at.fair_coin(names, when))
            bid, ask = (round(round((fair - side * off) / 1e-4) * 1e-4, 10) for side in (1, -1))
            quote = RfqQuote(event.rfq_id, bid, ask, event.size, event.expires_ns)
            at.submit(Effects(event.local_ts_ns, rfqs=(quote,)))
        yield event


def outcomes(off: float | None) -> list[tuple[str, RfqOutcome]]:
    return [(one.rfq_id, one.outcome) for one in answered(venue(), off) if isinstance(one, RfqClosed)]


def test_the_better_we_quote_the_more_we_win_and_who_asks_does_not_depend_on_it() -> None:
    silent, far, near, through = (outcomes(off) for off in (None, 0.01, 0.0005, -0.0015))
    wins = [sum(outcome is RfqOutcome.WON for _, outcome in ends) for ends in (silent, far, near, through)]
    assert wins[0] == wins[1] == 0
    assert 0 < wins[2] < wins[3]
    assert {name for name, _ in silent} == {name for name, _ in through}
    assert {RfqOutcome.LOST, RfqOutcome.EXPIRED} == {outcome for _, outcome in silent}


def test_fills_come_to_the_package_and_fees_are_those_of_combos() -> None:
    heard = list(answered(venue(), -0.0015))
    requests = {one.rfq_id: one for one in heard if isinstance(one, RequestForQuote)}
    fills = [one for one in heard if isinstance(one, PackageFill)]
    assert any(requests[one.rfq_id].delta_leg for one in fills)
    for fill in fills:
        asked = requests[fill.rfq_id]
        options = fill.fills[: len(asked.legs)]
        paid = sum(leg.ratio * one.price_ticks for leg, one in zip(asked.legs, options, strict=True))
        assert paid * 1e-4 == pytest.approx(fill.price, abs=1e-12)
        assert all(one.side == fill.side * np.sign(leg.ratio) for leg, one in zip(asked.legs, options, strict=True))
        assert len({one.trade_id for one in fill.fills}) == len(fill.fills)
        sides = {side: sum(one.fee_units for one in options if one.side == side) for side in (1, -1)}
        assert min(sides.values()) == 0
    closed = {one.rfq_id: one for one in heard if isinstance(one, RfqClosed)}
    assert all(closed[one.rfq_id].taker_side == -one.side and closed[one.rfq_id].price == one.price for one in fills)


def test_who_does_not_answer_meets_the_market_as_if_nobody_asked() -> None:
    kinds = (RequestForQuote, PackageFill, RfqClosed)
    # As bytes, for what is not known is NaN and equals nothing.
    with_requests = [encode(one) for one in answered(venue(), None) if not isinstance(one, kinds)]
    without = list(venue(sends=False).events())
    assert not any(isinstance(one, kinds) for one in without)
    assert with_requests == list(map(encode, without))


@given(
    ratios=st.sampled_from([(1,), (1, 1), (1, -1), (1, -2, 1), (-1, 1), (1, -1, -1, 1)]),
    worth=st.lists(st.floats(0.0, 900.0), min_size=4, max_size=4),
    off=st.integers(-40, 40),
)
def test_leg_prices_come_to_the_package(ratios: tuple[int, ...], worth: list[float], off: int) -> None:
    worth = worth[: len(ratios)]
    package = round(sum(ratio * one for ratio, one in zip(ratios, worth, strict=True))) + off
    if min(ratios) > 0:
        package = max(package, 0)
    ticks = leg_ticks(ratios, worth, package)
    assert min(ticks) >= 0
    assert sum(ratio * at for ratio, at in zip(ratios, ticks, strict=True)) == package


def test_what_is_only_bought_costs_something() -> None:
    with pytest.raises(BadInputError, match="cannot come to -3"):
        leg_ticks((1, 1), (1.0, 1.0), -3)


def test_the_informed_share_is_that_asked_for_and_the_first_counterparty_never_knows() -> None:
    parameters = RequesterParameters(requests_per_day=40_000.0)
    drawn = draw_requests(parameters, 3, 0, NS_PER_DAY)
    knows = np.array([one.horizon_ns > 0 for one in drawn])
    who = np.array([one.counterparty for one in drawn])
    error = math.sqrt(0.2 * 0.8 / len(drawn))
    assert abs(knows.mean() - parameters.informed_share) < 4 * error
    assert not knows[who == 0].any()
    assert all(one.exch_ns < one.decides_ns < one.exch_ns + 30 * 10**9 for one in drawn)


def test_the_best_dealer_is_the_best_of_them_all() -> None:
    dealers = draw_dealers(DealerParameters(least=5, most=5), stream(2, "dealers"))
    each = [best_ticks(one[None], 1, 0.03, 0.001, 1e-4) for one in dealers]
    assert best_ticks(dealers, 1, 0.03, 0.001, 1e-4) == min(each, key=lambda ticks: ticks or 0)
    assert best_ticks(dealers[:0], 1, 0.03, 0.001, 1e-4) is None
