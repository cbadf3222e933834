"""What the live page shows at one instant.

Every view is a frozen value made from the engine's state between two events, so that what is shown together was true
together. Times are ns UTC and ages seconds, both on the engine's clock; an unknown number is NaN, shown as a dash.
"""

import math
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple, Self

import msgspec
import numpy as np

from flatbook.report.facts import LatencyFacts, LogEntry, MonitorFacts
from flatbook.report.formats import expiry as expiry_label
from flatbook.report.smile import smile_curve
from flatbook.report.tables import FillRow, HedgeRow, SmilePointRow, SmileRow


class Patience(NamedTuple):
    """Up to what age a datum is fresh, and up to what age merely stale; seconds."""

    fresh_s: float
    stale_s: float


TICKING = Patience(2.0, 5.0)
"""For what should come by the second."""

FITTED = Patience(60.0, 300.0)
"""For what is made anew as quotes of its kind come round."""


class Freshness(StrEnum):
    """How far a datum may be trusted, by its age."""

    FRESH = "fresh"
    STALE = "stale"
    FROZEN = "frozen"

    @classmethod
    def of(cls, age_s: float, patience: Patience = TICKING) -> "Freshness":
        """Fresh, stale or frozen, as the patience has it; an unknown age is frozen."""
        if age_s <= patience.fresh_s:
            return cls.FRESH
        return cls.STALE if age_s <= patience.stale_s else cls.FROZEN


class DataAge(msgspec.Struct, frozen=True, kw_only=True):
    """How old an input is."""

    name: str
    age_s: float
    freshness: Freshness

    @classmethod
    def of(cls, name: str, age_s: float, patience: Patience = TICKING) -> Self:
        """The age with its badge."""
        return cls(name=name, age_s=age_s, freshness=Freshness.of(age_s, patience))


class Gauge(msgspec.Struct, frozen=True, kw_only=True):
    """An exposure beside its limit; `limit` bounds the absolute value, None where there is none."""

    name: str
    unit: str
    value: float
    limit: float | None = None


class OwnQuote(msgspec.Struct, frozen=True, kw_only=True):
    """Our quote of one option, in its quote currency, with its fair vol (a decimal) and our position in contracts."""

    bid: float
    fair: float
    ask: float
    vol: float
    position: float


class ChainRow(msgspec.Struct, frozen=True, kw_only=True):
    """One strike; None where the venue lists no such option."""

    strike: float
    call: OwnQuote | None
    put: OwnQuote | None


class ChainView(msgspec.Struct, frozen=True, kw_only=True):
    """One expiry's quotes, strikes rising; `age_s` is the age of the surface they were made from."""

    expiry_ns: int
    expiry: str
    forward_usd: float
    age_s: float
    rows: tuple[ChainRow, ...]


class SmileView(msgspec.Struct, frozen=True, kw_only=True):
    """One expiry's fitted curve and the vols it was fitted to: vols are decimals, strikes USD."""

    expiry_ns: int
    expiry: str
    forward_usd: float
    status: str
    rmse_vol: float
    age_s: float
    curve_strike: list[float]
    curve_vol: list[float]
    strike: list[float]
    vol_low: list[float]
    vol_high: list[float]
    point_age_s: list[float]

    @classmethod
    def of(cls, fit: SmileRow, points: Iterable[SmilePointRow]) -> Self:
        """The picture of a fit over its points."""
        seen = list(points)
        strikes, vols = smile_curve(fit, np.array([point.strike for point in seen], dtype=np.float64))
        return cls(
            expiry_ns=fit.expiry_ns,
            expiry=expiry_label(fit.expiry_ns),
            forward_usd=fit.forward_usd,
            status=fit.status,
            rmse_vol=fit.rmse_vol,
            age_s=fit.age_s,
            curve_strike=strikes.round(1).tolist(),
            curve_vol=vols.round(5).tolist(),
            strike=[point.strike for point in seen],
            vol_low=[point.vol_low for point in seen],
            vol_high=[point.vol_high for point in seen],
            point_age_s=[point.age_s for point in seen],
        )


