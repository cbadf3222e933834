"""A request for a quote from a JSON file.

    {"id": "r-1", "combo": "BTC-ICOND-30JAN26-70000_75000_85000_90000", "size": 10,
     "delta_leg": {"instrument": "BTC-PERPETUAL", "price": 80250.5}, "ttl_s": 20, "competitors": 3}

Instead of `combo`, `legs` may list instruments with signed ratios, the buyer's. A `delta_leg` without a price is at the
market; without a size it takes all of the package's delta away. Only the legs and the size are needed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from flatbook.domain.combos import Leg, parse_combo
from flatbook.domain.errors import BadInputError

_KNOWN: Final = ("id", "combo", "legs", "size", "delta_leg", "ttl_s", "competitors", "counterparty")
_DELTA_LEG: Final = ("instrument", "size", "price")


@dataclass(frozen=True, slots=True)
class DeltaLegRequest:
    """A future or perpetual that trades with the package, for the whole of it, as the package's buyer gets it.

    size    in the venue's unit, signed; None for what makes the package's delta nothing
    price   None for the market's
    """

    instrument: str
    size: float | None
    price: float | None


@dataclass(frozen=True, slots=True)
class RfqRequest:
    """What is asked for; None where the maker decides."""

    id: str
    legs: tuple[Leg, ...]
    size: float
    delta_leg: DeltaLegRequest | None
    ttl_s: float
    competitors: float | None
    counterparty: str


DEFAULT_TTL_S: Final = 10.0


def read_request(path: Path) -> RfqRequest:
    """The request in `path`.

    Errors      BadInputError with the file, the field, its value and the remedy
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror}); name a JSON file of a request") from None
    except UnicodeDecodeError:
        raise BadInputError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise BadInputError(f"{path}:{error.lineno}: is not JSON ({error.msg}); mend it") from None
    try:
        return parse_request(document)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from None


def parse_request(document: object) -> RfqRequest:
    """A request from its decoded JSON.

    Errors      BadInputError for the first field that cannot be used
    """
    if not isinstance(document, dict):
        raise BadInputError(f"a request is an object, not {type(document).__name__}; give legs and size")
    _refuse_unknown("request", document, _KNOWN)
    competitors = document.get("competitors")
    return RfqRequest(
        id=_text(document, "id"),
        legs=_legs(document),
        size=_above_zero(document, "size"),
        delta_leg=_delta_leg(document.get("delta_leg")),
        ttl_s=_above_zero(document, "ttl_s") if "ttl_s" in document else DEFAULT_TTL_S,
        competitors=None if competitors is None else _at_least_zero(document, "competitors"),
        counterparty=_text(document, "counterparty"),
    )


def _legs(document: Mapping[str, Any]) -> tuple[Leg, ...]:
    if ("combo" in document) == ("legs" in document):
        raise BadInputError("both combo and legs, or neither; give a combo's name, or legs of instrument and ratio")
    if "combo" in document:
        return parse_combo(_text(document, "combo")).legs()
    rows = document["legs"]
    if not isinstance(rows, list) or not rows:
        raise BadInputError(f"legs: {rows!r} is no list of legs; give instrument and ratio of each")
    legs = tuple(_leg(number, row) for number, row in enumerate(rows, start=1))
    names = [leg.instrument for leg in legs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInputError(f"legs: {twice} is there twice; add its ratios up")
    return legs


def _leg(number: int, row: object) -> Leg:
    if not isinstance(row, dict):
        raise BadInputError(f"leg {number}: is {type(row).__name__}, not an object; give instrument and ratio")
    _refuse_unknown(f"leg {number}", row, ("instrument", "ratio"))
    ratio = row.get("ratio", 1)
    if isinstance(ratio, bool) or not isinstance(ratio, int) or ratio == 0:
        raise BadInputError(
            f"leg {number}: ratio {ratio!r} is no whole number but 0; give such as 1, or -2 to sell two"
        )
    return Leg(_needed_text(f"leg {number}", row, "instrument"), ratio)


def _delta_leg(row: object) -> DeltaLegRequest | None:
    if row is None:
        return None
    if not isinstance(row, dict):
        raise BadInputError(
            f"delta_leg: is {type(row).__name__}, not an object; give instrument, perhaps size and price"
        )
    _refuse_unknown("delta_leg", row, _DELTA_LEG)
    size = _number("delta_leg.size", row["size"]) if "size" in row else None
    price = _above_zero(row, "price", "delta_leg.price") if "price" in row else None
    return DeltaLegRequest(_needed_text("delta_leg", row, "instrument"), size, price)


def _refuse_unknown(place: str, row: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(set(row) - set(known))
    if unknown:
        raise BadInputError(f"{place}: {unknown[0]!r} is not known; known are {', '.join(known)}")


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name, "")
    if not isinstance(value, str):
        raise BadInputError(f"{name}: {value!r} is no text; put it in quotes")
    return value


def _needed_text(place: str, row: Mapping[str, Any], name: str) -> str:
    if not row.get(name):
        raise BadInputError(f"{place}: {name} is missing; give a Deribit name")
    return _text(row, name)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadInputError(f"{name}: {value!r} is no number; give one")
    return float(value)


def _above_zero(row: Mapping[str, Any], name: str, place: str = "") -> float:
    place = place or name
    if name not in row:
        raise BadInputError(f"{place} is missing; give a number above 0")
    number = _number(place, row[name])
    if number <= 0.0:
        raise BadInputError(f"{place}: {number:g} is not above 0; give a number above 0")
    return number


def _at_least_zero(row: Mapping[str, Any], name: str) -> float:
    number = _number(name, row[name])
    if number < 0.0:
        raise BadInputError(f"{name}: {number:g} is below 0; give 0 or more")
    return number
