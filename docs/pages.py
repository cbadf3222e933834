"""The pages of `docs/` that are made from the code: `python -m docs.pages` writes them anew, a test compares them."""

import typing
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from flatbook.engine.policy import Policy
from flatbook.policies import read_policy, shipped_policies

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
    if isinstance(value, float):
        return f"{value:_.12f}".rstrip("0").rstrip(".")
    return f'`"{value}"`'


PAGES = {"policies.md": policies_page}
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
