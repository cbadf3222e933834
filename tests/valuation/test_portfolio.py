"""A standing book against published and hand-made numbers, and against its own revaluation."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.market.shock import Shock
from flatbook.market.snapshot import Markets, MarketSnapshot
from flatbook.valuation.contracts import Cell, Style
from flatbook.valuation.exotics.on_surface import basis_slope
from flatbook.valuation.portfolio import Balance, BookPosition, Portfolio
from tests.market.snapshots import FLAT, after, snapshot

from .books import DAYS, EVERY_STYLE, REFERENCE, listed, markets, over_the_counter, valued
from .test_vanilla import golden

Floats = NDArray[np.float64]
Cells = dict[str, Cell]

LISTED = [
    ("BTC-30JAN26-80000-C", 10.0), ("BTC-9JAN26-75000-P", -4.0), ("BTC_USDC-30JAN26-90000-P", 3.0),
    ("ETH-27MAR26-3200-C", -20.0), ("BTC-PERPETUAL", -50_000.0), ("BTC-27MAR26", 30_000.0),
    ("ETH-PERPETUAL", 3_000.0), ("BTC_USDC-PERPETUAL", 0.5), ("BTC_USDC", 2.0),
]  # fmt: skip


def whole_book() -> Portfolio:
    exotic = [over_the_counter(cells, 2.0, f"deal-{n}") for n, cells in enumerate(EVERY_STYLE.values())]
    dollars = [
        over_the_counter(cells | {"settle": "USDC"}, -1.0, f"usdc-{n}") for n, cells in enumerate(EVERY_STYLE.values())
    ]
    return Portfolio(
        [*(listed(*one) for one in LISTED), *exotic, *dollars], [Balance("BTC", 3.0), Balance("USDC", 1e3)]
    )


BOOK = whole_book()
FLAT_MARKETS = markets(snapshot(smile=FLAT), snapshot("ETH", 3_000.0, vol=0.8, carry=0.03, smile=FLAT))


@pytest.mark.parametrize("row", golden("inverse_options"), ids=lambda row: row["id"])
def test_published_inverse_options(row: dict[str, str]) -> None:
    """r = 0 Black, the coin price over the forward, the net delta Black's less the coin price."""
    forward, strike, vol = (float(row[name]) for name in ("forward", "strike", "vol"))
    days = float(row["years"].removesuffix("/365"))
    market = snapshot(index_usd=forward, carry=0.0, vol=vol, smile=FLAT, days=(days,))
    option: Cells = {"style": "european", "right": row["right"], "strike": strike, "expiry": after(days)}
    marks = Portfolio([over_the_counter(option, 2.0)]).mark(markets(market))
    expected = {
        "price": 0.5 * float(row["coin_price"]),
        "value": row["coin_price"],
        "value_usd": row["usd_price"],
        "delta_coin": row["black_delta"],
        "net_delta_coin": row["net_delta"],
        "delta_usd": float(row["black_delta"]) * forward,
        "gamma_1pct_usd": float(row["gamma"]) * forward**2 / 100,
        "vega_usd": row["vega_per_point"],
        "theta_usd": row["theta_per_day"],
    }
    for name, value in expected.items():
        assert getattr(marks, name)[0] == pytest.approx(2.0 * float(str(value)), rel=5e-9), name
    assert marks.method == ["black"]


@pytest.mark.parametrize("fair", [10_025.104585, 9_975.103752, 10_833.333333])
def test_perpetuals_at_published_fair_prices(fair: float) -> None:
    """Ackerer, Hugonnier, Jermann: prices over a spot of 10,000; positions entered at spot."""
    market = snapshot(index_usd=10_000.0, linear_usd={"BTC-PERPETUAL": fair, "BTC_USDC-PERPETUAL": fair})
    book = Portfolio([listed("BTC-PERPETUAL", 50_000.0, 10_000.0), listed("BTC_USDC-PERPETUAL", -2.0, 10_000.0)])
    inverse, linear = range(2)
    marks = book.mark(markets(market))
    assert marks.price.tolist() == [fair, fair]
    assert marks.value[inverse] == pytest.approx(5.0 - 50_000.0 / fair, rel=1e-12)
    assert marks.value_usd[inverse] == pytest.approx((5.0 - 50_000.0 / fair) * 10_000.0, rel=1e-12)
    assert marks.value_usd[linear] == marks.value[linear] == pytest.approx(-2.0 * (fair - 10_000.0))
    assert marks.net_delta_coin[inverse] == pytest.approx(50_000.0 / fair)
    assert marks.delta_coin[inverse] == pytest.approx(5.0)  # the dollars of the notional are fixed at entry
    assert marks.delta_coin[linear] == marks.net_delta_coin[linear] == -2.0
    assert marks.delta_usd[linear] == pytest.approx(-2.0 * fair)
    assert marks.log_basis.tolist() == pytest.approx([math.log(fair / 10_000.0)] * 2)


