"""`flatbook exchange`: what it refuses, in one line; a server that answers and ends by Ctrl-C."""

import json
import signal
import subprocess
import sys

import httpx
import pytest

from .conftest import Flatbook


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--pace max", "clients live by the clock"),
        ("--client alice", "write it as ID:SECRET"),
        ("--client a:b --client a:c", "each name once"),
        ("--hours 0", "use more than 0"),
        ("--session nowhere", "no such directory"),
        ("--start yesterday", "is not ISO-8601"),
    ],
)
def test_what_cannot_be_served_is_one_line_and_2(flatbook: Flatbook, words: str, says: str) -> None:
    ended = flatbook("exchange", *words.split())
    assert ended.code == 2
    assert says in ended.complaint


@pytest.mark.slow
def test_it_serves_until_it_is_interrupted() -> None:
    words = [
        sys.executable,
        "-c",
        "from flatbook.cli import main; main()",
        "exchange",
        "--port",
        "0",
        "--hours",
        "0.1",
        "--json",
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            text += server.stdout.readline()
        places = json.loads(text)
        found = httpx.get(f"{places['http']}/public/get_index_price", params={"index_name": "btc_usd"}, timeout=20)
        assert found.json()["result"]["index_price"] > 0
        server.send_signal(signal.SIGINT)
        assert server.wait(10) == 0
