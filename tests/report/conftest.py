"""A run of four days that never happened, plausible enough to draw: a crash, fills on both sides, hedges, smiles."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE, parse_utc, years_between
from flatbook.report.facts import FillModel, FlowFacts, LedgerFacts, LogEntry, MonitorFacts, QuoteFacts, Run, RunFacts
from flatbook.report.tables import (
    NO_EXPIRY,
    PARTS,
    EquityRow,
    ExposureRow,
    FillRow,
    HedgeRow,
    PnlRow,
    QuoteRow,
    SmilePointRow,
    SmileRow,
    Tables,
)

START_NS = parse_utc("2025-03-30T18:25")
MINUTES = 5_600
INSTRUMENTS = tuple(
    f"BTC-{name}" for name in ("4APR25-80000-P", "4APR25-84000-C", "25APR25-90000-C", "27JUN25-70000-P")
)
EXPIRIES = ("2025-03-31T08:00", "2025-04-04T08:00", "2025-04-11T08:00", "2025-04-25T08:00", "2025-06-27T08:00")
UNKNOWN = float("nan")


@pytest.fixture(scope="session")
def tables() -> Tables:
    """The whole run, a row a minute."""
    return synthetic_tables(MINUTES)


@pytest.fixture(scope="session")
def facts(tables: Tables) -> RunFacts:
    """What the engine would say of that run."""
    return synthetic_facts(float(tables.frames()["equity"]["equity_usd"][-1]))


@pytest.fixture
def facts_of() -> Callable[[float], RunFacts]:
    """Facts whose ledger holds a given total, in USD."""
    return synthetic_facts


def synthetic_facts(pnl_usd: float, policy: str = "advanced") -> RunFacts:
    end_ns = START_NS + MINUTES * NS_PER_MINUTE
    return RunFacts(
        run=Run(
            id=f"2025-03-30-{policy}-7",
            version="0.1.0",
            policy=policy,
            seed=7,
            session="deribit-btc",
            underlying="BTC",
            from_ns=START_NS,
            to_ns=end_ns,
            events=112_430,
            trades_seen=50_006,
            wall_s=18.4,
            state_sha256="9f2c" * 16,
        ),
        ledger=LedgerFacts(
            balanced=True,
            balances={"BTC": 10.31415926, "USDC": 25_000.0},
            positions_open=143,
            pnl_usd=pnl_usd,
            pnl_coin={"BTC": pnl_usd / 82_000, "USDC": 0.0},
            worth_coin=pnl_usd / 82_000,
        ),
        flow=FlowFacts(
            volume_usd=41_250_000.0,
            fill_share=0.071,
            fill_models=(
                FillModel(name="optimistic", fills=1_912, lots=48_310, edge_usd=61_400.0),
                FillModel(name="queue", fills=1_104, lots=22_850, edge_usd=33_900.0),
                FillModel(name="pessimistic", fills=702, lots=12_040, edge_usd=-4_750.0),
            ),
        ),
        quotes=QuoteFacts(uptime=0.987, two_sided_share=0.941, median_half_spread_vol_pt=0.62, messages=4_870_332),
        limit_breaches=2,
        monitors=tuple(
            MonitorFacts(
                name="index",
                group="ages",
                unit="s",
                of="most",
                horizon=horizon,
                value=value,
                age_s=12.0,
                usual=1.0,
                threshold=threshold,
                state=state,
                alarms=alarms,
            )
            for horizon, value, threshold, state, alarms in (
                ("minute", 41.5, 5.0, "alarm", 2),
                ("hour", 61.25, UNKNOWN, "learning", 0),
                ("day", UNKNOWN, UNKNOWN, "learning", 0),
            )
        ),
        false_alarms_per_week=2.0,
        log=(
            LogEntry(
                ts_ns=START_NS + 7 * NS_PER_HOUR, kind="surface", text="31MAR25: fit refused, <5 strikes; kept the last"
            ),
            LogEntry(
                ts_ns=START_NS + 61 * NS_PER_HOUR, kind="limit", text="vega limit 250,000 USD reached; bids pulled"
            ),
        ),
    )


def synthetic_tables(minutes: int, seed: int = 7) -> Tables:
    chance = np.random.default_rng(seed)
    times = [START_NS + minute * NS_PER_MINUTE for minute in range(minutes)]
    steps = 0.0006 * chance.standard_t(4, minutes)
    steps[int(0.62 * minutes) : int(0.64 * minutes)] -= 0.0006
    index = 83_000 * np.exp(np.cumsum(steps))
    tables = Tables()
    _fill_equity(tables, chance, times, index, steps)
    _fill_pnl(tables)
    _fill_exposures(tables, chance, times, index)
    _fill_quotes(tables, chance, times, index)
    _fill_trades(tables, chance, times, index)
    for number in range(0, minutes, 30):
        _fill_smiles(tables, chance, times[number], float(index[number]))
    return tables


def _fill_equity(
    tables: Tables, chance: np.random.Generator, times: list[int], index: np.ndarray, steps: np.ndarray
) -> None:
    size = len(times)
    noise = {name: chance.normal(0, scale, size) for name, scale in _PART_SCALES.items()}
    noise["spread"] = np.abs(noise["spread"])
    for name in ("fees", "hedge_cost", "adverse_selection"):
        noise[name] = -np.abs(noise[name])
    noise["gamma"] = -4e5 * steps**2
    noise["theta"] = np.full(size, 3.1)
    paths = {name: np.cumsum(noise[name]) for name in PARTS}
    for number, ts_ns in enumerate(times):
        done = number / size
        stage = "normal" if not 0.62 < done < 0.7 else "widen" if done < 0.65 else "reduce_only"
        parts = {name: float(path[number]) for name, path in paths.items()}
        tables.equity.append(EquityRow.of(ts_ns, float(index[number]), parts, stage))


def _fill_pnl(tables: Tables) -> None:
    """The last row of equity again, in shares by day, strategy and expiry; coin at one index."""
    last = tables.equity.last(1)[0]._asdict()
    shares = {
        ("2025-03-31", "making", "2025-04-04"): 0.6,
        ("2025-04-01", "making", "2025-04-25"): 0.7,
        ("2025-04-01", "hedging", NO_EXPIRY): -0.3,
    }
    for (day, strategy, expiry), share in shares.items():
        for part in PARTS:
            usd = share * last[part]
            tables.pnl.append(PnlRow(day, strategy, expiry, part, usd, usd / 82_000))


_PART_SCALES = {
    "spread": 9.0,
    "adverse_selection": 3.0,
    "delta": 20.0,
    "gamma": 0.0,
    "theta": 0.0,
    "vega": 18.0,
    "vanna": 4.0,
    "volga": 2.0,
    "funding": 0.6,
    "basis": 1.5,
    "fees": 1.2,
    "hedge_cost": 0.7,
    "settlement": 0.3,
    "unexplained": 0.4,
    "other_coins": 1.1,
}


def _fill_exposures(tables: Tables, chance: np.random.Generator, times: list[int], index: np.ndarray) -> None:
    def reverting(scale: float) -> np.ndarray:
        shocks, level, out = chance.normal(0, scale / 8, len(times)), 0.0, []
        for shock in shocks:
            level = 0.992 * level + shock
            out.append(level)
        return np.array(out)

    delta, gamma, short, mid, far = (reverting(scale) for scale in (1.8, 60_000, 2_500, 9_000, 6_000))
    for number, ts_ns in enumerate(times):
        vega = float(short[number] + mid[number] + far[number])
        tables.exposures.append(
            ExposureRow(
                ts_ns=ts_ns,
                delta_coin=float(delta[number]),
                delta_usd=float(delta[number] * index[number]),
                gamma_1pct_usd=float(gamma[number]),
                vega_usd=vega,
                theta_usd_day=-0.4 * vega,
                vega_short_usd=float(short[number]),
                vega_mid_usd=float(mid[number]),
                vega_long_usd=float(far[number]),
                basis_1pct_usd=0.1 * vega,
                premium_1bp_usd=8.0 * float(delta[number]),
                stress_loss_usd=abs(1.6 * vega) + abs(0.3 * float(gamma[number])),
                open_positions=min(143, number // 20),
            )
        )


def _fill_quotes(tables: Tables, chance: np.random.Generator, times: list[int], index: np.ndarray) -> None:
    for instrument in INSTRUMENTS:
        seen_ns, market = times[0], fair_coin(instrument, float(index[0]))
        for number, ts_ns in enumerate(times):
            fair = fair_coin(instrument, float(index[number]))
            if chance.random() < 0.08:
                seen_ns, market = ts_ns, fair * (1 + 0.02 * chance.standard_normal())
            pulled = 3_000 < number < 3_040
            half = UNKNOWN if pulled else 0.0004
            tables.quotes.append(
                QuoteRow(ts_ns, instrument, fair - half, fair + half, fair, market, (ts_ns - seen_ns) / 1e9)
            )


def fair_coin(instrument: str, spot: float) -> float:
    """Calls rise and puts fall with the index, about as steeply as an option near the money."""
    return 0.017 * (spot / 83_000) ** (8 if instrument.endswith("C") else -8)


def _fill_trades(tables: Tables, chance: np.random.Generator, times: list[int], index: np.ndarray) -> None:
    for number in range(5, len(times), 9):
        ts_ns, spot = times[number], float(index[number])
        side = 1 if chance.random() < 0.48 else -1
        instrument = INSTRUMENTS[number % len(INSTRUMENTS)]
        fair, half, skew = fair_coin(instrument, spot), 0.0004, 0.0001 * chance.standard_normal()
        size = float(chance.integers(1, 120)) / 10
        edge = size * spot * (half + abs(skew))
        marks = [edge + 40 * scale * chance.standard_normal() for scale in (1, 3, 8)]
        late = number > len(times) - 40
        row = FillRow(
            ts_ns=ts_ns,
            trade_id=f"T{number}",
            instrument=instrument,
            side=side,
            size=size,
            price=fair - side * half + skew,
            fair=fair,
            spread_part=-side * half,
            inventory_part=skew,
            index_usd=spot,
            edge_usd=edge,
            fee_usd=0.0003 * size * spot,
            markout_1m_usd=UNKNOWN,
            markout_10m_usd=UNKNOWN,
            markout_1h_usd=UNKNOWN,
            vega_usd=side * size * 60,
        )
        fill = tables.fills.append(row)
        tables.set_markout(fill, "markout_1m_usd", marks[0])
        if not late:
            tables.set_markout(fill, "markout_10m_usd", marks[1])
            tables.set_markout(fill, "markout_1h_usd", marks[2])
        if number % 2:
            _fill_hedge(tables, ts_ns, spot, side)


def _fill_hedge(tables: Tables, ts_ns: int, spot: float, side: int) -> None:
    before = side * (1.1 + (ts_ns // NS_PER_MINUTE % 17) / 12)
    tables.hedges.append(
        HedgeRow(
            ts_ns=ts_ns,
            trade_id=f"H{ts_ns}",
            instrument="BTC-PERPETUAL",
            side=-side,
            size_usd=abs(before) * spot * 0.8,
            price=spot * (1 - side * 0.0001),
            index_usd=spot,
            cost_usd=abs(before) * spot * 0.8 * 0.0001,
            fee_usd=abs(before) * spot * 0.8 * 0.0005,
            delta_before_coin=before,
            delta_after_coin=0.2 * before,
            reason="charge saved exceeds cost" if ts_ns % 7 else "delta limit",
        )
    )


def _fill_smiles(tables: Tables, chance: np.random.Generator, ts_ns: int, spot: float) -> None:
    for text in EXPIRIES:
        expiry_ns = parse_utc(text)
        if expiry_ns <= ts_ns:
            continue
        years = years_between(ts_ns, expiry_ns)
        width = 0.5 * math.sqrt(years)
        slope = 0.5 * width
        fit = SmileRow(
            ts_ns=ts_ns,
            expiry_ns=expiry_ns,
            forward_usd=spot * (1 + 0.05 * years),
            a=0.6 * width**2,
            b=slope,
            rho=-0.25,
            m=0.05 * width,
            s=0.8 * width,
            years=years,
            rmse_vol=0.004,
            age_s=float(chance.integers(0, 400)),
            status="fitted" if chance.random() < 0.9 else "kept_last",
        )
        tables.smiles.append(fit)
        _fill_points(tables, chance, fit)


def _fill_points(tables: Tables, chance: np.random.Generator, fit: SmileRow) -> None:
    width = 0.5 * math.sqrt(fit.years)
    for k in np.linspace(-2.2 * width, 2.2 * width, 17):
        x = float(k) - fit.m
        vol = math.sqrt((fit.a + fit.b * (fit.rho * x + math.hypot(x, fit.s))) / fit.years)
        middle = vol + 0.004 * chance.standard_normal()
        half = 0.006 + 0.01 * abs(k) / width
        strike = 500 * round(fit.forward_usd * math.exp(k) / 500)
        age_s = float(chance.exponential(900))
        tables.smile_points.append(SmilePointRow(fit.ts_ns, fit.expiry_ns, strike, middle - half, middle + half, age_s))
