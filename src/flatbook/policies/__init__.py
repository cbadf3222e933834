"""The policies that ship, three generations of a maker and the published models, as files to copy and edit."""

import re
import tomllib
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ValidationError

from flatbook.domain.errors import ConfigurationError
from flatbook.engine.policy import Policy


def shipped_policies() -> tuple[str, ...]:
    """Names of the policies that ship."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def read_policy(name_or_path: str) -> tuple[Policy, str]:
    """A policy by name, or from a file; and its text.

    Errors      ConfigurationError that names the file, the line, the field, and what would be right
    """
    if name_or_path in shipped_policies():
        text = resources.files(__name__).joinpath(f"{name_or_path}.toml").read_text(encoding="utf-8")
        return parse_policy(text, name_or_path), text
    path = Path(name_or_path)
    if not path.is_file():
        known = ", ".join(shipped_policies())
        raise ConfigurationError(f"policy {name_or_path!r} is neither a file nor one of {known}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not TOML: it is no UTF-8 text ({error.reason})") from None
    return parse_policy(text, str(path)), text


def parse_policy(text: str, where: str) -> Policy:
    """A policy from its TOML text; `where` names it in errors."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{where}: not TOML: {error}") from None
    try:
        return Policy.model_validate(table)
    except ValidationError as error:
        # A misspelt name is an unknown field and a missing one; the unknown one says what to mend.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        raise ConfigurationError(_explain(text, where, first["loc"], first["type"], first["msg"])) from None


def _explain(text: str, where: str, path: tuple[int | str, ...], kind: str, message: str) -> str:
    names = [str(part) for part in path]
    line = _line_of(text, names)
    place = f"{where}:{line}" if line else where
    field = ".".join(names)
    if kind == "extra_forbidden":
        known = ", ".join(_fields(names[:-1]))
        return f"{place}: {field} is not a field of a policy; known here are {known}"
    if kind == "missing":
        return f"{where}: {field} is missing; add it"
    return f"{place}: {field}: {message[0].lower()}{message[1:]}"


def _fields(section: list[str]) -> list[str]:
    model: type[BaseModel] = Policy
    for name in section:
        inner = model.model_fields[name].annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return list(model.model_fields)


def _line_of(text: str, names: list[str]) -> int | None:
    section = ".".join(names[:-1])
    current = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[([^\]]+)\]", line):
            current = header[1].strip()
            if current == ".".join(names):
                return number
        elif current == section and re.match(rf"\s*{re.escape(names[-1])}\s*=", line):
            return number
    return None
