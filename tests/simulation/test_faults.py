"""A maker on an exchange where things go wrong, from one seed: after each burst of faults all is as it should be.

One seed alone, as a failure prints it:  python -m pytest "tests/simulation/test_faults.py::test_all_is_well[17]"
"""

from collections import Counter
from functools import cache

import pytest

from flatbook.domain.units import NS_PER_SECOND
from tests.simulation.checks import require_known_market, require_orderly_events, require_whole_feed
from tests.simulation.faults import Kind, plan
from tests.simulation.world import START_NS, World

SEEDS, MORE_SEEDS = range(1, 51), range(51, 1_051)
BURSTS = 2
QUIET_S = 25.0
"""After a burst, for what waits: the longest of these is two heartbeats and coming back."""


@cache
def injected(seed: int) -> Counter[Kind]:
    """Runs a seed; the faults that took effect."""
    world = World(seed)
    world.run(10)
    bursts = plan(seed, tuple(Kind), from_ns=world.now_ns + NS_PER_SECOND, bursts=BURSTS, apart_s=QUIET_S + 10)
    for burst in bursts:
        try:
            world.befall(burst)
            world.settle(QUIET_S)
            require_whole_feed(world)
            require_orderly_events(world)
            require_known_market(world)
        except Exception as error:
            error.add_note(f"seed {seed}, {(burst[0].at_ns - START_NS) / NS_PER_SECOND:.0f} s in: {burst}")
            error.add_note(f'alone: python -m pytest "tests/simulation/test_faults.py::test_all_is_well[{seed}]"')
            raise
    return world.link.done


@pytest.mark.parametrize("seed", SEEDS)
def test_all_is_well(seed: int) -> None:
    injected(seed)


def test_every_sort_of_fault_was_met_several_times() -> None:
    met = sum((injected(seed) for seed in SEEDS), Counter())
    assert {kind for kind in Kind if met[kind] < 3} == set()


@pytest.mark.soak
@pytest.mark.parametrize("seed", MORE_SEEDS)
def test_all_is_well_a_thousand_times(seed: int) -> None:
    injected(seed)
