"""Takers of the simulated market: when they come, what they want, how badly, and what some of them know.

Arrivals cluster: each bucket of the flow table is a Hawkes process, drawn as immigrants with their offspring. All that
chance decides about a taker is drawn when the seed is, so no quote of ours changes who comes and what they want.

Source      Hawkes and Oakes (1974) for the cluster form; rate and branching as in the surveys of order flow
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import ConfigurationError
from flatbook.domain.units import NS_PER_DAY, NS_PER_SECOND
from flatbook.sim.flow_table import FlowTable
from flatbook.sim.streams import stream

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TakerParameters:
    """How takers behave.

    arrivals_per_day    takers that look at the market, the informed among them; not all of them trade
    informed_share      of them, who know where the index or the vol will be
    branching           of the rest, the mean number of others each draws in, 0 to less than 1 ...
    excitation_s        ... after an exponential time of this mean
    same_side_share     of those drawn in, who trade the side of the one that drew them in for sure
    demand_decay        k of exp(-k d): willingness to trade at a price d away from fair, where d is 1 at the price that
                        the other makers usually show
    index_horizon_s     mean of the exponential time that index knowledge reaches ahead
    vol_horizon_s       the same of vol knowledge
    vol_share           of the informed, who know the vol instead of the index
    """

    arrivals_per_day: float = 26_000.0
    informed_share: float = 0.2
    branching: float = 0.5
    excitation_s: float = 20.0
    same_side_share: float = 0.5
    demand_decay: float = 0.7
    index_horizon_s: float = 480.0
    vol_horizon_s: float = 7_200.0
    vol_share: float = 0.3

    def __post_init__(self) -> None:
        for name in ("informed_share", "branching", "same_side_share", "vol_share"):
            value = getattr(self, name)
            if not 0 <= value <= 1 or (name == "branching" and value == 1):
                raise ConfigurationError(f"takers: {name} is {value}; use a share from 0 to 1, branching below 1")
        if self.arrivals_per_day < 0 or self.demand_decay < 0:
            raise ConfigurationError("takers: arrivals_per_day and demand_decay must be 0 or more")


class Arrivals(NamedTuple):
    """Takers in order of arrival, a row each.

    exch_ns       when they come
    cell          bucket of the flow table: tenor bucket times moneyness buckets plus moneyness bucket
    chance        uniforms on [0, 1), shape (rows, 6), one column for each choice of `Choice`
    horizon_ns    how far ahead they know; 0 for the uninformed
    knows_vol     what they know: the vol, or else the index
    """

    exch_ns: Ints
    cell: Ints
    chance: Floats
    horizon_ns: Ints
    knows_vol: NDArray[np.bool_]

    def at(self, which: Ints | slice | NDArray[np.bool_]) -> "Arrivals":
        """The rows chosen."""
        return Arrivals(
            self.exch_ns[which], self.cell[which], self.chance[which], self.horizon_ns[which], self.knows_vol[which]
        )


class Choice:
    """Columns of `Arrivals.chance`."""

    EXPIRY, STRIKE, RIGHT, SIDE, SIZE, WILLING = range(6)


def draw_arrivals(parameters: TakerParameters, table: FlowTable, seed: int, start_ns: int, span_ns: int) -> Arrivals:
    """Every taker from `start_ns` on for `span_ns`, uninformed and informed, in order of arrival."""
    noise = _draw_noise(parameters, table, stream(seed, "arrivals"), span_ns)
    informed = _draw_informed(parameters, table, stream(seed, "informed"), span_ns)
    together = Arrivals(
        np.concatenate([noise.exch_ns, informed.exch_ns]) + start_ns,
        np.concatenate([noise.cell, informed.cell]),
        np.concatenate([noise.chance, informed.chance]),
        np.concatenate([noise.horizon_ns, informed.horizon_ns]),
        np.concatenate([noise.knows_vol, informed.knows_vol]),
    )
    return together.at(np.argsort(together.exch_ns, kind="stable"))


def willingness(parameters: TakerParameters, distance: float) -> float:
    """Chance that an uninformed taker trades at `distance` from fair, 1 being where others usually stand."""
    return math.exp(-parameters.demand_decay * max(distance, 0.0))


def _draw_noise(p: TakerParameters, table: FlowTable, random: np.random.Generator, span_ns: int) -> Arrivals:
    """Immigrants over the span and a while before it, then their offspring, generation by generation."""
    before_ns = 20 * p.excitation_s * NS_PER_SECOND
    rate = p.arrivals_per_day * (1 - p.informed_share) * (1 - p.branching)
    count = int(random.poisson(rate * (span_ns + before_ns) / NS_PER_DAY))
    when = random.uniform(-before_ns, span_ns, count)
    cell = random.choice(table.weight.size, count, p=table.weight.ravel())
    side = random.random(count)
    generations = [(when, cell, side)]
    while when.size:
        parent = np.repeat(np.arange(when.size), random.poisson(p.branching, when.size))
        when = when[parent] + random.exponential(p.excitation_s * NS_PER_SECOND, parent.size)
        cell = cell[parent]
        own = random.random(parent.size)
        side = np.where(random.random(parent.size) < p.same_side_share, side[parent], own)
        generations.append((when, cell, side))
    when, cell, side = (np.concatenate(column) for column in zip(*generations, strict=True))
    inside = (when >= 0) & (when < span_ns)
    chance = random.random((int(inside.sum()), 6))
    chance[:, Choice.SIDE] = side[inside]
    nothing = np.zeros(chance.shape[0], np.int64)
    return Arrivals(when[inside].astype(np.int64), cell[inside], chance, nothing, nothing.astype(bool))


def _draw_informed(p: TakerParameters, table: FlowTable, random: np.random.Generator, span_ns: int) -> Arrivals:
    count = int(random.poisson(p.arrivals_per_day * p.informed_share * span_ns / NS_PER_DAY))
    when = random.integers(0, max(span_ns, 1), count)
    cell = random.choice(table.weight.size, count, p=table.weight.ravel())
    chance = random.random((count, 6))
    knows_vol = random.random(count) < p.vol_share
    mean_s = np.where(knows_vol, p.vol_horizon_s, p.index_horizon_s)
    horizon_ns = (random.exponential(1.0, count) * mean_s * NS_PER_SECOND).astype(np.int64) + NS_PER_SECOND
    return Arrivals(when, cell, chance, horizon_ns, knows_vol)
