"""Histories of factors as they are read from what was recorded."""

from pathlib import Path

import numpy as np
import pytest

from flatbook.app.var_history import HistoryPath, read_history
from flatbook.domain.errors import BadInputError
from flatbook.domain.units import parse_utc
from flatbook.kernels.chain import LEVELS, SPOT
from flatbook.market.covariance import CovarianceModel
from flatbook.venues.deribit import load_reference

TENOR_YEARS = np.array(CovarianceModel().tenor_days) / 365
REFERENCE = load_reference()
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def recorded(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"{name} is not beside the repository")
    return DATA / name


def test_recorded_chains_are_read_as_the_venue_marks_them() -> None:
    path = recorded("deribit-chain-6h") / "chain_2026-02-01_14.parquet"
    until_ns = parse_utc("2026-02-03T00:00")
    found = read_history([HistoryPath(path)], ["BTC", "ETH"], until_ns, TENOR_YEARS, REFERENCE)
    factors = found.factors
    assert factors.levels.shape[:2] == (7, 2)
    assert (factors.times_ns <= until_ns).all()
    assert np.isfinite(factors.levels[:, :, [SPOT]]).all()
    assert np.isfinite(factors.levels[:, :, LEVELS]).all()
    # The weekend that bitcoin fell through 80,000 and ether lost a fifth on it.
    prices = np.exp(factors.levels[:, :, SPOT])
    assert ((prices[:, 0] > 74_000) & (prices[:, 0] < 80_500)).all()
    assert ((prices[:, 1] > 2_100) & (prices[:, 1] < 2_600)).all()
    assert ((factors.levels[:, 0, LEVELS] > 0.35) & (factors.levels[:, 0, LEVELS] < 0.9)).all()
    assert (factors.levels[:, 1, LEVELS] > factors.levels[:, 0, LEVELS]).all()
    assert len(found.markets["BTC"]) == 7


def test_recorded_prices_are_read_whatever_their_columns_are_called() -> None:
    folder = recorded("binance-spot-1h")
    paths = [
        HistoryPath.parse(f"btc={folder / 'BTCUSDT_1h_2017-08_2022-12.csv.gz'}"),
        HistoryPath(folder / "ETHUSDT_1h_2021-04_2022-12.csv.gz"),
    ]
    found = read_history(paths, ["BTC", "ETH"], parse_utc("2022-01-01"), TENOR_YEARS, REFERENCE).factors
    assert found.times_ns[-1] == parse_utc("2022-01-01")
    both = np.isfinite(found.levels[:, :, SPOT])
    assert both[:, 0].mean() > 0.99
    assert both[:, 1].sum() == pytest.approx((parse_utc("2022-01-01") - parse_utc("2021-04-04T20:00")) / 3.6e12, abs=30)
    assert np.exp(found.levels[-1, :, SPOT]) == pytest.approx([46_200.0, 3_680.0], rel=0.02)


@pytest.mark.parametrize(
    ("name", "stamp"),
    [("close_time", 1_767_600_000_000), ("time", 1_767_600_000), ("timestamp", 1_767_600_000_000_000)],
)
def test_stamps_are_told_by_their_size(tmp_path: Path, name: str, stamp: int) -> None:
    path = tmp_path / "prices.csv"
    unit = stamp // 1_767_600_000
    path.write_text(f"{name},price\n" + "".join(f"{stamp + n * 3600 * unit},{80_000 + n}\n" for n in range(4)))
    found = read_history([HistoryPath(path)], ["BTC"], 2**62, TENOR_YEARS, REFERENCE).factors
    assert found.times_ns[0] == parse_utc("2026-01-05T08:00")
    assert found.step_ns == 3_600_000_000_000


def test_a_session_is_read_by_the_hour_as_a_maker_knew_it(morning: Path) -> None:
    # An hour and a half has one reading, which is too few for any move.
    with pytest.raises(BadInputError, match="1 readings of BTC by then"):
        read_history([HistoryPath(morning)], ["BTC"], 2**62, TENOR_YEARS, REFERENCE)


def test_chains_and_prices_do_not_mix(tmp_path: Path) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text("time,close\n1,2\n")
    with pytest.raises(BadInputError, match="several are tables of prices"):
        read_history([HistoryPath(prices), HistoryPath(tmp_path)], ["BTC"], 2**62, TENOR_YEARS, REFERENCE)
