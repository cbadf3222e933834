"""Published figures by row."""

import csv
from pathlib import Path

GOLDEN = Path(__file__).parents[2] / "golden"


def golden(name: str) -> list[dict[str, str]]:
    """Rows of a table of published figures."""
    with (GOLDEN / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))
