"""A maker on an exchange where things go wrong, from one seed: after each burst of faults all is as it should be.

One seed alone, as a failure prints it:  python -m pytest -m "" "tests/simulation/test_faults.py::test_all_is_well[17]"
"""

from collections import Counter
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from flatbook.domain.units import NS_PER_SECOND
from tests.simulation.checks import require_all, require_said
from tests.simulation.faults import Fault, Kind, plan
from tests.simulation.program import START_NS
from tests.simulation.world import World

SEEDS, MORE_SEEDS = range(1, 51), range(51, 1_051)
BURSTS = 2
PATIENCE_S = 45.0
"""Within which all is well again: two heartbeats until a dead line is given up, and coming back."""


@cache
def injected(seed: int) -> Counter[Kind]:
    """Runs a seed; the faults that took effect."""
    with TemporaryDirectory() as folder:
        world = World(seed, Path(folder))
        try:
            live_through(world, plan(seed, BURSTS))
        finally:
            world.program.spool.close()
        return world.link.done


def live_through(world: World, bursts: list[list[Fault]]) -> None:
    """Lets the bursts happen, one after all is well after the one before.

    Errors      whatever goes wrong, with how to see it again
    """
    world.run(5)
    for burst in bursts:
        began_ns, before, entries = world.now_ns, world.link.done.copy(), len(world.program.engine.state.recorder.log)
        try:
            world.befall(burst)
            recover(world)
            require_said(world, world.link.done - before, entries)
        except Exception as error:
            error.add_note(f"seed {world.seed}, {(began_ns - START_NS) / NS_PER_SECOND:.1f} s in: {burst}")
            error.add_note(
                f'alone: python -m pytest -m "" "tests/simulation/test_faults.py::test_all_is_well[{world.seed}]"'
            )
            raise


def recover(world: World) -> None:
    """Lets time pass until all is well, or it was not in time."""
    end_ns = world.now_ns + round(PATIENCE_S * NS_PER_SECOND)
    while True:
        world.settle()
        try:
            return require_all(world)
        except AssertionError:
            if world.now_ns >= end_ns:
                raise


@pytest.mark.parametrize("seed", [*SEEDS, *(pytest.param(seed, marks=pytest.mark.soak) for seed in MORE_SEEDS)])
def test_all_is_well(seed: int) -> None:
    injected(seed)


def test_every_sort_of_fault_was_met_several_times() -> None:
    met = sum((injected(seed) for seed in SEEDS), Counter())
    assert {kind for kind in Kind if met[kind] < 3} == set()
