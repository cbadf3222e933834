"""A book as an account: what counts as balance, what orders reserve, and how far liquidation is."""

import math
from collections.abc import Iterable

import numpy as np
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.market.shock import Shock
from flatbook.market.snapshot import Markets
from flatbook.risk.margin.account import MarginAccount, usage
from flatbook.risk.margin.distance import Distance, distances, margin_curve
from flatbook.risk.margin.model import MarginModel
from flatbook.valuation.portfolio import Balance, BookPosition, Portfolio
from flatbook.venues.margin import editions
from tests.market.snapshots import snapshot
from tests.valuation.books import EVERY_STYLE, listed, markets, over_the_counter

INDEX = 80_000.0
MARKETS: Markets = markets(snapshot(linear_usd={"BTC-PERPETUAL": 80_040.0, "BTC_USDC-PERPETUAL": 80_040.0}))
PORTFOLIO, STANDARD, DERIVE, DERIVE_STANDARD = (
    editions(name)[0].model for name in ("deribit_pm", "deribit_sm", "derive_pm", "derive_sm")
)
CALL, PUT, PERPETUAL = "BTC-30JAN26-90000-C", "BTC-30JAN26-70000-P", "BTC-PERPETUAL"


def account(
    model: MarginModel, positions: Iterable[BookPosition], *balances: Balance, orders: Iterable[BookPosition] = ()
) -> MarginAccount:
    return MarginAccount(Portfolio(positions, balances), model, orders)


def test_the_balance_is_collateral_less_haircuts_and_gains() -> None:
    held = [listed(CALL, 5.0), listed(PERPETUAL, -20_000.0, 78_000.0), listed("ETH_USDC", 10.0)]
    found = account(PORTFOLIO, held, Balance("BTC", 2.0), Balance("USDC", -1_000.0)).margin(MARKETS)
    option, perpetual, _ = Portfolio(held).worth_usd(MARKETS)
    assert perpetual < 0.0 < option
    assert found.equity == pytest.approx(2.0 * INDEX - 1_000.0 + option + perpetual + 30_000.0)
    assert found.initial_balance == pytest.approx(found.equity - 0.05 * 30_000.0)
    without = account(STANDARD, held, Balance("BTC", 2.0), Balance("USDC", -1_000.0)).margin(MARKETS)
    assert without.balance == pytest.approx(found.balance - option)


def test_a_currency_that_no_rule_lists_is_no_collateral() -> None:
    assert PORTFOLIO.haircuts("SOL") == (1.0, 1.0)
    assert DERIVE.haircuts("BTC") == (0.03, 0.02)


def test_lines_of_one_contract_are_one_position() -> None:
    lines = [BookPosition(listed(CALL).instrument, size, strategy=f"s{size}") for size in (-3.0, 5.0, -2.0)]
    for model in (PORTFOLIO, STANDARD, DERIVE):
        assert account(model, lines, Balance("USDC", 1.0)).margin(MARKETS).maintenance == 0.0


def test_an_inverse_perpetual_counts_in_coins_at_its_mark() -> None:
    (part,) = account(PORTFOLIO, [listed(PERPETUAL, -80_040.0)]).margin(MARKETS).underlyings
    assert part.size == pytest.approx([-1.0])
    # A short coin loses most where the price is highest: 1 - 1/1.16 coins, and a hundredth for the roll.
    assert float(part.state.margins.initial) == pytest.approx((1.0 - 1.0 / 1.16 + 0.01) * INDEX)


def test_collateral_that_is_the_underlying_covers_a_short_call_at_derive() -> None:
    calls = [listed("BTC_USDC-30JAN26-80000-C", -2.0)]
    naked = account(DERIVE, calls, Balance("USDC", INDEX)).margin(MARKETS)
    covered = account(DERIVE, calls, Balance("BTC", 1.0)).margin(MARKETS)
    assert covered.parts["worst scenario"].initial < naked.parts["worst scenario"].initial
    assert covered.equity == pytest.approx(naked.equity)


def test_orders_reserve_the_worse_side() -> None:
    """Each contract's by itself under the standard rules, all bids or all asks together under the portfolio's."""
    orders = [listed(CALL, 4.0), listed(CALL, -3.0), listed(PUT, -2.0)]
    standard = account(STANDARD, [], Balance("BTC", 5.0), orders=orders).margin(MARKETS)
    apart = [account(STANDARD, [order], Balance("BTC", 5.0)).margin(MARKETS) for order in orders[1:]]
    assert float(standard.orders.initial) == pytest.approx(sum(one.initial for one in apart))
    assert standard.maintenance == 0.0
    joint = account(PORTFOLIO, [], Balance("BTC", 5.0), orders=orders).margin(MARKETS)
    bids, asks = (account(PORTFOLIO, side).margin(MARKETS).initial for side in (orders[:1], orders[1:]))
    assert joint.initial == pytest.approx(max(bids, asks))


def test_a_bid_for_an_option_that_will_be_no_credit_reserves_its_premium() -> None:
    bid = account(STANDARD, [listed(CALL, -1.0)], Balance("BTC", 5.0), orders=[listed(CALL, 3.0)]).margin(MARKETS)
    (worth,) = Portfolio([listed(CALL, 2.0)]).worth_usd(MARKETS)
    freed = account(STANDARD, [listed(CALL, -1.0)]).margin(MARKETS).initial
    assert float(bid.orders.initial) == pytest.approx(max(worth - freed, 0.0))
    alone = account(STANDARD, [], Balance("BTC", 5.0), orders=[listed(CALL, 3.0)]).margin(MARKETS)
    assert float(alone.orders.initial) == pytest.approx(1.5 * worth)


