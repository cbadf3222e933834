import pytest

from flatbook.domain.errors import UnbalancedEntryError
from flatbook.ledger.accounts import Accounts
from flatbook.ledger.entries import Account, AccountKind, Posting, swap

CASH = Account(AccountKind.CASH, "deribit")
CASH_ELSEWHERE = Account(AccountKind.CASH, "testnet")
FEES = Account(AccountKind.FEES, "deribit", "maker")
FUNDING = Account(AccountKind.FUNDING, "deribit", "maker")


def test_totals_are_over_venues_and_flows_have_our_sign() -> None:
    accounts = Accounts()
    accounts.post(swap(CASH, FEES, "BTC", 5))
    accounts.post(swap(FUNDING, CASH_ELSEWHERE, "BTC", 7))
    assert (accounts.balance(CASH, "BTC"), accounts.balance(CASH_ELSEWHERE, "BTC")) == (-5, 7)
    assert accounts.balance(CASH, "ETH") == 0
    assert accounts.total(AccountKind.CASH, "BTC") == 2
    flows = accounts.flows("BTC")
    assert (flows.cash_units, flows.fees_paid_units, flows.funding_units, flows.premium_units) == (2, 5, 7, 0)
    assert accounts.commodities(AccountKind.CASH) == ("BTC",)
    accounts.invariant()


def test_the_canonical_form_knows_no_order_and_no_zeros() -> None:
    one, other = Accounts(), Accounts()
    one.post(swap(CASH, FEES, "BTC", 5))
    one.post(swap(CASH, FUNDING, "BTC", 2))
    other.post(swap(CASH, FUNDING, "BTC", 2))
    other.post(swap(CASH, FEES, "BTC", 5))
    other.post(swap(CASH, FEES, "ETH", 1))
    other.post(swap(FEES, CASH, "ETH", 1))
    assert one.canonical() == other.canonical() == sorted(one.canonical())


def test_a_posting_without_its_other_side_is_found() -> None:
    accounts = Accounts()
    accounts.post(swap(CASH, FEES, "BTC", 5))
    accounts.post((Posting(CASH, "BTC", 1),))
    with pytest.raises(UnbalancedEntryError, match="trial balance of BTC is 1, expected 0"):
        accounts.invariant()


def test_a_total_that_lost_its_accounts_is_found() -> None:
    accounts = Accounts()
    accounts.post(swap(CASH, FEES, "BTC", 5))
    accounts._totals[AccountKind.FEES, "BTC"] += 1
    with pytest.raises(UnbalancedEntryError, match="running fees total of BTC is 6, expected 5"):
        accounts.invariant()
