"""A package's quote: its parts, the identities of the whole against its legs, refusals."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.decide.rfq.policy import RfqPolicy
from flatbook.decide.rfq.pricing import PackageQuote, Refusal, RfqMarket, SideQuote, quote_package
from flatbook.decide.rfq.winning import TakerView
from flatbook.kernels.chain import FACTORS, LEVELS, SPOT
from flatbook.valuation.inventory import PERPETUAL
from flatbook.valuation.portfolio import BookPosition
from flatbook.valuation.risk_price import no_risk_price
from tests.decide.rfq.desk import FLAT, MARKET, REFERENCE, RISK_PRICE, Floats, asked, desk, quoted

LEGS = [f"BTC-30JAN26-{strike}-{right}" for strike in (70_000, 80_000, 90_000) for right in "PC"]
FAR = "BTC-27MAR26-80000-C"
DESK = desk([*LEGS, FAR])
BOOK: Floats = np.linspace(-1.0, 1.0, FACTORS) * 4e5
RATIOS = st.lists(st.integers(-3, 3), min_size=7, max_size=7).filter(any)


def package(ratios: list[int]) -> dict[int, float]:
    return {row: float(ratio) for row, ratio in enumerate(ratios) if ratio}


def sides(quote: PackageQuote) -> list[tuple[float, SideQuote]]:
    return [(side, one) for side, one in ((1.0, quote.bid), (-1.0, quote.ask)) if one is not None]


def charge_usd(market: RfqMarket, legs: dict[int, float], size: float = 1.0) -> float:
    """R(x + N g) - R(x), straight from its definition."""
    trade = size * sum(ratio * market.table.columns[row, 4:] for row, ratio in legs.items())
    return RISK_PRICE.cost_usd(BOOK + trade) - RISK_PRICE.cost_usd(BOOK)


@settings(deadline=None)
@given(RATIOS, st.sampled_from([0.1, 1.0, 25.0]), st.booleans())
def test_the_parts_are_the_price(ratios: list[int], size: float, hedged: bool) -> None:
    rfq = RfqPolicy(hedge_at_fill=hedged, max_vega_usd=1e9, max_gamma_1pct_usd=1e9, max_delta_coin=1e9)
    quote = quoted(desk([*LEGS, FAR], BOOK, rfq=rfq), asked(package(ratios), size))
    for side, one in sides(quote):
        spread = one.winners_curse + one.fees + one.hedge + one.toxicity + one.free_option + one.markup
        assert one.spread == spread
        assert one.exact == quote.value.fair - side * (one.spread + one.inventory)
        assert -1e-9 <= side * (one.exact - one.price) / 1e-4 < 1.0
        assert abs(one.price / 1e-4 - round(one.price / 1e-4)) < 1e-6
        assert 0.0 <= one.probability <= 1.0


@settings(deadline=None)
@given(RATIOS, st.sampled_from([0.1, 1.0, 25.0]))
def test_the_inventory_part_is_the_charge_of_the_whole_package(ratios: list[int], size: float) -> None:
    rfq = RfqPolicy(hedge_at_fill=False, max_vega_usd=1e9, max_gamma_1pct_usd=1e9, max_delta_coin=1e9)
    market, legs = desk([*LEGS, FAR], BOOK, rfq=rfq), package(ratios)
    for side, one in sides(quoted(market, asked(legs, size))):
        charge = charge_usd(market, {row: side * ratio for row, ratio in legs.items()}, size)
        assert one.inventory * MARKET.index_usd * size == pytest.approx(charge, rel=1e-9, abs=1e-6)


@settings(deadline=None)
@given(RATIOS)
def test_opposite_packages_mirror(ratios: list[int]) -> None:
    market, legs = desk([*LEGS, FAR], BOOK), package(ratios)
    there = quoted(market, asked(legs))
    back = quoted(market, asked({row: -ratio for row, ratio in legs.items()}))
    assert back.value.fair == pytest.approx(-there.value.fair, abs=1e-15)
    for one, other in ((there.bid, back.ask), (there.ask, back.bid)):
        if one is not None and other is not None:
            assert one.exact == pytest.approx(-other.exact, abs=1e-12)
            assert one.probability == pytest.approx(other.probability, rel=1e-6)


@settings(deadline=None)
@given(RATIOS)
def test_buying_then_selling_the_same_package_nets(ratios: list[int]) -> None:
    legs = package(ratios)
    first = quoted(desk([*LEGS, FAR], BOOK), asked(legs))
    held = BOOK + first.value.loading
    second = quoted(desk([*LEGS, FAR], held), asked(legs))
    bought, sold = first.bid, second.ask
    if bought is not None:
        assert bought.inventory == pytest.approx(-sold.inventory, abs=1e-12)


def test_what_offsets_is_charged_less_together_than_apart() -> None:
    market = desk(LEGS)
    spread = quoted(market, asked({3: 1.0, 5: -1.0}, 10.0)).ask
    apart = [quoted(market, asked({row: ratio}, 10.0)).ask for row, ratio in ((3, 1.0), (5, 1.0))]
    assert 0.0 < spread.inventory < 0.5 * sum(one.inventory for one in apart)
    assert spread.winners_curse < sum(one.winners_curse for one in apart)


@settings(deadline=None)
@given(RATIOS)
def test_without_a_price_of_risk_quotes_are_symmetric(ratios: list[int]) -> None:
    quote = quoted(desk([*LEGS, FAR], BOOK, no_risk_price()), asked(package(ratios)))
    assert quote.ask.inventory == 0.0
    if quote.bid is not None:
        middle = 0.5 * (quote.bid.exact + quote.ask.exact)
        assert middle == pytest.approx(quote.value.fair, abs=1e-12)


def test_a_book_that_wants_the_package_bids_higher_and_offers_higher() -> None:
    short_vega = np.zeros(FACTORS)
    short_vega[LEVELS] = -3e6
    straddle = asked({2: 1.0, 3: 1.0}, 5.0)
    flat, short = quoted(desk(LEGS), straddle), quoted(desk(LEGS, short_vega), straddle)
    assert flat.bid is not None
    assert short.bid is not None
    assert short.bid.inventory < 0.0 < flat.bid.inventory
    assert short.bid.exact > flat.bid.exact
    assert short.ask.exact > flat.ask.exact
    assert short.bid.probability > flat.bid.probability


def test_a_hedge_at_the_fill_bounds_what_delta_is_charged() -> None:
    """R~ is the least over all hedges: no other hedge of a thousand does better."""
    policy = RfqPolicy(max_delta_coin=1e9)
    market = desk(LEGS, BOOK, rfq=policy)
    call = asked({3: 1.0}, 200.0)
    ask = quoted(market, call).ask
    rate = market.hedge_cost_rate

    def hedged(exposure: Floats) -> float:
        sizes = np.linspace(-4e7, 4e7, 80_001)
        slope = PERPETUAL @ RISK_PRICE.gradient(exposure)
        bend = PERPETUAL @ RISK_PRICE.curvature @ PERPETUAL
        return float(np.min(RISK_PRICE.cost_usd(exposure) + slope * sizes + 0.5 * bend * sizes**2 + rate * abs(sizes)))

    trade = -200.0 * market.table.columns[3, 4:]
    charge = (hedged(BOOK + trade) - hedged(BOOK)) / 200.0 / MARKET.index_usd
    assert ask.inventory + ask.hedge == pytest.approx(charge, rel=1e-3)
    assert trade[SPOT] < 0.0 < ask.hedge
    unhedged = quoted(desk(LEGS, BOOK, rfq=policy.model_copy(update={"hedge_at_fill": False})), call).ask
    assert ask.inventory + ask.hedge < unhedged.inventory


def test_fees_of_the_cheaper_side_are_waived_and_of_one_way_packages_not() -> None:
    straddle, spread = quoted(DESK, asked({2: 1.0, 3: 1.0})).ask, quoted(DESK, asked({3: 1.0, 5: -1.0})).ask
    assert straddle.fees == pytest.approx(0.0006)
    assert spread.fees == pytest.approx(0.0003)
    assert quoted(DESK, asked({3: 2.0, 5: -1.0})).ask.fees == pytest.approx(0.0006)


def test_a_cheap_option_pays_a_share_of_its_premium() -> None:
    market = desk(["BTC-9JAN26-110000-C"])
    quote = quoted(market, asked({0: 1.0}))
    assert quote.ask.fees == pytest.approx(0.125 * quote.value.fair)
    assert quote.ask.fees < 0.0003
    assert quote.bid is None


def test_a_delta_leg_is_worth_what_its_price_is_off_the_market_and_takes_the_delta_away() -> None:
    bare = quoted(desk(["BTC-30JAN26-80000-C"]), asked({0: 1.0}, 10.0))
    usd = -round(bare.value.delta_coin * 80_000 * 10.0, -1)
    perpetual = REFERENCE.instrument("BTC-PERPETUAL")
    tied = {
        price: quoted(
            desk(["BTC-30JAN26-80000-C"], delta_leg=BookPosition(perpetual, usd, price)), asked({0: 1.0, 1: 0.1}, 10.0)
        )
        for price in (math.nan, 80_400.0)
    }
    at_market, fixed = tied[math.nan], tied[80_400.0]
    assert at_market.value.fair == bare.value.fair
    assert abs(at_market.value.delta_coin) < 1e-4
    assert at_market.ttl_deviation < 0.3 * bare.ttl_deviation
    assert at_market.ask.spread < bare.ask.spread
    gained = usd / 10.0 * (1 / 80_400 - 1 / 80_000)
    assert fixed.value.fair - bare.value.fair == pytest.approx(gained, rel=1e-9)


def test_a_longer_life_costs_more_until_it_is_refused() -> None:
    call = {3: 1.0}
    options = [quoted(DESK, asked(call, ttl_s=ttl_s)).ask.free_option for ttl_s in (1.0, 10.0, 60.0, 240.0)]
    assert options == sorted(options)
    assert options[-1] > options[0]
    answer = quote_package(DESK, asked(call, ttl_s=301.0))
    assert answer == Refusal(("a quote for 301 s stands longer than 300 s",))
    strict = desk(LEGS, rfq=RfqPolicy(max_ttl_deviation=0.2))
    answer = quote_package(strict, asked(call, ttl_s=240.0))
    assert isinstance(answer, Refusal)
    longest_s = float(answer.reasons[0].split()[-2])
    quoted(strict, asked(call, ttl_s=longest_s * 0.99))
    assert isinstance(quote_package(strict, asked(call, ttl_s=longest_s * 1.02)), Refusal)


def test_a_taker_who_knows_more_pays_for_it_and_competition_for_nothing() -> None:
    call = asked({3: 1.0})
    base = quoted(DESK, call).ask
    view = DESK.view
    sharp = quoted(DESK, call._replace(taker=TakerView(view.level, view.slope, 0.5))).ask
    assert sharp.toxicity - base.toxicity == pytest.approx(0.5 * quoted(DESK, call).typical)
    assert sharp.exact > base.exact
    assert quoted(DESK, asked({3: 1.0}, competitors=9.0)).ask.winners_curse > base.winners_curse


def test_every_reason_to_refuse_is_told() -> None:
    bounded = desk(LEGS, rfq=RfqPolicy(max_delta_coin=1.0, max_gamma_1pct_usd=1.0, max_vega_usd=1.0))
    answer = quote_package(bounded, asked({3: 1.0}, 10.0))
    assert isinstance(answer, Refusal)
    assert [reason.split()[0] for reason in answer.reasons] == ["delta", "gamma", "vega"]


@pytest.mark.parametrize(
    ("hours", "vol_error", "told"),
    [
        (-1.0, 0.004, "has expired"),
        (0.5, 0.004, "expires in 0.5 hours, sooner than 1"),
        (99.0, math.nan, "its smile is not known"),
        (99.0, 0.2, "its smile is known to 0.200 only, in vol; 0.08 is the most"),
    ],
)
def test_a_leg_that_is_not_quotable_refuses_the_package(hours: float, vol_error: float, told: str) -> None:
    market = DESK
    table = replace(market.table, hours=(hours,) * 7, vol_error=(vol_error,) * 7)
    other = RfqMarket(table, market.terms, 80_000.0, 80_000.0, FLAT, RISK_PRICE, np.eye(FACTORS), 1e-4)
    answer = quote_package(other, asked({0: 1.0}))
    assert isinstance(answer, Refusal)
    assert told in answer.reasons[0]


def test_a_delta_leg_pays_its_own_fee_beside_the_combos() -> None:
    future = BookPosition(REFERENCE.instrument("BTC-30JAN26"), -400_000.0)
    tied = desk([LEGS[3], LEGS[5]], delta_leg=future)
    table = replace(tied.table, fee_usd=(24.0, 24.0, 200.0))
    market = RfqMarket(table, tied.terms, 80_000.0, 80_000.0, FLAT, RISK_PRICE, np.eye(FACTORS), 1e-4)
    quote = quoted(market, asked({0: 1.0, 1: -1.0, 2: 0.1}, 10.0))
    assert quote.value.fee_usd == pytest.approx(24.0 + 20.0)
