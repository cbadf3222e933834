"""`flatbook run`: what it prints, where, how it ends, and what it says to input it cannot use."""

import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from flatbook.domain.units import parse_utc
from flatbook.policies import shipped_policies

from ..sim.books.drawn import PERPETUAL, SPOT, drawn_book, walk_usd, write_books
from .conftest import Flatbook

QUICK = ("run", "--headless", "--hours", "0.02", "--policy", "primitive")


def test_json_is_one_document_the_report_and_nothing_else(flatbook: Flatbook, tmp_path: Path) -> None:
    ended = flatbook(*QUICK, "--json", "--out", tmp_path)
    assert ended.code == 0
    assert ended.err == ""
    (directory,) = tmp_path.iterdir()
    assert ended.document == json.loads((directory / "report.json").read_text())
    assert ended.document["run"]["id"] == directory.name
    assert (ended.document["run"]["policy"], ended.document["run"]["session"]) == ("primitive", None)


def test_in_words_the_tear_sheet_and_where_the_report_is(flatbook: Flatbook, tmp_path: Path) -> None:
    ended = flatbook(*QUICK, "--out", tmp_path)
    assert ended.code == 0
    (directory,) = tmp_path.iterdir()
    assert ended.out.startswith("primitive on the simulated market")
    assert "P&L" in ended.out
    assert ended.err == f"report: {directory / 'report.html'}\n"


def test_the_live_page_is_named_on_stderr_unless_headless(flatbook: Flatbook, tmp_path: Path) -> None:
    words = [word for word in QUICK if word != "--headless"]
    ended = flatbook(*words, "--json", "--out", tmp_path, "--port", "0")
    assert ended.code == 0
    assert re.fullmatch(r"live page: http://127\.0\.0\.1:\d+/\n", ended.err)
    assert ended.document["flow"]["fills"] >= 0


def test_a_recorded_session_from_to_and_on(
    flatbook: Flatbook, morning: Path, keen_policy: Path, tmp_path: Path
) -> None:
    words = ("run", "--headless", "--json", "--session", morning, "--policy", keen_policy, "--out", tmp_path)
    span = flatbook(*words, "--from", "2026-01-06T07:00", "--to", "2026-01-06T07:09")
    assert span.code == 0
    clock = pl.read_parquet(morning / "trades.parquet")["local_ts_ns"]
    from_ns, run = 1_767_682_800_000_000_000, span.document["run"]
    assert run["from_ns"] == from_ns
    to_ns = from_ns + 10 * 60 * 10**9
    assert run["trades_seen"] == clock.is_between(from_ns, to_ns, closed="left").sum() > 0, "the last minute included"
    again = flatbook("run", "--headless", "--json", "--resume", tmp_path / run["id"])
    assert again.document["run"]["state_sha256"] == run["state_sha256"]


def test_a_policy_of_ones_own_by_its_file(flatbook: Flatbook, keen_policy: Path, tmp_path: Path) -> None:
    words = ("run", "--headless", "--json", "--hours", "0.02", "--out", tmp_path)
    assert flatbook(*words, "--policy", keen_policy).document["run"]["policy"] == "keen"


Spoil = Callable[[Path], object]