def test_an_order_that_only_closes_reserves_nothing() -> None:
    for model in (PORTFOLIO, STANDARD):
        short = account(model, [listed(CALL, -3.0)], orders=[listed(CALL, 3.0)]).margin(MARKETS)
        assert float(short.orders.initial) == 0.0


def test_protection_reserves_a_share_of_what_it_covers() -> None:
    found = MarginAccount(Portfolio([listed(CALL)]), PORTFOLIO, mmp_coin={"BTC": 2.0}).margin(MARKETS)
    assert found.mmp == pytest.approx(0.06 * INDEX)
    assert found.initial - found.mmp == pytest.approx(float(found.positions.initial))


def test_a_contract_over_the_counter_is_refused() -> None:
    with pytest.raises(BadInputError, match="over the counter, which no venue margins"):
        account(PORTFOLIO, [over_the_counter(EVERY_STYLE["cash call"])])


def test_a_requirement_without_a_balance_is_more_than_all_of_it() -> None:
    assert (usage(1.0, 0.0), usage(0.0, 0.0), usage(1.0, 4.0)) == (math.inf, 0.0, 0.25)


def by_name(found: Iterable[Distance]) -> dict[str, float | None]:
    return {one.name: one.move for one in found}


def test_a_linear_position_is_liquidated_at_the_published_price() -> None:
    """P = (p - m/q) / (1 - rate) of a long, p (1 + m/qp) / (1 + rate) of a short."""
    rate, margin, mark = 0.065, 10_000.0, 80_040.0
    for size in (1.0, -1.0):
        held = account(DERIVE_STANDARD, [listed("BTC_USDC-PERPETUAL", size)], Balance("USDC", margin))
        found = by_name(distances(held, MARKETS))
        price = (mark - margin / size) / (1.0 - rate * size)
        side, other = ("spot down", "spot up") if size > 0.0 else ("spot up", "spot down")
        assert found[side] == pytest.approx(price / mark - 1.0, abs=1e-6)
        assert (found[other], found["vol up"], found["vol down"]) == (None, None, None)
        assert "days" not in found


def test_an_inverse_position_is_liquidated_at_the_published_price() -> None:
    """P = n (1 + rate) / (m + n/p), m and the margin in coin."""
    future = STANDARD.future.model_copy(update={"maintenance_steepness_per_coin": 0.0})  # type: ignore[attr-defined]
    dollars, coins, mark = 80_040.0, 0.2, 80_040.0
    held = account(STANDARD.model_copy(update={"future": future}), [listed(PERPETUAL, dollars)], Balance("BTC", coins))
    price = dollars * 1.01 / (coins + dollars / mark)
    assert by_name(distances(held, MARKETS))["spot down"] == pytest.approx(price / mark - 1.0, abs=1e-6)


@pytest.mark.parametrize("name", ["deribit_pm", "deribit_sm", "derive_pm", "derive_sm", "span", "okx"])
def test_at_each_distance_the_surplus_is_gone(name: str) -> None:
    """Each move found is put to the account anew, a hair before and a hair beyond."""
    held = account(
        editions(name)[-1].model, [listed(CALL, -20.0), listed(PUT, -20.0)], Balance("BTC", 5.0), Balance("USDC", 2e5)
    )
    shocks = {"spot down": "spot", "spot up": "spot", "vol up": "vol", "vol down": "vol", "days": "days"}
    found = {one.name: one for one in distances(held, MARKETS)}
    assert found["spot up"].move is not None
    for one in found.values():
        if one.move:
            before, beyond = (
                held.entered(MARKETS).margin(MARKETS.shocked(Shock(**{shocks[one.name]: one.move * scale}))).surplus
                for scale in (0.9999, 1.0001)
            )
            assert before > 0.0 > beyond, one.name


def test_an_account_that_is_short_already_is_at_no_distance() -> None:
    found = distances(account(STANDARD, [listed(CALL, -10.0)], Balance("BTC", 0.1)), MARKETS)
    assert {one.move for one in found} == {0.0}


def test_one_underlying_moves_alone() -> None:
    held = account(STANDARD, [listed("ETH-27MAR26-3200-C", -20.0)], Balance("BTC", 0.3))
    alone = by_name(distances(held, MARKETS, "BTC"))
    assert alone["spot up"] is None
    assert alone["spot down"] is not None
    assert by_name(distances(held, MARKETS, "ETH"))["spot up"] is not None


def test_the_curve_is_the_margin_in_each_market() -> None:
    held = account(PORTFOLIO, [listed(CALL, -5.0), listed(PERPETUAL, 50_000.0)], Balance("BTC", 3.0))
    curve = margin_curve(held, MARKETS, np.array([-0.2, 0.0, 0.1]))
    now = held.margin(MARKETS)
    assert (curve.balance[1], curve.maintenance[1]) == pytest.approx((now.balance, now.maintenance))
    then = held.entered(MARKETS).margin(MARKETS.shocked(Shock(spot=0.1)))
    assert (curve.balance[2], curve.initial[2]) == pytest.approx((then.balance, then.initial))
