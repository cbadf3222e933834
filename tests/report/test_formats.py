import math

import pytest

from flatbook.domain.units import NS_PER_DAY, NS_PER_SECOND, parse_utc
from flatbook.report import formats


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1234.4, "+$1,234"), (-0.6, "−$1"), (-0.4, "$0"), (0.0, "$0"), (None, "–"), (math.nan, "–"), (math.inf, "–")],
)
def test_usd(value: float | None, shown: str) -> None:
    assert formats.usd(value, signed=True) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.44, "0.4 s"), (12, "12 s"), (89.9, "90 s"), (90, "2 min"), (5_400, "2 h"), (200_000, "2 d"), (math.nan, "–")],
)
def test_age(seconds: float, shown: str) -> None:
    assert formats.age(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0123456, "0.0123 BTC"), (250.5, "250.50 BTC"), (-0.5, "−0.5000 BTC"), (None, "–")]
)
def test_coin(value: float | None, shown: str) -> None:
    assert formats.coin(value, "BTC") == shown


def test_shares_and_times() -> None:
    assert formats.share(0.0714) == "7.1 %"
    assert formats.share(None) == "–"
    assert formats.moment(parse_utc("2025-04-03T11:54:09"), seconds=True) == "3 Apr 2025 11:54:09"
    assert formats.expiry(parse_utc("2025-04-04T08:00")) == "4APR25"


@pytest.mark.parametrize(
    ("length_s", "shown"), [(42, "42 s"), (125, "2 min 5 s"), (8 * 3600 + 300, "8 h 5 min"), (0, "0 s")]
)
def test_span(length_s: int, shown: str) -> None:
    assert formats.span(length_s * NS_PER_SECOND) == shown


def test_span_of_days() -> None:
    assert formats.span(3 * NS_PER_DAY + 17 * 3_600 * NS_PER_SECOND) == "3 d 17 h"
