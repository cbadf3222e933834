"""Raw answers of Binance, OKX and Bybit, in the shapes that their public API documentation gives, by venue and path."""

import json
from pathlib import Path
from typing import Any, Final

ANSWERS: Final[dict[str, dict[str, Any]]] = json.loads(Path(__file__).with_name("answers.json").read_text("utf-8"))
