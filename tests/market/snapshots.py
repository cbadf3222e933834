"""Markets at one instant, made by hand: an index, a carry, and one smile in deviations for all expiries."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_DAY, parse_utc
from flatbook.market.snapshot import MarketSnapshot
from tests.market.builders import SMILE

Floats = NDArray[np.float64]

NOW_NS = parse_utc("2026-01-05T08:00")
FLAT = np.array([1.0, 0.0, 0.0, 0.0, 1.0])
SYMMETRIC = np.array([0.45, 0.35, 0.0, 0.0, 0.9])


def snapshot(
    underlying: str = "BTC",
    index_usd: float = 80_000.0,
    *,
    carry: float = 0.05,
    vol: float = 0.6,
    smile: Floats = SMILE,
    days: tuple[float, ...] = (4.0, 25.0, 81.0, 172.0),
    linear_usd: Mapping[str, float] | None = None,
) -> MarketSnapshot:
    """One smile for all expiries, at `vol` in its own deviations; forwards at one carry."""
    years = np.array(days) / 365
    width = vol * np.sqrt(years)
    scales = np.stack([width**2, width, np.ones_like(width), width, width], axis=1)
    return MarketSnapshot(
        underlying,
        NOW_NS,
        index_usd,
        np.array([NOW_NS + round(day * NS_PER_DAY) for day in days]),
        index_usd * np.exp(carry * years),
        smile * scales,
        linear_usd or {},
    )


def after(days: float) -> str:
    """A moment that many days from now, as a book writes it."""
    moment = np.datetime64(NOW_NS + round(days * NS_PER_DAY), "ns")
    return str(moment.astype("datetime64[s]"))
