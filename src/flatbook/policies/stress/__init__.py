"""Sets of scenarios as dated data: those that ship, and a file of one's own in the same form."""

import tomllib
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from flatbook.domain.config import NonNegative, Positive, Section, Share
from flatbook.domain.errors import ConfigurationError, FlatbookError
from flatbook.market.shock import Shock
from flatbook.valuation.stress import Scenario, Unhedged


class ShockTable(Section):
    """Fields of `market.shock.Shock`."""

    spot: float = 0.0
    vol: float = 0.0
    days: float = 0.0
    term: float = 0.0
    skew: float = 0.0
    convexity: float = 0.0
    basis: float = 0.0

    def made(self) -> Shock:
        """As a value."""
        return Shock(**self.model_dump())


class UnhedgedTable(Section):
    """Fields of `valuation.stress.Unhedged`."""

    hours: Positive
    deviations: float


class ScenarioTable(Section):
    """One scenario of a file; fields of `valuation.stress.Scenario`."""

    name: str
    note: str = ""
    shock: ShockTable = ShockTable()
    own: dict[str, ShockTable] = Field(default_factory=dict)
    unhedged: UnhedgedTable | None = None
    correlation: float | None = None
    dollars: dict[str, float] = Field(default_factory=dict)
    funding_8h: float = 0.0
    funding_hours: NonNegative = 0.0
    lost_venue: str = ""
    recovery: Share = 0.0

    def made(self) -> Scenario:
        """As a value."""
        return Scenario(
            name=self.name,
            shock=self.shock.made(),
            own={name: shock.made() for name, shock in self.own.items()},
            unhedged=None if self.unhedged is None else Unhedged(**self.unhedged.model_dump()),
            **self.model_dump(include={"note", "correlation", "dollars", "funding_8h", "funding_hours"}),
            **self.model_dump(include={"lost_venue", "recovery"}),
        )


class ScenarioFile(Section):
    """A file of scenarios: of what date, where from, and each."""

    as_of: date
    source: str = ""
    scenario: tuple[ScenarioTable, ...]


@dataclass(frozen=True)
class ScenarioSet:
    """Scenarios as read."""

    name: str
    as_of: date
    source: str
    scenarios: tuple[Scenario, ...]


def shipped_sets() -> tuple[str, ...]:
    """Names of the sets that ship."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def read_scenarios(name_or_path: str) -> ScenarioSet:
    """A set by name, or from a file.

    Errors      ConfigurationError that names the file, the scenario, the field, and what would be right
    """
    if name_or_path in shipped_sets():
        return _parsed(resources.files(__name__).joinpath(f"{name_or_path}.toml").read_text("utf-8"), name_or_path)
    path = Path(name_or_path)
    if not path.is_file():
        known = ", ".join(shipped_sets())
        raise ConfigurationError(f"scenarios {name_or_path!r} is neither a file nor one of {known}")
    try:
        return _parsed(path.read_text("utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not TOML: it is no UTF-8 text ({error.reason})") from None


def _parsed(text: str, where: str) -> ScenarioSet:
    try:
        table: dict[str, Any] = tomllib.loads(text)
        file = ScenarioFile.model_validate(table)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{where}: not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigurationError(f"{where}: {_place(table, first['loc'])}: {first['msg']}") from None
    try:
        scenarios = tuple(one.made() for one in file.scenario)
    except FlatbookError as error:
        raise ConfigurationError(f"{where}: {error}") from None
    names = [one.name for one in scenarios]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigurationError(f"{where}: scenario {twice[0]!r} is there twice; give each a name of its own")
    return ScenarioSet(where, file.as_of, file.source, scenarios)


def _place(table: dict[str, Any], path: tuple[int | str, ...]) -> str:
    """A field by the scenario's name where it has one."""
    if len(path) > 1 and path[0] == "scenario":
        number = int(path[1])
        name = table["scenario"][number].get("name", number + 1)
        return f"scenario {name!r}: {'.'.join(map(str, path[2:])) or 'table'}"
    return ".".join(map(str, path))
