"""A stage of the simulated market, shared by the tests of its parts."""

import numpy as np
import pytest

from flatbook.domain.units import NS_PER_SECOND, NS_PER_YEAR
from flatbook.sim.chain import Chain, ListingRules
from flatbook.sim.flow import Stage, moment
from flatbook.sim.flow_table import load_flow_table
from flatbook.sim.makers import Beliefs, MakerParameters
from flatbook.sim.world import WorldParameters, draw_world

from .builders import CALL, MIDNIGHT_NS, REFERENCE


@pytest.fixture(scope="session")
def stage() -> Stage:
    """Eight hours from midnight to the next expiry, with the chain of midnight."""
    parameters, makers = WorldParameters(), MakerParameters()
    world = draw_world(parameters, 11, MIDNIGHT_NS, NS_PER_SECOND, 8 * 3_600)
    chain = Chain("BTC", ListingRules(), REFERENCE)
    at = moment(world, np.array(MIDNIGHT_NS)).factors

    def deviation_of(expiry_ns: int) -> float:
        years = np.asarray((expiry_ns - MIDNIGHT_NS) / NS_PER_YEAR)
        return float(np.sqrt(parameters.term_structure.atm_total_variance(at, years)))

    chain.extend(MIDNIGHT_NS, float(world.index_usd[0]), deviation_of)
    steps = REFERENCE.instrument(CALL).spec.ticks
    return Stage(world, parameters.term_structure, Beliefs(makers, world, 11), makers, load_flow_table(), chain, steps)