def test_linear_contracts_by_hand() -> None:
    """A short of 10,000 USD from 50,000 to 40,000 gains a twentieth of a coin."""
    market = snapshot(index_usd=40_000.0, linear_usd={"BTC-27MAR26": 41_000.0}, carry=0.1)
    book = Portfolio(
        [
            listed("BTC-PERPETUAL", -10_000.0, 50_000.0),
            listed("BTC-27MAR26", 8_200.0),
            listed("BTC-26JUN26", 10_000.0, 40_000.0),
            listed("BTC_USDC-PERPETUAL", 0.5, 38_000.0),
            listed("BTC_USDC", 1.5),
        ],
        [Balance("BTC", 2.0), Balance("USDC", -500.0)],
    )
    marks = book.mark(markets(market))
    forward = float(market.forward_at(market.years_to(REFERENCE.instrument("BTC-26JUN26").contract.expiry_ns or 0)))
    assert marks.method == ["index", "mark", "forward", "index", "index"]
    assert marks.value.tolist() == pytest.approx([0.05, 0.0, 0.25 - 10_000 / forward, 1_000.0, 60_000.0])
    assert marks.value_usd.tolist() == pytest.approx(
        [2_000.0, 0.0, (0.25 - 10_000 / forward) * 40_000, 1_000.0, 60_000.0]
    )
    assert marks.net_delta_coin.tolist() == pytest.approx([-0.25, 0.2, 10_000 / forward, 0.5, 1.5])
    assert marks.delta_usd.tolist() == pytest.approx([-8_000.0, 8_000.0, 10_000.0, 20_000.0, 60_000.0])
    assert book.balances_usd(markets(market)) == 2.0 * 40_000.0 - 500.0


def test_a_dollar_that_is_none_changes_what_is_quoted_in_it() -> None:
    """At 0.90 USD a USDC, BTC is dearer in USDC; a linear contract's profit is in the cheap coin."""
    market = markets(snapshot(carry=0.0, smile=FLAT))
    depegged = replace(market, dollars={"USDC": 0.9, "USD": 1.0})
    perp, call = listed("BTC_USDC-PERPETUAL", 1.0, 80_000.0), listed("BTC_USDC-30JAN26-80000-C", 1.0)
    marks = Portfolio([perp, call], [Balance("USDC", 100.0)]).mark(depegged)
    assert marks.price[0] == pytest.approx(80_000 / 0.9)
    assert marks.value_usd[0] == pytest.approx(0.9 * (80_000 / 0.9 - 80_000))
    dearer = snapshot(index_usd=80_000 / 0.9, carry=0.0, smile=FLAT)
    assert marks.price[1] == pytest.approx(Portfolio([call]).mark(markets(dearer)).price[0], rel=1e-12)
    assert marks.value_usd[1] == pytest.approx(0.9 * marks.price[1])


def test_the_fast_half_gives_the_same_bits_and_no_shock_no_profit() -> None:
    marks = BOOK.mark(markets())
    assert (BOOK.worth_usd(markets()) == marks.value_usd).all()
    assert (BOOK.revalue(markets(), Shock()) == 0.0).all()
    assert (BOOK.revalue(markets(), {"ETH": Shock()}) == 0.0).all()


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(LISTED), st.floats(-100.0, 100.0)), max_size=8), st.floats(0.2, 1.5))
def test_no_shock_is_no_profit_for_any_listed_book(rows: list[tuple[tuple[str, float], float]], vol: float) -> None:
    book = Portfolio([listed(name, size) for (name, _), size in rows])
    assert (book.revalue(markets(snapshot(vol=vol)), Shock()) == 0.0).all()


def slopes(book: Portfolio, market: Markets, underlying: str, step: float) -> tuple[Floats, Floats]:
    """First and second derivative of each position's worth to log spot, by full revaluation."""
    gained = {n: book.revalue(market, {underlying: Shock(spot=n * step)}) for n in (-2, -1, 1, 2)}
    first = (8 * (gained[1] - gained[-1]) - (gained[2] - gained[-2])) / (12 * step)
    second = (16 * (gained[1] + gained[-1]) - (gained[2] + gained[-2])) / (12 * step * step)
    return first, second


