"""Vols and deltas alone: the forward of each expiry and the minute of the capture are in them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.special import ndtr

from flatbook.domain.instruments import format_expiry
from flatbook.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_YEAR, parse_utc
from flatbook.market.chain_snapshot import ChainSnapshot, Floats
from flatbook.store.chains import read_chains

from .builders import write_csv
from .witness import count

RECORDED = "deribit-chain-hourly-20260123/chain_hourly.parquet"
_STAMP = "2026-01-23T09:00:00.000000"
_STAMP_NS = parse_utc(_STAMP)
_FORWARDS = {1: 89_123.0, 7: 89_321.0, 63: 90_200.0}
"""USD by days to expiry from 08:00 of the stamp's day."""


def _expiry_ns(days: int) -> int:
    return parse_utc("2026-01-23T08:00") + days * NS_PER_DAY


def _table(captured_ns: int, stamp: str = _STAMP) -> pl.DataFrame:
    """A chain as the venue would state it at a time: deltas N(d1) in five decimals, vols in hundredths of a percent."""
    rows = []
    for days, forward_usd in _FORWARDS.items():
        years = (_expiry_ns(days) - captured_ns) / NS_PER_YEAR
        for strike in range(80_000, 100_000, 1_000):
            iv = round(36 + 200 * np.log(strike / forward_usd) ** 2, 2)
            width = iv / 100 * np.sqrt(years)
            call = float(ndtr(np.log(forward_usd / strike) / width + width / 2))
            for right, delta in (("C", call), ("P", call - 1)):
                name = f"BTC-{format_expiry(_expiry_ns(days))}-{strike}-{right}"
                rows.append((stamp, name, round(delta, 5), iv - 1, iv + 1, iv))
    columns = ["date", "instrument_name", "delta", "bid_iv", "ask_iv", "mark_iv"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def _by_expiry(chain: ChainSnapshot, values: Floats) -> dict[int, float]:
    return dict(zip(chain.expiry_ns.tolist(), values.tolist(), strict=True))


@pytest.mark.parametrize("minute", [0, 1, 26, 43, 59])
def test_forwards_and_minute_are_found_again(tmp_path: Path, minute: int) -> None:
    captured_ns = _STAMP_NS + minute * NS_PER_MINUTE
    file = read_chains(write_csv(tmp_path / "t", _table(captured_ns)))
    assert file.format == "table of vols and deltas"
    chain = file.at()
    assert abs(chain.ts_ns - captured_ns) < NS_PER_MINUTE / 4
    forwards = _by_expiry(chain, chain.forward_usd)
    assert forwards == pytest.approx({_expiry_ns(days): usd for days, usd in _FORWARDS.items()}, rel=1e-5)
    assert count(chain.bid, chain.ask, chain.mark, chain.mark_iv) == [0, 0, 0, 120]
    assert chain.mark_iv[0] == pytest.approx(chain.bid_iv[0] + 0.01)


def test_few_deltas_tell_a_forward_and_no_minute(tmp_path: Path) -> None:
    week = pl.col("instrument_name").str.contains(f"-{format_expiry(_expiry_ns(7))}-9[01]000-")
    odd = pl.DataFrame({"instrument_name": "BTC-27MAR26-300000-C", "delta": 0.001, "mark_iv": 90.0, "date": _STAMP})
    rows = pl.concat([_table(_STAMP_NS).filter(week), odd], how="diagonal")
    chain = read_chains(write_csv(tmp_path / "t", rows)).at()
    assert chain.ts_ns == _STAMP_NS
    assert _by_expiry(chain, chain.forward_usd)[_expiry_ns(7)] == pytest.approx(_FORWARDS[7], rel=1e-5)
    assert np.isnan(chain.forward_usd[-1])


@pytest.mark.parametrize(
    ("stamp", "hours_later"), [("2026-01-23T09:10:00.000000", 0.1), ("2026-01-23T00:00:00.000000", 5.0)]
)
def test_a_stamp_that_is_not_cut_to_the_hour_stays(tmp_path: Path, stamp: str, hours_later: float) -> None:
    """One that is exact, and one cut to the day, which leaves no minute of its first hour to agree on."""
    captured_ns = parse_utc(stamp) + round(hours_later * NS_PER_HOUR)
    assert read_chains(write_csv(tmp_path / "t", _table(captured_ns, stamp))).at().ts_ns == parse_utc(stamp)


def test_a_snapshot_that_says_the_same_again_is_left_out(tmp_path: Path) -> None:
    captured_ns = _STAMP_NS + 50 * NS_PER_MINUTE
    again = _table(captured_ns, "2026-01-23T10:00:00.000000").reverse()
    fresh = _table(captured_ns + NS_PER_HOUR, "2026-01-23T11:00:00.000000")
    file = read_chains(write_csv(tmp_path / "t", pl.concat([_table(captured_ns), again, fresh])))
    assert len(file.snapshots) == 2
    assert (file.taken, file.left_out) == (240, {"row of a snapshot that repeats the one before": 120})


def test_caps_and_zeros_are_no_vols(tmp_path: Path) -> None:
    rows = _table(_STAMP_NS).with_columns(bid_iv=pl.lit(0.0), ask_iv=pl.lit(999.0))
    chain = read_chains(write_csv(tmp_path / "t", rows)).at()
    assert count(chain.bid_iv, chain.ask_iv) == [0, 0]


@pytest.fixture(scope="module")
def hourly(recorded: Callable[[str], Path]) -> tuple[Path, list[ChainSnapshot]]:
    path = recorded(RECORDED)
    return path, list(read_chains(path).snapshots)


def test_recorded_hours(hourly: tuple[Path, list[ChainSnapshot]]) -> None:
    """Three of the 37 stamps repeat the one before them to the digit: 2,006 rows."""
    path, chains = hourly
    file = read_chains(path)
    assert (file.taken, file.left_out) == (22_556, {"row of a snapshot that repeats the one before": 2_006})
    assert len(chains) == 34
    after_stamp = np.array([chain.ts_ns % NS_PER_HOUR / NS_PER_MINUTE for chain in chains])
    assert ((after_stamp > 15) & (after_stamp < 52)).all()


def test_recorded_deltas_are_black_of_what_was_solved(hourly: tuple[Path, list[ChainSnapshot]]) -> None:
    """To the fifth decimal that the file states: one forward an expiry and one time explain some 650 deltas."""
    path, chains = hourly
    stated = pl.read_parquet(path, columns=["date", "instrument_name", "delta"])
    hours = stated.with_columns(pl.col("date").str.to_datetime().dt.epoch("ns"))
    misses = []
    for chain in chains:
        rows = hours.filter(pl.col("date") == chain.ts_ns // NS_PER_HOUR * NS_PER_HOUR)
        deltas = dict(rows.select("instrument_name", "delta").iter_rows())
        width = chain.mark_iv * np.sqrt((chain.expiry_ns - chain.ts_ns) / NS_PER_YEAR)
        call = ndtr(np.log(chain.forward_usd / chain.strike_usd) / width + width / 2)
        miss = call - (chain.sign < 0) - np.array([deltas[name] for name in chain.instrument])
        misses.append(np.abs(miss[np.isfinite(miss)]))
    every = np.concatenate(misses)
    assert np.median(every) < 2e-5
    assert np.quantile(every, 0.95) < 3e-4


def test_recorded_minutes_are_those_of_another_venue(
    hourly: tuple[Path, list[ChainSnapshot]], recorded: Callable[[str], Path]
) -> None:
    """The basis of a week's forward to Binance's spot is nearly constant at the solved minutes, not at the stamps."""
    bars = pl.read_csv(recorded("binance-spot-btc-5m/BTCUSDT-5m-2026-01.csv.gz"), columns=["open_time", "open"])
    times, opens = bars["open_time"].to_numpy() * 1_000, bars["open"].to_numpy()
    week = parse_utc("2026-01-30T08:00")

    def spread(times_ns: Floats) -> float:
        basis = np.log(forwards / np.interp(times_ns, times, opens))
        return float(np.median(np.abs(basis - np.median(basis))))

    forwards = np.array([_by_expiry(chain, chain.forward_usd)[week] for chain in hourly[1]])
    solved = np.array([chain.ts_ns for chain in hourly[1]])
    assert np.abs(np.log(forwards / np.interp(solved, times, opens))).max() < 4e-3
    assert spread(solved) < 3e-4
    assert spread(solved) < spread(solved // NS_PER_HOUR * NS_PER_HOUR) / 4