def _rewrite(table: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Spoil:
    def spoil(session: Path) -> None:
        path = session / f"{table}.parquet"
        change(pl.read_parquet(path)).write_parquet(path)

    return spoil


def _truncate(session: Path) -> None:
    path = session / "trades.parquet"
    path.write_bytes(path.read_bytes()[:-200])


def _first(column: str, value: object) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)
    )


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_truncate, r"trades\.parquet: not a whole Parquet file \(.*\); fetch or import it again"),
        (_rewrite("index", pl.DataFrame.reverse), r"index\.parquet: row 1: local_ts_ns .* is before the row above it"),
        (_rewrite("trades", _first("iv", -0.5)), r"trades\.parquet: row 0: iv is -0\.5; it must be above zero"),
        (_rewrite("chain", _first("bid_iv", -0.1)), r"chain\.parquet: row 0: bid_iv is -0\.1; it must be above zero"),
        (_rewrite("index", lambda frame: frame.drop("price_usd")), r"index\.parquet: column 'price_usd' is missing"),
        (_rewrite("trades", _first("taker_side", 0)), r"trades\.parquet: row 0: taker_side is 0; it must be \+1"),
        (lambda session: (session / "session.toml").unlink(), r"is not a session directory: it has no session\.toml"),
    ],
    ids=["truncated", "clock backwards", "negative vol", "negative chain vol", "no column", "no side", "no toml"],
)
def test_a_session_that_cannot_be_used_is_one_line_and_2(
    flatbook: Flatbook, morning: Path, tmp_path: Path, spoil: Spoil, says: str
) -> None:
    session = Path(shutil.copytree(morning, tmp_path / "session"))
    spoil(session)
    ended = flatbook("run", "--headless", "--json", "--session", session, "--out", tmp_path / "runs")
    assert ended.code == 2
    assert re.search(says, ended.complaint)
    assert str(session) in ended.complaint
    assert not (tmp_path / "runs").exists(), "nothing is half-written"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_rewrite("trades", _first("instrument", "BTC-PERP")), "trade of an unknown instrument (1)"),
        (_rewrite("chain", _first("bid", 9.0)), "crossed quote (1)"),
        (_rewrite("trades", _first("price", 0.00512345)), "trade price off the tick (1)"),
    ],
    ids=["unknown instrument", "crossed market", "off the tick"],
)
def test_rows_that_mean_nothing_are_set_aside_counted_and_the_run_goes_on(
    flatbook: Flatbook, morning: Path, tmp_path: Path, spoil: Spoil, reason: str
) -> None:
    session = Path(shutil.copytree(morning, tmp_path / "session"))
    _rewrite("chain", _first("ask", 1.0))(session)
    spoil(session)
    words = ("run", "--headless", "--json", "--policy", "primitive", "--session", session, "--out", tmp_path / "runs")
    ended = flatbook(*words, "--to", "2026-01-06T06:40")
    assert ended.code == 0
    assert ended.err == f"{session}: set aside: {reason}\n"
    assert [entry["text"] for entry in ended.document["log"] if entry["kind"] == "session"] == [f"set aside: {reason}"]


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("size_coin", "size_coins", r"mine\.toml:7: quoting\.size_coins is not a field of a policy; known here are"),
        ("half_spread_vol = 0.001", "half_spread_vol = -0.001", r"mine\.toml:8: quoting\.half_spread_vol: .* 0"),
        ("[hedging]", "[hegding]", r"mine\.toml:\d+: hegding is not a field of a policy; known here are .*hedging"),
        ('"price_of_risk"', '"price_of_rsik"', r"mine\.toml:6: quoting\.skew: .*'none', 'position', 'price_of_risk', "),
        ('name = "keen"', "name = keen", r"mine\.toml: not TOML: .*line 2"),
        ("every_s = 20.0", 'every_s = "often"', r"mine\.toml:\d+: hedging\.every_s: .* number"),
    ],
    ids=["misspelt field", "negative vol", "misspelt section", "unknown rule", "not TOML", "not a number"],
)  # fmt: skip
def test_a_policy_that_cannot_be_run_is_one_line_with_its_place_and_4(
    flatbook: Flatbook, keen_policy: Path, tmp_path: Path, was: str, becomes: str, says: str
) -> None:
    policy, text = tmp_path / "mine.toml", keen_policy.read_text()
    assert was in text
    policy.write_text(text.replace(was, becomes, 1))
    ended = flatbook("run", "--headless", "--policy", policy, "--out", tmp_path / "runs")
    assert ended.code == 4
    assert re.search(says, ended.complaint), ended.complaint
    assert not (tmp_path / "runs").exists()


