"""What happens in the simulated market without us, drawn from one seed: world, listings, who wants what.

`market` lets an engine trade in it, `venue.crowd` whole accounts; under one seed both meet the same world.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import ConfigurationError
from flatbook.domain.reference import ReferenceData
from flatbook.domain.units import NS_PER_HOUR, NS_PER_SECOND, NS_PER_YEAR
from flatbook.sim.chain import Chain, ListingRules
from flatbook.sim.dealers import DealerParameters
from flatbook.sim.flow import Stage, Wishes, moment, wishes
from flatbook.sim.flow_table import load_flow_table
from flatbook.sim.makers import Beliefs, MakerParameters
from flatbook.sim.other_coins import DRAWN, OtherCoinParameters
from flatbook.sim.requesters import RequesterParameters
from flatbook.sim.takers import TakerParameters, draw_arrivals
from flatbook.sim.world import WorldParameters, draw_world

Ints = NDArray[np.int64]

UNDERLYING = "BTC"
_ANY_OPTION = f"{UNDERLYING}-1JAN30-100000-C"
"""A name of the family, whose options all share one price grid."""


@dataclass(frozen=True, slots=True)
class MarketParameters:
    """The simulated market's parts, and how often it speaks.

    others          other coins that it can show, by name
    index_every_s   seconds between index ticks; divides a minute
    slice_every_s   seconds between chain quotes of one expiry, the expiries taking turns; a multiple of the above
    chain_every_s   seconds between chain quotes of all of them; a multiple of `slice_every_s`
    top_every_s     least seconds between tops of the perpetual's book, each sent where it changed
    """

    world: WorldParameters = field(default_factory=WorldParameters)
    listing: ListingRules = field(default_factory=ListingRules)
    makers: MakerParameters = field(default_factory=MakerParameters)
    takers: TakerParameters = field(default_factory=TakerParameters)
    requesters: RequesterParameters = field(default_factory=RequesterParameters)
    dealers: DealerParameters = field(default_factory=DealerParameters)
    others: Mapping[str, OtherCoinParameters] = field(default_factory=lambda: DRAWN)
    index_every_s: int = 1
    slice_every_s: int = 10
    chain_every_s: int = 60
    top_every_s: int = 5

    def __post_init__(self) -> None:
        if self.index_every_s < 1 or self.slice_every_s % self.index_every_s or self.chain_every_s % self.slice_every_s:
            raise ConfigurationError(
                f"index, slices and chain come every {self.index_every_s}, {self.slice_every_s} and "
                f"{self.chain_every_s} s; each must be a multiple of the one before"
            )


class DrawnMarket:
    """The stage of `seed` from `start_ns` on for `steps` ticks of the index, and its takers, told hour by hour."""

    def __init__(
        self, reference: ReferenceData, parameters: MarketParameters, *, seed: int, start_ns: int, steps: int
    ) -> None:
        p = parameters
        self.parameters = p
        self.step_ns = p.index_every_s * NS_PER_SECOND
        self.steps = steps
        world = draw_world(p.world, seed, start_ns, self.step_ns, steps)
        self.chain = Chain(UNDERLYING, p.listing, reference)
        self.stage = Stage(
            world=world,
            surface=p.world.term_structure,
            beliefs=Beliefs(p.makers, world, seed),
            makers=p.makers,
            table=load_flow_table(),
            chain=self.chain,
            steps=reference.instrument(_ANY_OPTION).spec.ticks,
        )
        self._arrivals = draw_arrivals(p.takers, self.stage.table, seed, start_ns, steps * self.step_ns)
        self._next_arrival = 0

    def list_missing(self, now_ns: int, index_usd: float) -> bool:
        """Lists what calendar and index ask for; whether anything was added."""
        stage = self.stage
        factors = moment(stage.world, np.asarray(now_ns)).factors

        def deviation_of(expiry_ns: int) -> float:
            years = np.asarray((expiry_ns - now_ns) / NS_PER_YEAR)
            return math.sqrt(float(stage.surface.atm_total_variance(factors, years)))

        return self.chain.extend(now_ns, index_usd, deviation_of)

    def wishes_of_hour(self, now_ns: int) -> Wishes:
        """What the takers who come until the hour's end want of what is listed now; each hour is told once."""
        end_ns = (now_ns // NS_PER_HOUR + 1) * NS_PER_HOUR
        first = self._next_arrival
        self._next_arrival = int(np.searchsorted(self._arrivals.exch_ns, end_ns))
        return wishes(self.stage, self._arrivals, first, self._next_arrival)

    def rows_due(self, now_ns: int, seconds: int) -> Ints:
        """The options whose quotes are due `seconds` after the start: all of them, or the expiry whose turn it is."""
        p = self.parameters
        if seconds % p.chain_every_s == 0:
            return self.chain.rows_alive(now_ns)
        expiries = self.chain.expiries_ns(now_ns)
        return self.chain.of_expiry[expiries[seconds // p.slice_every_s % len(expiries)]]
