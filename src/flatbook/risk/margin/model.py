"""What a margin model is: dated parameters, and a requirement made of them for the contracts of a market."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from flatbook.domain.config import NonNegative, Section, Share
from flatbook.domain.errors import ConfigurationError
from flatbook.risk.margin.contracts import MarginContracts
from flatbook.risk.margin.net_charge import NetCharge
from flatbook.risk.margin.requirement import Block, ChargesOnly, Requirement

Listed = TypeVar("Listed")


class MarginModel(Section):
    """What every model has beside its own parameters.

    haircut     share of a collateral's worth that does not count, by currency: initial, and maintenance where another
    mmp_share   of a market maker's greatest quote quantity that is reserved while its protection stands
    """

    title: ClassVar[str]
    counts_option_value: ClassVar[bool]
    """Whether what an option is worth now is part of the margin balance; else its buyer has paid and has no credit."""
    orders: ClassVar[Literal["by_row", "by_side"]]
    """What working orders reserve: the worse side of each contract, or of all orders together."""

    steepest_by_book: ClassVar[bool] = False
    """Whether the most that a fill adds depends on what is held (`Requirement.fill_bound`)."""

    haircut: Mapping[str, Share] = Field(default_factory=dict)
    maintenance_haircut: Mapping[str, Share] = Field(default_factory=dict)
    mmp_share: NonNegative = 0.0

    @abstractmethod
    def requirement(self, contracts: MarginContracts, collateral_coin: float = 0.0) -> Requirement:
        """What it asks for of any holding of `contracts`, beside `collateral_coin` coins of the underlying.

        Errors      ConfigurationError where it has no parameters for the underlying
        """

    def haircuts(self, currency: str) -> tuple[float, float]:
        """Initial and maintenance haircut of a currency; one that is not listed does not count at all."""
        initial = self.haircut.get(currency, 1.0)
        return initial, self.maintenance_haircut.get(currency, initial)


def listed(table: Mapping[str, Listed], name: str, what: str) -> Listed:
    """The entry of `name`, or that of `default`.

    Errors      ConfigurationError where there is neither
    """
    found = table.get(name, table.get("default"))
    if found is None:
        raise ConfigurationError(f"the margin model has no {what} {name!r} and no default; add one to its data")
    return found


def charges_only(rows: NDArray[np.int64], *charges: NetCharge) -> Block:
    """A block of nets alone."""
    return ChargesOnly(rows, np.zeros((len(rows), 0)), None, charges)
