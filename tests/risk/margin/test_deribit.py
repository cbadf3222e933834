"""Deribit's formulas by hand, where no published example reaches them."""

import numpy as np
import pytest

from flatbook.risk.margin.deribit_portfolio import DeribitPortfolio
from flatbook.risk.margin.deribit_standard import DeribitStandard
from flatbook.sim.venue import margin as simulated
from flatbook.sim.venue.listing import Listing, Mark
from flatbook.venues.deribit import load_reference
from flatbook.venues.margin import MarginEdition, editions

from .columns import Row, contracts

INDEX = 80_000.0
STANDARD = editions("deribit_sm")[0].model
PORTFOLIO = editions("deribit_pm")[0].model


@pytest.mark.parametrize(
    ("sign", "strike", "mark", "initial", "maintenance"),
    [
        (1.0, 80_000.0, 0.04, 0.15 + 0.04, 0.075 + 0.04),
        (1.0, 100_000.0, 0.01, 0.10 + 0.01, 0.075 + 0.01),
        (-1.0, 78_000.0, 0.03, 0.15 - 0.025 + 0.03, 0.075 + 0.03),
        (-1.0, 40_000.0, 0.001, 0.10 + 0.001, 0.075 + 0.001),
        # So deep in the money that the mark's own share decides, and initial is maintenance.
        (-1.0, 300_000.0, 2.8, 0.075 * 2.8 + 2.8, 0.075 * 2.8 + 2.8),
    ],
)
def test_a_short_option(sign: float, strike: float, mark: float, initial: float, maintenance: float) -> None:
    """Coin a contract, the forward at the index."""
    row = Row(sign, strike, 0.1, INDEX, mark=mark * INDEX)
    found = STANDARD.requirement(contracts([row], INDEX)).margins(np.array([-2.0]))
    assert np.array(found) / INDEX == pytest.approx([2.0 * initial, 2.0 * maintenance])


@pytest.mark.parametrize("edition", editions("deribit_sm"), ids=lambda edition: edition.since)
@pytest.mark.parametrize(
    ("name", "lots"),
    [
        ("BTC-30JAN26-90000-C", -25),
        ("BTC-30JAN26-70000-P", -3),
        ("BTC-30JAN26-300000-P", -8),
        ("BTC-PERPETUAL", 12_345),
        ("BTC-PERPETUAL", -2_400_000),
    ],
)
def test_the_simulated_exchange_asks_the_same(edition: MarginEdition, name: str, lots: int) -> None:
    """One position at a time, and all of an account at once: two spellings of the venue's page, by every edition."""
    assert isinstance(edition.model, DeribitStandard)
    listing = Listing(0, load_reference().instrument(name), 0)
    contract, lot = listing.instrument.contract, listing.instrument.lot_size
    if contract.strike is None:
        price, row, coins = 80_040.0, Row(forward=80_040.0), lots * lot / 80_040.0
    else:
        assert contract.right is not None
        sign, strike = float(contract.right.sign), float(contract.strike)
        price = max(sign * (INDEX - strike), 0.0) / INDEX + 0.01
        row, coins = Row(sign, strike, 0.1, INDEX, mark=price * INDEX), lots * lot
    listing.mark = Mark(price=price, underlying_usd=INDEX)
    found = edition.model.requirement(contracts([row], INDEX)).margins(np.array([coins]))
    assert np.array(found) / INDEX == pytest.approx(simulated.requirement(edition.model, listing, lots))


def test_larger_futures_need_more_a_coin() -> None:
    """2 % and 1 %, and 0.005 % for each coin; longs and shorts of one contract net."""
    requirement = STANDARD.requirement(contracts([Row(forward=80_100.0)], INDEX))
    assert np.array(requirement.margins(np.array([-100.0]))) / INDEX == pytest.approx([2.5, 1.5])
    assert np.array(requirement.margins(np.array([1.0]))) / INDEX == pytest.approx([0.02005, 0.01005])


def test_leverage_falls_beyond_the_first_bitcoins_since_2026() -> None:
    requirement = editions("deribit_sm")[-1].model.requirement(contracts([Row()], INDEX))
    shares = np.array(requirement.margins(np.array([[10.0], [26.55], [309.75]])).initial) / INDEX
    assert shares == pytest.approx([0.4, 26.55 / 25, 309.75 / 4], rel=1e-4)


def test_an_option_loses_coin_in_the_matrix() -> None:
    """A short call when price and vol rise: what it is worth then, over the forward then, less what it is worth now."""
    assert isinstance(PORTFOLIO, DeribitPortfolio)
    years = 30 / 365
    chain = contracts([Row(1.0, 80_000.0, years, 81_000.0, 0.6)], INDEX)
    (block,) = PORTFOLIO.requirement(chain).blocks
    up = next(at for at, one in enumerate(block.scenarios) if one.spot == 0.16 and one.vol == "up")
    then = contracts([Row(1.0, 80_000.0, years, 81_000.0 * 1.16, 0.9)], INDEX)
    lost = then.mark_usd[0] / then.forward_usd[0] - chain.mark_usd[0] / chain.forward_usd[0]
    assert block.pnl_usd(block.features(np.array([-3.0])))[up] == pytest.approx(-3.0 * lost * INDEX, rel=1e-12)


def test_far_short_puts_are_found_by_the_extended_table() -> None:
    """Worth next to nothing within the range, and much at a third of the price."""
    chain = contracts([Row(-1.0, 40_000.0, 0.1, INDEX)], INDEX)
    requirement = PORTFOLIO.requirement(chain)
    (block,) = requirement.blocks
    size = np.array([-200.0])
    pnl = block.pnl_usd(block.features(size))
    worst = block.scenarios[int(pnl.argmin())]
    assert worst.spot == -0.66
    assert worst.weight == pytest.approx(0.16 / 0.66)
    # The dampener is a hundred thousand dollars of it: half the puts need less than half.
    half = float(requirement.margins(size / 2).initial)
    assert half < 0.5 * float(requirement.margins(size).initial) - 40_000.0


def test_a_large_delta_is_charged_beyond_its_threshold() -> None:
    requirement = PORTFOLIO.requirement(contracts([Row()], INDEX))
    free = 20_000_000 / INDEX
    parts = requirement.parts(np.array([free + 100.0]))
    assert float(parts["delta shock"].initial) == pytest.approx(0.00005 * 100.0 * (free + 100.0) * INDEX)
    assert float(requirement.parts(np.array([free]))["delta shock"].initial) == 0.0


def test_gains_in_dollars_offset_losses_in_coin_by_their_share_alone() -> None:
    """Long inverse against short linear: not at all with an offset of nothing, in part with one half."""
    assert isinstance(PORTFOLIO, DeribitPortfolio)
    chain, size = contracts([Row(), Row(in_coin=False)], INDEX), np.array([1.0, -1.0])
    halves = {name: currency.model_copy(update={"gain_offset": 0.5}) for name, currency in PORTFOLIO.currency.items()}
    some = PORTFOLIO.model_copy(update={"currency": halves})
    none = PORTFOLIO.requirement(chain).parts(size)["worst scenario"]
    part = some.requirement(chain).parts(size)["worst scenario"]
    fall = (1.0 / (1.0 - 0.16) - 1.0) * INDEX
    assert float(none.initial) == pytest.approx(fall)
    assert float(part.initial) == pytest.approx(fall - 0.5 * 0.16 * INDEX)
