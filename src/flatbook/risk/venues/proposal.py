"""Accounts at several venues, how near each is to a margin call, and the transfers that would help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import book_amount, risk_amount
from flatbook.market.snapshot import Markets
from flatbook.risk.margin.account import AccountMargin, MarginAccount, usage
from flatbook.risk.margin.model import MarginModel
from flatbook.risk.venues.transfers import Purse, Transfer, TransferTerms, changes, plan_transfers
from flatbook.valuation.portfolio import Balance, Portfolio

_ROUNDS = 4
"""How often a plan is made anew because collateral that moved changed what a model asks for."""


@dataclass(frozen=True)
class UseBounds:
    """Of maintenance over the margin balance: at `call` money is asked for, so much that `target` is what it takes.

    Errors      BadInputError where they are no shares, or the target is beyond the call
    """

    call: float = 0.8
    target: float = 0.6

    def __post_init__(self) -> None:
        if not 0.0 < self.target <= self.call <= 1.0:
            raise BadInputError(
                f"margin use: a target of {self.target:g} and a call at {self.call:g}; give 0 < target <= call <= 1"
            )


@dataclass(frozen=True)
class VenueAccount:
    """What is held at one venue, and by whose rules it is margined."""

    venue: str
    book: Portfolio
    model: MarginModel

    def margin(self, markets: Markets) -> AccountMargin:
        """What it has and needs.

        Errors      BadInputError for what the market does not price or the venue does not margin
        """
        return MarginAccount(self.book, self.model).margin(markets)

    def after(self, transfers: Sequence[Transfer]) -> VenueAccount:
        """The same account once all have arrived."""
        moved = (
            Balance(currency, risk_amount(units, currency), "transfer", self.venue)
            for currency, units in changes(transfers, self.venue).items()
        )
        return VenueAccount(self.venue, Portfolio(self.book.positions, (*self.book.balances, *moved)), self.model)


@dataclass(frozen=True)
class Proposal:
    """Transfers, with margins now and after them, by venue in the order of the accounts.

    called      venues at or above the use at which money is asked for, or short of initial margin
    short_usd   collateral that is missing for the target in spite of the transfers, by venue
    """

    now: tuple[AccountMargin, ...]
    after: tuple[AccountMargin, ...]
    called: tuple[str, ...]
    transfers: tuple[Transfer, ...]
    short_usd: Mapping[str, float]


def propose(accounts: Sequence[VenueAccount], terms: TransferTerms, markets: Markets, bounds: UseBounds) -> Proposal:
    """Transfers where a venue is near a margin call; none where no venue is.

    What is said of afterwards is margined in full: the programme holds requirements still, and some models' move with
    the collateral, so it is asked again with what they came to.

    Errors      as of `VenueAccount.margin`
    """
    now = tuple(account.margin(markets) for account in accounts)
    most = [_most_use(margin, bounds) for margin in now]
    called = tuple(one.venue for one, margin in zip(accounts, now, strict=True) if _is_called(margin, bounds))
    if not called:
        return Proposal(now, now, (), (), {})
    purses = [_purse(*each, terms) for each in zip(accounts, now, most, strict=True)]
    usd_per = {currency: markets.usd_per(currency) for purse in purses for currency in purse.units}
    for _ in range(_ROUNDS):
        plan = plan_transfers(purses, terms, usd_per)
        after = tuple(account.after(plan.transfers).margin(markets) for account in accounts)
        short = [_short(margin, share) for margin, share in zip(after, most, strict=True)]
        if plan.short_usd or not any(short):
            break
        purses = [
            replace(purse, initial=margin.initial, maintenance=margin.maintenance)
            for purse, margin in zip(purses, after, strict=True)
        ]
    missing = {account.venue: usd for account, usd in zip(accounts, short, strict=True) if usd > 0.0}
    return Proposal(now, after, called, plan.transfers, missing)


def use_of(margin: AccountMargin) -> float:
    """Share of the margin balance that maintenance takes; infinite where there is none to take it from."""
    return usage(margin.maintenance, margin.balance)


def _is_called(margin: AccountMargin, bounds: UseBounds) -> bool:
    return use_of(margin) >= bounds.call or margin.initial > margin.initial_balance


def _most_use(margin: AccountMargin, bounds: UseBounds) -> float:
    """The target; a venue beyond it that nobody asks money for may stay where it is, and a little of rounding."""
    return bounds.target if _is_called(margin, bounds) else max(bounds.target, use_of(margin) * (1.0 + 1e-5))


def _short(margin: AccountMargin, most_use: float) -> float:
    """Collateral that is missing, to a cent or a hundred-thousandth of what is needed: the programme's rounding."""
    needs = (margin.initial, margin.maintenance / most_use)
    missing = max(needs[1] - margin.balance, needs[0] - margin.initial_balance)
    return missing if missing > max(0.01, 1e-5 * max(needs)) else 0.0


def _purse(account: VenueAccount, margin: AccountMargin, most_use: float, terms: TransferTerms) -> Purse:
    units: dict[str, int] = {}
    for balance in account.book.balances:
        units[balance.currency] = units.get(balance.currency, 0) + book_amount(balance.amount, balance.currency)
    return Purse(
        venue=account.venue,
        initial=margin.initial,
        maintenance=margin.maintenance,
        initial_balance=margin.initial_balance,
        balance=margin.balance,
        most_use=most_use,
        units=units,
        haircuts={currency: account.model.haircuts(currency) for currency in terms.taken_by(account.venue)},
    )
