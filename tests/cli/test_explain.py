"""`flatbook explain`: a quote taken apart, in words and as a document; wrong inputs in a line."""

from pathlib import Path

import polars as pl
import pytest

from flatbook.store.series import read_series

from .conftest import Flatbook


@pytest.fixture
def ended_run(flatbook: Flatbook, tmp_path: Path) -> Path:
    words = ("run", "--headless", "--hours", "0.03", "--json", "--out", tmp_path)
    return tmp_path / str(flatbook(*words).document["run"]["id"])


def test_a_quote_in_words_and_as_a_document(flatbook: Flatbook, ended_run: Path) -> None:
    quotes = read_series(ended_run, "quotes").filter(pl.col("bid").is_not_nan())
    name = str(quotes["instrument"][-1])
    told = flatbook("explain", ended_run, "--instrument", name)
    assert (told.code, told.err) == (0, "")
    for line in ("= fair value", "∓ spread", "∓ inventory", "± clamps", "own width", "rests at the venue"):
        assert line in told.out
    assert max(map(len, told.out.splitlines())) <= 80
    found = flatbook("explain", ended_run, "--instrument", name, "--side", "bid", "--json").document
    assert "ask" not in found
    assert sum(part["coin"] for part in found["bid"]["parts"]) == pytest.approx(found["bid"]["price_coin"], abs=1e-12)
    for wrong, complaint in (
        (("--instrument", "BTC-PERPETUAL"), "BTC-PERPETUAL: the run quotes coin-settled options on BTC alone"),
        (("--instrument", "nonsense"), "instrument 'nonsense' is not a Deribit name"),
        (("--instrument", name, "--at", "2026-02-01T00:00"), "--at 2026-02-01T00:00:00.000Z: "),
        (("--instrument", name, "--at", "noon"), "time 'noon' is not ISO-8601"),
        (("--instrument", name, "--side", "both"), "--side both: give bid or ask"),
    ):
        ended = flatbook("explain", ended_run, *wrong)
        assert ended.code == 2
        assert ended.complaint.startswith(complaint)


def test_a_directory_without_a_run(flatbook: Flatbook, tmp_path: Path) -> None:
    ended = flatbook("explain", tmp_path, "--instrument", "BTC-30JAN26-95000-C")
    assert ended.code == 2
    assert "is not a run directory" in ended.complaint
