import math

import numpy as np
import polars as pl
import pytest

from flatbook.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, parse_utc
from flatbook.report.gamma_rent import carry, gamma_rent
from flatbook.report.tables import EquityRow, ExposureRow, HedgeRow, Tables

START = parse_utc("2026-01-05T18:00")
NAN = math.nan


def exposure(ts_ns: int, gamma: float, theta: float) -> ExposureRow:
    return ExposureRow(
        ts_ns=ts_ns,
        delta_coin=0.0,
        delta_usd=0.0,
        gamma_1pct_usd=gamma,
        vega_usd=0.0,
        theta_usd_day=theta,
        vega_short_usd=0.0,
        vega_mid_usd=0.0,
        vega_long_usd=0.0,
        basis_1pct_usd=0.0,
        premium_1bp_usd=0.0,
        stress_loss_usd=0.0,
        open_positions=1,
    )


def hedge(ts_ns: int, side: int, size_usd: float, cost: float = 0.0, fee: float = 0.0) -> HedgeRow:
    return HedgeRow(ts_ns, f"T{ts_ns}", "BTC-PERPETUAL", side, size_usd, 8e4, 8e4, cost, fee, 0.0, 0.0, "why")


def scalper(hours: int, dollar_gamma: float, vol: float, rent_vol: float, seed: int = 0) -> dict[str, pl.DataFrame]:
    """A book of one gamma in Black's world, a row a minute, that pays the rent of another vol."""
    draw = np.random.default_rng(seed)
    tables = Tables()
    index, gamma_usd, theta_usd = 8e4, 0.0, 0.0
    rent = -0.5 * dollar_gamma * rent_vol**2 / 365
    for minute in range(hours * 60 + 1):
        ts_ns = START + minute * NS_PER_MINUTE
        tables.equity.append(EquityRow.of(ts_ns, index, {"gamma": gamma_usd, "theta": theta_usd}, "normal"))
        tables.exposures.append(exposure(ts_ns, dollar_gamma / 100, rent))
        move = vol / math.sqrt(365 * 24 * 60) * draw.normal()
        index *= math.exp(move)
        gamma_usd += 0.5 * dollar_gamma * move**2
        theta_usd += rent / (24 * 60)
    return tables.frames()


def test_a_long_gamma_pays_rent_and_scalps_what_the_market_moves() -> None:
    rows = gamma_rent(scalper(54, dollar_gamma=2e7, vol=0.7, rent_vol=0.5))
    assert [round(row.hours) for row in rows] == [6, 24, 24]
    for row in rows:
        assert row.role == "scalps gamma, pays rent"
        assert row.gamma_1pct_usd == pytest.approx(2e5)
        assert row.break_even_move == pytest.approx(0.5 / math.sqrt(365))
        assert row.theta_usd == pytest.approx(-0.5 * 2e7 * 0.25 / 365 * row.hours / 24, rel=1e-6)
        assert row.net_usd == pytest.approx(row.gamma_usd + row.theta_usd)
    day = rows[1]
    # gamma's P&L, from every minute's move, and what it should be, from five minutes' moves, agree to noise
    assert day.realised_move == pytest.approx(0.7 / math.sqrt(365), rel=0.15)
    assert day.expected_gamma_usd == pytest.approx(0.5 * 2e7 * day.realised_move**2, rel=1e-3)
    assert day.gamma_usd == pytest.approx(day.expected_gamma_usd, rel=0.3)
    assert day.net_usd > 0.0


def test_a_short_gamma_earns_rent_and_pays_for_moves_and_for_hedging() -> None:
    frames = scalper(24, dollar_gamma=-2e7, vol=0.4, rent_vol=0.6)
    tables = Tables()
    tables.hedges.append(hedge(START + NS_PER_HOUR, 1, 1e5, cost=12.0, fee=50.0))
    tables.hedges.append(hedge(START + 2 * NS_PER_HOUR, 1, 1e5, cost=NAN, fee=8.0))
    rows = gamma_rent(frames | {"hedges": tables.frames()["hedges"]})
    first, second = rows
    assert (first.hours, second.hours) == (6.0, 18.0)
    assert first.role == second.role == "short gamma, earns rent"
    assert first.theta_usd > 0.0 > first.gamma_usd
    assert first.hedging_usd == 70.0
    assert second.hedging_usd == 0.0
    assert first.net_usd == pytest.approx(first.gamma_usd + first.theta_usd - 70.0)


