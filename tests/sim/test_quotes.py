"""The table of live quotes: changes wait for their time, and bad ones leave nothing standing."""

import numpy as np
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import parse_utc
from flatbook.engine.effects import QuoteChanges
from flatbook.sim.quotes import LiveQuotes

from .builders import CALL, REFERENCE, quote

OTHER = "BTC-4APR25-90000-C"


@pytest.fixture
def quotes() -> LiveQuotes:
    table = LiveQuotes()
    for row, name in enumerate((CALL, OTHER)):
        table.list_instrument(row, REFERENCE.instrument(name))
    return table


def apply(quotes: LiveQuotes, now_ns: int) -> list[int]:
    """Rows refused until `now_ns`."""
    refused = [row for _, rows in quotes.apply_until(now_ns) for row in rows.tolist()]
    quotes.invariant()
    return refused


def test_a_change_takes_effect_once_its_time_has_passed(quotes: LiveQuotes) -> None:
    quotes.queue(100, quote(0, (40, 5), (45, 5)))
    apply(quotes, 100)
    assert quotes.standing(0, 1, 100) == (0, 0)
    apply(quotes, 101)
    assert quotes.standing(0, 1, 101) == (40, 5)
    assert quotes.standing(0, -1, 101) == (45, 5)
    assert quotes.standing(1, 1, 101) == (0, 0)


def test_changes_never_overtake_each_other(quotes: LiveQuotes) -> None:
    quotes.queue(200, quote(0, (40, 5), None))
    quotes.queue(150, quote(0, (41, 5), None))
    apply(quotes, 160)
    assert quotes.standing(0, 1, 160) == (0, 0)
    apply(quotes, 201)
    assert quotes.standing(0, 1, 201) == (41, 5)


@pytest.mark.parametrize(
    ("bid", "ask"),
    [
        ((45, 5), (45, 5)),
        ((46, 5), (45, 5)),
        ((0, 5), (45, 5)),
        ((52, 5), (60, 5)),
        ((40, 5), (61, 5)),
        ((40, -1), (45, 5)),
    ],
    ids=["locked", "crossed", "zero price", "bid off grid", "ask off grid", "negative size"],
)
def test_a_bad_quote_is_refused_and_leaves_none(quotes: LiveQuotes, bid: tuple[int, int], ask: tuple[int, int]) -> None:
    quotes.queue(0, quote(0, (40, 5), (45, 5)))
    quotes.queue(1, quote(0, bid, ask))
    assert apply(quotes, 10) == [0]
    assert quotes.standing(0, 1, 10)[1] == quotes.standing(0, -1, 10)[1] == 0


def test_prices_of_sides_without_size_are_not_judged(quotes: LiveQuotes) -> None:
    quotes.queue(0, quote(0, None, (45, 5)))
    assert apply(quotes, 10) == []
    assert quotes.standing(0, -1, 10) == (45, 5)


def test_nothing_stands_on_a_contract_that_has_expired(quotes: LiveQuotes) -> None:
    expiry_ns = parse_utc("2025-04-04T08:00")
    quotes.queue(0, quote(0, (40, 5), (45, 5)))
    apply(quotes, expiry_ns)
    assert quotes.standing(0, 1, expiry_ns - 1) == (40, 5)
    assert quotes.standing(0, 1, expiry_ns) == (0, 0)
    rows = np.array([0, 1])
    assert quotes.columns(rows, expiry_ns - 1)[1].tolist() == [5, 0]
    assert quotes.columns(rows, expiry_ns)[1].tolist() == [0, 0]


def test_fills_reduce_what_stands(quotes: LiveQuotes) -> None:
    quotes.queue(0, quote(0, (40, 5), (45, 5)))
    apply(quotes, 1)
    quotes.take(0, 1, 3)
    quotes.take(0, -1, 5)
    assert quotes.standing(0, 1, 1) == (40, 2)
    assert quotes.standing(0, -1, 1) == (45, 0)
    quotes.invariant()


def test_rows_are_given_once_and_in_order(quotes: LiveQuotes) -> None:
    with pytest.raises(BadInputError, match="rows are given once"):
        quotes.list_instrument(5, REFERENCE.instrument("BTC-4APR25-95000-C"))
    with pytest.raises(BadInputError, match="rows are given once"):
        quotes.list_instrument(2, REFERENCE.instrument(CALL))
    with pytest.raises(BadInputError, match="only 2 are listed"):
        quotes.queue(0, quote(2, (40, 5), None))


def test_the_table_grows_with_its_rows(quotes: LiveQuotes) -> None:
    for row in range(2, 700):
        quotes.list_instrument(row, REFERENCE.instrument(f"BTC-4APR25-{90_000 + row}-C"))
    rows = np.arange(700)
    sizes = np.full(700, 3)
    quotes.queue(0, QuoteChanges(rows, np.full(700, 40), sizes, np.full(700, 45), sizes))
    assert apply(quotes, 1) == []
    assert quotes.standing(699, -1, 1) == (45, 3)
