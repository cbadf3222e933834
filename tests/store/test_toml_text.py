"""What is written as TOML reads back the same."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import ConfigurationError
from flatbook.store.toml_text import to_toml

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), _TEXT
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_TEXT, inner, max_size=4)),
    max_leaves=12,
)


@given(st.dictionaries(_TEXT, _VALUES, max_size=5))
def test_round_trip(table: dict[str, object]) -> None:
    assert tomllib.loads(to_toml(table)) == table


def test_none_is_left_out_and_infinity_kept() -> None:
    assert tomllib.loads(to_toml({"a": None, "b": float("inf"), "c": {"d": None}})) == {"b": float("inf"), "c": {}}


def test_a_value_without_a_form_is_named_by_its_path() -> None:
    with pytest.raises(ConfigurationError, match=r"^run\.clock: .*object.* has no form in TOML"):
        to_toml({"run": {"clock": object()}})
