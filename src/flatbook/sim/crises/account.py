"""The book as one margined account along a crisis, and what its venue does once maintenance margin is not covered.

The venue closes a share of all listed positions and hedges a round, options at a distance from their marks; whoever
takes them over hedges them, so the net delta of what is closed is traded in the hedge market and moves it. A round's
spiral gain is what that move costs in surplus margin over what the closing had freed: from 1 on each round leaves the
account worse than before it, and the next must follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from flatbook.domain.errors import BadInputError
from flatbook.domain.instruments import Kind
from flatbook.domain.reference import Instrument
from flatbook.market.snapshot import Markets
from flatbook.risk.margin.account import MarginAccount
from flatbook.risk.margin.model import MarginModel
from flatbook.valuation.portfolio import Balance, BookPosition, Portfolio


@dataclass(frozen=True, slots=True)
class ForcedClosing:
    """How a venue closes an account.

    share, most_rounds  of what is left, a round; and rounds a step of the path
    option_vol          distance from the mark at which options are closed, in vol
    done_below          of the account at the start: less than this is closed at once
    """

    share: float = 0.25
    most_rounds: int = 4
    option_vol: float = 0.05
    done_below: float = 0.01

    def __post_init__(self) -> None:
        if not (0.0 < self.share <= 1.0 and self.most_rounds >= 1 and self.option_vol >= 0.0):
            raise BadInputError(f"{self}: the share must be in (0, 1], rounds 1 or more, the distance 0 or more")

    def now(self, left: float) -> float:
        """The share of what is left that a round closes."""
        return 1.0 if left * (1.0 - self.share) < self.done_below else self.share


@dataclass(frozen=True, slots=True)
class Standing:
    """Margin at a moment, USD: what there is, and what positions ask for."""

    balance_usd: float
    initial_usd: float
    maintenance_usd: float

    @property
    def surplus_usd(self) -> float:
        """Over maintenance; below 0 the account is closed."""
        return self.balance_usd - self.maintenance_usd


@dataclass(frozen=True)
class Margining:
    """Under which rules the account is, and which instrument its hedge in each coin is margined as: sized in coins."""

    model: MarginModel
    hedges: Mapping[str, Instrument]
    closing: ForcedClosing = ForcedClosing()

    def standing(self, book: Portfolio, coins: Mapping[str, float], cash_usd: float, markets: Markets) -> Standing:
        """Of listed positions, hedges of so many coins, balances, and what both have made so far, kept in coin.

        A venue need not take dollars for collateral; what it lends it counts in full.
        """
        hedges = (BookPosition(self.hedges[coin], size) for coin, size in coins.items() if size != 0.0)
        keeps = next(iter(coins))
        balances = (*book.balances, Balance(keeps, cash_usd / markets.usd_per(keeps)))
        listed = (position for position in book.positions if position.otc is None)
        balance, asked = MarginAccount(Portfolio((*listed, *hedges), balances), self.model).surplus(markets)
        return Standing(balance, float(asked.initial), float(asked.maintenance))


def is_closable(position: BookPosition) -> bool:
    """Whether a venue closes it: what it margins, so no spot and nothing over the counter."""
    return position.otc is None and position.instrument.contract.kind is not Kind.SPOT


def without(book: Portfolio, share: float) -> Portfolio:
    """The book with that share of what a venue closes gone."""
    if share >= 1.0:
        return Portfolio((one for one in book.positions if not is_closable(one)), book.balances)
    kept = (replace(one, size=one.size * (1.0 - share)) if is_closable(one) else one for one in book.positions)
    return Portfolio(kept, book.balances)
