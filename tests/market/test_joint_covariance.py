import math
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import ChainQuotes, IndexTick, QuoteRow
from flatbook.domain.units import NS_PER_MINUTE
from flatbook.kernels.chain import FACTORS, LEVELS, SPOT
from flatbook.market.covariance import CovarianceModel, FactorCovariance
from flatbook.market.factors import FactorMoves, MeterModel
from flatbook.market.joint_covariance import JointCovariance, joint_prior
from flatbook.market.market import Market, MarketModel
from tests.market_analytics.chains import CHAINS, needs_chains

from .builders import REFERENCE

Floats = NDArray[np.float64]

BTC, ETH = CovarianceModel(), CovarianceModel(spot_vol=0.75, level=0.7, spot_level_correlation=-0.1)
STEP_NS = 10 * NS_PER_MINUTE


def joint(correlation: float = 0.6, half_life_hours: float = 1e9) -> JointCovariance:
    models = {
        name: CovarianceModel(
            spot_vol=model.spot_vol,
            level=model.level,
            spot_level_correlation=model.spot_level_correlation,
            half_life_hours=half_life_hours,
        )
        for name, model in (("BTC", BTC), ("ETH", ETH))
    }
    return JointCovariance(models, correlation, 1.0)


def moves_of(stacked: Floats) -> dict[str, FactorMoves]:
    return {
        name: FactorMoves(part, part, STEP_NS)
        for name, part in (("BTC", stacked[:FACTORS]), ("ETH", stacked[FACTORS:]))
        if np.isfinite(part).any()
    }


def correlated(sigma: Floats) -> Floats:
    deviation = np.sqrt(np.diag(sigma))
    return np.asarray(sigma / np.outer(deviation, deviation))


