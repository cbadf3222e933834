import msgspec
import pytest

from flatbook.domain.errors import UnbalancedEntryError
from flatbook.ledger.entries import Account, AccountKind, Cause, Entry, Posting, swap

CASH = Account(AccountKind.CASH, "deribit")
FEES = Account(AccountKind.FEES, "deribit", "maker")


def entry(*postings: Posting) -> Entry:
    return Entry(exch_ts_ns=1, cause=Cause.TRADE, reference="357234172", postings=postings)


def test_a_swap_takes_what_it_gives() -> None:
    assert swap(CASH, FEES, "BTC", 30_000) == (Posting(FEES, "BTC", 30_000), Posting(CASH, "BTC", -30_000))
    assert swap(CASH, FEES, "BTC", -30_000) == (Posting(FEES, "BTC", -30_000), Posting(CASH, "BTC", 30_000))
    assert swap(CASH, FEES, "BTC", 0) == ()


def test_an_entry_that_does_not_sum_to_zero_is_never_born() -> None:
    entry(*swap(CASH, FEES, "BTC", 5), *swap(CASH, FEES, "ETH", 7))
    with pytest.raises(UnbalancedEntryError, match="trade entry '357234172': postings of ETH sum to -1, not to zero"):
        entry(*swap(CASH, FEES, "BTC", 5), Posting(CASH, "ETH", -1))


def test_one_currency_does_not_make_up_for_another() -> None:
    with pytest.raises(UnbalancedEntryError):
        entry(Posting(CASH, "BTC", 5), Posting(CASH, "ETH", -5))


def test_an_entry_is_checked_again_when_it_is_read() -> None:
    stored = msgspec.json.encode(entry(*swap(CASH, FEES, "BTC", 5)))
    assert msgspec.json.decode(stored, type=Entry) == entry(*swap(CASH, FEES, "BTC", 5))
    with pytest.raises(UnbalancedEntryError):
        msgspec.json.decode(stored.replace(b"-5", b"-4"), type=Entry)


def test_accounts_print_as_a_path() -> None:
    assert str(CASH) == "cash:deribit"
    assert str(FEES) == "fees:deribit:maker"
