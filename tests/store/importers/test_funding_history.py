"""Funding histories: their clocks in UTC, the right contract, no row invented."""

from collections import Counter
from pathlib import Path

import pytest

from flatbook.domain.units import NS_PER_HOUR, format_utc, parse_utc
from flatbook.store.importers.funding_history import in_span, read_decimal, read_percent

_HEADER = '\ufeff"Time","Contracts","Funding Interval","Funding Rate"\n'


def _percent_file(path: Path, *rows: tuple[str, str]) -> Path:
    lines = (f'"{time}","{contract}","8h","0.010000%"\n' for time, contract in rows)
    path.write_text(_HEADER + "".join(lines))
    return path


@pytest.mark.parametrize(
    ("london", "utc"),
    [
        ("2024-07-01 01:00:00", "2024-07-01T00:00:00.000Z"),  # summer
        ("2024-07-01 17:00:00", "2024-07-01T16:00:00.000Z"),
        ("2024-01-15 08:00:00", "2024-01-15T08:00:00.000Z"),  # winter
        ("2023-10-29 01:00:00", "2023-10-29T00:00:00.000Z"),  # the night clocks go back: 01:00 comes twice
        ("2023-10-29 08:00:00", "2023-10-29T08:00:00.000Z"),
        ("2024-03-31 00:00:00", "2024-03-31T00:00:00.000Z"),  # the night they go forward
        ("2024-03-31 09:00:00", "2024-03-31T08:00:00.000Z"),
    ],
)
def test_london_time(tmp_path: Path, london: str, utc: str) -> None:
    counted: Counter[str] = Counter()
    (history,) = read_percent([_percent_file(tmp_path / "f.csv", (london, "BTCUSDT Perpetual"))], counted)
    assert [(format_utc(ts), rate, hours) for ts, rate, hours in history.rows.rows()] == [(utc, 0.0001, 8.0)]
    assert not counted


def test_a_row_off_its_interval_is_set_aside(tmp_path: Path) -> None:
    counted: Counter[str] = Counter()
    rows = [(time, "BTCUSDT Perpetual") for time in ("2024-07-01 02:00:00", "never", "2024-07-01 09:00:00")]
    (history,) = read_percent([_percent_file(tmp_path / "f.csv", *rows)], counted)
    assert history.rows.height == 1
    assert counted == {"funding row unreadable or off its interval": 2}


def test_eight_hourly_decimals_are_utc_plus_3_and_hourly_ones_utc(tmp_path: Path) -> None:
    eight, hourly = tmp_path / "eight.csv", tmp_path / "hourly.csv"
    stamps = ("2020-01-01 03:00:00.000", "2020-01-01 11:00:00.000", "2020-01-01 19:00:00.000")
    eight.write_text("Symbol,Date,Funding Rate\n" + "".join(f"ETH-USDT,{stamp},0.00010000\n" for stamp in stamps))
    hours = ("2022-01-01 00:00:00", "2022-01-01 01:00:00", "2022-01-01 02:00:00")
    hourly.write_text("Symbol,Date,Funding Rate\n" + "".join(f"BTC-USDT,{stamp},-0.00002\n" for stamp in hours))
    ether, bitcoin = read_decimal([eight, hourly], Counter())
    assert [format_utc(ts)[11:13] for ts in ether.rows["ts_ns"]] == ["00", "08", "16"]
    assert ether.rows["hours"].to_list() == [8.0] * 3
    assert [format_utc(ts)[11:13] for ts in bitcoin.rows["ts_ns"]] == ["00", "01", "02"]
    assert bitcoin.rows.row(0)[1:] == (-0.00002, 1.0)


def test_an_inverse_contract_goes_before_a_linear_one_and_only_inside_the_span(tmp_path: Path) -> None:
    times = ("2024-07-01 01:00:00", "2024-07-01 09:00:00", "2024-07-01 17:00:00")
    linear = _percent_file(tmp_path / "l.csv", *((time, "BTCUSDT Perpetual") for time in times))
    inverse = _percent_file(tmp_path / "i.csv", (times[1], "BTCUSD CM Perpetual"), (times[0], "ETHUSD CM Perpetual"))
    histories = read_percent([linear, inverse], Counter())
    noon = parse_utc("2024-07-01T12:00")

    taken, rows = in_span(histories, "BTC", "BTC-PERPETUAL", noon - 12 * NS_PER_HOUR, noon)
    assert taken is not None
    assert taken.contract == "BTCUSD CM Perpetual"
    assert rows.select("local_ts_ns", "instrument", "rate", "hours").rows() == [
        (noon - 4 * NS_PER_HOUR, "BTC-PERPETUAL", 0.0001, 8.0)
    ]

    taken, rows = in_span(histories, "BTC", "BTC-PERPETUAL", noon, noon + 5 * NS_PER_HOUR)
    assert taken is not None
    assert (taken.contract, rows.height) == ("BTCUSDT Perpetual", 1)

    taken, rows = in_span(histories, "BTC", "BTC-PERPETUAL", noon + 5 * NS_PER_HOUR, noon + 9 * NS_PER_HOUR)
    assert taken is None
    assert rows.is_empty()


def test_every_recorded_row_lies_on_its_interval_once_its_clock_is_read(tape_folder: Path) -> None:
    folder = tape_folder.parent / "funding"
    counted: Counter[str] = Counter()
    percent = read_percent(sorted(folder.glob("binance_BTC*")), counted)
    decimal = read_decimal([folder / "binance_ETHUSDT_8h.csv.gz", folder / "dydx_BTC_1h.csv.gz"], counted)
    assert not counted
    heights = {history.contract: history.rows.height for history in (*percent, *decimal)}
    assert heights == {
        "BTCUSDT Perpetual": 5_386,
        "BTCUSD CM Perpetual": 1_000,
        "ETH-USDT": 4_383,
        "BTC-USDT": 17_520,
    }
