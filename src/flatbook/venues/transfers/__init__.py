"""What it costs to move money between venues, as dated data: fees, minima, and which currencies a venue takes."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from importlib import resources
from typing import Any

from flatbook.domain.errors import ConfigurationError
from flatbook.risk.venues.transfers import TransferTerms

_FIELDS = frozenset({"since", "source", "per_usd_moved", "accepts", "fee", "least", "fee_of"})


@dataclass(frozen=True)
class TransferEdition:
    """Terms, since when they hold, and who says so."""

    terms: TransferTerms
    since: str
    source: str


def shipped_terms() -> TransferEdition:
    """Those of `terms.toml`."""
    return parse_terms(resources.files(__name__).joinpath("terms.toml").read_text(encoding="utf-8"), "terms.toml")


def parse_terms(text: str, where: str) -> TransferEdition:
    """Terms in the form of `terms.toml`.

    Errors      ConfigurationError for what is none, with `where` and the field
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{where}: is not TOML ({error}); mend it") from None
    unknown = sorted(table.keys() - _FIELDS)
    missing = sorted({"since", "source", "accepts", "fee"} - table.keys())
    if unknown or missing:
        what = f"{unknown[0]!r} is not known" if unknown else f"{missing[0]} is missing"
        raise ConfigurationError(f"{where}: {what}; it takes {', '.join(sorted(_FIELDS))}")
    try:
        terms = TransferTerms(
            fee=_amounts(table["fee"]),
            least=_amounts(table.get("least", {})),
            accepts={str(venue): frozenset(map(str, taken)) for venue, taken in table["accepts"].items()},
            per_usd_moved=float(table.get("per_usd_moved", 0.001)),
            fee_of={
                (venue, currency): amount
                for venue, fees in table.get("fee_of", {}).items()
                for currency, amount in _amounts(fees).items()
            },
        )
    except (InvalidOperation, AttributeError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{where}: an amount or a list is none ({error}); see the terms that ship") from None
    return TransferEdition(terms, str(table["since"]), str(table["source"]))


def _amounts(table: dict[str, Any]) -> dict[str, Decimal]:
    return {str(currency): Decimal(str(amount)) for currency, amount in table.items()}
