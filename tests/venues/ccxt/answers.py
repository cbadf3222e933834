"""Raw answers of Binance, OKX and Bybit, in the shapes that their public API documentation gives, by venue and path."""

import json
from pathlib import Path
from typing import Any, Final


def _read(name: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name(name).read_text("utf-8"))
    return found


ANSWERS: Final = _read("answers.json")

OWN_FILLS: Final = _read("own_fills.json")
"""By stream, by venue; each names our own id of the order beside the venue's."""
