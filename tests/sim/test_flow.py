"""From takers to wishes: which option, which side, at what worth."""

import numpy as np
import pytest

from flatbook.domain.units import NS_PER_DAY, NS_PER_HOUR
from flatbook.sim.flow import Stage, Wishes, moment, wishes
from flatbook.sim.options import value
from flatbook.sim.takers import Arrivals, TakerParameters, draw_arrivals

from .builders import MIDNIGHT_NS


@pytest.fixture(scope="module")
def arrivals(stage: Stage) -> Arrivals:
    return draw_arrivals(TakerParameters(), stage.table, 4, MIDNIGHT_NS, 7 * NS_PER_HOUR)


@pytest.fixture(scope="module")
def wanted(stage: Stage, arrivals: Arrivals) -> Wishes:
    return wishes(stage, arrivals, 0, arrivals.exch_ns.size)


def test_each_taker_wants_an_option_of_its_bucket(stage: Stage, arrivals: Arrivals, wanted: Wishes) -> None:
    table = stage.table
    strike, _, expiry_ns = stage.chain.contracts(wanted.row)
    tenor, moneyness = np.divmod(arrivals.cell, table.moneyness_buckets)
    days = (expiry_ns - arrivals.exch_ns) / NS_PER_DAY
    found = table.tenor_bucket(days)
    listed = {bucket for now in (0, 7) for bucket in buckets_listed(stage, MIDNIGHT_NS + now * NS_PER_HOUR)}
    always = np.isin(tenor, sorted(listed))
    assert (found == tenor)[always].mean() > 0.95
    assert (np.abs(found - tenor)[~always] <= 2).all()
    true = value(stage.surface, stage.world, stage.chain.contracts(wanted.row), moment(stage.world, arrivals.exch_ns))
    deviations = np.log(strike / wanted.index_usd) / (true.vol * np.sqrt(true.years))
    assert (table.moneyness_bucket(deviations) == moneyness).mean() > 0.97
    assert np.abs(deviations).max() < 3.5


def buckets_listed(stage: Stage, now_ns: int) -> list[int]:
    expiries = np.array(stage.chain.expiries_ns(now_ns))
    return [int(bucket) for bucket in stage.table.tenor_bucket((expiries - now_ns) / NS_PER_DAY)]


def test_worth_is_that_of_the_option_at_the_moment(stage: Stage, arrivals: Arrivals, wanted: Wishes) -> None:
    for number in (0, 100, 1_000):
        contracts = stage.chain.contracts(wanted.row[number : number + 1])
        when = arrivals.exch_ns[number : number + 1]
        true = value(stage.surface, stage.world, contracts, moment(stage.world, when))
        assert wanted.fair_coin[number] == pytest.approx(true.price_coin[0], rel=1e-12)
        assert wanted.index_usd[number] == stage.world.index_at(when)[0]


def test_the_informed_want_what_will_be_worth_more(arrivals: Arrivals, wanted: Wishes) -> None:
    informed = arrivals.horizon_ns > 0
    assert (np.isnan(wanted.known_coin) == ~informed).all()
    gain = wanted.side * (wanted.known_coin - wanted.fair_coin)
    assert (gain[informed] >= 0).all()


def test_what_they_know_is_the_future_and_nothing_else(stage: Stage, arrivals: Arrivals, wanted: Wishes) -> None:
    """Index knowledge: the worth at the later index with everything else as it is."""
    number = int(np.flatnonzero((arrivals.horizon_ns > 0) & ~arrivals.knows_vol)[3])
    when = arrivals.exch_ns[number : number + 1]
    now = moment(stage.world, when)
    later = stage.world.index_at(when + arrivals.horizon_ns[number])
    contracts = stage.chain.contracts(wanted.row[number : number + 1])
    known = value(stage.surface, stage.world, contracts, now._replace(index_usd=later)).price_coin[0]
    assert wanted.known_coin[number] == pytest.approx(known, rel=1e-12)


def test_a_stretch_is_the_same_alone_as_in_the_whole(stage: Stage, arrivals: Arrivals, wanted: Wishes) -> None:
    part = wishes(stage, arrivals, 200, 300)
    for name in ("number", "exch_ns", "row", "side", "size_lots", "fair_coin"):
        assert (getattr(part, name) == getattr(wanted, name)[200:300]).all()


def test_no_takers_no_wishes(stage: Stage, arrivals: Arrivals) -> None:
    assert wishes(stage, arrivals, 5, 5).row.size == 0
