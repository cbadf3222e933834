"""What one quote is made of, part by part: the sums that `kernels.quotes` and `kernels.charges` make of a whole chain.

    price = fair -+ spread - inventory's lean -+ its width, then on the tick, then under our own asks

A part is signed as it is added to the price, so that all of them sum to it.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.policy import BASELINES, FlowPolicy, QuotingPolicy
from flatbook.decide.quoting import ASK_TICKS, BID_TICKS, Quotes
from flatbook.kernels.chain import BASIS, CONVEXITIES, FACTORS, LEVELS, PREMIUM, SKEWS, SPOT, SQUARED, TENORS
from flatbook.kernels.quotes import NO_ASK, NO_BID, round_outward
from flatbook.market.universe import Columns
from flatbook.valuation.chain import DELTA, VEGA, ChainValues

Floats = NDArray[np.float64]

FAIR, SPREAD, INVENTORY, CLAMP = "fair", "spread", "inventory", "clamp"


def _factor_names() -> tuple[str, ...]:
    names = [""] * FACTORS
    names[SPOT], names[SQUARED], names[BASIS], names[PREMIUM] = "spot", "squared_return", "carry", "premium"
    for factors, kind in ((LEVELS, "level"), (SKEWS, "skew"), (CONVEXITIES, "convexity")):
        for number, tenor in zip(range(FACTORS)[factors], ("short", "mid", "long")[:TENORS], strict=True):
            names[number] = f"{kind}_{tenor}"
    return tuple(names)


FACTOR_NAMES = _factor_names()
"""The risk factors of `kernels.chain`, in order."""


class Part(NamedTuple):
    """Of a price: its group (fair, spread, inventory, clamp), its name, and what it adds, in coin per contract."""

    group: str
    name: str
    coin: float


class Priced(NamedTuple):
    """A side as it was wanted: its parts, and the price that they sum to.

    exact_coin  before tick and cap; NaN where there is no fair value
    price_coin  None where it is not wanted, for it would be under a tick, or nothing would be left under our own asks
    """

    parts: tuple[Part, ...]
    exact_coin: float
    price_coin: float | None


def price_parts(
    quoting: QuotingPolicy, flow: FlowPolicy, values: ChainValues, columns: Columns, quotes: Quotes, row: int
) -> tuple[Priced, Priced]:
    """The bid and the ask of a row, taken apart."""
    leans = _leans(quoting, values, quotes, row)
    width = _width(quoting, values, quotes, row)
    fair = Part(FAIR, "fair", float(quotes.fair_coin[row]))
    model = quoting.skew if quoting.skew in BASELINES else None
    sides = []
    for side, takers, inventory in (
        (1, quotes.bid_takers_coin, quotes.bid_inventory_coin),
        (-1, quotes.ask_takers_coin, quotes.ask_inventory_coin),
    ):
        asked = float(quotes.spread_coin[row]) + float(takers[row])
        spread = _spread(quoting, flow, values, quotes, row, side, asked)
        parts = [fair, *(Part(SPREAD, name, -side * coin) for name, coin in spread.items())]
        if model is not None:
            parts.append(Part(INVENTORY, model, -side * float(inventory[row])))
        else:
            parts += [Part(INVENTORY, name, coin) for name, coin in leans.items()]
            parts += [Part(INVENTORY, name, -side * coin) for name, coin in width.items()]
            parts += [Part(INVENTORY, name, -side * coin) for name, coin in _beside(quotes, row, side).items()]
        exact = fair.coin - side * (asked + float(inventory[row]))
        sides.append((tuple(parts), exact))
    (bid, bid_exact), (ask, ask_exact) = sides
    rounded = _rounded(columns, row, bid_exact, ask_exact)
    return (
        _clamped(bid, bid_exact, rounded[0], int(quotes.grid[BID_TICKS, row]), float(columns.tick[row])),
        _clamped(ask, ask_exact, rounded[1], int(quotes.grid[ASK_TICKS, row]), float(columns.tick[row])),
    )


def _spread(
    quoting: QuotingPolicy, flow: FlowPolicy, values: ChainValues, quotes: Quotes, row: int, side: int, asked: float
) -> dict[str, float]:
    """What a half-spread of `asked` coin is made of; `widen` is what is put on all the rest, `capital` apart."""
    inputs, index = quotes.inputs, values.index_usd
    vega_usd, delta = float(values.greeks[VEGA, row]), float(values.greeks[DELTA, row])
    vega = vega_usd / float(values.forward_usd[row])
    cap = quoting.fee_share * inputs.fee_cap_of_premium * float(quotes.fair_coin[row])
    learns = quoting.adverse_selection == "learned"
    capital = 0.0 if inputs.capital_coin is None else float(inputs.capital_coin[0 if side > 0 else 1, row])
    taken = 0.0 if inputs.takers is None else float(inputs.takers[1 if side > 0 else 2, row])
    parts = {
        "fixed_coin": quoting.half_spread_coin,
        "fixed_vol": quoting.half_spread_vol * vega,
        "adverse_selection": taken if learns else quoting.adverse_selection_vol * vega,
        "model_error": quoting.model_error_weight * float(inputs.vol_error[row]) * vega,
        "fee": min(quoting.fee_share * inputs.maker_fee_rate, cap),
        "hedge_cost": quoting.hedge_cost_share * inputs.hedge_cost_rate * abs(delta),
    }
    if quoting.skew == "price_of_risk":
        aversion = inputs.risk_aversion_per_usd * quoting.size_coin
        reach = 1.0 if inputs.takers is None else float(inputs.takers[0, row])
        edge_usd = reach * math.hypot(flow.edge_coin * index, flow.edge_vol * vega_usd)
        parts["edge"] = math.log1p(aversion * edge_usd) / (aversion * index)
    elif quoting.skew in BASELINES:
        parts[quoting.skew] = (asked - capital) / inputs.widen - sum(parts.values())
    return {**parts, "widen": (inputs.widen - 1.0) * sum(parts.values()), "capital": capital}


def _leans(quoting: QuotingPolicy, values: ChainValues, quotes: Quotes, row: int) -> dict[str, float]:
    """By how much what is held moves both sides."""
    inputs = quotes.inputs
    if quoting.skew == "price_of_risk":
        by_factor = values.loading[row] * inputs.risk_price.gradient(inputs.exposure)
        leans = dict(zip(FACTOR_NAMES, (-by_factor / values.index_usd).tolist(), strict=True))
        if (limits := inputs.limits) is not None:
            by_axis = limits.direction @ values.loading[row] * limits.price.slopes_usd(limits.value)
            names = (f"limit_{name}" for name in limits.price.names)
            leans |= zip(names, (-by_axis / values.index_usd).tolist(), strict=True)
        return leans
    if quoting.skew == "position":
        vega = float(values.greeks[VEGA, row] / values.forward_usd[row])
        skew = quoting.position_skew_vol / quoting.size_coin
        return {"own_position": -skew * vega * float(inputs.held_coin[row])}
    return {}


def _width(quoting: QuotingPolicy, values: ChainValues, quotes: Quotes, row: int) -> dict[str, float]:
    """By how much a trade of the size, being a risk itself, moves each side away from fair."""
    if quoting.skew != "price_of_risk":
        return {}
    cost_usd = quoting.size_coin * quotes.inputs.risk_price.cost_usd(values.loading[row])
    width = {"own_width": cost_usd / values.index_usd}
    if (limits := quotes.inputs.limits) is not None:
        added = limits.direction @ values.loading[row]
        bent_usd = 0.5 * quoting.size_coin * float(limits.price.bends_usd(limits.value) @ (added * added))
        width["limit_width"] = bent_usd / values.index_usd
    return width


def _beside(quotes: Quotes, row: int, side: int) -> dict[str, float]:
    """What R charges a side of this row beside its parabola: for tails, and for bounds that are not of the factors."""
    inputs, at = quotes.inputs, 0 if side > 0 else 1
    beside = {} if inputs.stress_coin is None else {"stress": float(inputs.stress_coin[at, row])}
    return beside | {f"limit_{name}": float(coin[at, row]) for name, coin in inputs.limits_coin.items()}


def _rounded(columns: Columns, row: int, bid: float, ask: float) -> tuple[int | None, int | None]:
    """Both sides outward on the tick, in finest ticks; None where there is no price."""
    at = slice(row, row + 1)
    bid_ticks, ask_ticks = np.zeros((2, 1), np.int64)
    round_outward(
        np.array([bid]), np.array([ask]), columns.tick[at].copy(), columns.tick_above[at].copy(),
        columns.tick_coarse[at].copy(), bid_ticks, ask_ticks,
    )  # fmt: skip
    low, high = int(bid_ticks[0]), int(ask_ticks[0])
    return (None if low == NO_BID else low), (None if high == NO_ASK else high)


def _clamped(parts: tuple[Part, ...], exact: float, rounded: int | None, wanted: int, tick: float) -> Priced:
    """On the tick, and a bid no higher than our own asks allow."""
    if rounded is None:
        return Priced(parts, exact, None)
    parts = (*parts, Part(CLAMP, "tick", rounded * tick - exact))
    if not wanted:
        return Priced(parts, exact, None)
    return Priced((*parts, Part(CLAMP, "own_asks", (wanted - rounded) * tick)), exact, wanted * tick)
