"""Names of what is made anew."""

import re
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.app import naming
from flatbook.app.naming import plain_name, stamped_name


@given(st.text())
def test_any_text_becomes_part_of_a_plain_name(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._-]*", plain_name(text))


def test_a_plain_name_stays(tmp_path: Path) -> None:
    assert plain_name("price_of-risk.2") == "price_of-risk.2"
    assert re.fullmatch(r"\d{8}-\d{6}-advanced", stamped_name(tmp_path, "advanced"))
    assert stamped_name(tmp_path / "not yet there", "x").endswith("-x")


def test_a_name_is_given_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Standing(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls(2026, 1, 5, 7, 8, 9, tzinfo=tz)

    monkeypatch.setattr(naming, "datetime", Standing)
    for expected in ("20260105-070809-x", "20260105-070809-x-2", "20260105-070809-x-3"):
        name = stamped_name(tmp_path, "x")
        assert name == expected
        (tmp_path / name).mkdir()


def test_what_is_kept_with_that_of_others_is_told_from_it(tmp_path: Path) -> None:
    names = {stamped_name(tmp_path, "x", is_shared=True) for _ in range(20)}
    assert len(names) == 20
    assert all(re.fullmatch(r"\d{8}-\d{6}-x-[0-9a-f]{6}", name) for name in names)
