"""`flatbook live`: what it refuses, in one line; nothing is sent without --live."""

from pathlib import Path

import pytest

from flatbook.store.lock import account_lock, state_directory

from .conftest import Flatbook


def test_without_live_it_says_what_it_would_do_and_ends_with_4(flatbook: Flatbook, tmp_path: Path) -> None:
    ended = flatbook("live", "--out", str(tmp_path / "runs"))
    assert ended.code == 4
    assert "would ask the venue to pull every quote" in ended.err
    assert ended.err.splitlines()[-1] == "flatbook: nothing was sent: trading on an account needs --live"
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("--url http://www.deribit.com --live", 2, "no websocket address"),
        ("--url ws://www.deribit.com --live", 2, "is not encrypted"),
        ("--policy nobody --live", 4, "neither a file nor one of"),
        ("--live", 4, "no key to trade with; set DERIBIT_API_KEY and DERIBIT_API_SECRET"),
        ("--live --key-file nowhere", 2, "cannot be read"),
    ],
)
def test_what_cannot_trade_is_one_line(
    flatbook: Flatbook, monkeypatch: pytest.MonkeyPatch, words: str, code: int, says: str
) -> None:
    monkeypatch.delenv("DERIBIT_API_KEY", raising=False)
    monkeypatch.delenv("DERIBIT_API_SECRET", raising=False)
    ended = flatbook("live", *words.split())
    assert ended.code == code
    assert says in ended.complaint


def test_a_second_maker_on_an_account_is_refused(
    flatbook: Flatbook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in (("XDG_STATE_HOME", f"{tmp_path}"), ("LOCALAPPDATA", f"{tmp_path}")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DERIBIT_API_KEY", "alice")
    monkeypatch.setenv("DERIBIT_API_SECRET", "wh1sper")
    with account_lock("deribit", "alice", state_directory({"XDG_STATE_HOME": f"{tmp_path}"}, tmp_path)):
        ended = flatbook("live", "--live", "--url", "ws://127.0.0.1:1", "--out", f"{tmp_path / 'runs'}")
    assert ended.code == 2
    assert "is in use by process" in ended.complaint
    assert "wh1sper" not in ended.err
