"""Quotes as bands of vol: what each strike of each expiry lets a smile be, how much it counts, and what says nothing.

A strike's call and put are one quote of its vol. The one out of the money has the sharper band; where it lacks a side,
its partner in the money stands in by parity, as far as the forward is known. A side without a quote is an inequality.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_YEAR
from flatbook.kernels.black import black
from flatbook.kernels.implied import ABOVE_BOUND, BELOW_INTRINSIC, OK, implied_vol
from flatbook.market.calibration.forwards import ForwardEstimate, row_forwards
from flatbook.market.chain_snapshot import ChainSnapshot

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

USED: Final = "used"
REASONS: Final = (
    USED,
    "expired",
    "no forward",
    "no bid and no ask",
    "bid above ask",
    "ask below intrinsic value",
    "bid above any value",
    "says nothing of vol",
    "partner out of the money suffices",
)
"""What became of a row of the chain; all but the first are left out."""

(_USED, _EXPIRED, _NO_FORWARD, _NO_QUOTE, _CROSSED, _BELOW, _ABOVE, _SAYS_NOTHING, _PARTNER) = range(len(REASONS))

VOL_FLOOR: Final = 0.001
"""A band narrower than this, in vol, counts as no sharper: a smile of five parameters does not either."""

SHARPEST: Final = 0.5
"""Nor is one narrower than this share of the median band of its expiry."""


@dataclass(frozen=True, slots=True, eq=False)
class QuoteBands:
    """What the chain lets smiles be: columns of strikes, those of expiry i from `first[i]` to `first[i + 1]`, k rising.

    expiry_ns, years, forward_usd    (m,), rising; years of 365 days; `forward_usd` NaN where it is not known
    k               ln(strike / forward), each by the forward at the time of its own quote
    vol_lo, vol_hi  decimal vols; NaN where that side is not quoted or says nothing of vol
    vol_mid         their middle; NaN where one is absent
    weight          one over the standard error that a band is believed to have, in vol: half its width, a floor and
                    the forward's error, and more where more is quoted than in the median of the expiry
    rows            rows of the chain by what became of them, a mapping an expiry
    """

    expiry_ns: Ints
    years: Floats
    forward_usd: Floats
    first: Ints
    strike_usd: Floats
    k: Floats
    vol_lo: Floats
    vol_hi: Floats
    vol_mid: Floats
    weight: Floats
    rows: tuple[Mapping[str, int], ...]

    def of(self, expiry: int) -> slice:
        """The quotes of one expiry."""
        return slice(int(self.first[expiry]), int(self.first[expiry + 1]))


class _Rows(NamedTuple):
    """The chain by rows, and one more that is empty: the partner of a strike that has none."""

    k: Floats
    vol_lo: Floats
    vol_hi: Floats
    slack: Floats  # what the forward's error puts on the row's vol
    size: Floats
    reason: Ints


def quote_bands(snapshot: ChainSnapshot, forwards: Sequence[ForwardEstimate]) -> QuoteBands:
    """Bands of every expiry that `forwards` speaks of, from prices where the venue gives them, else from its vols."""
    rows = _rows(snapshot, forwards)
    parts, first = [], [0]
    for estimate in forwards:
        part = _expiry_bands(snapshot, rows, np.flatnonzero(snapshot.expiry_ns == estimate.expiry_ns))
        parts.append(part)
        first.append(first[-1] + part.shape[1])
    strike, k, lo, hi, weight = np.concatenate(parts, axis=1) if parts else np.empty((5, 0))
    expiry_ns = np.array([estimate.expiry_ns for estimate in forwards], dtype=np.int64)
    return QuoteBands(
        expiry_ns=expiry_ns,
        years=(expiry_ns - snapshot.ts_ns) / NS_PER_YEAR,
        forward_usd=np.array([estimate.forward_usd for estimate in forwards]),
        first=np.array(first, dtype=np.int64),
        strike_usd=strike,
        k=k,
        vol_lo=lo,
        vol_hi=hi,
        vol_mid=0.5 * (lo + hi),
        weight=weight,
        rows=tuple(_counted(rows.reason[:-1][snapshot.expiry_ns == expiry]) for expiry in expiry_ns),
    )


def _counted(reason: Ints) -> Mapping[str, int]:
    return dict(Counter(REASONS[code] for code in reason.tolist()).most_common())


def _rows(snapshot: ChainSnapshot, forwards: Sequence[ForwardEstimate]) -> _Rows:
    forward = row_forwards(snapshot, forwards)
    years = (snapshot.expiry_ns - snapshot.ts_ns) / NS_PER_YEAR
    unit = forward if snapshot.is_inverse else np.ones(forward.size)
    lo, lo_code = _vols(snapshot, snapshot.bid * unit, snapshot.bid_iv, forward, years)
    hi, hi_code = _vols(snapshot, snapshot.ask * unit, snapshot.ask_iv, forward, years)
    crossed = (snapshot.bid > snapshot.ask) | (snapshot.bid_iv > snapshot.ask_iv)
    quoted = ~np.isnan([snapshot.bid, snapshot.ask, snapshot.bid_iv, snapshot.ask_iv]).all(axis=0)
    reason = np.select(
        [years <= 0.0, np.isnan(forward), ~quoted, crossed, hi_code == BELOW_INTRINSIC, lo_code == ABOVE_BOUND],
        [_EXPIRED, _NO_FORWARD, _NO_QUOTE, _CROSSED, _BELOW, _ABOVE],
        np.where(np.isnan(lo) & np.isnan(hi), _SAYS_NOTHING, _USED),
    )
    lo, hi = (np.where(reason == _USED, side, np.nan) for side in (lo, hi))
    relative_error = np.zeros(forward.size)
    for estimate in forwards:
        relative_error[snapshot.expiry_ns == estimate.expiry_ns] = estimate.ratio_error
    middle = np.where(np.isnan(lo) | np.isnan(hi), np.fmax(lo, hi), 0.5 * (lo + hi))
    greeks = black(forward, snapshot.strike_usd, middle, np.maximum(years, 0.0), snapshot.sign)
    with np.errstate(divide="ignore", invalid="ignore"):
        slack = np.abs(greeks.delta) * forward * relative_error / greeks.vega
    return _Rows(
        k=np.append(np.log(snapshot.strike_usd / forward), np.nan),
        vol_lo=np.append(lo, np.nan),
        vol_hi=np.append(hi, np.nan),
        slack=np.append(np.where(np.isfinite(slack), slack, np.inf), np.inf),
        size=np.append(np.minimum(snapshot.bid_size, snapshot.ask_size), np.nan),
        reason=np.append(reason, _NO_QUOTE).astype(np.int64),
    )


def _vols(
    snapshot: ChainSnapshot, price_usd: Floats, stated: Floats, forward: Floats, years: Floats
) -> tuple[Floats, NDArray[np.int8]]:
    """Vol of each price and the kernel's reason; the venue's own vol where there is no price."""
    vol, code = np.empty(price_usd.size), np.empty(price_usd.size, dtype=np.int8)
    implied_vol(price_usd, forward, snapshot.strike_usd, years, snapshot.sign, vol, code)
    # A vol stated beside a price of the other side alone is left over from an older quote.
    is_stated = np.isnan(snapshot.bid) & np.isnan(snapshot.ask) & np.isfinite(stated)
    return np.where(is_stated, stated, vol), np.where(is_stated, OK, code).astype(np.int8)


def _expiry_bands(snapshot: ChainSnapshot, rows: _Rows, of_expiry: Ints) -> Floats:
    """Strike, k, low and high vol, and weight, a column each strike that says something; marks rows not needed."""
    strike, place = np.unique(snapshot.strike_usd[of_expiry], return_inverse=True)
    # Call and put of each strike; -1 is the empty row.
    sides = np.full((2, strike.size), -1)
    is_put = (snapshot.sign[of_expiry] < 0.0).astype(np.int64)
    sides[is_put, place] = of_expiry
    k = np.nanmax(np.stack((rows.k[sides[0]], rows.k[sides[1]], np.full(strike.size, -np.inf))), axis=0)
    outer, inner = np.where(k >= 0.0, sides, sides[::-1])
    lo, hi = rows.vol_lo[outer], rows.vol_hi[outer]
    lo_in, hi_in = rows.vol_lo[inner] - rows.slack[inner], rows.vol_hi[inner] + rows.slack[inner]
    takes_lo = np.isnan(lo) & (lo_in > 0.0) & ~(lo_in > hi)
    takes_hi = np.isnan(hi) & np.isfinite(hi_in) & ~(hi_in < np.where(takes_lo, lo_in, lo))
    lo, hi = np.where(takes_lo, lo_in, lo), np.where(takes_hi, hi_in, hi)
    spare = inner[~(takes_lo | takes_hi)]
    rows.reason[spare[(spare >= 0) & (rows.reason[spare] == _USED)]] = _PARTNER
    from_outer = ~(np.isnan(rows.vol_lo[outer]) & np.isnan(rows.vol_hi[outer]))
    source = np.where(from_outer, outer, inner)
    weight = _weight(lo, hi, rows.slack[source], rows.size[source])
    kept = ~(np.isnan(lo) & np.isnan(hi)) & np.isfinite(weight)
    return np.stack((strike, rows.k[source], lo, hi, weight))[:, kept]


def _weight(lo: Floats, hi: Floats, slack: Floats, size: Floats) -> Floats:
    # Without a bid the band reaches down to a vol of 0; without an ask its width is unknown, and taken as its level.
    half = 0.5 * np.where(np.isnan(hi), 2.0 * lo, hi - np.where(np.isnan(lo), 0.0, lo))
    two_sided = half[np.isfinite(lo) & np.isfinite(hi)]
    if two_sided.size:
        # A quote far sharper than all others is as likely wrong as it is good.
        half = np.maximum(half, SHARPEST * float(np.median(two_sided)))
    known = size[np.isfinite(size)]
    typical = float(np.median(known)) if known.size else np.nan
    trust = np.sqrt(2.0 * size / (size + typical))
    return np.asarray(np.where(np.isnan(trust), 1.0, trust) / np.sqrt(half**2 + VOL_FLOOR**2 + slack**2))