class FillView(msgspec.Struct, frozen=True, kw_only=True):
    """A fill and why its price: fair value, spread part and inventory part sum to it."""

    ts_ns: int
    instrument: str
    side: int
    size: float
    price: float
    fair: float
    spread_part: float
    inventory_part: float
    edge_usd: float

    @classmethod
    def of(cls, row: FillRow) -> Self:
        """The shown part of a fill's row."""
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class HedgeView(msgspec.Struct, frozen=True, kw_only=True):
    """A hedge and why it was done."""

    ts_ns: int
    instrument: str
    side: int
    size_usd: float
    price: float
    delta_before_coin: float
    delta_after_coin: float
    reason: str

    @classmethod
    def of(cls, row: HedgeRow) -> Self:
        """The shown part of a hedge's row."""
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class History(msgspec.Struct, frozen=True, kw_only=True):
    """The run so far in few points, oldest first; all lists have the same length."""

    ts_ns: list[int]
    index_usd: list[float]
    equity_usd: list[float]
    delta_usd: list[float]
    vega_usd: list[float]


class HistoryKeeper:
    """Keeps the whole run in at most `capacity` points, so that a picture costs the same after a minute and a month.

    When full it drops every second point and from then on takes them half as often.
    """

    def __init__(self, capacity: int = 480) -> None:
        if capacity < 2:
            raise ValueError(f"a history keeps two points or more, not {capacity}")
        self._capacity = capacity
        self._points: list[tuple[int, float, float, float, float]] = []
        self._latest: tuple[int, float, float, float, float] | None = None
        self._spacing_ns = 0

    def add(self, ts_ns: int, *, index_usd: float, equity_usd: float, delta_usd: float, vega_usd: float) -> None:
        """Offers a point; times must not fall. Whether or not it is kept, the newest point is always shown."""
        self._latest = (ts_ns, index_usd, equity_usd, delta_usd, vega_usd)
        if self._points and ts_ns - self._points[-1][0] < self._spacing_ns:
            return
        self._points.append(self._latest)
        if len(self._points) > self._capacity:
            self._points = self._points[::2]
            span_ns = self._points[-1][0] - self._points[0][0]
            self._spacing_ns = span_ns // (len(self._points) - 1)

    def history(self) -> History:
        """The points kept, and the newest."""
        points = self._points
        if self._latest is not None and points[-1] is not self._latest:
            points = [*points, self._latest]
        columns = [list(column) for column in zip(*points, strict=True)] or [[], [], [], [], []]
        return History(**dict(zip(History.__struct_fields__, columns, strict=True)))


EMPTY_HISTORY = HistoryKeeper().history()


class LiveView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything on the page. `progress` is from 0 to 1, NaN where the end is unknown; parts are cumulative USD.

    `latency` is of a run whose market happens meanwhile, None before the first quotes.
    """

    run_id: str
    policy: str
    market: str
    state: str
    clock_ns: int
    progress: float = math.nan
    pace: str = ""
    stage: str = "normal"
    index_usd: float = math.nan
    equity_usd: float = math.nan
    parts: dict[str, float] = {}
    history: History = EMPTY_HISTORY
    fills_count: int = 0
    hedges_count: int = 0
    positions_open: int = 0
    quotes_live: int = 0
    exposures: tuple[Gauge, ...] = ()
    ages: tuple[DataAge, ...] = ()
    monitors: tuple[MonitorFacts, ...] = ()
    chains: tuple[ChainView, ...] = ()
    smiles: tuple[SmileView, ...] = ()
    fills: tuple[FillView, ...] = ()
    hedges: tuple[HedgeView, ...] = ()
    log: tuple[LogEntry, ...] = ()
    latency: LatencyFacts | None = None
