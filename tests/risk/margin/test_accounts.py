"""Many accounts at once against each book alone."""

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.risk.margin.account import MarginAccount
from flatbook.risk.margin.accounts import Accounts, AccountsInMarket, requirements
from flatbook.valuation.portfolio import Balance, BookPosition, Portfolio
from flatbook.venues.deribit import load_reference
from flatbook.venues.margin import MODELS, editions
from tests.market.snapshots import snapshot
from tests.valuation.books import markets

REFERENCE = load_reference()
MARKETS = markets(snapshot(linear_usd={"BTC-PERPETUAL": 80_040.0}), snapshot("ETH", 3_000.0, vol=0.8, carry=0.03))
NAMES = (
    "BTC-30JAN26-90000-C", "BTC-30JAN26-70000-P", "BTC-27MAR26-80000-C", "BTC-PERPETUAL", "BTC_USDC-PERPETUAL",
    "ETH-30JAN26-3000-P", "ETH-PERPETUAL", "BTC_USDC", "BTC_USDC-30JAN26-90000-C",
)  # fmt: skip
CURRENCIES = ("BTC", "USDC", "ETH")
COUNT = 30


def drawn(seed: int) -> Accounts:
    """Some with debts, some with the same contract twice, every other future with an entry price."""
    rng = np.random.default_rng(seed)
    instrument = rng.integers(0, len(NAMES), 6 * COUNT)
    in_dollars = np.isin(instrument, [3, 6])
    size = np.round(rng.normal(0.0, 10.0, 6 * COUNT), 1) * np.where(in_dollars, 10_000.0, 1.0)
    mark = np.where(np.isin(instrument, [5, 6]), 2_900.0, 79_000.0)
    owner = np.repeat(np.arange(COUNT), 2)
    return Accounts(
        names=tuple(map(str, range(COUNT))),
        instruments=tuple(REFERENCE.instrument(name) for name in NAMES),
        currencies=CURRENCIES,
        account=rng.integers(0, COUNT, 6 * COUNT),
        instrument=instrument,
        size=size,
        price=np.where(rng.uniform(size=6 * COUNT) < 0.5, mark, np.nan),
        owner=owner,
        currency=rng.integers(0, 3, 2 * COUNT),
        amount=rng.normal(3.0, 3.0, 2 * COUNT),
    )


def alone(accounts: Accounts, number: int) -> Portfolio:
    rows: NDArray[np.int64] = np.flatnonzero(accounts.account == number)
    owned = np.flatnonzero(accounts.owner == number)
    return Portfolio(
        [
            BookPosition(accounts.instruments[accounts.instrument[row]], accounts.size[row], accounts.price[row])
            for row in rows.tolist()
        ],
        [Balance(CURRENCIES[accounts.currency[row]], accounts.amount[row]) for row in owned.tolist()],
    )


@pytest.mark.parametrize("name", MODELS)
def test_every_account_is_what_its_book_is_alone(name: str) -> None:
    accounts, model = drawn(4), editions(name)[-1].model
    at_once = AccountsInMarket(accounts, model, MARKETS)
    parts = [requirements(at_once.rules, part) for part in at_once.parts(7)]
    assert [part.shape[1] for part in parts] == [7, 7, 7, 7, 2]
    found = at_once.margins(np.concatenate(parts, axis=1))
    for number in range(COUNT):
        expected = MarginAccount(alone(accounts, number), model).margin(MARKETS)
        assert found.equity[number] == pytest.approx(expected.equity, rel=1e-9, abs=1e-4)
        assert found.initial_balance[number] == pytest.approx(expected.initial_balance, rel=1e-9, abs=1e-4)
        assert found.balance[number] == pytest.approx(expected.balance, rel=1e-9, abs=1e-4)
        assert found.initial[number] == pytest.approx(expected.initial, rel=1e-9, abs=1e-4)
        assert found.maintenance[number] == pytest.approx(expected.maintenance, rel=1e-9, abs=1e-4)
        assert found.surplus[number] == pytest.approx(expected.surplus, rel=1e-9, abs=1e-4)