def test_a_policy_nobody_knows_is_4(flatbook: Flatbook) -> None:
    ended = flatbook("run", "--headless", "--policy", "advnaced")
    assert ended.code == 4
    assert ended.complaint == f"policy 'advnaced' is neither a file nor one of {', '.join(shipped_policies())}"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--session {morning} --from 2026-01-06T08:00 --to 2026-01-06T07:00", "--from is not before --to; swap them"),
        ("--session {morning} --from yesterday", "time 'yesterday' is not ISO-8601; write it as 2025-03-30T18:25"),
        ("--session {morning} --from 2026-02-01", "nothing of what --from and --to ask for"),
        ("--session {morning} --hours 3", "--hours is for the simulated market"),
        ("--session nowhere", "--session nowhere: no such directory; make one with flatbook data import"),
        ("--session {file}", "no such directory"),
        ("--from 2026-01-06", "--from and --to choose a part of a recorded session; give --session, or use --hours"),
        ("--hours 200000", "a simulation of 200000.0 hours cannot be run"),
        ("--pace 0x", "--pace '0x': use max, real, or a multiple such as 60x"),
        ("--pace quick", "--pace 'quick': use max, real, or a multiple such as 60x"),
        ("--out {file}", "no run directory can be made there"),
        ("--resume nowhere", "nowhere is not a run directory: it has no journal.sqlite"),
        ("--resume nowhere --seed 1", "--seed beside --resume: a run goes on as it was begun; leave --seed out"),
        ("--resume nowhere --from 2026-01-06", "--from beside --resume"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_2(
    flatbook: Flatbook, morning: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.file").write_text("")
    filled = words.format(morning=morning, file=tmp_path / "a.file").split()
    ended = flatbook("run", "--headless", "--json", *filled)
    assert ended.code == 2
    assert says in ended.complaint
    assert [path.name for path in tmp_path.iterdir()] == ["a.file"]


def test_a_journal_that_was_changed_is_one_line_and_2(flatbook: Flatbook, tmp_path: Path) -> None:
    run = flatbook(*QUICK, "--json", "--out", tmp_path).document["run"]["id"]
    journal = tmp_path / run / "journal.sqlite"
    content = bytearray(journal.read_bytes())
    found = content.find(b'"seed":1')
    assert found > 0
    content[found + 7] = ord("2")
    journal.write_bytes(content)
    ended = flatbook("run", "--headless", "--json", "--resume", tmp_path / run)
    assert ended.code == 2
    assert "journal.sqlite: damaged: the header fails its checksum; restore it from a copy" in ended.complaint


def test_a_torn_last_record_is_said_and_made_again(flatbook: Flatbook, tmp_path: Path) -> None:
    run = flatbook(*QUICK, "--json", "--out", tmp_path).document["run"]
    database = sqlite3.connect(tmp_path / run["id"] / "journal.sqlite")
    database.execute("UPDATE checkpoint SET digest = x'00' WHERE number = (SELECT max(number) FROM checkpoint)")
    database.commit()
    database.close()
    (tmp_path / run["id"] / "run.lock").write_text("4194300")
    ended = flatbook("run", "--headless", "--json", "--resume", tmp_path / run["id"])
    assert ended.code == 0
    ended_before, torn = ended.err.splitlines()
    assert "journal.sqlite: process 4194300 did not end in order; its run goes on from its start" in ended_before
    assert re.search(r"its last record was torn \(checkpoint \d+ fails its checksum\): dropped; it goes on from", torn)
    assert ended.document["run"]["state_sha256"] == run["state_sha256"]


def test_a_run_may_begin_with_a_book(flatbook: Flatbook, tmp_path: Path) -> None:
    book = tmp_path / "book.csv"
    book.write_text("instrument,size,price\nBTC-PERPETUAL,20000,85000\n", encoding="utf-8")
    ended = flatbook("run", "--hours", 0.02, "--headless", "--book", book, "--out", tmp_path / "runs", "--json")
    assert ended.code == 0
    assert ended.document["ledger"]["positions_open"] >= 1
    assert flatbook("run", "--book", tmp_path / "none.csv").complaint.startswith(f"{tmp_path / 'none.csv'}: cannot be")


def test_order_books_are_a_market_and_what_it_lacks_is_said(flatbook: Flatbook, tmp_path: Path) -> None:
    books = {
        name: (contract, drawn_book(contract, name, walk_usd(100, 1), parse_utc("2024-08-09T00:00"), 2))
        for name, contract in (("BTC-PERPETUAL", PERPETUAL), ("BTC_USDT", SPOT))
    }
    session = write_books(tmp_path / "books", books)
    (tmp_path / "book.csv").write_text("instrument,size\nBTC-30AUG24-60000-C,-40\n", encoding="utf-8")
    market = ("--session", session, "--book", tmp_path / "book.csv")
    words = ("run", "--headless", "--json", *market, "--out", tmp_path / "runs")
    ended = flatbook(*words, "--vol", "0.5", "--order-ms", "20")
    assert ended.code == 0
    assert ended.err.startswith("options: none are quoted in ")
    assert "flat vol of 50%" in ended.err
    assert ended.document["hedges"]["count"] > 0
    resumed = flatbook("run", "--resume", tmp_path / "runs" / ended.document["run"]["id"], "--vol", "0.5")
    assert (resumed.code, resumed.err.count("\n")) == (2, 1)
    assert "--vol beside --resume" in resumed.err
    apart = flatbook("run", "--hours", "0.02", "--hedge-session", session)
    assert (apart.code, apart.err.count("\n")) == (2, 1)
    assert "nothing of both; choose sessions of the same time" in apart.err
