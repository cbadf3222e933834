"""Views of a run that never happened, plausible enough to look at."""

import math

import numpy as np
import pytest

from flatbook.domain.units import NS_PER_DAY, NS_PER_SECOND, parse_utc
from flatbook.report.facts import LogEntry
from flatbook.report.formats import expiry
from flatbook.report.tables import PARTS, FillRow, HedgeRow, SmilePointRow, SmileRow
from flatbook.service.live import (
    ChainRow,
    ChainView,
    DataAge,
    FillView,
    Gauge,
    HedgeView,
    HistoryKeeper,
    LiveView,
    OwnQuote,
    SmileView,
)

START_NS = parse_utc("2025-04-02T00:00")
EXPIRIES_NS = tuple(parse_utc(text) for text in ("2025-04-04T08:00", "2025-04-11T08:00", "2025-04-25T08:00"))
UNKNOWN = float("nan")


@pytest.fixture
def live_view() -> LiveView:
    """A run of six hours, seen at its end."""
    return view_at(720)


def view_at(step: int) -> LiveView:
    """The page after `step` half minutes."""
    keeper = HistoryKeeper()
    for number in range(step + 1):
        keeper.add(START_NS + number * 30 * NS_PER_SECOND, **_point(number))
    now_ns, point = START_NS + step * 30 * NS_PER_SECOND, _point(step)
    smiles = tuple(_smile(now_ns, expiry_ns, point["index_usd"], step) for expiry_ns in EXPIRIES_NS)
    return LiveView(
        run_id="2025-04-02-advanced-7",
        policy="advanced",
        market="simulated market, seed 7",
        state="running",
        clock_ns=now_ns,
        progress=step / 960,
        pace="240x",
        stage="normal" if step % 400 < 330 else "widen",
        index_usd=point["index_usd"],
        equity_usd=point["equity_usd"],
        parts=_parts(point["equity_usd"], step),
        history=keeper.history(),
        fills_count=step // 3,
        hedges_count=step // 9,
        positions_open=min(140, step // 4),
        quotes_live=1_148,
        exposures=_gauges(point, step),
        ages=(DataAge.of("index", 0.4), DataAge.of("surface", 1 + step % 9)),
        chains=tuple(_chain(smile, step) for smile in smiles),
        smiles=smiles,
        fills=tuple(_fill(now_ns - number * 90 * NS_PER_SECOND, number) for number in range(14)),
        hedges=tuple(_hedge(now_ns - number * 270 * NS_PER_SECOND, number) for number in range(9)),
        log=(
            LogEntry(ts_ns=START_NS, kind="run", text="quoting 574 instruments over 9 expiries"),
            LogEntry(ts_ns=START_NS + 3 * 3_600 * NS_PER_SECOND, kind="surface", text="4APR25: fit refused; last kept"),
        ),
    )


def _point(number: int) -> dict[str, float]:
    wave = math.sin(number / 37) + 0.6 * math.sin(number / 11 + 1)
    return {
        "index_usd": 83_000 + 900 * math.sin(number / 160) + 120 * wave,
        "equity_usd": 9.0 * number + 260 * wave,
        "delta_usd": 90_000 * wave,
        "vega_usd": 7_000 * math.cos(number / 90) - 1_200 * wave,
    }


def _parts(equity_usd: float, step: int) -> dict[str, float]:
    shares = (14.0, -3.2, 0.9, -2.5, 2.1, -0.7, 0.2, -0.1, 0.1, 0.05, -1.4, -0.6, 0.0)
    parts = {name: share * step for name, share in zip(PARTS, shares, strict=False)}
    parts["unexplained"] = 0.01 * step
    parts["delta"] += equity_usd - sum(parts.values())
    return parts


def _gauges(point: dict[str, float], step: int) -> tuple[Gauge, ...]:
    return (
        Gauge(name="Delta", unit="USD", value=point["delta_usd"], limit=500_000.0),
        Gauge(name="Gamma", unit="USD per 1 %", value=60_000 * math.sin(step / 70), limit=80_000.0),
        Gauge(name="Vega", unit="USD per vol pt", value=point["vega_usd"], limit=25_000.0),
        Gauge(name="Theta", unit="USD per day", value=-0.5 * point["vega_usd"]),
        Gauge(name="Stress loss", unit="USD", value=abs(9 * point["vega_usd"]), limit=150_000.0),
    )


def _smile(now_ns: int, expiry_ns: int, index_usd: float, step: int) -> SmileView:
    years = (expiry_ns - now_ns) / (365 * NS_PER_DAY)
    width = 0.52 * math.sqrt(years) * (1 + 0.03 * math.sin(step / 50))
    forward = index_usd * (1 + 0.06 * years)
    fit = SmileRow(
        ts_ns=now_ns,
        expiry_ns=expiry_ns,
        forward_usd=forward,
        a=0.6 * width**2,
        b=0.5 * width,
        rho=-0.3,
        m=0.05 * width,
        s=0.8 * width,
        years=years,
        rmse_vol=0.0041,
        age_s=1.0 + step % 9,
        status="fitted",
    )
    chance = np.random.default_rng(expiry_ns % 2**32 + step // 8)
    points = []
    for strike in _strikes(forward, width):
        x = math.log(strike / forward) - fit.m
        vol = math.sqrt((fit.a + fit.b * (fit.rho * x + math.hypot(x, fit.s))) / years) + 0.003 * chance.normal()
        points.append(SmilePointRow(now_ns, expiry_ns, strike, vol - 0.006, vol + 0.006, 600 * chance.random()))
    return SmileView.of(fit, points)


def _strikes(forward: float, width: float) -> list[float]:
    step = 1_000 if width < 0.07 else 2_000
    middle = step * round(forward / step)
    return [float(middle + step * number) for number in range(-9, 10)]


def _chain(smile: SmileView, step: int) -> ChainView:
    vols = np.interp(smile.strike, smile.curve_strike, smile.curve_vol)
    years = (smile.expiry_ns - START_NS) / (365 * NS_PER_DAY)
    rows = []
    for strike, vol in zip(smile.strike, vols, strict=True):
        width = float(vol) * math.sqrt(years)
        d1 = math.log(smile.forward_usd / strike) / width + width / 2
        call = _cdf(d1) - strike / smile.forward_usd * _cdf(d1 - width)
        put = call - 1 + strike / smile.forward_usd
        quotes = [_own(value, float(vol), (int(strike) // 1_000 + step // 40) % 7) for value in (call, put)]
        rows.append(ChainRow(strike=strike, call=quotes[0], put=quotes[1]))
    return ChainView(
        expiry_ns=smile.expiry_ns,
        expiry=expiry(smile.expiry_ns),
        forward_usd=smile.forward_usd,
        age_s=smile.age_s,
        rows=tuple(rows),
    )


def _cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def _own(fair: float, vol: float, phase: int) -> OwnQuote:
    half = 0.0004 + 0.02 * fair
    bid = math.floor((fair - half) * 1e4) / 1e4
    ask = math.ceil((fair + half) * 1e4) / 1e4
    return OwnQuote(
        bid=bid if phase else UNKNOWN, fair=fair, ask=ask, vol=vol, position=0.0 if phase < 4 else phase - 5.5
    )


def _fill(ts_ns: int, number: int) -> FillView:
    side = 1 if number % 3 else -1
    row = FillRow(
        ts_ns=ts_ns,
        trade_id=f"T{number}",
        instrument="BTC-11APR25-84000-C",
        side=side,
        size=0.5 + number % 5,
        price=0.0315 - side * 0.0005,
        fair=0.0315,
        spread_part=-side * 0.0006,
        inventory_part=side * 0.0001,
        index_usd=83_000.0,
        edge_usd=37.0 + 9 * number,
        fee_usd=4.0,
        markout_1m_usd=UNKNOWN,
        markout_10m_usd=UNKNOWN,
        markout_1h_usd=UNKNOWN,
        vega_usd=side * 40.0,
    )
    return FillView.of(row)


def _hedge(ts_ns: int, number: int) -> HedgeView:
    side = 1 if number % 2 else -1
    row = HedgeRow(
        ts_ns=ts_ns,
        trade_id=f"H{number}",
        instrument="BTC-PERPETUAL",
        side=side,
        size_usd=40_000.0 + 1_310 * number,
        price=83_010.5,
        index_usd=83_005.0,
        cost_usd=2.4,
        fee_usd=20.0,
        delta_before_coin=-0.7 * side,
        delta_after_coin=-0.1 * side,
        reason="charge_saved",
    )
    return HedgeView.of(row)
