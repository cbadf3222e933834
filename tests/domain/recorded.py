"""Where recorded market data lies, beside the repository; tests that read it skip where it is absent."""

from pathlib import Path

import pytest

DATA = Path(__file__).parents[3] / "shared" / "data"
TAPE = DATA / "deribit-option-trades" / "trades_2025-03-29_04-21.parquet"

needs_tape = pytest.mark.skipif(not TAPE.exists(), reason="the recorded option tape is not beside the repository")
needs_data = pytest.mark.skipif(not DATA.exists(), reason="recorded market data is not beside the repository")
