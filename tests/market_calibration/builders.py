"""Chains drawn from a known surface: what a calibration should find again."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_DAY, NS_PER_YEAR
from flatbook.kernels.black import black
from flatbook.kernels.svi import svi_vol
from flatbook.market.chain_snapshot import ChainSnapshot, LinearQuote

Floats = NDArray[np.float64]

NOW_NS = 1_770_000_000_000_000_000
SPOT_USD = 80_000.0


@dataclass(frozen=True, eq=False)
class Drawn:
    """One expiry of a drawn chain: raw SVI parameters and the forward that its quotes are made with."""

    days: float
    params: Floats
    forward_usd: float

    @property
    def expiry_ns(self) -> int:
        """When it expires."""
        return NOW_NS + round(self.days * NS_PER_DAY)

    @property
    def years(self) -> float:
        """Years of 365 days to expiry."""
        return (self.expiry_ns - NOW_NS) / NS_PER_YEAR

    def vol(self, k: Floats) -> Floats:
        """True vols."""
        out = np.empty(k.size)
        svi_vol(self.params, np.ascontiguousarray(k), self.years, out)
        return out


def smile(days: float, level: float = 0.6, skew: float = -0.3, wing: float = 0.5, carry: float = 0.05) -> Drawn:
    """A smile of one shape per standard deviation at a vol near `level`, on a forward that carries the spot."""
    years = days / 365.0
    deviation = level * math.sqrt(years)
    params = np.array([0.5 * deviation**2, wing * deviation, skew, 0.1 * deviation, deviation])
    return Drawn(days, params, SPOT_USD * math.exp(carry * years))


@dataclass(frozen=True)
class Quoting:
    """How a drawn chain is quoted.

    half_vol        half the bid-ask in vol, and `tick` in coin below which no price is quoted
    reach           deviations out to which strikes are listed, `strikes` of them an expiry
    stated          whether the venue states forwards
    settle          BTC for coin-settled options, USDC for linear ones
    decimals        of strikes
    """

    half_vol: float = 0.01
    tick: float = 1e-4
    reach: float = 3.0
    strikes: int = 25
    stated: bool = True
    settle: str = "BTC"
    decimals: int = 2


def chain(
    expiries: list[Drawn],
    quoting: Quoting | None = None,
    rng: np.random.Generator | None = None,
    linear: tuple[LinearQuote, ...] = (),
) -> ChainSnapshot:
    """Calls and puts at listed strikes; with `rng` the truth lies anywhere in the bid-ask, else in its middle."""
    how = quoting or Quoting()
    columns: dict[str, list[Floats]] = {name: [] for name in ("strike", "sign", "forward", "bid", "ask")}
    expiry_ns: list[NDArray[np.int64]] = []
    names: list[str] = []
    for drawn in expiries:
        at_money = float(drawn.vol(np.zeros(1))[0]) * math.sqrt(drawn.years)
        k = at_money * np.linspace(-how.reach, how.reach, how.strikes)
        strike = np.round(drawn.forward_usd * np.exp(k), how.decimals)
        true_vol = drawn.vol(np.log(strike / drawn.forward_usd))
        for sign in (1.0, -1.0):
            skewed = rng.uniform(-how.half_vol, how.half_vol, strike.size) if rng else 0.0
            bid, ask = (
                black(drawn.forward_usd, strike, true_vol + skewed + side * how.half_vol, drawn.years, sign).price
                for side in (-1.0, 1.0)
            )
            unit = drawn.forward_usd if how.settle == "BTC" else 1.0
            expiry_ns.append(np.full(strike.size, drawn.expiry_ns))
            columns["strike"].append(strike)
            columns["sign"].append(np.full(strike.size, sign))
            columns["forward"].append(np.full(strike.size, drawn.forward_usd if how.stated else np.nan))
            columns["bid"].append(np.where(bid / unit >= how.tick, bid / unit, np.nan))
            columns["ask"].append(np.maximum(ask / unit, how.tick))
            names += [f"BTC-{drawn.days:g}-{each:g}-{'C' if sign > 0 else 'P'}" for each in strike]
    one = {name: np.concatenate(parts) for name, parts in columns.items()}
    none = np.full(len(names), np.nan)
    return ChainSnapshot(
        underlying="BTC",
        settle=how.settle,
        ts_ns=NOW_NS,
        index_usd=SPOT_USD,
        instrument=tuple(names),
        expiry_ns=np.concatenate(expiry_ns),
        strike_usd=one["strike"],
        sign=one["sign"],
        forward_usd=one["forward"],
        bid=one["bid"],
        ask=one["ask"],
        mark=none,
        bid_size=none,
        ask_size=none,
        bid_iv=none,
        ask_iv=none,
        mark_iv=none,
        linear=linear,
    )


def with_rows(snapshot: ChainSnapshot, rows: NDArray[np.bool_], **columns: Floats | float) -> ChainSnapshot:
    """The same with some columns changed in some rows."""
    changed: dict[str, Any] = {name: np.where(rows, value, getattr(snapshot, name)) for name, value in columns.items()}
    return replace(snapshot, **changed)


def later(snapshot: ChainSnapshot, hours: float) -> ChainSnapshot:
    """The same quotes at another time."""
    return replace(snapshot, ts_ns=snapshot.ts_ns + round(hours * 3600e9))
