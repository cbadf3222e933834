import numpy as np
import pytest

from flatbook.domain.errors import BadInputError, UnknownInstrumentError
from flatbook.domain.instruments import format_expiry, parse_expiry
from flatbook.domain.units import NS_PER_DAY, parse_utc
from flatbook.market.universe import FIRST_ROWS, FIRST_SLOTS, MOST_SLOTS, Universe
from flatbook.venues.deribit import load_reference

REFERENCE = load_reference()
FIRST_EXPIRY_NS = parse_utc("2025-04-04T08:00")


def names(expiries: int, strikes: int) -> list[str]:
    dates = [format_expiry(FIRST_EXPIRY_NS + n * NS_PER_DAY) for n in range(expiries)]
    return [f"BTC-{date}-{50_000 + 1_000 * n}-{right}" for date in dates for n in range(strikes) for right in "CP"]


def test_rows_are_given_in_the_order_of_first_sight_and_never_move() -> None:
    universe, everything = Universe("BTC", REFERENCE), names(20, 30)
    assert len(everything) > FIRST_ROWS
    seen = np.random.default_rng(0).permutation(everything).tolist()
    given = [universe.row(name) for name in seen]
    assert given == list(range(len(seen)))
    assert [universe.row(name) for name in reversed(seen)] == given[::-1]
    assert universe.count == len(seen)
    assert universe.slots == 20


def test_columns_keep_every_row_when_they_grow() -> None:
    universe, everything = Universe("BTC", REFERENCE), names(20, 30)
    for name in everything:
        universe.row(name)
    assert universe.capacity >= universe.count > FIRST_ROWS
    for row, name in enumerate(everything):
        instrument = universe.instruments[row]
        _, date, strike, right = name.split("-")
        assert instrument.name == name
        assert universe.strike_usd[row] == float(strike)
        assert universe.sign[row] == (1.0 if right == "C" else -1.0)
        assert universe.expiry_ns[universe.slot[row]] == parse_expiry(date)
        assert universe.tick[row] == instrument.tick_size
        assert (universe.tick_above[row], universe.tick_coarse[row]) == (50, 5)
        assert universe.lot_coin[row] == 0.1


@pytest.mark.parametrize(
    "name", ["ETH-4APR25-2000-C", "BTC_USDC-4APR25-80000-C", "BTC-PERPETUAL", "BTC-4APR25", "BTC_USDC"]
)
def test_what_is_no_coin_settled_option_of_the_underlying_has_no_row(name: str) -> None:
    universe = Universe("BTC", REFERENCE)
    assert universe.row(name) is None
    assert (universe.count, universe.slots) == (0, 0)


def test_a_name_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UnknownInstrumentError, match="BTC-4APR25-80000-X"):
        Universe("BTC", REFERENCE).row("BTC-4APR25-80000-X")


def test_expiries_grow_to_their_bound_and_more_are_refused_with_the_remedy() -> None:
    universe = Universe("BTC", REFERENCE)
    listed = names(MOST_SLOTS, 1)
    for name in listed:
        universe.row(name)
    assert universe.slots == MOST_SLOTS == universe.slot_capacity > FIRST_SLOTS
    assert len(np.unique(universe.expiry_ns)) == MOST_SLOTS
    assert [universe.slot[universe.row_of[name]] for name in listed[::2]] == list(range(universe.slots))
    with pytest.raises(BadInputError, match=f"more than {MOST_SLOTS} expiries in one run; shorten the span"):
        universe.row("BTC-26DEC31-80000-C")


def test_ladders_are_the_neighbours_that_a_search_finds() -> None:
    universe = Universe("BTC", REFERENCE)
    rng = np.random.default_rng(4)
    for name in rng.choice(names(4, 8), 40, replace=False).tolist():
        universe.row(name)
    ladders = universe.ladders()
    rows = range(universe.count)

    def key(row: int) -> tuple[int, float, float]:
        return int(universe.expiry_ns[universe.slot[row]]), -float(universe.sign[row]), float(universe.strike_usd[row])

    assert ladders.order.tolist() == sorted(rows, key=key)
    for row in rows:
        expiry, sign, strike = key(row)
        later = [other for other in rows if key(other)[1:] == (sign, strike) and key(other)[0] > expiry]
        assert ladders.later[row] == min(later, key=key, default=-1)


def test_ladders_learn_of_a_new_row() -> None:
    universe = Universe("BTC", REFERENCE)
    universe.row("BTC-4APR25-80000-C")
    assert universe.ladders().later.tolist() == [-1]
    universe.row("BTC-5APR25-80000-C")
    assert universe.ladders().later.tolist() == [1, -1]
    assert universe.ladders() is universe.ladders()


def test_slots_come_by_expiry_and_only_those_that_are_still_to_come() -> None:
    universe = Universe("BTC", REFERENCE)
    for date in ("25APR25", "4APR25", "11APR25"):
        universe.row(f"BTC-{date}-80000-C")
    assert universe.slots_by_expiry(FIRST_EXPIRY_NS - 1).tolist() == [1, 2, 0]
    assert universe.slots_by_expiry(FIRST_EXPIRY_NS).tolist() == [2, 0]
