import pytest

from flatbook.domain import errors

CONTRACT = {
    errors.FlatbookError: 1,
    errors.BadInputError: 2,
    errors.UnknownInstrumentError: 2,
    errors.LimitBreachedError: 3,
    errors.ConfigurationError: 4,
    errors.VenueUnreachableError: 5,
}


@pytest.mark.parametrize(("kind", "code"), CONTRACT.items())
def test_exit_codes_are_the_contract_with_scripts(kind: type[errors.FlatbookError], code: int) -> None:
    assert kind.exit_code == code


def test_every_error_is_ours_and_ends_in_error() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert len(kinds) >= 9
    assert all(issubclass(kind, errors.FlatbookError) and kind.__name__.endswith("Error") for kind in kinds)