def test_deltas_and_gammas_are_slopes_of_the_revaluation_on_a_flat_smile() -> None:
    book, market = BOOK.entered(FLAT_MARKETS), FLAT_MARKETS
    marks = book.mark(market)
    first, second = slopes(book, market, "BTC", 1e-3)
    first2, second2 = slopes(book, market, "ETH", 1e-3)
    on_btc = np.array([position.underlying == "BTC" for position in book.positions])
    np.testing.assert_allclose(first[on_btc], marks.delta_usd[on_btc], rtol=1e-4, atol=0.5)
    np.testing.assert_allclose(second[on_btc] / 100, marks.gamma_1pct_usd[on_btc], rtol=3e-3, atol=0.5)
    np.testing.assert_allclose(first2, np.where(on_btc, marks.delta2_usd, marks.delta_usd), rtol=1e-4, atol=0.5)
    np.testing.assert_allclose(
        second2 / 100, np.where(on_btc, marks.gamma2_1pct_usd, marks.gamma_1pct_usd), rtol=3e-3, atol=0.5
    )


def test_on_a_smile_too_where_a_contract_has_a_strike() -> None:
    market = markets()
    held = [p for p in BOOK.positions if p.otc is None or p.otc.style not in AT_THE_MONEY]
    book = Portfolio(held).entered(market)
    marks = book.mark(market)
    first, second = slopes(book, market, "BTC", 1e-3)
    on_btc = np.array([position.underlying == "BTC" for position in book.positions])
    np.testing.assert_allclose(first[on_btc], marks.delta_usd[on_btc], rtol=2e-4, atol=1.0)
    np.testing.assert_allclose(second[on_btc] / 100, marks.gamma_1pct_usd[on_btc], rtol=1e-2, atol=1.0)


AT_THE_MONEY = {Style.LOOKBACK, Style.EXCHANGE, Style.SPREAD, Style.BASKET}


def test_vegas_and_thetas_are_slopes_of_the_revaluation() -> None:
    book, market = BOOK.entered(FLAT_MARKETS), FLAT_MARKETS
    marks = book.mark(market)
    step = 1e-3
    for underlying, vega, vol in (("BTC", marks.vega_usd, marks.vol), ("ETH", marks.vega2_usd, marks.vol2)):
        up, down = (book.revalue(market, {underlying: Shock(vol=side * step)}) for side in (1, -1))
        expected = 100 * vega * np.nan_to_num(vol)
        mine = [
            p.underlying == underlying or (p.otc is not None and p.otc.underlying2 == underlying)
            for p in book.positions
        ]
        listed_eth = np.array([p.underlying == "ETH" for p in book.positions])
        expected = np.where(listed_eth, 100 * marks.vega_usd * np.nan_to_num(marks.vol), expected)
        np.testing.assert_allclose(((up - down) / (2 * step))[mine], expected[mine], rtol=2e-4, atol=0.5)
    one, two = (book.revalue(market, Shock(days=days)) for days in (0.01, 0.02))
    np.testing.assert_allclose((4 * one - two) / 0.02, marks.theta_usd, rtol=2e-3, atol=0.5)


def test_vanna_and_volga_are_slopes_of_delta_and_vega() -> None:
    book, market, step = BOOK.entered(FLAT_MARKETS), FLAT_MARKETS, 1e-3
    marks = book.mark(market)
    up, down = (book.mark(market.shocked({"BTC": Shock(vol=side * step)})) for side in (1, -1))
    for number, position in enumerate(book.positions):
        if position.underlying == "BTC" and marks.vega_usd[number]:
            points = 2 * step * marks.vol[number] * 100
            vanna = (up.delta_usd[number] - down.delta_usd[number]) / points
            volga = (up.vega_usd[number] - down.vega_usd[number]) / points
            assert marks.vanna_usd[number] == pytest.approx(vanna, rel=3e-3, abs=0.5), position.instrument.name
            assert marks.volga_usd[number] == pytest.approx(volga, rel=1e-2, abs=0.02), position.instrument.name


