import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.kernels.chain import BASIS, CONVEXITIES, FACTORS, LEVELS, PREMIUM, SKEWS, SPOT
from flatbook.market.shock import Shock
from flatbook.market.snapshot import Markets, MarketSnapshot
from flatbook.risk.var.book_rows import RiskBook, risk_book
from flatbook.risk.var.revaluation import full_pnl_usd, shock_options, taylor_pnl_usd
from flatbook.risk.var.sources import FactorScenarios, JumpModel, monte_carlo
from flatbook.valuation.portfolio import Balance, Portfolio
from tests.market.snapshots import FLAT, snapshot
from tests.valuation.books import listed, markets, over_the_counter

from .builders import TENOR_YEARS, prior

Floats = NDArray[np.float64]
BOTH = ("BTC", "ETH")
MARKETS = markets()
PORTFOLIO = Portfolio(
    [
        listed("BTC-30JAN26-80000-C", -10.0),
        listed("BTC-30JAN26-70000-P", 7.0),
        listed("ETH-27MAR26-3200-C", -20.0),
        listed("BTC_USDC-27MAR26-85000-P", 4.0),
        listed("BTC-PERPETUAL", -50_000.0, 78_000.0),
        listed("BTC-27MAR26", 30_000.0),
        listed("ETH_USDC-PERPETUAL", 12.0),
    ],
    [Balance("BTC", 2.0), Balance("USDC", 500.0)],
)


def scenarios(moves: Floats, hours: float = 0.0) -> FactorScenarios:
    return FactorScenarios(BOTH, moves, hours)


def spot_moves(*log_moves: float) -> Floats:
    moves = np.zeros((len(log_moves), 2, FACTORS))
    moves[:, :, SPOT] = np.array(log_moves)[:, None]
    return moves


def floated(market: MarketSnapshot, log_spot: float, days: float) -> MarketSnapshot:
    """The market moved with its smile at the same moneyness, as frozen values do it."""
    moved = market.shocked(Shock(math.expm1(log_spot), days=days))
    return replace(moved, slices=moved.slices + np.array([0.0, 0.0, 0.0, log_spot, 0.0]))


@pytest.fixture(scope="module")
def book() -> RiskBook:
    return risk_book(PORTFOLIO, MARKETS)


def test_no_move_in_no_time_is_no_gain_to_the_last_bit(book: RiskBook) -> None:
    still = scenarios(np.zeros((3, 2, FACTORS)))
    assert not full_pnl_usd(book, MARKETS, still, TENOR_YEARS).any()
    assert not taylor_pnl_usd(book, PORTFOLIO.entered(MARKETS), MARKETS, still, TENOR_YEARS).any()


@pytest.mark.parametrize("hours", [0.0, 24.0, 240.0])
def test_moves_of_spot_are_the_portfolios_own_revaluation(book: RiskBook, hours: float) -> None:
    moves = (-0.3, -0.05, 0.0, 0.02, 0.2)
    found = full_pnl_usd(book, MARKETS, scenarios(spot_moves(*moves), hours), TENOR_YEARS)
    entered = PORTFOLIO.entered(MARKETS)
    for at, move in enumerate(moves):
        after = Markets({name: floated(MARKETS.of(name), move, hours / 24) for name in BOTH})
        gain = entered.worth_usd(after) - entered.worth_usd(MARKETS)
        assert found[: len(gain), at] == pytest.approx(gain, rel=1e-9, abs=1e-6)
        balances = [2.0 * (after.of("BTC").index_usd - MARKETS.of("BTC").index_usd), 0.0]
        assert found[len(gain) :, at] == pytest.approx(balances, rel=1e-9)


@given(st.floats(-0.2, 0.2), st.floats(-0.1, 0.3), st.floats(-0.05, 0.05), st.floats(-0.01, 0.03), st.floats(-0.3, 0.3))
def test_reading_a_shocked_smile_gives_the_shocks_back(
    spot: float, level: float, skew: float, convexity: float, carry: float
) -> None:
    market, years = MARKETS.of("BTC"), 25.0 / 365
    moves = np.zeros((1, FACTORS))
    moves[0, SPOT], moves[0, BASIS] = spot, carry
    moves[0, LEVELS], moves[0, SKEWS], moves[0, CONVEXITIES] = level, skew, convexity
    forward = float(market.forward_at(years)) * math.exp(spot + carry * years)
    middle = float(market.term.vol(0.0, years))
    width = (middle + level) * math.sqrt(years)
    options = risk_book(Portfolio([listed("BTC-30JAN26-80000-C")] * 3), MARKETS).options[0]
    struck = replace(options, strike=forward * np.exp(np.array([-width, 0.0, width])))
    shocked = shock_options(struck, market, moves, 0.0, TENOR_YEARS)
    old = market.term.vol(np.array([-1.0, 0.0, 1.0]) * middle * math.sqrt(years), years)
    moved = np.array([level - skew + convexity, level, level + skew + convexity])
    assert shocked.vol[:, 0] == pytest.approx(old + moved, abs=1e-9)
    assert shocked.forward[:, 0] == pytest.approx([forward] * 3)


