"""Margin models by name: their parameters as dated data, a file a model, an edition a change of the venue's rules."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import parse_utc
from flatbook.risk.margin.deribit_portfolio import DeribitPortfolio
from flatbook.risk.margin.deribit_standard import DeribitStandard
from flatbook.risk.margin.derive_portfolio import DerivePortfolio
from flatbook.risk.margin.derive_standard import DeriveStandard
from flatbook.risk.margin.model import MarginModel
from flatbook.risk.margin.okx import OkxPortfolio
from flatbook.risk.margin.span import SpanGrid

MODELS: Final[Mapping[str, type[MarginModel]]] = {
    "deribit_pm": DeribitPortfolio,
    "deribit_sm": DeribitStandard,
    "derive_pm": DerivePortfolio,
    "derive_sm": DeriveStandard,
    "span": SpanGrid,
    "okx": OkxPortfolio,
}
"""Every model by the name it is asked for."""


@dataclass(frozen=True)
class MarginEdition:
    """A model's parameters from `since` on, and who says so; `remark` says what of them is not the source's."""

    name: str
    model: MarginModel
    since: str
    source: str
    remark: str

    @property
    def since_ns(self) -> int:
        """When it began."""
        return parse_utc(self.since)


def editions(name: str) -> list[MarginEdition]:
    """All editions of a model, oldest first.

    Errors      BadInputError for a model that nobody knows
    """
    if name not in MODELS:
        raise BadInputError(f"--model {name}: no such margin model; there are {', '.join(MODELS)}")
    text = resources.files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
    found = [_edition(name, table) for table in tomllib.loads(text)["edition"]]
    return sorted(found, key=lambda edition: edition.since_ns)


def edition_at(name: str, at_ns: int) -> tuple[MarginEdition, str | None]:
    """The edition in force at `at_ns`; before the first, the first, and a note that says so.

    Errors      BadInputError for a model that nobody knows
    """
    known = editions(name)
    past = [edition for edition in known if edition.since_ns <= at_ns]
    if past:
        return past[-1], None
    return known[0], f"{name}: its first parameters are of {known[0].since}, after this market; they are taken for it"


def _edition(name: str, table: dict[str, Any]) -> MarginEdition:
    model = MODELS[name].model_validate(table["model"])
    return MarginEdition(name, model, table["since"], table["source"], table.get("remark", ""))
