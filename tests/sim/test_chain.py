"""Which strikes and expiries the simulated market lists."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.units import NS_PER_DAY, NS_PER_YEAR, parse_utc
from flatbook.sim.chain import Chain, ListingRules

from .builders import REFERENCE

START = parse_utc("2025-03-31T12:00")


def deviation_of(expiry_ns: int) -> float:
    return 0.6 * math.sqrt((expiry_ns - START) / NS_PER_YEAR)


@pytest.fixture
def chain() -> Chain:
    made = Chain("BTC", ListingRules(), REFERENCE)
    assert made.extend(START, 85_000.0, deviation_of)
    return made


def test_a_chain_of_the_size_of_a_real_one(chain: Chain) -> None:
    assert 8 <= len(chain.expiries_ns(START)) <= 11
    assert all(20 <= rows.size / 2 <= 75 for rows in chain.of_expiry.values())
    assert 400 < len(chain.instruments) < 1_200


def test_every_strike_has_a_call_and_a_put(chain: Chain) -> None:
    for expiry_ns, rows in chain.of_expiry.items():
        strike, sign, expiry = chain.contracts(rows)
        assert (expiry == expiry_ns).all()
        assert (strike[::2] == strike[1::2]).all()
        assert (np.diff(strike[::2]) > 0).all()
        assert (sign[::2] == -1).all()
        assert (sign[1::2] == 1).all()
    names = [instrument.name for instrument in chain.instruments]
    assert chain.row_of == {name: row for row, name in enumerate(names)}


def test_columns_say_what_the_names_say(chain: Chain) -> None:
    strike, sign, expiry = chain.contracts(np.arange(len(chain.instruments)))
    for row, instrument in enumerate(chain.instruments):
        contract = instrument.contract
        assert contract.right is not None
        assert (contract.strike, contract.right.sign, contract.expiry_ns) == (strike[row], sign[row], expiry[row])


def test_listing_again_adds_nothing_and_a_move_adds_at_the_end(chain: Chain) -> None:
    before = [instrument.name for instrument in chain.instruments]
    assert not chain.extend(START, 85_000.0, deviation_of)
    assert chain.extend(START, 92_000.0, deviation_of)
    after = [instrument.name for instrument in chain.instruments]
    assert after[: len(before)] == before
    assert len(set(after)) == len(after)


def test_expired_options_are_no_longer_alive(chain: Chain) -> None:
    first, *others = chain.expiries_ns(START)
    assert chain.expiries_ns(first) == others
    alive = chain.rows_alive(first)
    assert set(alive.tolist()) == {row for expiry_ns in others for row in chain.of_expiry[expiry_ns].tolist()}
    assert chain.rows_alive(START + 5_000 * NS_PER_DAY).size == 0


@given(index_usd=st.floats(5_000, 500_000), deviation=st.floats(0.004, 1.2))
def test_strikes_surround_the_index_on_one_grid(index_usd: float, deviation: float) -> None:
    rules = ListingRules()
    step = rules.step_usd(index_usd, deviation)
    strikes = np.array(list(rules.strikes_usd(index_usd, deviation, step)))
    assert (strikes % step == 0).all()
    assert (np.diff(strikes) >= step).all()
    inner = strikes[np.abs(np.log(strikes / index_usd)) <= rules.inner_deviations * deviation]
    assert (np.diff(inner) == step).all()
    if step > 50:
        assert inner.size >= rules.inner_strikes - 1