@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.6, 0.99])
def test_the_joint_prior_holds_each_ones_own_and_one_correlation_of_likes(correlation: float) -> None:
    prior = joint_prior([BTC, BTC], correlation)
    np.testing.assert_allclose(prior[:FACTORS, :FACTORS], BTC.prior(), rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(prior[FACTORS:, :FACTORS], correlation * BTC.prior(), rtol=1e-12, atol=1e-16)
    mixed = joint_prior([BTC, ETH], correlation)
    np.testing.assert_allclose(mixed[FACTORS:, FACTORS:], ETH.prior(), rtol=1e-12, atol=1e-16)
    assert correlated(mixed)[SPOT, FACTORS + SPOT] == pytest.approx(correlation)
    assert np.linalg.eigvalsh(correlated(mixed))[0] > 0


def test_a_correlation_that_cannot_be_is_refused() -> None:
    for correlation in (1.0, -1.0, 2.0):
        with pytest.raises(BadInputError, match="2 underlyings cannot all correlate"):
            joint_prior([BTC, ETH], correlation)
    with pytest.raises(BadInputError, match="3 underlyings"):
        joint_prior([BTC, ETH, BTC], -0.6)


def test_known_correlations_across_underlyings_are_found() -> None:
    truth = joint_prior([CovarianceModel(spot_vol=0.4), CovarianceModel(spot_vol=0.9, level=1.0)], 0.85)
    sigma = joint(correlation=0.0)
    for n, move in enumerate(np.random.default_rng(0).multivariate_normal(np.zeros(2 * FACTORS), truth, 6_000), 1):
        sigma.observe(moves_of(move), n * STEP_NS)
    np.testing.assert_allclose(correlated(sigma.matrix()), correlated(truth), atol=0.08)
    np.testing.assert_allclose(np.diag(sigma.matrix()), np.diag(truth), rtol=0.1)
    np.testing.assert_array_equal(sigma.block("BTC", "ETH"), sigma.block("ETH", "BTC").T)
    np.testing.assert_array_equal(sigma.block("ETH", "ETH"), sigma.matrix()[FACTORS:, FACTORS:])
    with pytest.raises(BadInputError, match="SOL: no covariance; there are those of BTC, ETH"):
        sigma.block("BTC", "SOL")


def test_of_one_underlying_it_is_that_ones_own() -> None:
    alone = JointCovariance({"BTC": CovarianceModel(half_life_hours=1e9)}, 0.5, 1.0)
    own = FactorCovariance.of(CovarianceModel(half_life_hours=1e9), 1.0)
    for n, move in enumerate(np.random.default_rng(0).normal(0.0, 0.3, (50, FACTORS)), 1):
        alone.observe({"BTC": FactorMoves(move, move, STEP_NS)}, n * STEP_NS)
        own.observe(FactorMoves(move, move, STEP_NS), n * STEP_NS)
    np.testing.assert_allclose(alone.matrix(), own.matrix(), rtol=1e-12, atol=1e-15)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_it_is_positive_definite_whichever_underlying_is_missing(seed: int, steps: int) -> None:
    rng, sigma = np.random.default_rng(seed), joint()
    for n in range(1, steps + 1):
        move = rng.normal(0.0, 1.0, 2 * FACTORS) * rng.choice([0.1, 1.0, 20.0])
        hidden = rng.integers(3)
        if hidden < 2:
            move[hidden * FACTORS : (hidden + 1) * FACTORS] = math.nan
        sigma.observe(moves_of(move), n * STEP_NS)
    assert np.linalg.eigvalsh(correlated(sigma.matrix()))[0] > 0


@needs_chains
def test_recorded_bitcoin_and_ether_move_together_by_price_and_by_vol(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fortnight of both chains, four a day: Σ against the plain correlation of the same moves."""
    columns = ["timestamp", "currency", "instrument_name", "bid_price", "ask_price", "underlying", "index_price"]
    frame = pl.read_parquet(CHAINS / "chain_2026-01-14_31.parquet", columns=[*columns, "implied_volatility"])
    meter = MeterModel(step_s=3_600.0, window_steps=1, gap_s=30_000.0)
    markets = {name: Market(name, REFERENCE, MarketModel(meter=meter)) for name in ("BTC", "ETH")}
    models = dict.fromkeys(markets, CovarianceModel(half_life_hours=24.0 * 14))
    sigma, seen = JointCovariance(models, 0.5, meter.overlap), []
    moves: dict[str, FactorMoves] = {}
    for name, market in markets.items():
        monkeypatch.setattr(market.covariance, "observe", lambda found, _, name=name: moves.update({name: found}))
    for (time,), both in frame.sort("timestamp").group_by("timestamp", maintain_order=True):
        now_ns = int(datetime.fromisoformat(str(time)).timestamp() * 1e9)
        moves.clear()
        for name, market in markets.items():
            rows = both.filter(pl.col("currency") == name)
            price = float(rows["index_price"].to_numpy().mean())
            market.take_index(IndexTick(exch_ts_ns=now_ns, local_ts_ns=now_ns, underlying=name, price_usd=price))
            market.take_chain(snapshot(rows, name, now_ns))
        if moves:
            sigma.observe(moves, now_ns)
            seen.append(np.concatenate([moves[name].single for name in markets]))
    moved = np.array(seen)
    assert len(moved) > 40
    matrix = correlated(sigma.matrix())
    for factor in (SPOT, *np.arange(FACTORS)[LEVELS].tolist()):
        pair = moved[:, [factor, FACTORS + factor]]
        plain = np.corrcoef(pair[np.isfinite(pair).all(axis=1)].T)[0, 1]
        assert plain > 0.6
        # From the prior's 0.5 most of the way; the rest is what so few moves with such tails leave in doubt.
        assert 0.55 < matrix[factor, FACTORS + factor] < 1.0
        assert matrix[factor, FACTORS + factor] == pytest.approx(plain, abs=0.25)
    assert np.linalg.eigvalsh(matrix)[0] > 0


def snapshot(rows: pl.DataFrame, name: str, now_ns: int) -> ChainQuotes:
    """One recorded chain, its mark vols as narrow bands."""
    quotes = tuple(
        QuoteRow(instrument, math.nan, math.nan, iv - 0.003, iv + 0.003, iv, forward)
        for instrument, iv, forward in rows.select("instrument_name", "implied_volatility", "underlying").iter_rows()
        if 0.05 < iv < 3.0
    )
    return ChainQuotes(exch_ts_ns=now_ns, local_ts_ns=now_ns, underlying=name, rows=quotes)
