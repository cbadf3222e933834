"""Recorded messages of Deribit, read where they lie beside the repository."""

import gzip
from pathlib import Path

import pytest

RAW = Path(__file__).resolve().parents[4] / "shared" / "data" / "deribit-ws-raw"


def recorded_messages() -> list[bytes]:
    """Every recorded websocket message from the venue, as it came."""
    if not RAW.exists():
        pytest.skip("deribit-ws-raw is not beside the repository")
    messages = []
    with gzip.open(RAW / "cryptofeed_deribit_ws_20210722.log.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            _, is_message, text = line.partition(": {")
            if is_message and not line.startswith("wss:"):
                messages.append(("{" + text).strip().encode())
    messages += (RAW / "tardis_node_deribit_messages.ndjson").read_bytes().splitlines()
    messages += [path.read_bytes() for path in sorted((RAW / "nautilus_deribit").glob("ws_*.json"))]
    return messages
