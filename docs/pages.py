"""The pages of `docs/` that are made from the code: `python -m docs.pages` writes them anew, a test compares them."""

import sys
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from flatbook.engine.policy import Policy
from flatbook.policies import read_policy, shipped_policies
from flatbook.venues.margin import MODELS, MarginEdition, editions

HERE = Path(__file__).parent

_POLICIES_INTRO = """\
# Policies

A policy is a maker as one TOML file: where it quotes, what risk costs it, how it hedges, where it stops. Some ship;
`flatbook run --policy advanced` takes one by name. To make your own, copy one of them, give it a name, edit it, and run
the file:

    cp src/flatbook/policies/advanced.toml mine.toml
    flatbook run --policy mine.toml --hours 2 --headless
    flatbook compare advanced mine.toml --hours 2

A field that is left out has its default. A field that nobody knows, a value out of range or a file that is no TOML ends
the command with 4 and one line that names the file, the line, the field and what would be right.

Names carry units: `_usd`, `_coin` (of the underlying), `_vol` (a decimal: 0.01 is one vol point), `_bp`, `_s`,
`_hours`, `_days`; a `rate` or `share` is a plain fraction.

This page is made from the code by `make docs`.
"""


def policies_page() -> str:
    """Every field of a policy with what it takes, its default and its meaning; then what ships."""
    parts = [_POLICIES_INTRO, "## The file\n", _table(Policy, own_only=True)]
    for name, section in _sections().items():
        parts += [f"## [{name}]\n", f"{_docstring(section)}\n", _table(section)]
    parts += ["## What ships\n", "Where a policy differs from the defaults:\n", _shipped()]
    return "\n".join(parts)


def _sections() -> dict[str, type[BaseModel]]:
    return {name: field.annotation for name, field in Policy.model_fields.items() if _is_section(field)}  # type: ignore[misc]


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _docstring(model: type[BaseModel]) -> str:
    return "\n".join(line.strip() for line in (model.__doc__ or "").strip().splitlines())


def _table(model: type[BaseModel], *, own_only: bool = False) -> str:
    fields = {name: field for name, field in model.model_fields.items() if not (own_only and _is_section(field))}
    rows = ["| field | takes | default | |", "| --- | --- | --- | --- |"]
    for name, field in fields.items():
        default = "required" if field.is_required() else _toml(field.default)
        rows.append(f"| `{name}` | {_takes(field)} | {default} | {field.description} |")
    return "\n".join(rows) + "\n"


def _takes(field: FieldInfo) -> str:
    if typing.get_origin(field.annotation) is typing.Literal:
        return ", ".join(_toml(value) for value in typing.get_args(field.annotation))
    if field.annotation is str:
        return "text"
    if field.annotation is bool:
        return "true, false"
    if typing.get_origin(field.annotation) is Mapping:
        return "a table of numbers"
    if typing.get_origin(field.annotation) is tuple:
        return "a list of texts"
    bounds = {key: value for limit in field.metadata for key, value in _limits(limit)}
    match bounds:
        case {"ge": low, "le": high}:
            return f"{low} to {high}"
        case {"gt": low}:
            return f"above {low}"
        case {"ge": low}:
            return f"{low} or more"
    raise TypeError(f"no words for what {field!r} takes")


def _limits(limit: object) -> list[tuple[str, float]]:
    return [(key, getattr(limit, key)) for key in ("gt", "ge", "lt", "le") if hasattr(limit, key)]


def _shipped() -> str:
    policies = {name: read_policy(name)[0] for name in sorted(shipped_policies(), key=_generation)}
    rows = [f"| | {' | '.join(policies)} |", "| --- |" + " --- |" * len(policies)]
    for section, model in _sections().items():
        for name, field in model.model_fields.items():
            values = [getattr(getattr(policy, section), name) for policy in policies.values()]
            if field.is_required() or any(value != field.default for value in values):
                rows.append(f"| `{section}.{name}` | {' | '.join(_toml(value) for value in values)} |")
    about = "\n".join(f"- **{name}**: {policy.description}" for name, policy in policies.items())
    return about + "\n\n" + "\n".join(rows) + "\n"


def _generation(name: str) -> tuple[bool, int, str]:
    order = ("primitive", "intermediate", "advanced")
    return (name not in order, order.index(name) if name in order else 0, name)


def _toml(value: object) -> str:
    """As the file would have it; no powers of ten, which people misread."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {_toml(one)}" for name, one in value.items()) or "none"
    if isinstance(value, tuple):
        return ", ".join(map(_toml, value)) or "none"
    if isinstance(value, float):
        return f"{value:_.12f}".rstrip("0").rstrip(".")
    return f'`"{value}"`'


_MARGIN_INTRO = """\
# Margin models

`flatbook margin BOOK --chain FILE --model NAME` asks what a venue would want of a book. Each model's parameters are
dated data (`src/flatbook/venues/margin/NAME.toml`): the edition in force when the market was taken is used, or, before
the first, the first, which is said. Venues change their rules: add an edition with its date and source, keep the old.

All models have one shape. Of the sizes held they take linear features, a scenario's P&L or an expiry's delta, and make
requirements of those. So many accounts are one matrix product, and what an order adds is known in microseconds. Long
options are part of the margin balance under portfolio rules and not under standard ones. A contract that a venue does
not list is margined as the one it does: coin-settled options count as dollar-settled at Derive, OKX and in the grid.

Collateral counts less its haircut; a currency that a model does not list does not count, and debts count in full.
Underlyings add up: no model here gives credit between them. Orders (`--orders`) reserve the worse side, of each
contract under standard rules and of all orders together under portfolio rules; `--mqq` reserves what protection covers.
Distances to liquidation move one thing and leave the rest, without orders, which a venue cancels first. A book over
several venues is several accounts (`--by-venue`): see [venues.md](venues.md).

![Margin balance and requirements against spot, with the points of liquidation, and the scenarios](img/margin.png)

This page is made from the code by `make docs`.
"""


def margin_page() -> str:
    """Every margin model: what it asks, since when, who says so, with which parameters."""
    parts = [_MARGIN_INTRO]
    for name, model in MODELS.items():
        known = editions(name)
        about = (sys.modules[model.__module__].__doc__ or "").strip()
        parts += [f"## {model.title}: `{name}`\n", f"{about}\n", *map(_edition_words, known), _parameters(known)]
    return "\n".join(parts)


def _edition_words(edition: MarginEdition) -> str:
    remark = " ".join(edition.remark.split())
    return f"- **{edition.since}**: {edition.source}." + (f" Of note: {remark}." if remark else "") + "\n"


def _parameters(known: list[MarginEdition]) -> str:
    columns = [dict(_flat(edition.model.model_dump())) for edition in known]
    rows = [f"| | {' | '.join(edition.since for edition in known)} |", "| --- |" + " --- |" * len(known)]
    fields = dict.fromkeys(field for column in columns for field in column)
    rows += [f"| `{field}` | {' | '.join(column.get(field, '') for column in columns)} |" for field in fields]
    return "\n".join(rows) + "\n"


def _flat(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every number by its dotted name."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, tuple):
            yield prefix + name, ", ".join(_number(one) for one in value)
        else:
            yield prefix + name, _number(value)


def _number(value: object) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(_number(one) for one in value) + ")"
    return _toml(float(typing.cast(float, value)))


PAGES = {"policies.md": policies_page, "margin.md": margin_page}
"""The generated pages by file name."""


def main() -> None:
    """Write every page that is not as it should be."""
    for name, make in PAGES.items():
        path, text = HERE / name, make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"docs/{name} written anew")


if __name__ == "__main__":
    main()
