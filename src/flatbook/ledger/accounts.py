"""Balances of accounts: the sums of all postings, one way by account and one way by account kind."""

import msgspec

from flatbook.domain.errors import UnbalancedEntryError
from flatbook.ledger.entries import Account, AccountKind, Posting


class FlowTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Where a currency's cash came from since the start, in its smallest units.

    Received is positive, `fees_paid_units` paid positive. `premium` is options' traded premium, `variation` futures'
    P&L realised by trades, `exchange` spot; `cash` is the sum of them all, less the fees.
    """

    cash_units: int
    capital_units: int
    premium_units: int
    variation_units: int
    exchange_units: int
    settlement_units: int
    delivery_units: int
    funding_units: int
    fees_paid_units: int


class Accounts:
    """Running sums of postings; they only ever change by `post`."""

    def __init__(self) -> None:
        self._balances: dict[tuple[Account, str], int] = {}
        # Over all venues and strategies: always the sum of `_balances` by kind.
        self._totals: dict[tuple[AccountKind, str], int] = {}

    def post(self, postings: tuple[Posting, ...]) -> None:
        """Adds the postings of one entry."""
        balances, totals = self._balances, self._totals
        for posting in postings:
            account, commodity, units = posting.account, posting.commodity, posting.units
            balances[account, commodity] = balances.get((account, commodity), 0) + units
            kind = account.kind
            totals[kind, commodity] = totals.get((kind, commodity), 0) + units

    def balance(self, account: Account, commodity: str) -> int:
        """What `account` holds of `commodity`."""
        return self._balances.get((account, commodity), 0)

    def total(self, kind: AccountKind, commodity: str) -> int:
        """What all accounts of a kind hold of `commodity`."""
        return self._totals.get((kind, commodity), 0)

    def commodities(self, kind: AccountKind) -> tuple[str, ...]:
        """What accounts of a kind ever held."""
        return tuple(commodity for known, commodity in self._totals if known is kind)

    def venues(self) -> tuple[str, ...]:
        """Where anything was ever booked, sorted."""
        return tuple(sorted({account.venue for account, _ in self._balances}))

    def flows(self, currency: str) -> FlowTotals:
        """The totals by kind, each with our sign."""

        def received(kind: AccountKind) -> int:
            return -self.total(kind, currency)

        return FlowTotals(
            cash_units=self.total(AccountKind.CASH, currency),
            capital_units=received(AccountKind.CAPITAL),
            premium_units=received(AccountKind.PREMIUM),
            variation_units=received(AccountKind.VARIATION),
            exchange_units=received(AccountKind.EXCHANGE),
            settlement_units=received(AccountKind.SETTLEMENT),
            delivery_units=received(AccountKind.DELIVERY),
            funding_units=received(AccountKind.FUNDING),
            fees_paid_units=self.total(AccountKind.FEES, currency),
        )

    def canonical(self) -> list[tuple[Account, str, int]]:
        """Every balance that is not zero, sorted."""
        return sorted((account, commodity, units) for (account, commodity), units in self._balances.items() if units)

    def invariant(self) -> None:
        """Raises UnbalancedEntryError unless every commodity sums to zero and the totals are those of the accounts."""
        trial: dict[str, int] = {}
        kinds = dict.fromkeys(self._totals, 0)
        for (account, commodity), units in self._balances.items():
            trial[commodity] = trial.get(commodity, 0) + units
            kinds[account.kind, commodity] = kinds.get((account.kind, commodity), 0) + units
        for commodity, units in trial.items():
            expect(f"trial balance of {commodity}", units, 0)
        for (kind, commodity), units in kinds.items():
            expect(f"running {kind} total of {commodity}", self.total(kind, commodity), units)


def expect(what: str, units: int, expected: int) -> None:
    """Raises UnbalancedEntryError unless a sum in the books is what another says it must be."""
    if units != expected:
        raise UnbalancedEntryError(f"ledger: {what} is {units}, expected {expected}; the books do not balance")
