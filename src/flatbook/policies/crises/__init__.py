"""The library of dated crises: when each was, which recorded files tell of it, and what had to be modelled.

Nothing of the recordings ships: a file is named by its path in the folder that holds them.
"""

import tomllib
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Self

from pydantic import Field, model_validator

from flatbook.domain.config import NonNegative, Positive, Section
from flatbook.domain.errors import BadInputError

ALL = "all"
"""As a name: every crisis there is."""


class PriceSource(Section):
    """A column of prices, stamped at the opening of bars of so many minutes."""

    file: str
    time: str
    price: str
    bar_minutes: NonNegative = 0.0


class VolumeSource(Section):
    """A column of volumes, each unit worth so many USD."""

    file: str
    time: str
    volume: str
    usd: Positive = 1.0


class VolSource(Section):
    """How vols moved: by an index of a month's vol, by whole chains, or by a rule, one of them.

    dvol            a file of daily closes
    term_per_log    term twist (`market.shock`) per log move of that index: 0.3 is what the chains of 2026-02-05 did
    per_log_fall    log rise of all vols per log that spot is below its beginning
    """

    dvol: str = ""
    chains: str = ""
    per_log_fall: NonNegative = 0.0
    term_per_log: float = 0.3

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(map(bool, (self.dvol, self.chains, self.per_log_fall))) != 1:
            raise ValueError("give one of dvol, chains and per_log_fall")
        return self


class FundingSource(Section):
    """A funding history."""

    file: str


class Crisis(Section):
    """One of the library; the first coin of `index` leads."""

    name: str
    title: str
    begins: datetime
    ends: datetime
    step_minutes: Positive
    index: dict[str, PriceSource]
    perpetual: dict[str, PriceSource] = Field(default_factory=dict)
    volume: VolumeSource
    vol: VolSource
    funding: FundingSource | None = None
    real: str
    modelled: str

    @property
    def files(self) -> frozenset[str]:
        """Everything it is read from."""
        prices = (*self.index.values(), *self.perpetual.values())
        named = [self.vol.dvol, self.vol.chains, self.funding.file if self.funding is not None else ""]
        return frozenset({self.volume.file, *(one.file for one in prices), *filter(None, named)})


@cache
def crises() -> tuple[Crisis, ...]:
    """All of them, by date."""
    text = resources.files(__name__).joinpath("library.toml").read_text("utf-8")
    return tuple(Crisis.model_validate(table) for table in tomllib.loads(text)["crisis"])


def chosen_crises(name: str) -> tuple[Crisis, ...]:
    """The one of that name, or all.

    Errors      BadInputError for a name that nobody knows
    """
    found = tuple(one for one in crises() if name in (ALL, one.name))
    if not found:
        raise BadInputError(
            f"--crisis {name}: no such crisis; there are {', '.join(one.name for one in crises())}, and {ALL}"
        )
    return found
