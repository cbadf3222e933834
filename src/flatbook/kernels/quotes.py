"""From reservation prices to a chain's two-sided quotes: what they are made of, rounding outward to the tick, sizes."""

import math

import numpy as np
from numpy.typing import NDArray

from flatbook.kernels.jit import Arg, inlined, kernel
from flatbook.kernels.vector import log_above_one

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NO_BID = 0
NO_ASK = 2**62
_SLACK = 1e-9


def round_outward_plain(
    bid: Floats, ask: Floats, tick: Floats, above: Ints, coarse: Ints, bid_ticks: Ints, ask_ticks: Ints
) -> None:
    """Plain twin of `round_outward`."""
    for i in range(len(bid)):
        bid_ticks[i], ask_ticks[i] = NO_BID, NO_ASK
        if math.isfinite(bid[i]):
            low = math.floor(bid[i] / tick[i] + _SLACK)
            bid_ticks[i] = max(low - (low % coarse[i] if low > above[i] else 0), NO_BID)
        if math.isfinite(ask[i]):
            high = max(math.ceil(ask[i] / tick[i] - _SLACK), 1)
            high += -high % coarse[i] if high > above[i] else 0
            step = coarse[i] if bid_ticks[i] >= above[i] else 1
            ask_ticks[i] = max(high, bid_ticks[i] + step)


@kernel(*[Arg.IN] * 3, *[Arg.IN_INT] * 2, *[Arg.OUT_INT] * 2, plain=round_outward_plain)
def round_outward(
    bid: Floats, ask: Floats, tick: Floats, above: Ints, coarse: Ints, bid_ticks: Ints, ask_ticks: Ints
) -> None:
    """Fill quotes in finest ticks: bids down, asks up, on the grid that coarsens above a price, ask over bid.

    Shapes      all (n,)
    Domain      a bid under one tick, or NaN, is NO_BID; a NaN ask is NO_ASK; an ask is at least one tick
    """
    for i in range(bid.size):
        low, high = outward(bid[i], ask[i], tick[i], float(above[i]), float(coarse[i]))
        bid_ticks[i] = int(low) if abs(bid[i]) < np.inf else NO_BID
        ask_ticks[i] = int(high) if abs(ask[i]) < np.inf else NO_ASK


@inlined
def outward(bid: float, ask: float, tick: float, edge: float, step: float) -> tuple[float, float]:
    """Whole ticks of one row's sides, as `round_outward`; a side that is not there counts as 0."""
    low = np.floor((bid if abs(bid) < np.inf else 0.0) / tick + _SLACK)
    low = max(np.floor(low / step) * step if low > edge else low, 0.0)
    high = max(np.ceil((ask if abs(ask) < np.inf else 0.0) / tick - _SLACK), 1.0)
    high = np.ceil(high / step) * step if high > edge else high
    return low, max(high, low + (step if low >= edge else 1.0))


TERMS = (
    "half_spread_coin",
    "spread_vol",
    "error_weight",
    "fee_rate",
    "fee_cap",
    "hedge_rate",
    "widen",
    "aversion",
    "edge_coin",
    "edge_vol",
    "position_skew",
)
"""Entries of the `terms` of `quote_prices`, in order; see there."""


def quote_prices_plain(
    index: float,
    terms: Floats,
    charges_risk: bool,
    quoted: NDArray[np.int8],
    greeks: Floats,
    forward: Floats,
    error: Floats,
    held: Floats,
    takers: Floats,
    shift: Floats,
    width: Floats,
    parts: Floats,
    bid: Floats,
    ask: Floats,
) -> None:
    """Plain twin of `quote_prices`."""
    half, spread_vol, weight, fee_rate, fee_cap, hedge_rate, widen, aversion, edge_coin, edge_vol, position_skew = terms
    price, delta, vega = greeks[0] / forward, greeks[1], greeks[3] / forward
    spread = half + (spread_vol + weight * error) * vega + np.minimum(fee_rate, fee_cap * price)
    spread = spread + hedge_rate * np.abs(delta)
    lean = position_skew * vega * held
    if charges_risk:
        edge = takers[0] * np.hypot(edge_coin * index, edge_vol * greeks[3])
        spread = spread + np.log1p(aversion * edge) / (aversion * index)
        parts[2], parts[3] = (width + shift) / index, (width - shift) / index
    else:
        parts[2], parts[3] = lean, -lean
    parts[0], parts[1], parts[4:6] = price, spread * widen, takers[1:3] * widen
    live = quoted != 0
    bid[:] = np.where(live, price - parts[1] - parts[2] - parts[4], np.nan)
    ask[:] = np.where(live, price + parts[1] + parts[3] + parts[5], np.nan)


