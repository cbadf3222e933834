from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import (
    DECIMALS,
    NS_PER_DAY,
    NS_PER_SECOND,
    NS_PER_YEAR,
    book_amount,
    exact_units,
    format_utc,
    parse_utc,
    risk_amount,
    units_per_coin,
    years_between,
)

currencies = st.sampled_from(sorted(DECIMALS))


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("1", "BTC", 100_000_000),
        ("-0.00000001", "BTC", -1),
        ("21000000", "BTC", 2_100_000_000_000_000),
        ("0.000001", "USDC", 1),
        ("82237.15", "USD", 82_237_150_000),
        ("0", "ETH", 0),
    ],
)
def test_exact_units(amount: str, currency: str, units: int) -> None:
    assert exact_units(Decimal(amount), currency) == units
    assert risk_amount(units, currency) == float(amount)


@pytest.mark.parametrize(
    ("amount", "currency"),
    [("0.000000001", "BTC"), ("0.0000001", "USDC"), ("1.0000000000000000000000000000000001", "BTC")],
)
def test_an_amount_finer_than_the_unit_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(BadInputError, match="finer than"):
        exact_units(Decimal(amount), currency)


def test_an_unknown_currency_names_the_known_ones() -> None:
    with pytest.raises(BadInputError, match="'DOGE' is not known; use one of BTC"):
        units_per_coin("DOGE")


@given(st.integers(-(10**15), 10**15), currencies)
def test_units_survive_the_crossing_to_risk_and_back(units: int, currency: str) -> None:
    """Below 2**53 units a float carries every unit."""
    assert book_amount(risk_amount(units, currency), currency) == units


@given(st.floats(-1e6, 1e6), currencies)
def test_booking_a_float_is_off_by_half_a_unit_at_most(amount: float, currency: str) -> None:
    assert abs(Decimal(book_amount(amount, currency)) - Decimal(amount) * units_per_coin(currency)) <= Decimal("0.5")


@pytest.mark.parametrize(
    ("amount", "units"), [(0.5e-6, 0), (1.5e-6, 2), (-0.5e-6, 0), (2.0**-7, 7812), (2.0**-6, 15625)]
)
def test_booking_rounds_half_to_even(amount: float, units: int) -> None:
    """2**-7 is 7812.5 micro-dollars exactly."""
    assert book_amount(amount, "USDC") == units


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_amount_never_enters_the_books(amount: float) -> None:
    with pytest.raises(BadInputError, match="no amount"):
        book_amount(amount, "BTC")


@pytest.mark.parametrize(
    ("text", "ts_ns"),
    [
        ("1970-01-01", 0),
        ("2025-03-30T18:25", 1_743_359_100 * NS_PER_SECOND),
        ("2025-03-30T18:25Z", 1_743_359_100 * NS_PER_SECOND),
        ("2025-03-30T20:25+02:00", 1_743_359_100 * NS_PER_SECOND),
        ("2025-03-30 18:25:00.5", 1_743_359_100 * NS_PER_SECOND + 500_000_000),
        ("2025-03-30T18:25:00.123456789", 1_743_359_100 * NS_PER_SECOND + 123_456_789),
        ("2025-03-30T18:25:00.1234567Z", 1_743_359_100 * NS_PER_SECOND + 123_456_700),
        ("1969-12-31T23:59:59.999999999", -1),
    ],
)
def test_parse_utc(text: str, ts_ns: int) -> None:
    assert parse_utc(text) == ts_ns


@pytest.mark.parametrize("text", ["", "yesterday", "2025-13-01", "2025-02-29", "1743359100", "2025-03-30T25:00"])
def test_a_time_that_is_none_says_how_to_write_one(text: str) -> None:
    with pytest.raises(BadInputError, match="write it as 2025-03-30T18:25"):
        parse_utc(text)


def test_a_time_finer_than_the_clock_is_refused() -> None:
    with pytest.raises(BadInputError, match="finer than a nanosecond"):
        parse_utc("2025-03-30T18:25:00.1234567891")


@given(st.integers(0, 4 * 10**9 * 1000))
def test_format_utc_is_the_inverse_to_the_millisecond(ts_ms: int) -> None:
    assert parse_utc(format_utc(ts_ms * 1_000_000)) == ts_ms * 1_000_000


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001 the zone-less form is what is tested
def test_parse_utc_agrees_with_datetime_to_the_microsecond(moment: datetime) -> None:
    since = moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    assert parse_utc(moment.isoformat()) == (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1_000


def test_years_have_365_days_and_a_sign() -> None:
    assert years_between(0, NS_PER_YEAR) == 1.0
    assert years_between(0, 365 * NS_PER_DAY) == 1.0
    assert years_between(NS_PER_DAY, 0) == -1 / 365
