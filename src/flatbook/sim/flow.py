"""From takers to wishes: which option each wants on which side, what it is worth, and what the others show for it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.reference import TickSteps
from flatbook.domain.units import NS_PER_DAY
from flatbook.sim.chain import Chain
from flatbook.sim.flow_table import FlowTable
from flatbook.sim.makers import Beliefs, MakerParameters, Market, show
from flatbook.sim.options import Moment, Values, value
from flatbook.sim.smile import TermStructure
from flatbook.sim.takers import Arrivals, Choice
from flatbook.sim.world import World

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


_FARTHEST_DEVIATIONS = 2.5
"""The outer moneyness buckets end here for takers: beyond it the tape has hardly a trade."""


class Wishes(NamedTuple):
    """What each of a stretch of takers wants, and how the market stands as it comes; columns.

    number        the taker's number in order of arrival
    row           of the option in the chain
    side          +1 to buy
    fair_coin     what the option is worth by the true surface ...
    mark_coin     ... and by the other makers'
    known_coin    what the informed know it will be worth, NaN for the others
    """

    number: Ints
    exch_ns: Ints
    row: Ints
    side: Ints
    size_lots: Ints
    willing: Floats
    index_usd: Floats
    fair_coin: Floats
    mark_coin: Floats
    known_coin: Floats
    market: Market
    believed: Values


@dataclass(frozen=True, eq=False)
class Stage:
    """Everything that takers act on: the world, the beliefs about it, and the table of who wants what."""

    world: World
    surface: TermStructure
    beliefs: Beliefs
    makers: MakerParameters
    table: FlowTable
    chain: Chain
    steps: TickSteps


def wishes(stage: Stage, arrivals: Arrivals, first: int, last: int) -> Wishes:
    """What takers number `first` to `last` (exclusive) want of the options listed now."""
    part = arrivals.at(slice(first, last))
    row = _choose_rows(stage, part)
    exch_ns = part.exch_ns
    contracts = stage.chain.contracts(row)
    now = moment(stage.world, exch_ns)
    true = value(stage.surface, stage.world, contracts, now)
    believed = value(stage.surface, stage.world, contracts, now._replace(factors=stage.beliefs.at(exch_ns)))
    known_coin = _known(stage, part, row)
    informed = part.horizon_ns > 0
    buys = part.chance[:, Choice.SIDE] < stage.table.buy_share.ravel()[part.cell]
    buys = np.where(informed, known_coin > true.price_coin, buys)
    tenor = part.cell // stage.table.moneyness_buckets
    return Wishes(
        number=np.arange(first, last),
        exch_ns=exch_ns,
        row=row,
        side=np.where(buys, 1, -1),
        size_lots=stage.table.lots(tenor, part.chance[:, Choice.SIZE]),
        willing=part.chance[:, Choice.WILLING],
        index_usd=now.index_usd,
        fair_coin=true.price_coin,
        mark_coin=believed.price_coin,
        known_coin=np.where(informed, known_coin, np.nan),
        market=show(stage.makers, believed, contracts.sign, stage.steps),
        believed=believed,
    )


def moment(world: World, now_ns: Ints) -> Moment:
    """The true state of the world at each of `now_ns`."""
    paths = world.minute_at(now_ns)
    return Moment(now_ns, world.index_at(now_ns), paths.carry, paths.factors)


def _known(stage: Stage, part: Arrivals, row: Ints) -> Floats:
    """What each option will be worth with the index, or else the vol, of the taker's horizon; all else as it is."""
    now, then = moment(stage.world, part.exch_ns), moment(stage.world, part.exch_ns + part.horizon_ns)
    factors = type(now.factors)(
        *(np.where(part.knows_vol, later, at) for later, at in zip(then.factors, now.factors, strict=True))
    )
    index_usd = np.where(part.knows_vol, now.index_usd, then.index_usd)
    known = now._replace(index_usd=index_usd, factors=factors)
    return value(stage.surface, stage.world, stage.chain.contracts(row), known).price_coin


def _choose_rows(stage: Stage, part: Arrivals) -> Ints:
    """Each taker's option: an expiry of its tenor bucket, or of the nearest that has one, then a strike and a right."""
    table, chain = stage.table, stage.chain
    if part.exch_ns.size == 0:
        return np.zeros(0, np.int64)
    expiries = np.array(chain.expiries_ns(int(part.exch_ns[0])))
    tenor, moneyness = np.divmod(part.cell, table.moneyness_buckets)
    chosen = _choose_expiries(table, expiries, part, tenor)
    row = np.zeros(part.exch_ns.size, np.int64)
    for number, expiry_ns in enumerate(expiries.tolist()):
        takers = np.flatnonzero(chosen == number)
        if takers.size:
            row[takers] = _choose_strikes(stage, expiry_ns, part.at(takers), moneyness[takers])
    return row


def _choose_expiries(table: FlowTable, expiries: Ints, part: Arrivals, tenor: Ints) -> Ints:
    days = (expiries[None, :] - part.exch_ns[:, None]) / NS_PER_DAY
    away = np.abs(table.tenor_bucket(days.ravel()).reshape(days.shape) - tenor[:, None])
    nearest = away == away.min(axis=1, keepdims=True, initial=table.tenor_buckets)
    return _pick(nearest, part.chance[:, Choice.EXPIRY])


def _choose_strikes(stage: Stage, expiry_ns: int, part: Arrivals, moneyness: Ints) -> Ints:
    """Rows of one expiry: a strike whose moneyness is in the bucket, or is nearest to it, and a right."""
    table, rows = stage.table, stage.chain.of_expiry[expiry_ns]
    calls = rows[1::2]
    strike = stage.chain.contracts(calls).strike_usd[None, :]
    now = moment(stage.world, part.exch_ns)
    years = (expiry_ns - part.exch_ns) / (365 * NS_PER_DAY)
    forward = (now.index_usd * np.exp(now.carry * years))[:, None]
    wide = type(now.factors)(*(factor[:, None] for factor in now.factors))
    variance = stage.surface.total_variance(wide, years[:, None], np.log(strike / forward))
    deviations = np.log(strike / now.index_usd[:, None]) / np.sqrt(variance)
    edges = np.concatenate([[-_FARTHEST_DEVIATIONS], table.moneyness_edges, [_FARTHEST_DEVIATIONS]])
    lower, upper = edges[moneyness][:, None], edges[moneyness + 1][:, None]
    outside = np.maximum(np.maximum(lower - deviations, deviations - upper), 0)
    nearest = outside == outside.min(axis=1, keepdims=True)
    at = _pick(nearest, part.chance[:, Choice.STRIKE])
    is_call = part.chance[:, Choice.RIGHT] < table.call_share.ravel()[part.cell]
    return np.asarray(rows[2 * at + is_call])


def _pick(candidates: NDArray[np.bool_], chance: Floats) -> Ints:
    """One of each row's candidates (columns), at random by `chance`."""
    ordinal = np.floor(chance * candidates.sum(axis=1)).astype(np.int64)
    return np.asarray((candidates.cumsum(axis=1) > ordinal[:, None]).argmax(axis=1))