def test_basis_is_the_slope_to_the_forwards() -> None:
    market = FLAT_MARKETS
    book = BOOK.entered(market)
    marks = book.mark(market)

    def gained(step: float) -> Floats:
        def tilted(one: MarketSnapshot) -> MarketSnapshot:
            # A move that grows with time, as a carry does, is the same for every part of a path.
            lift = np.exp(step * one.years / YEARS)
            linear = {name: price * math.exp(step) for name, price in one.linear_usd.items()}
            return replace(one, forward_usd=one.forward_usd * lift, linear_usd=linear)

        moved = replace(market, snapshots={name: tilted(one) for name, one in market.snapshots.items()})
        return book.worth_usd(moved) - book.worth_usd(market)

    slope = (gained(1e-5) - gained(-1e-5)) / 2e-5
    for number, position in enumerate(book.positions):
        if position.otc is not None:
            assert slope[number] == pytest.approx(marks.basis_usd[number], rel=1e-3, abs=2.0), position.instrument.name
        elif not math.isnan(marks.vol[number]):
            by_years = marks.years[number] / YEARS
            assert slope[number] == pytest.approx(marks.basis_usd[number] * by_years, rel=1e-3, abs=2.0)
    found = valued(EVERY_STYLE["cash call"], market.of("BTC"))
    assert basis_slope(found, pays_coin=True) != basis_slope(found, pays_coin=False)


YEARS = DAYS / 365


def test_entry_prices_that_are_not_known_are_the_marks_of_the_day() -> None:
    book = Portfolio([listed("BTC-PERPETUAL", 80_000.0), listed("BTC-PERPETUAL", 80_000.0, 79_000.0)])
    entered = book.entered(markets())
    assert [position.price for position in entered.positions] == [80_000.0, 79_000.0]
    up = Shock(spot=0.1)
    assert book.revalue(markets(), up).tolist() == pytest.approx([8_000.0, 80_000.0 / 79_000.0 * 8_000.0])
    assert math.isnan(book.positions[0].price)


def test_what_expires_on_the_way_pays() -> None:
    """Time passes beyond the expiry of some: an option its intrinsic value at the index, a deal its payoff."""
    market = markets(snapshot(carry=0.0), snapshot("ETH", 3_000.0))
    call, knock_out = listed("BTC-9JAN26-75000-C", 2.0), over_the_counter(EVERY_STYLE["down and out call"])
    book = Portfolio([call, knock_out])
    later = market.shocked(Shock(spot=0.05, days=30.0))
    assert book.worth_usd(later).tolist() == pytest.approx([2 * 9_000.0, 4_000.0])
    marks = book.mark(later)
    assert marks.method == ["black", "payoff"]
    assert (marks.vega_usd == 0.0).all()
    assert marks.delta_coin[0] == 2.0


@pytest.mark.parametrize(
    ("position", "answer"),
    [
        (listed("SOL_USDC-30JAN26-100-C"), "SOL: no market; known are those of BTC, ETH"),
        (listed("BTC-PERPETUAL", 10.0, -5.0), "BTC-PERPETUAL: price: -5 is no entry price"),
        (over_the_counter(EVERY_STYLE["geometric put"] | {"average_so_far": ""}), "deal-1: average_so_far: missing"),
    ],
)
def test_what_has_no_price_is_named(position: BookPosition, answer: str) -> None:
    book = Portfolio([replace(position, source="book.csv:7")])
    with pytest.raises(BadInputError, match=answer) as caught:
        book.mark(markets())
    assert str(caught.value).startswith("book.csv:7: ")
    with pytest.raises(BadInputError, match=answer):
        book.worth_usd(markets())


def test_an_option_without_a_smile_is_named() -> None:
    bare = replace(snapshot(), slices=np.full((4, 5), np.nan))
    with pytest.raises(BadInputError, match="BTC-30JAN26-80000-C: the market of BTC has no smile for its expiry"):
        Portfolio([listed("BTC-30JAN26-80000-C")]).worth_usd(markets(bare))


def test_a_book_of_nothing_is_worth_nothing() -> None:
    empty = Portfolio([], [Balance("ETH", 2.0)])
    assert empty.underlyings == ()
    assert empty.worth_usd(markets()).tolist() == []
    assert empty.balances_usd(markets()) == 6_000.0


def test_a_book_knows_whose_markets_it_needs() -> None:
    assert BOOK.underlyings == ("BTC", "ETH")
    assert Portfolio([over_the_counter(EVERY_STYLE["spread"])]).underlyings == ("BTC", "ETH")
