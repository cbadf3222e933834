"""Margin parameters as dated data."""

import pytest

from flatbook.domain.errors import BadInputError, ConfigurationError
from flatbook.domain.units import parse_utc
from flatbook.venues.margin import MODELS, edition_at, editions
from tests.risk.margin.columns import Row, contracts


@pytest.mark.parametrize("name", MODELS)
def test_every_edition_says_since_when_and_who_says_so(name: str) -> None:
    found = editions(name)
    assert all(edition.source and edition.since_ns for edition in found)
    assert len({edition.since_ns for edition in found}) == len(found)


def test_the_edition_in_force_is_the_last_that_has_begun() -> None:
    before, note = edition_at("derive_pm", parse_utc("2025-12-31"))
    after, _ = edition_at("derive_pm", parse_utc("2026-01-15"))
    assert (before.since, note) == ("2025-02-18", None)
    assert after.since == "2026-01-15"
    assert before.model != after.model


def test_before_the_first_the_first_is_taken_and_said() -> None:
    edition, note = edition_at("okx", parse_utc("2020-03-12"))
    assert edition.since == "2025-01-15"
    assert note is not None
    assert "its first parameters are of 2025-01-15" in note


def test_a_model_that_nobody_knows() -> None:
    with pytest.raises(BadInputError, match="--model cme: no such margin model; there are deribit_pm"):
        editions("cme")


def test_an_underlying_without_parameters_is_an_error_of_the_data() -> None:
    model = editions("derive_sm")[0].model.model_copy(update={"underlying": {}})
    with pytest.raises(ConfigurationError, match="no underlying 'BTC' and no default"):
        model.requirement(contracts([Row()]))
