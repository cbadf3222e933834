"""Variants of a policy: the same file with some fields' values changed, one text for every combination."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass

from flatbook.domain.errors import BadInputError
from flatbook.policies import parse_policy
from flatbook.store.toml_text import to_toml


@dataclass(frozen=True, slots=True)
class Candidates:
    """A field of a policy, as `section.name`, and the values among which it is to be chosen, as TOML."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variant:
    """A policy's text with `changes`, by field and as TOML; none where it is the policy itself."""

    text: str
    changes: tuple[tuple[str, str], ...] = ()


def parse_candidates(word: str) -> Candidates:
    """`FIELD=VALUE,VALUE,…` as a command line has it.

    Errors      BadInputError where it is not of that form, or a value comes twice
    """
    field, equals, listed = word.partition("=")
    values = tuple(value.strip() for value in listed.split(","))
    if not (equals and field.count(".") == 1 and all(field.split(".")) and all(values)):
        raise BadInputError(
            f"--fit {word}: give a field and its candidates, such as risk_price.risk_aversion_per_usd=3e-4,1e-3"
        )
    if len(set(values)) < max(len(values), 2):
        raise BadInputError(f"--fit {word}: there is nothing to choose among; give two different values or more")
    return Candidates(field, values)


def variants(text: str, where: str, candidates: Sequence[Candidates]) -> tuple[Variant, ...]:
    """Every combination of the candidates put into a policy's text; the text itself where there are none.

    Errors      ConfigurationError that names the field, for one that is unknown or a value out of range
    """
    if not candidates:
        return (Variant(text),)
    made = []
    for values in itertools.product(*(each.values for each in candidates)):
        changes = tuple((each.field, value) for each, value in zip(candidates, values, strict=True))
        changed = _changed(text, changes)
        parse_policy(changed, f"{where} with {', '.join(f'{field}={value}' for field, value in changes)}")
        made.append(Variant(changed, changes))
    return tuple(made)


def _changed(text: str, changes: Sequence[tuple[str, str]]) -> str:
    table = tomllib.loads(text)
    for field, value in changes:
        section, name = field.split(".")
        table.setdefault(section, {})[name] = _parsed(value)
    return to_toml(table)


def _parsed(value: str) -> object:
    """A TOML value; what is none is a bare word, as names of rules are."""
    try:
        return tomllib.loads(f"it = {value}")["it"]
    except tomllib.TOMLDecodeError:
        return value
