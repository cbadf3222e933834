"""`flatbook surface fit`: a chain file in; a table, a document and a picture out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flatbook.domain.units import NS_PER_DAY, NS_PER_HOUR, format_utc, parse_utc
from flatbook.market.chain_snapshot import ChainSnapshot
from tests.cli.conftest import Flatbook
from tests.market_calibration.builders import NOW_NS, Quoting, chain, later, smile, with_rows

EXPIRY_NS = [parse_utc(f"{day}T08:00") for day in ("2026-02-03", "2026-02-13", "2026-03-27")]
EXPIRIES = [smile((expiry_ns - NOW_NS) / NS_PER_DAY) for expiry_ns in EXPIRY_NS]
LATER_NS = NOW_NS + NS_PER_HOUR


def write(path: Path, *snapshots: ChainSnapshot, coin: str = "BTC") -> Path:
    """A table of quotes under the venue's names, a run for each snapshot."""
    frames = []
    for number, snapshot in enumerate(snapshots):
        days = [datetime.fromtimestamp(expiry / 1e9, tz=UTC) for expiry in snapshot.expiry_ns.tolist()]
        names = [
            f"{coin}-{day.day}{day:%b%y}-{strike:.0f}-{'C' if sign > 0 else 'P'}".upper()
            for day, strike, sign in zip(days, snapshot.strike_usd, snapshot.sign, strict=True)
        ]
        frames.append(
            pl.DataFrame(
                {
                    "instrument_name": names,
                    "timestamp": [format_utc(snapshot.ts_ns)] * len(names),
                    "run_id": [f"run {number}"] * len(names),
                    "bid_price": snapshot.bid,
                    "ask_price": snapshot.ask,
                    "underlying_price": snapshot.forward_usd,
                    "index_price": [snapshot.index_usd] * len(names),
                }
            )
        )
    pl.concat(frames).fill_nan(None).write_csv(path)
    return path


def drawn() -> ChainSnapshot:
    return chain(EXPIRIES, Quoting(decimals=0, tick=1e-7))


@pytest.fixture
def one_chain(tmp_path: Path) -> Path:
    """A file with one chain."""
    return write(tmp_path / "chain.csv", drawn())


def test_a_chain_gives_a_table_and_a_picture(one_chain: Path, tmp_path: Path, flatbook: Flatbook) -> None:
    ended = flatbook("surface", "fit", one_chain, "--out", tmp_path / "pictures")
    assert ended.code == 0, ended.err
    assert "3 of 3 expiries fitted, no arbitrage" in ended.out
    for name in ("3FEB26", "13FEB26", "27MAR26"):
        assert f"\n{name}" in ended.out
    page = tmp_path / "pictures" / "surface.html"
    assert ended.err == f"picture: {page}\n"
    assert "<h1>BTC surface" in page.read_text(encoding="utf-8")


def test_one_json_document_and_nothing_else(one_chain: Path, tmp_path: Path, flatbook: Flatbook) -> None:
    page = tmp_path / "here.html"
    ended = flatbook("surface", "fit", one_chain, "--json", "--out", page)
    assert ended.code == 0
    document = json.loads(ended.out)
    assert document["picture"] == str(page)
    assert page.exists()
    assert [row["expiry"] for row in document["expiries"]] == ["3FEB26", "13FEB26", "27MAR26"]
    assert {row["status"] for row in document["expiries"]} == {"fitted"}
    assert document["expiries"][1]["atm_vol"] == pytest.approx(float(EXPIRIES[1].vol(np.zeros(1))[0]), abs=5e-3)


def test_of_several_chains_the_last_is_taken_and_said_or_the_one_asked_for(tmp_path: Path, flatbook: Flatbook) -> None:
    silent = with_rows(drawn(), drawn().expiry_ns == EXPIRY_NS[1], bid=np.nan, ask=np.nan)
    path = write(tmp_path / "two.csv", drawn(), later(with_rows(silent, silent.sign > 0, bid_iv=np.nan), 1.0))
    last = flatbook("surface", "fit", path, "--json")
    assert "holds 2 chains; taken is the last, of 2026-02-02T03:40:00.000Z; --at takes another" in last.err
    assert last.document["time"] == format_utc(LATER_NS)
    first = flatbook("surface", "fit", path, "--json", "--at", "2026-02-02T03:39")
    assert first.err == ""
    assert first.document["time"] == format_utc(NOW_NS)
    assert [row["status"] for row in first.document["expiries"]] == ["fitted"] * 3


def test_the_chain_before_lends_its_slice_where_a_chain_has_too_few_quotes(tmp_path: Path, flatbook: Flatbook) -> None:
    sparse = drawn()
    kept = np.unique(sparse.strike_usd[sparse.expiry_ns == EXPIRY_NS[1]])[11:14]
    dropped = (sparse.expiry_ns == EXPIRY_NS[1]) & ~np.isin(sparse.strike_usd, kept)
    path = write(tmp_path / "two.csv", drawn(), later(with_rows(sparse, dropped, bid=np.nan), 1.0))
    ended = flatbook("surface", "fit", path)
    assert ended.code == 0
    assert "13FEB26 is aged 60 min: strikes quoted on both sides: 3; needed: 5" in ended.out


def test_an_expiry_that_cannot_be_fitted_ends_with_three(tmp_path: Path, flatbook: Flatbook) -> None:
    loud = drawn()
    alternating = np.where(np.arange(loud.sign.size) % 2 == 0, 4.0, 1.0)
    of = loud.expiry_ns == EXPIRY_NS[1]
    path = write(tmp_path / "loud.csv", with_rows(loud, of, bid=loud.bid * alternating, ask=loud.ask * alternating))
    ended = flatbook("surface", "fit", path)
    assert ended.code == 3
    assert "13FEB26 is missing: " in ended.out


def test_bad_input_is_one_line(one_chain: Path, tmp_path: Path, flatbook: Flatbook) -> None:
    assert "no such file" in flatbook("surface", "fit", tmp_path / "none.csv").complaint
    assert "not ISO-8601" in flatbook("surface", "fit", one_chain, "--at", "noon").complaint
    assert "no chain of 'ETH'" in flatbook("surface", "fit", one_chain, "--underlying", "ETH").complaint
    assert "no chain of BTC at or before" in flatbook("surface", "fit", one_chain, "--at", "2020-01-01").complaint
    blocked = flatbook("surface", "fit", one_chain, "--out", one_chain / "inside")
    assert blocked.code == 2
    assert "inside/surface.html cannot be written (Not a directory)" in blocked.complaint


def test_several_underlyings_ask_for_one(tmp_path: Path, flatbook: Flatbook) -> None:
    path = write(tmp_path / "both.csv", drawn())
    other = write(tmp_path / "eth.csv", drawn(), coin="ETH")
    pl.concat([pl.read_csv(path), pl.read_csv(other)]).write_csv(path)
    ended = flatbook("surface", "fit", path)
    assert ended.code == 2
    assert "it holds chains of BTC, ETH; name the underlying" in ended.complaint
    assert flatbook("surface", "fit", path, "--underlying", "ETH").code == 0
