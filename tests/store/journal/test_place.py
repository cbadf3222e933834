"""Which journal a URL means, and what of it may be written."""

import sys
from pathlib import Path

import pytest

from flatbook.domain.errors import BadInputError
from flatbook.store.journal import JOURNAL_FILE, create_journal, has_journal, masked_url, open_journal, read_journal

from .rows import HEADER, write_records


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://desk@host/books", "postgresql://desk@host/books"),
        ("postgresql://desk:secret@host:5433/books", "postgresql://desk:***@host:5433/books"),
        ("postgres://desk:a%40b@/books?host=/run/pg", "postgres://desk:***@/books?host=/run/pg"),
        ("postgresql://host/books?user=desk&password=secret", "postgresql://host/books?user=desk&password=***"),
        ("postgresql://h/b?sslmode=require&sslpassword=s", "postgresql://h/b?sslmode=require&sslpassword=***"),
    ],
)
def test_what_is_secret_in_a_url_is_masked(url: str, masked: str) -> None:
    assert masked_url(url) == masked


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://desk:hidden@host/books", "not a URL of PostgreSQL; use postgresql://USER@HOST/DATABASE, or sqlite"),
        ("hidden", "not a URL of PostgreSQL"),
        ("postgresql://desk:hidden@host:port/books", "not a URL of PostgreSQL"),
        ("postgresql://desk:5432/hidden@host/books", "in a password write @ as %40, / as %2F"),
        ("postgresql://desk:1?hidden@host/books", "in a password write"),
        ("postgresql://desk:1#hidden@host/books", "in a password write"),
    ],
)
def test_a_url_that_cannot_be_used_is_not_shown(tmp_path: Path, url: str, says: str) -> None:
    with pytest.raises(BadInputError) as refused:
        create_journal(tmp_path, HEADER, url)
    assert says in str(refused.value)
    assert "hidden" not in str(refused.value)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("url", [None, "sqlite"])
def test_a_file_without_a_url(tmp_path: Path, url: str | None) -> None:
    assert not has_journal(tmp_path)
    with create_journal(tmp_path, HEADER, url) as journal:
        write_records(journal, 2)
    assert has_journal(tmp_path)
    assert (tmp_path / JOURNAL_FILE).is_file()
    with open_journal(tmp_path, "postgresql://desk@nowhere.invalid/books") as journal:
        assert journal.next_seq == 3, "the directory knows better than a setting for all runs"
    with read_journal(tmp_path) as journal:
        assert journal.next_seq == 3


def test_a_directory_that_does_not_say_where(tmp_path: Path) -> None:
    (tmp_path / "journal.toml").write_text('run_id = "r"')
    with pytest.raises(BadInputError, match=r"journal\.toml: does not say where the journal is \('url'\)"):
        read_journal(tmp_path)


def test_without_the_libraries_the_line_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    monkeypatch.delitem(sys.modules, "flatbook.store.journal.postgres", raising=False)
    with pytest.raises(
        BadInputError, match=r"needs sqlalchemy, which is not installed; run: pip install 'flatbook\[po"
    ):
        create_journal(tmp_path, HEADER, "postgresql://desk@host/books")
