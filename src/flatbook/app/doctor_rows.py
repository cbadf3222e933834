"""What a doctor finds, as rows: values."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """How a row stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One row: what was looked at, what was found, and what to do where it is not well."""

    name: str
    verdict: Verdict
    text: str
    remedy: str = ""


@dataclass(slots=True)
class Examination:
    """All rows, in the order in which they were looked at."""

    findings: list[Finding] = field(default_factory=list)
    is_reachable: bool = False

    @property
    def is_well(self) -> bool:
        """Whether nothing failed."""
        return all(each.verdict is not Verdict.FAIL for each in self.findings)

    def document(self) -> dict[str, Any]:
        """The rows as one JSON document."""
        rows = [
            {"name": each.name, "verdict": each.verdict.value, "text": each.text, "remedy": each.remedy or None}
            for each in self.findings
        ]
        return {"well": self.is_well, "reachable": self.is_reachable, "findings": rows}


def graded(name: str, value: float, least: tuple[float, float], unit: str, remedy: str) -> Finding:
    """A row of something of which there should be much: below the first of `least` warns, below the second fails."""
    warn, fail = least
    verdict = Verdict.FAIL if value < fail else Verdict.WARN if value < warn else Verdict.OK
    return Finding(name, verdict, f"{value:.1f} {unit}", "" if verdict is Verdict.OK else remedy)
