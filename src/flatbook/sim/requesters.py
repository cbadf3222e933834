"""Those who ask for packages in the simulated market: when, which, how many, how badly, and what some of them know.

All that chance decides is drawn from the seed, so no answer of ours changes who asks for what. Which contracts a
request means follows from what is listed when it comes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import ConfigurationError
from flatbook.domain.units import NS_PER_DAY, NS_PER_SECOND
from flatbook.sim.streams import stream

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RequesterParameters:
    """How requesters behave; times in seconds.

    requests_per_day    of all counterparties together
    counterparties      how many there are; the first never knows anything, the last does most often
    informed_share      of all requests, whose counterparty knows where the index or the vol will be
    both_ways_share     who ask for both sides, and have one in mind
    hedged_share        whose package trades with the perpetual against its delta
    mean_size           packages, each of one coin a leg; whole, geometric, at most `most_size`
    ttl_s               how long quotes are of use; a decision falls within it, after `decides_s` on average
    reserve             mean distance from fair, where the dealers usually stand being 1, up to which the uninformed go
    index_horizon_s     mean of the exponential time that index knowledge reaches ahead
    vol_horizon_s       the same of vol knowledge, which `vol_share` of the informed have
    """

    requests_per_day: float = 400.0
    counterparties: int = 6
    informed_share: float = 0.2
    both_ways_share: float = 0.3
    hedged_share: float = 0.25
    mean_size: float = 4.0
    most_size: int = 20
    ttl_s: float = 30.0
    decides_s: float = 8.0
    reserve: float = 2.0
    index_horizon_s: float = 480.0
    vol_horizon_s: float = 7_200.0
    vol_share: float = 0.5

    def __post_init__(self) -> None:
        for name in ("both_ways_share", "hedged_share", "vol_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigurationError(f"requesters: {name} is {getattr(self, name)}; use a share from 0 to 1")
        if not 0.0 <= self.informed_share <= 0.5:
            raise ConfigurationError(f"requesters: informed_share is {self.informed_share}; use 0 to 0.5")
        if self.counterparties < 1 or self.requests_per_day < 0.0 or not self.mean_size >= 1.0:
            raise ConfigurationError("requesters: use counterparties and sizes of 1 or more, no rate below 0")

    def informed_chance(self, counterparty: int) -> float:
        """How often he knows: rising evenly from never, so that the mean over all is `informed_share`."""
        last = self.counterparties - 1
        return 2.0 * self.informed_share * counterparty / last if last else self.informed_share


class Wanted(NamedTuple):
    """A request as it is drawn: who, when, by which kind of package, and the uniforms that choose its contracts.

    kind            of `KINDS`
    chance          expiry, moneyness, width, right
    taker_side      what he has in mind: +1 buys; the informed choose it by what they know
    horizon_ns      how far ahead he knows, 0 for the uninformed
    reserve         how far from fair the uninformed go, the dealers' usual half-spread being 1
    """

    number: int
    exch_ns: int
    counterparty: int
    kind: str
    chance: tuple[float, float, float, float]
    size: int
    taker_side: int
    asks_both: bool
    is_hedged: bool
    decides_ns: int
    horizon_ns: int
    knows_vol: bool
    reserve: float


KINDS = ("vertical", "straddle", "strangle", "risk_reversal", "butterfly", "calendar")
"""Packages that are asked for, one as often as another."""


def draw_requests(parameters: RequesterParameters, seed: int, start_ns: int, span_ns: int) -> list[Wanted]:
    """Every request from `start_ns` on for `span_ns`, in order of arrival."""
    p, random = parameters, stream(seed, "requests")
    count = int(random.poisson(p.requests_per_day * span_ns / NS_PER_DAY))
    when = np.sort(random.uniform(0.0, span_ns, count)).astype(np.int64) + start_ns
    who = random.integers(p.counterparties, size=count)
    kind = random.integers(len(KINDS), size=count)
    chance = random.random((count, 8))
    size = np.minimum(random.geometric(1.0 / p.mean_size, count), p.most_size)
    waits = np.minimum(random.exponential(p.decides_s, count), 0.95 * p.ttl_s)
    ahead, reserve = random.exponential(1.0, count), random.exponential(p.reserve, count)
    wanted = []
    for number in range(count):
        one = chance[number].tolist()
        knows, knows_vol = one[6] < p.informed_chance(int(who[number])), one[7] < p.vol_share
        horizon_s = (p.vol_horizon_s if knows_vol else p.index_horizon_s) * float(ahead[number])
        wanted.append(
            Wanted(
                number=number,
                exch_ns=int(when[number]),
                counterparty=int(who[number]),
                kind=KINDS[kind[number]],
                chance=(one[0], one[1], one[2], one[3]),
                size=int(size[number]),
                taker_side=1 if one[3] < 0.5 else -1,
                asks_both=one[4] < p.both_ways_share,
                is_hedged=one[5] < p.hedged_share,
                decides_ns=int(when[number]) + round(float(waits[number]) * NS_PER_SECOND),
                horizon_ns=round(horizon_s * NS_PER_SECOND) if knows else 0,
                knows_vol=knows_vol,
                reserve=float(reserve[number]),
            )
        )
    return wanted


class Ladder(NamedTuple):
    """An expiry's strikes, rising, with the places of its calls and puts in the chain, and the deviations of each."""

    strike_usd: Floats
    calls: Sequence[int]
    puts: Sequence[int]
    deviations: Floats

    def near(self, deviation: float) -> int:
        """The strike nearest to so many standard deviations."""
        return int(np.argmin(np.abs(self.deviations - deviation)))


Pair = tuple[int, int]
"""A row of the chain and its ratio in a bought package."""


def package_rows(kind: str, chance: tuple[float, float, float, float], near: Ladder, far: Ladder) -> list[Pair]:
    """The legs of a package on an expiry, of a calendar on two; empty where the strikes do not allow it.

    Signs are those of the venue's combos: a bought risk reversal is long the call.
    """
    _, moneyness, width, right = chance
    center = near.near(3.0 * moneyness - 1.5)
    is_call = right < 0.5 if abs(near.deviations[center]) < 0.3 else bool(near.deviations[center] > 0.0)
    rows = near.calls if is_call else near.puts
    step = 1 + math.floor(3 * width)
    low, high = center - step, center + step
    if kind in ("vertical", "butterfly") and not (low >= 0 and high < len(near.strike_usd)):
        return []
    if kind == "vertical":
        bought, sold = (center, high) if is_call else (center, low)
        return [(rows[bought], 1), (rows[sold], -1)]
    if kind == "butterfly":
        return [(rows[low], 1), (rows[center], -2), (rows[high], 1)]
    if kind == "straddle":
        at = near.near(0.0)
        return [(near.calls[at], 1), (near.puts[at], 1)]
    if kind == "calendar":
        same = np.flatnonzero(far.strike_usd == near.strike_usd[center])
        far_rows = far.calls if is_call else far.puts
        return [(far_rows[int(same[0])], 1), (rows[center], -1)] if same.size and far is not near else []
    put, call = near.near(-0.4 - width), near.near(0.4 + width)
    return [] if put >= call else [(near.puts[put], -1 if kind == "risk_reversal" else 1), (near.calls[call], 1)]