@kernel(
    Arg.FLOAT,
    Arg.IN,
    Arg.BOOL,
    Arg.IN_CODE,
    Arg.IN_2D,
    *[Arg.IN] * 3,
    Arg.IN_2D,
    *[Arg.IN] * 2,
    Arg.OUT_2D,
    *[Arg.OUT] * 2,
    plain=quote_prices_plain,
)
def quote_prices(
    index: float,
    terms: Floats,
    charges_risk: bool,
    quoted: NDArray[np.int8],
    greeks: Floats,
    forward: Floats,
    error: Floats,
    held: Floats,
    takers: Floats,
    shift: Floats,
    width: Floats,
    parts: Floats,
    bid: Floats,
    ask: Floats,
) -> None:
    """Fill a chain's quotes before rounding, and the parts that they are the sums of.

    Shapes      terms (len(TERMS),); greeks (>= 4, n): price, delta, gamma, vega of Black, USD; takers (3, n);
                parts (6, n); else (n,)
    Units       parts, bid, ask in coin per contract. Parts: fair, half-spread, what buying adds to the charge, what
                selling does, and what takers who sell and who buy cost; bid is the first less the second, third and
                fifth, ask the sum of the first, second, fourth and sixth, both NaN where `quoted` is 0. Takers: a
                factor on the edge, and that cost before widening
    Terms       the half-spread is half_spread_coin, plus spread_vol and error_weight times the surface's `error` in
                vega, plus the fee (fee_rate of the coin, at most fee_cap of the premium), plus hedge_rate of |delta|;
                where `charges_risk`, plus that of exponential utility, ln(1 + aversion x edge) / aversion, against
                flow that falls by e over an edge of hypot(edge_coin, edge_vol x vega) times the factor; all of it times
                widen. The charge is `width` +- `shift` in USD; without R it is position_skew in vega per contract held
    """
    _spreads(index, terms, charges_risk, greeks[0], greeks[1], greeks[3], forward, error, takers[0], parts[0], parts[1])
    if charges_risk:
        _sides(1.0 / index, terms[6], quoted, width, shift, takers[1], takers[2], parts, bid, ask)
        return
    lean, none = np.empty(bid.size), np.zeros(bid.size)
    for i in range(bid.size):
        lean[i] = terms[10] * greeks[3, i] / forward[i] * held[i]
    _sides(1.0, terms[6], quoted, none, lean, takers[1], takers[2], parts, bid, ask)


@inlined
def _sides(
    scale: float,
    widen: float,
    quoted: NDArray[np.int8],
    width: Floats,
    shift: Floats,
    sellers: Floats,
    buyers: Floats,
    parts: Floats,
    bid: Floats,
    ask: Floats,
) -> None:
    fair, spread, buying, selling, bid_takers, ask_takers = parts[0], parts[1], parts[2], parts[3], parts[4], parts[5]
    for i in range(bid.size):
        bought, sold = (width[i] + shift[i]) * scale, (width[i] - shift[i]) * scale
        below, above = sellers[i] * widen, buyers[i] * widen
        buying[i], selling[i], bid_takers[i], ask_takers[i] = bought, sold, below, above
        bid[i] = fair[i] - spread[i] - bought - below if quoted[i] else np.nan
        ask[i] = fair[i] + spread[i] + sold + above if quoted[i] else np.nan


@inlined
def _spreads(
    index: float,
    terms: Floats,
    charges_risk: bool,
    price: Floats,
    delta: Floats,
    vega: Floats,
    forward: Floats,
    error: Floats,
    reach: Floats,
    fair: Floats,
    spread: Floats,
) -> None:
    fixed, spread_vol, error_weight, fee_rate, fee_cap = terms[0], terms[1], terms[2], terms[3], terms[4]
    hedge_rate, widen, aversion = terms[5], terms[6], terms[7]
    edge_usd, edge_vol = terms[8] * index, terms[9]
    per_aversion = 1.0 / (aversion * index) if charges_risk else 0.0
    for i in range(fair.size):
        per_forward = 1.0 / forward[i]
        premium = price[i] * per_forward
        half = fixed + (spread_vol + error_weight * error[i]) * vega[i] * per_forward
        half += min(fee_rate, fee_cap * premium) + hedge_rate * abs(delta[i])
        of_vega = edge_vol * vega[i]
        edge = reach[i] * math.sqrt(edge_usd * edge_usd + of_vega * of_vega)
        half += log_above_one(aversion * edge) * per_aversion
        fair[i] = premium
        spread[i] = half * widen


