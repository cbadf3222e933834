"""What is true of us: postings in integers, and the positions, balances and flows that follow from them.

`Ledger` owns the books; `entries` are what it writes; `positions` and `amounts` are the arithmetic, as pure functions.
"""

from flatbook.ledger.accounts import FlowTotals
from flatbook.ledger.book import Ledger
from flatbook.ledger.entries import Account, AccountKind, Cause, Entry, Posting, VenueFee
from flatbook.ledger.positions import Position, PositionKey

__all__ = [
    "Account",
    "AccountKind",
    "Cause",
    "Entry",
    "FlowTotals",
    "Ledger",
    "Position",
    "PositionKey",
    "Posting",
    "VenueFee",
]
