"""Values as TOML text: the standard library reads TOML and does not write it."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from flatbook.domain.errors import ConfigurationError

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(table: Mapping[str, Any]) -> str:
    """`table` as TOML: scalars first, then its tables by name in brackets. None is left out: TOML has no null.

    Errors      ConfigurationError for a value TOML cannot hold
    """
    return "\n".join(_section(table, ())).lstrip("\n") + "\n"


def _section(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    scalars = {key: value for key, value in table.items() if value is not None and not isinstance(value, Mapping)}
    tables = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    lines = []
    if path and (scalars or not tables):
        lines += ["", f"[{'.'.join(_key(part) for part in path)}]"]
    lines += [f"{_key(key)} = {_value(value, (*path, key))}" for key, value in scalars.items()]
    for key, value in tables.items():
        lines += _section(value, (*path, key))
    return lines


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    # A JSON string is a TOML basic string, but for DEL, which JSON leaves bare.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _value(value: Any, path: tuple[str, ...]) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value) if math.isfinite(value) else str(value)
        case str():
            return _string(value)
        case Mapping():
            inner = ", ".join(f"{_key(k)} = {_value(v, (*path, k))}" for k, v in value.items() if v is not None)
            return f"{{{inner}}}"
        case Sequence():
            items = [_value(item, path) for item in value]
            one_line = f"[{', '.join(items)}]"
            return one_line if len(one_line) <= 100 else "[\n" + "".join(f"  {item},\n" for item in items) + "]"
    raise ConfigurationError(f"{'.'.join(path)}: {value!r} has no form in TOML; give text, a number, a list or a table")