def lower_bids_plain(
    size: float,
    cap: Floats,
    tick: Floats,
    lot: Floats,
    above: Ints,
    coarse: Ints,
    bid_ticks: Ints,
    ask_ticks: Ints,
    grid: Ints,
) -> None:
    """Plain twin of `lower_bids`."""
    lowered, unused = np.empty_like(bid_ticks), np.empty_like(bid_ticks)
    round_outward_plain(np.minimum(cap, 1e9), np.full(len(cap), np.nan), tick, above, coarse, lowered, unused)
    bids = np.minimum(bid_ticks, lowered)
    lots = np.maximum(np.rint(size / lot), 1).astype(np.int64)
    grid[0] = bids
    grid[1] = np.where(bids > NO_BID, lots, 0)
    grid[2] = np.where(ask_ticks < NO_ASK, ask_ticks, 0)
    grid[3] = np.where(ask_ticks < NO_ASK, lots, 0)


@kernel(Arg.FLOAT, *[Arg.IN] * 3, *[Arg.IN_INT] * 4, Arg.OUT_INT_2D, plain=lower_bids_plain)
def lower_bids(
    size: float,
    cap: Floats,
    tick: Floats,
    lot: Floats,
    above: Ints,
    coarse: Ints,
    bid_ticks: Ints,
    ask_ticks: Ints,
    grid: Ints,
) -> None:
    """Fill the quote grid (4, n): bid ticks, bid lots, ask ticks, ask lots; bids lowered to their caps on the grid.

    Units       size and lot in contracts: a quote is of the nearest whole number of lots, one at least
    """
    for i in range(cap.size):
        lowered = np.floor(min(cap[i], 1e9) / tick[i] + _SLACK)
        step = float(coarse[i])
        lowered = np.floor(lowered / step) * step if lowered > above[i] else lowered
        bid = min(float(bid_ticks[i]), max(lowered, 0.0))
        lots = lots_of(size, lot[i])
        has_ask = ask_ticks[i] < NO_ASK
        grid[0, i] = int(bid)
        grid[1, i] = int(lots) if bid > NO_BID else 0
        grid[2, i] = ask_ticks[i] if has_ask else 0
        grid[3, i] = int(lots) if has_ask else 0


@inlined
def lots_of(size: float, lot: float) -> float:
    """The nearest whole number of lots, one at least."""
    return float(max(np.rint(size / lot), 1.0))


def choose_rows_plain(
    bounds: Floats, fair: Floats, years: Floats, moneyness: Floats, error: Floats, chosen: NDArray[np.int8]
) -> None:
    """Plain twin of `choose_rows`."""
    least_years, most_years, most_moneyness, most_error = bounds
    within = (years > 0) & (years >= least_years) & (years <= most_years) & (np.abs(moneyness) <= most_moneyness)
    chosen[:] = np.isfinite(fair) & within & (error <= most_error)


@kernel(*[Arg.IN] * 5, Arg.OUT_CODE, plain=choose_rows_plain)
def choose_rows(
    bounds: Floats, fair: Floats, years: Floats, moneyness: Floats, error: Floats, chosen: NDArray[np.int8]
) -> None:
    """Fill 1 where a row may carry a quote: known, alive, near enough the money, on a smile known well enough.

    Shapes      bounds (4,): least and most years, most |moneyness|, most error; else (n,)
    """
    least_years, most_years, most_moneyness, most_error = bounds[0], bounds[1], bounds[2], bounds[3]
    for i in range(chosen.size):
        known = abs(fair[i]) < np.inf
        within = (years[i] > 0.0) & (years[i] >= least_years) & (years[i] <= most_years)
        chosen[i] = known & within & (abs(moneyness[i]) <= most_moneyness) & (error[i] <= most_error)


def changed_rows_plain(resting: Ints, wanted: Ints, is_unsure: NDArray[np.int8], rows: Ints) -> int:
    """Plain twin of `changed_rows`."""
    found = np.flatnonzero((resting[:, : wanted.shape[1]] != wanted).any(axis=0) | (is_unsure[: wanted.shape[1]] != 0))
    rows[: len(found)] = found
    return len(found)


@kernel(*[Arg.IN_INT_2D] * 2, Arg.IN_CODE, Arg.OUT_INT, plain=changed_rows_plain)
def changed_rows(resting: Ints, wanted: Ints, is_unsure: NDArray[np.int8], rows: Ints) -> int:
    """Fill the first of `rows` with the rows whose resting quote is not the wanted one, or not surely known; how many.

    Shapes      wanted (4, n); resting (4, >= n); is_unsure (>= n,); rows (>= n,)
    """
    n, found = wanted.shape[1], 0
    differs = np.empty(n, np.int64)
    bid, bid_lots, ask, ask_lots = resting[0, :n], resting[1, :n], resting[2, :n], resting[3, :n]
    for i in range(n):
        sides = (bid[i] ^ wanted[0, i]) | (bid_lots[i] ^ wanted[1, i])
        sides |= (ask[i] ^ wanted[2, i]) | (ask_lots[i] ^ wanted[3, i])
        differs[i] = sides | is_unsure[i]
    for i in range(n):
        rows[found] = i
        found += 1 if differs[i] != 0 else 0
    return found