def test_days_are_cut_at_midnight_and_exposures_counted_by_time() -> None:
    tables = Tables()
    for hour, gamma, theta in [(0, 100.0, -10.0), (4, 400.0, -40.0), (12, 200.0, -20.0)]:
        ts_ns = START + hour * NS_PER_HOUR
        tables.equity.append(EquityRow.of(ts_ns, 8e4, {}, "normal"))
        tables.exposures.append(exposure(ts_ns, gamma, theta))
    tables.equity.append(EquityRow.of(START + 18 * NS_PER_HOUR, 8e4, {}, "normal"))
    evening, morning = gamma_rent(tables.frames())
    assert (evening.hours, morning.hours) == (6.0, 12.0)
    assert evening.gamma_1pct_usd * evening.hours == pytest.approx(4 * 100 + 2 * 400)
    assert morning.gamma_1pct_usd * morning.hours == pytest.approx(6 * 400 + 6 * 200)
    assert evening.ts_ns == START
    assert morning.ts_ns == (START // NS_PER_DAY + 1) * NS_PER_DAY


def test_where_theta_is_not_gammas_rent_there_is_no_break_even() -> None:
    frames = scalper(5, dollar_gamma=2e7, vol=0.5, rent_vol=0.5)
    earning = frames["exposures"].with_columns(theta_usd_day=pl.lit(3.0))
    flat = frames["exposures"].with_columns(gamma_1pct_usd=pl.lit(0.0))
    assert math.isnan(gamma_rent(frames | {"exposures": earning})[0].break_even_move)
    (row,) = gamma_rent(frames | {"exposures": flat})
    assert row.role == "no gamma"
    assert math.isnan(row.break_even_move)


def test_a_basis_position_is_carried_against_its_funding() -> None:
    tables = Tables()
    for hour in range(31):
        parts = {"funding": 2.0 * hour, "basis": -0.5 * hour}
        tables.equity.append(EquityRow.of(START + hour * NS_PER_HOUR, 8e4, parts, "normal"))
    tables.hedges.append(hedge(START + 2 * NS_PER_HOUR, -1, 300_000.0))
    tables.hedges.append(hedge(START + 18 * NS_PER_HOUR, 1, 100_000.0))
    evening, day = carry(tables.frames())
    assert evening.role == day.role == "short, earns funding"
    assert (evening.hours, day.hours) == (6.0, 24.0)
    assert evening.position_usd * 6 == pytest.approx(-300_000.0 * 4)
    assert day.position_usd * 24 == pytest.approx(-300_000.0 * 12 - 200_000.0 * 12)
    assert (day.funding_usd, day.basis_usd, day.net_usd) == (48.0, -12.0, 36.0)
    assert day.funding_rate == pytest.approx(48.0 / (300_000 * 12 + 200_000 * 12) * 8_760)


def test_without_a_position_there_is_no_rate() -> None:
    tables = Tables()
    for hour in range(3):
        tables.equity.append(EquityRow.of(START + hour * NS_PER_HOUR, 8e4, {}, "normal"))
    (row,) = carry(tables.frames())
    assert row.role == "no position"
    assert math.isnan(row.funding_rate)


def test_nothing_recorded_is_nothing_reported() -> None:
    assert gamma_rent({}) == ()
    assert carry({}) == ()
    only = Tables()
    only.equity.append(EquityRow.of(START, 8e4, {}, "normal"))
    assert gamma_rent(only.frames()) == ()
    assert carry(only.frames()) == ()
