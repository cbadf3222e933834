"""The forward of each expiry, with its error bar, from everything that a chain says of it.

Parity of calls and puts, what the venue states as the underlying, the dated future of the same expiry, and the line of
carry between the neighbours' forwards and the spot, where perpetual and index stand: joined by inverse variance.
Sources that others contradict are thrown out; if nobody can tell which is wrong, the error grows until it covers both.

Rows of a recorded chain may be minutes apart. So all is measured against the forward that the venue stated beside each
row: what is estimated is a ratio that stands still while the market moves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import years_between
from flatbook.market.calibration.evidence import Joined, Observed, combine, deviations_between
from flatbook.market.calibration.parity import UNIFORM, parity_pairs, parity_regression
from flatbook.market.chain_snapshot import ChainSnapshot, LinearQuote

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ForwardErrors:
    """What a source is believed to err by, one standard deviation relative to the forward.

    stated          the venue's underlying: recorded chains differ from their parity by this where that is sharpest ...
    stated_rate     ... and by this per year besides: an expiry without a future is stated by a line between others
    unquoted        a mark of a future or perpetual without bid and ask: it may be a minute old
    index           the index: not traded, and taken at another moment than the options
    rate            of the carry between two expiries, per year: what a line between them may miss
    outlier         a strike or source farther off than this many of its deviations is left out
    """

    stated: float = 1e-4
    stated_rate: float = 0.0015
    unquoted: float = 1e-3
    index: float = 5e-4
    rate: float = 0.02
    outlier: float = 4.0


class ForwardSource(NamedTuple):
    """One source's word on one forward; `weight` is its share in the estimate, 0 for one that was thrown out.

    `name` is "parity", "stated" (the venue's underlying), "carry" (the line between neighbours), or a future's own.
    """

    name: str
    forward_usd: float
    relative_error: float
    weight: float


@dataclass(frozen=True, slots=True)
class ForwardEstimate:
    """The forward of one expiry.

    forward_usd      as of the snapshot; NaN where nothing speaks of it
    relative_error   one standard deviation of its logarithm
    per_stated       ratio to the forward stated beside a row; NaN where the venue states none
    ratio_error      one standard deviation of that: less than `relative_error` where the market moved between rows
    pairs            two-sided pairs of call and put in the parity regression, after outliers
    """

    expiry_ns: int
    forward_usd: float
    relative_error: float
    per_stated: float
    ratio_error: float
    pairs: int
    sources: tuple[ForwardSource, ...]

    @property
    def is_known(self) -> bool:
        """Whether there is a forward."""
        return math.isfinite(self.forward_usd)


_MEDIAN_DEVIATION = 1.4826  # standard deviation of a normal by the median of its size
_LEVEL_RATE = 0.1  # per year: of the carry where only one forward is known


def forward_estimates(snapshot: ChainSnapshot, errors: ForwardErrors | None = None) -> tuple[ForwardEstimate, ...]:
    """The forward of every expiry of the chain that is still to come, expiries rising."""
    believed = errors or ForwardErrors()
    expiries = [int(expiry) for expiry in np.unique(snapshot.expiry_ns) if expiry > snapshot.ts_ns]
    own = [_own_sources(snapshot, expiry, believed) for expiry in expiries]
    first = [combine(sources.observed, believed.outlier) for sources in own]
    spot = _spot(snapshot, believed)
    years = [years_between(snapshot.ts_ns, expiry) for expiry in expiries]
    carried = _carried(years, first, spot, believed)
    return tuple(
        _estimate(expiry, sources, carry, believed.outlier)
        for expiry, sources, carry in zip(expiries, own, carried, strict=True)
    )


class _Own(NamedTuple):
    """What an expiry's own options and future say of its log forward, and the venue's word it is measured against."""

    stated_log: float
    spread: float
    pairs: int
    observed: tuple[Observed, ...]


def _own_sources(snapshot: ChainSnapshot, expiry_ns: int, errors: ForwardErrors) -> _Own:
    rows = np.flatnonzero(snapshot.expiry_ns == expiry_ns)
    stated = np.log(snapshot.forward_usd[rows])
    known = stated[np.isfinite(stated)]
    stated_log = float(np.median(known)) if known.size else math.nan
    spread = float(np.std(known)) if known.size else 0.0
    observed = []
    pairs = parity_pairs(snapshot, rows)
    regression = parity_regression(pairs, errors.outlier)
    if regression:
        parity = regression[0]
        observed.append(parity._replace(log=parity.log + (stated_log if pairs.is_relative else 0.0)))
    if known.size:
        years = years_between(snapshot.ts_ns, expiry_ns)
        observed.append(Observed("stated", stated_log, math.hypot(errors.stated, errors.stated_rate * years)))
    for future in snapshot.linear:
        if future.expiry_ns == expiry_ns:
            seen = _linear(future, errors)
            observed.append(seen._replace(deviation=math.hypot(seen.deviation, spread)))
    return _Own(
        stated_log,
        spread,
        regression[1] if regression else 0,
        tuple(seen for seen in observed if math.isfinite(seen.log)),
    )


def _linear(quote: LinearQuote, errors: ForwardErrors) -> Observed:
    """A future or perpetual by its mid; by its mark where a side is absent."""
    if 0.0 < quote.bid <= quote.ask:
        mid = 0.5 * (quote.bid + quote.ask)
        # A book one tick wide says no more than another trade would.
        return Observed(quote.instrument, math.log(mid), max(UNIFORM * (quote.ask - quote.bid) / mid, 2e-5))
    log = math.log(quote.mark) if quote.mark > 0.0 else math.nan
    return Observed(quote.instrument, log, errors.unquoted)


def _spot(snapshot: ChainSnapshot, errors: ForwardErrors) -> Joined:
    seen = [_linear(quote, errors) for quote in snapshot.linear if quote.expiry_ns is None]
    # The perpetual's premium over the index is real, and says that little of a forward.
    seen = [one._replace(deviation=math.hypot(one.deviation, errors.index)) for one in seen]
    if snapshot.index_usd > 0.0:
        seen.append(Observed("index", math.log(snapshot.index_usd), errors.index))
    return combine([one for one in seen if math.isfinite(one.log)], errors.outlier)


def _carried(
    years: Sequence[float], own: Sequence[Joined], spot: Joined, errors: ForwardErrors
) -> list[Observed | None]:
    """The log forward of each expiry on the line through its neighbours, of which the spot is the first.

    Where such lines miss the expiries that speak for themselves by more than they say, all of them err by that more.
    """
    knots = [(t, seen) for t, seen in zip((0.0, *years), (spot, *own), strict=True) if seen.names]
    lines = [_on_the_line(year, [knot for knot in knots if knot[0] != year], errors.rate) for year in years]
    misses = [
        deviations_between(line, Observed("own", seen.log, seen.deviation))
        for line, seen in zip(lines, own, strict=True)
        if line and seen.names
    ]
    scale = max(1.0, _MEDIAN_DEVIATION * float(np.median(misses))) if misses else 1.0
    return [line._replace(deviation=scale * line.deviation) if line else None for line in lines]


def _on_the_line(year: float, knots: Sequence[tuple[float, Joined]], rate: float) -> Observed | None:
    """Between the two neighbours, or beyond both: on the line of the nearest two on one side."""
    if not knots:
        return None
    if len(knots) == 1:
        ((t, seen),) = knots
        return Observed("carry", seen.log, math.hypot(seen.deviation, _LEVEL_RATE * abs(year - t)))
    after = min(max(sum(t < year for t, _ in knots), 1), len(knots) - 1)
    (t0, one), (t1, two) = knots[after - 1 : after + 1]
    share = (year - t0) / (t1 - t0)
    log = (1.0 - share) * one.log + share * two.log
    ends = math.hypot((1.0 - share) * one.deviation, share * two.deviation)
    # Carries that differ by `rate` from span to span bend the line by this much.
    bend = rate * min(abs(year - t0), abs(t1 - year), abs((year - t0) * (t1 - year)) / (t1 - t0))
    return Observed("carry", log, math.hypot(ends, bend))


def _estimate(expiry_ns: int, own: _Own, carry: Observed | None, outlier: float) -> ForwardEstimate:
    # The carry stands on the neighbours: beside own sources it is a witness, alone it is the estimate.
    everything = [*own.observed, *([carry] if carry else [])]
    joined = combine(everything, outlier)
    total = sum(one.deviation**-2.0 for one in everything if one.name in joined.names)
    sources = tuple(
        ForwardSource(
            one.name,
            math.exp(one.log),
            one.deviation,
            one.deviation**-2.0 / total if one.name in joined.names else 0.0,
        )
        for one in everything
    )
    return ForwardEstimate(
        expiry_ns=expiry_ns,
        forward_usd=math.exp(joined.log),
        relative_error=math.hypot(joined.deviation, own.spread),
        per_stated=math.exp(joined.log - own.stated_log),
        ratio_error=joined.deviation,
        pairs=own.pairs,
        sources=sources,
    )


def row_forwards(snapshot: ChainSnapshot, estimates: Iterable[ForwardEstimate]) -> Floats:
    """The forward of each row at the row's own time, shape (n,): the one stated beside it, corrected; NaN unknown."""
    out = np.full(snapshot.expiry_ns.size, np.nan)
    for estimate in estimates:
        rows = snapshot.expiry_ns == estimate.expiry_ns
        stated = snapshot.forward_usd[rows] * estimate.per_stated
        out[rows] = np.where(np.isfinite(stated), stated, estimate.forward_usd)
    return out
