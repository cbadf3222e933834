"""Whole or not there."""

from pathlib import Path

import pytest

from flatbook.domain.errors import BadInputError
from flatbook.store.atomic import new_directory, new_file, write_text


def _fail_in_file(target: Path) -> None:
    with new_file(target) as scratch:
        scratch.write_text("half")
        raise TimeoutError


def _fail_in_directory(target: Path) -> None:
    with new_directory(target) as scratch:
        (scratch / "a").write_text("1")
        raise TimeoutError


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    write_text(target, "old")
    with new_file(target) as scratch:
        scratch.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_write_leaves_the_old_file_and_no_scratch(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    write_text(target, "old")
    with pytest.raises(TimeoutError):
        _fail_in_file(target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_directory_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "session"
    with new_directory(target) as scratch:
        (scratch / "a").write_text("1")
        assert not target.exists()
    assert [file.name for file in target.iterdir()] == ["a"]
    assert list(target.parent.iterdir()) == [target]


def test_a_failed_directory_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        _fail_in_directory(tmp_path / "session")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_directory_may_be_filled_and_a_full_one_not(tmp_path: Path) -> None:
    target = tmp_path / "session"
    target.mkdir()
    with new_directory(target) as scratch:
        (scratch / "a").write_text("1")
    with pytest.raises(BadInputError, match=r"session already exists; name another"), new_directory(target):
        pass
    assert (target / "a").read_text() == "1"