def test_futures_follow_carry_and_perpetuals_their_premium(book: RiskBook) -> None:
    moves = np.zeros((2, 2, FACTORS))
    moves[0, 0, BASIS], moves[1, 0, PREMIUM] = 0.04, 0.001
    found = full_pnl_usd(book, MARKETS, scenarios(moves), TENOR_YEARS)
    years = MARKETS.of("BTC").years_to(PORTFOLIO.positions[5].instrument.contract.expiry_ns or 0)
    assert found[5, 0] == pytest.approx(30_000.0 * math.exp(-0.05 * years) * -math.expm1(-0.04 * years))
    entry, mark = 78_000.0, 80_000.0
    coins = -50_000.0 * (1 / entry - 1 / (mark * math.exp(0.001))) + 50_000.0 * (1 / entry - 1 / mark)
    assert found[4, 1] == pytest.approx(coins * 80_000.0)
    assert found[4, 0] == 0.0


def test_greeks_and_revaluation_part_as_the_third_order(book: RiskBook) -> None:
    entered = PORTFOLIO.entered(MARKETS)
    drawn = monte_carlo(BOTH, prior(*BOTH), 1.0, 300, JumpModel(0.0), np.random.default_rng(1)).moves
    drawn[:, :, PREMIUM] = 0.0

    def apart(scale: float) -> float:
        part = scenarios(scale * drawn)
        full = full_pnl_usd(book, MARKETS, part, TENOR_YEARS)
        taylor = taylor_pnl_usd(book, entered, MARKETS, part, TENOR_YEARS)
        return float(np.sqrt(np.mean((full - taylor).sum(axis=0) ** 2)))

    gross = np.abs(full_pnl_usd(book, MARKETS, scenarios(drawn), TENOR_YEARS)).sum(axis=0).mean()
    assert apart(1.0) < 0.01 * gross
    # A second order that was wrong would fall to a quarter. What crosses carry and spot is of the second, and small.
    assert apart(0.5) < 0.2 * apart(1.0)


def test_a_flat_smile_that_moves_by_its_level_is_blacks_price_at_another_vol() -> None:
    flat = snapshot(smile=FLAT, vol=0.6)
    book = risk_book(Portfolio([listed("BTC-30JAN26-90000-C", 3.0)]), Markets({"BTC": flat}))
    moves = np.zeros((1, 1, FACTORS))
    moves[0, 0, LEVELS] = 0.06
    found = full_pnl_usd(book, Markets({"BTC": flat}), FactorScenarios(("BTC",), moves, 0.0), TENOR_YEARS)
    dearer = Portfolio([listed("BTC-30JAN26-90000-C", 3.0)]).revalue(Markets({"BTC": flat}), Shock(vol=0.1))
    assert found[0] == pytest.approx(dearer)


def test_a_contract_over_the_counter_is_read_from_a_grid_of_valuations() -> None:
    barrier = over_the_counter(
        {"style": "barrier", "right": "call", "strike": 80_000, "barrier": 60_000, "barrier_kind": "down_out"}, 2.0
    )
    portfolio = Portfolio([barrier]).entered(MARKETS)
    moves = spot_moves(-0.12, -0.05, 0.03, 0.1)
    found = full_pnl_usd(risk_book(portfolio, MARKETS), MARKETS, scenarios(moves, 24.0), TENOR_YEARS)
    for at, move in enumerate(moves[:, 0, SPOT].tolist()):
        after = replace(MARKETS, snapshots={**MARKETS.snapshots, "BTC": floated(MARKETS.of("BTC"), move, 1.0)})
        gain = float((portfolio.worth_usd(after) - portfolio.worth_usd(MARKETS)).sum())
        assert found[0, at] == pytest.approx(gain, rel=0.01, abs=15.0)


def test_two_assets_go_by_their_greeks() -> None:
    spread = over_the_counter({"style": "exchange", "underlying2": "ETH", "quantity2": 26})
    portfolio = Portfolio([spread])
    marks = portfolio.mark(MARKETS)
    moves = spot_moves(0.01)
    moves[0, 1, SPOT] = -0.02
    found = full_pnl_usd(risk_book(portfolio, MARKETS), MARKETS, scenarios(moves), TENOR_YEARS)[0, 0]
    first, second = math.expm1(0.01), math.expm1(-0.02)
    expected = marks.delta_usd[0] * first + 50 * marks.gamma_1pct_usd[0] * first**2
    expected += marks.delta2_usd[0] * second + 50 * marks.gamma2_1pct_usd[0] * second**2
    assert found == pytest.approx(expected)


def test_an_option_beyond_all_smiles_is_refused_with_its_line() -> None:
    bare = replace(snapshot(), slices=np.full((4, 5), np.nan))
    position = replace(listed("BTC-30JAN26-80000-C"), source="book.csv:2")
    with pytest.raises(BadInputError, match=r"book\.csv:2: BTC-30JAN26-80000-C: the market of BTC has no smile"):
        risk_book(Portfolio([position]), Markets({"BTC": bare}))
