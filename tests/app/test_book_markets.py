"""Markets for a book from a chain file and from a session: near the truth that made them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flatbook.app.book_markets import markets_of_chain, markets_of_session
from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_HOUR, parse_utc
from flatbook.market.snapshot import MarketSnapshot
from flatbook.store.chains import read_chains
from flatbook.valuation.portfolio import BookPosition, Portfolio
from flatbook.venues.deribit import load_reference
from tests.conftest import TAPE_FOLDER
from tests.market.snapshots import NOW_NS, snapshot
from tests.store.simulated_chains import write_chain_file

RECORDED = TAPE_FOLDER.parent / "deribit-chain-6h" / "chain_2026-01-14_31.parquet"
BTC = snapshot(linear_usd={"BTC-PERPETUAL": 80_040.0, "BTC-27MAR26": 80_900.0})
ETH = snapshot("ETH", 3_000.0, vol=0.8, carry=0.03)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    earlier = replace(snapshot(vol=0.65), ts_ns=NOW_NS - NS_PER_HOUR)
    return write_chain_file(tmp_path_factory.mktemp("chain") / "chain.csv", earlier, BTC, ETH)


def near(found: MarketSnapshot, truth: MarketSnapshot) -> None:
    assert found.ts_ns == truth.ts_ns
    assert found.index_usd == pytest.approx(truth.index_usd)
    np.testing.assert_array_equal(found.expiry_ns, truth.expiry_ns)
    np.testing.assert_allclose(found.forward_usd, truth.forward_usd, rtol=2e-4)
    for years in (10 / 365, 25 / 365, 120 / 365):
        forward = float(truth.forward_at(years))
        for k in (-0.15, 0.0, 0.15):
            strike = forward * np.exp(k)
            assert float(found.vol(strike, years)) == pytest.approx(float(truth.vol(strike, years)), abs=0.004)


def test_a_chain_file_is_calibrated_to_what_made_it(chain: Path) -> None:
    made = markets_of_chain(chain, ["BTC", "ETH"])
    near(made.markets.of("BTC"), BTC)
    near(made.markets.of("ETH"), ETH)
    assert made.markets.of("BTC").linear_usd == pytest.approx({"BTC-PERPETUAL": 80_040.0, "BTC-27MAR26": 80_900.0})
    assert made.source == "chain.csv"
    assert any("rows taken" in note for note in made.notes)


def test_of_several_snapshots_the_last_one_by_then(chain: Path) -> None:
    made = markets_of_chain(chain, ["BTC"], NOW_NS - 1)
    market = made.markets.of("BTC")
    assert market.ts_ns == NOW_NS - NS_PER_HOUR
    assert float(market.vol(80_000.0, 25 / 365)) == pytest.approx(
        0.65 / 0.6 * float(BTC.vol(80_000.0, 25 / 365)), abs=0.005
    )
    with pytest.raises(BadInputError, match="no chain of BTC at or before"):
        markets_of_chain(chain, ["BTC"], NOW_NS - 2 * NS_PER_HOUR)
    with pytest.raises(BadInputError, match="no chain of 'SOL' in it"):
        markets_of_chain(chain, ["SOL"])


def test_a_file_without_an_index_has_the_perpetual_or_the_nearest_forward(tmp_path: Path) -> None:
    for market, index, said in (
        (BTC, 80_040.0, "BTC: the file states no index; BTC-PERPETUAL is taken for it"),
        (ETH, float(ETH.forward_usd[0]), "ETH: the file states no index; the nearest forward is taken for it"),
    ):
        path = write_chain_file(tmp_path / "chain.csv", market)
        pl.read_csv(path).drop("index_price").write_csv(path)
        made = markets_of_chain(path, [market.underlying])
        assert made.markets.of(market.underlying).index_usd == pytest.approx(index, rel=3e-4)
        assert said in made.notes


def test_a_session_teaches_the_market_of_the_moment_and_nothing_later(morning: Path) -> None:
    at_ns = parse_utc("2026-01-06T07:30")
    reference = load_reference()
    made = markets_of_session(morning, ["BTC"], at_ns, reference)
    market = made.markets.of("BTC")
    assert market.ts_ns == at_ns
    assert (market.expiry_ns > at_ns).all()
    assert np.isfinite(market.vol(market.index_usd, 0.05))
    later = markets_of_session(morning, ["BTC"], None, reference).markets.of("BTC")
    assert later.ts_ns > at_ns
    assert later.index_usd != market.index_usd
    again = markets_of_session(morning, ["BTC"], at_ns, reference).markets.of("BTC")
    np.testing.assert_array_equal(again.slices, market.slices)


def test_a_session_that_says_nothing_of_it_is_named(morning: Path) -> None:
    with pytest.raises(BadInputError, match="says nothing of ETH by"):
        markets_of_session(morning, ["ETH"], None, load_reference())
    with pytest.raises(BadInputError, match=r"begins at .* after 2020-01-01"):
        markets_of_session(morning, ["BTC"], parse_utc("2020-01-01"), load_reference())


@pytest.mark.slow
def test_a_recorded_chain_is_valued_inside_its_quotes() -> None:
    """Every option of a recorded evening, from its own calibration: at bid, at ask or between, but for a few."""
    if not RECORDED.exists():
        pytest.skip("the recorded chains are not beside the repository")
    reference = load_reference()
    chain = read_chains(RECORDED).at(None, "BTC")
    alive = np.flatnonzero(chain.expiry_ns > chain.ts_ns)
    book = Portfolio([BookPosition(reference.instrument(chain.instrument[row]), 1.0) for row in alive])
    price = book.mark(markets_of_chain(RECORDED, ["BTC"]).markets).price
    bid, ask = np.nan_to_num(chain.bid[alive], nan=0.0), np.nan_to_num(chain.ask[alive], nan=np.inf)
    assert np.mean((price >= bid) & (price <= ask)) > 0.95
    assert np.median(np.abs(price - chain.mark[alive])) < 3e-4
